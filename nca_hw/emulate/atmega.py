"""The proof of an ATmega image: it runs, unmodified, on chips of libsimavr.

Many chips on no wires update from states and neighbours that are put into their RAM; every update, with its wait, its light and its report,
is compared with the NumPy reference. A small wall of chips, wired edge to edge, shows that frames get over the wires; power fails, and
wires are cut in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nca_hw.core import frames, reference
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.light import led_told
from nca_hw.core.reference import Codes
from nca_hw.emulate import simavr
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.grown import grown_cells
from nca_hw.emulate.simavr import Events, Firmware, SimavrArray, Wiring
from nca_hw.emulate.stimulus import check_self_test
from nca_hw.emulate.verification import Mismatch, Rung, Verification, digest, first_difference, save_stimulus
from nca_hw.emulate.wall import RAM, emulate
from nca_hw.firmware.build import Build
from nca_hw.firmware.image import CELL_SYMBOL
from nca_hw.firmware.render import layout
from nca_hw.sim.faults import Cut, Fault, Kill
from nca_hw.sim.regions import parse
from nca_hw.sim.scenario import Scenario

MCU = "atmega328p"
CHIPS = 32
MILLISECOND = 1_000_000  # ns
STEP = 10 * MILLISECOND  # the shortest wait is 50 ms, an update and its report take less than 25
TOLD_AFTER = 5 * MILLISECOND  # an update's light and report are over
START = 45 * MILLISECOND  # the self-test is over, the first wait is not
SPREAD_START = 99 * MILLISECOND  # the same of an image that proves its slots first, and waits twice as long
METERED_UPDATES = 400
WALL_SECONDS = 3

FAULTS = {
    simavr.WATCHDOG: "was reset by its watchdog", simavr.CRASHED: "ran or wrote outside its memory", simavr.PUSHED: "drove a wire high",
}  # fmt: skip

# Registers by their data address: data sheet, section 31; and what they must hold. UBRR0 16 with U2X is 117,647 baud: section 20.3.1.
SETUP = {"UBRR0": (0xC4, 0xFF, 16), "UCSR0A": (0xC0, 0x02, 0x02), "UCSR0B": (0xC1, 0x08, 0x08), "WDTCSR": (0x60, 0x2F, 0x28),
         "TCCR1B": (0x81, 0x07, 0x05), "PCICR": (0x68, 0x07, 0x07), "TIMSK1": (0x6F, 0x07, 0x02)}  # fmt: skip


@dataclass
class _Log:
    """Updates: before [C], neighbours [8, C], after [C], cycles; the chips' stack, bytes."""

    before: list[Codes] = field(default_factory=list)
    heard: list[Codes] = field(default_factory=list)
    after: list[Codes] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    stack: int = 0


def verify(
    genome: Genome, made: Build, updates: int = 1000, seed: int = 0, progress: Callable[[int], None] | None = None
) -> Verification:
    """Prove an image.

    Args:
        updates: whole updates to compare. seed: of states and neighbours. progress: called with the number of updates done.
    Raises:
        EmulationError: the image stopped, told a wrong light or report, or did what it has no business with.
        ToolMissing: no libsimavr.
    """
    _check_start(genome, made)
    wild = _run(genome, made, *_stimuli(genome, updates, seed), progress)
    before, heard, after = (np.array(codes, np.int8) for codes in (wild.before, wild.heard, wild.after))
    expected, evaluated = reference.wake(genome, before, heard)
    core, _ = CCell(genome).wake(before, heard)
    grown = _run(genome, made, *grown_cells(genome, METERED_UPDATES), None)
    wall = emulate(genome, made, _wall(seed))
    truth = digest(expected)
    rungs = (
        Rung("integer cell, NumPy reference", truth, equal=True),
        Rung("integer cell, C core on the host", digest(core), digest(core) == truth),
        Rung(f"firmware image on an emulated {made.board.name}", digest(after), digest(after) == truth),
        Rung("nine emulated chips on their wires, against the reference", wall.result.recording.trajectory.hexdigest(), wall.equal),
    )
    if any(wall.events[what] for what in ("watchdog_resets", "crashes", "driven_high")) or wall.frames.sound == 0:
        raise EmulationError(f"the wall of chips did what it should not: {wall.events}, {wall.frames}")
    return Verification(
        board=made.board.name, image_sha256=made.sha256, updates_compared=len(after), whole_updates=len(after),
        cycles_per_update=round(float(np.mean(grown.cycles))), instructions_per_update=None,
        most_cycles=int(max(*np.array(wild.cycles)[evaluated], *grown.cycles)), stack_bytes=max(wild.stack, grown.stack, wall.stack_bytes),
        frames_rejected=wall.frames.rejected + wall.frames.broken, rungs=rungs, mismatch=first_difference(expected, after),
    )  # fmt: skip


def write_replay(path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int = 0) -> None:
    """Write the stimulus of the first mismatch, .npz: state [C], neighbours [8, C], expected [C], got [C]."""
    log, i = _run(genome, made, *_stimuli(genome, updates, seed), None), mismatch.update
    save_stimulus(path, genome, log.before[i], log.heard[i], log.after[i])


def _stimuli(genome: Genome, count: int, seed: int) -> tuple[Codes, Codes]:
    """States [n, C] and neighbours [n, 8, C]: codes of all magnitudes, small ones and extremes often, and some of extremes only."""
    rng = np.random.default_rng(seed)
    shape = (count, 1 + NEIGHBOURS, genome.channels)
    scale = rng.choice([3, 20, 60, 127], (count, 1, 1))
    rare = rng.choice([0.1, 1.0], (count, 1, 1), p=[0.9, 0.1])
    codes = np.where(rng.random(shape) < rare, rng.choice([-127, 0, 127], shape), rng.integers(-scale, scale + 1, shape)).astype(np.int8)
    return codes[:, 0], codes[:, 1:]


def _wall(seed: int) -> Scenario:
    """Nine chips, one of which loses its power for a while, and some of whose wires are cut."""
    faults: tuple[Fault, ...] = (
        Kill(parse("2"), 1000 * MILLISECOND, 500 * MILLISECOND), Cut(parse("3"), 2000 * MILLISECOND, 400 * MILLISECOND),
    )  # fmt: skip
    return Scenario(3, 3, seed=seed, wiring="edges", duration=WALL_SECONDS * 1000 * MILLISECOND, faults=faults)


def _run(genome: Genome, made: Build, states: Codes, heard: Codes, progress: Callable[[int], None] | None) -> _Log:
    """One whole update from every state, on chips that take turns."""
    chips = min(CHIPS, len(states))
    array = _array(genome, made, chips)
    state_at = array.firmware.state
    place = layout(genome, made.kernel)
    heard_at = state_at - place.state_at + place.heard_at
    log = _Log(list(states), list(heard), [np.zeros(0, np.int8)] * len(states), [0] * len(states))
    turn: list[int | None] = [None] * chips  # which update a chip is about to make
    told = [bytearray() for _ in range(chips)]
    lights: list[list[tuple[int, ...]]] = [[] for _ in range(chips)]
    ready = dict.fromkeys(range(chips), 0)  # chips that can be given a state, and since when
    given = done = 0

    for chip in range(chips):
        array.power_on(chip)
    while done < len(states):
        _take(array.run(array.now + STEP), log, turn, told, lights, ready)
        for chip, since in list(ready.items()):
            if since > array.now - TOLD_AFTER:
                continue
            if (n := turn[chip]) is not None:
                _check(genome, made, n, log.after[n], bytes(told[chip]), lights[chip])
                told[chip].clear()
                lights[chip].clear()
                done += 1
                if progress is not None:
                    progress(done)
            del ready[chip]
            turn[chip] = given if given < len(states) else None
            if given < len(states):
                array.poke(chip, state_at, states[given].tobytes())
                array.poke(chip, heard_at, heard[given].tobytes())
                given += 1
        if not ready and all(n is None for n in turn):
            break
        if array.now > (20 + 2 * len(states) / chips) * 200 * MILLISECOND:
            raise EmulationError(f"the image did not make {len(states)} updates in {array.now / 1e9:.0f} s of its time")
    static = max((s.address & 0xFFFF) + s.size for s in made.image.symbols if s.address >= RAM)
    log.stack = max(array.stack_bytes(chip, static) for chip in range(chips))
    if array.complaint is not None:
        raise EmulationError(f"the emulator complains: {array.complaint}")
    return log


def _array(genome: Genome, made: Build, chips: int, *, watched: bool = True) -> SimavrArray:
    """Chips on no wires."""
    at = {symbol.name: symbol.address for symbol in made.image.symbols}
    edges, place = made.board.edges, layout(genome, made.kernel)
    wake = at[place.wake] if watched else 0
    firmware = Firmware(
        made.image.binary, wake, (at[CELL_SYMBOL] & 0xFFFF) + place.state_at, genome.channels, frames.frame_bytes(genome.channels), MCU,
        made.board.chip.clock_hz,
    )  # fmt: skip
    wiring = Wiring((edges.north, edges.east, edges.south, edges.west), made.board.led.pin, made.board.seed.pin, strapped=False)
    return SimavrArray(firmware, wiring, np.full((chips, 4), simavr.NOBODY, np.int32))


def _check_start(genome: Genome, made: Build) -> None:
    """Self-test and registers of a chip that has started. Updates are not watched: the self-test would find the opcode that this takes."""
    array = _array(genome, made, 1, watched=False)
    array.power_on(0)
    told = simavr.text(array.run(START if made.spread is None else SPREAD_START), 0)
    check_self_test(made, genome, told[: frames.frame_bytes(genome.channels)] if made.spread else told)
    wrong = [
        f"{name} is {found:#04x}" for name, (address, mask, right) in SETUP.items()
        if (found := array.peek(0, address, 1)[0]) & mask != right
    ]  # fmt: skip
    if wrong:
        raise EmulationError("the image sets the chip up wrongly: " + "; ".join(wrong))


def _take(
    events: Events, log: _Log, turn: list[int | None], told: list[bytearray], lights: list[list[tuple[int, ...]]], ready: dict[int, int]
) -> None:
    for event in events:
        chip, kind = int(event["chip"]), int(event["kind"])
        n = turn[chip]
        if kind == simavr.SERVICE:
            told[chip] += bytes(event["data"][: event["a"]])
        elif kind == simavr.LIGHT:
            lights[chip].append(tuple(event["data"][:3].tolist()))
        elif kind == simavr.UPDATE_ENDS and n is not None:
            log.after[n] = event["data"][: len(log.before[n])].view(np.int8).copy()
            log.cycles[n] = int(event["cycles"])
            ready[chip] = int(event["time"]) // simavr.FEMTO
        elif kind in FAULTS:
            raise EmulationError(f"update {n}: the chip {FAULTS[kind]} (program counter {int(event['cycles']):#x})")


def _check(genome: Genome, made: Build, n: int, state: Codes, told: bytes, lights: list[tuple[int, ...]]) -> None:
    """The report of an update, and its light: green, red, blue."""
    if n < CHIPS:  # the first update of a chip: its self-test came before
        told = told[frames.frame_bytes(genome.channels) :]
    reports = frames.decode_reports(told, genome.channels)
    if len(reports) != 1 or reports[0][0] != frames.REPORT_STATE or not np.array_equal(reports[0][1], state):
        raise EmulationError(f"update {n}: the service port tells {told.hex()}, not that the state is {state.tolist()}")
    wanted = tuple(led_told(genome, state, made.board.led.brightness).tolist())
    if lights != [wanted]:
        raise EmulationError(f"update {n}: the LED was told {lights}, expected {wanted}")
