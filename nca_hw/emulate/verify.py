"""The proof of an image: it runs, unmodified, on an emulated chip, hears neighbours on its links, and every update that it sends is
compared, byte for byte, with the NumPy reference."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames, reference
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.light import led_duty
from nca_hw.core.reference import Codes
from nca_hw.emulate.rp2040 import CRYSTAL_HZ, IO_BANK0, RAM, RESETS, UART, WATCHDOG_TICK, CycleMeter, EmulationError, Rp2040
from nca_hw.firmware.build import Build
from nca_hw.formats.files import write_whole
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule, ReferenceRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

STACK_TOP = RAM + 0x40000
STACK_WATCHED = 0x1000
TIME_STEP_US = 20_000
METERED_UPDATES = 8
PLACE_OF_PORT = (6, 2)  # to the east this cell is the western neighbour, to the west the eastern


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder of truth. `equal` tells whether it agrees with the first."""

    name: str
    hash: str
    equal: bool


@dataclass(frozen=True)
class Mismatch:
    """The first update at which the image differs."""

    update: int
    channel: int
    expected: int
    got: int


@dataclass(frozen=True)
class Verification:
    """What was proved.

    Attributes:
        cycles_per_update: mean over updates of a grown pattern that evaluate the network, Cortex-M0+ timing without wait states.
        stack_bytes: high-water mark over all updates.
    """

    board: str
    image_sha256: str
    updates_compared: int
    cycles_per_update: int
    instructions_per_update: int
    stack_bytes: int
    frames_rejected: int
    rungs: tuple[Rung, ...]
    mismatch: Mismatch | None

    @property
    def equal(self) -> bool:
        """All rungs agree."""
        return all(rung.equal for rung in self.rungs)


@dataclass
class _Log:
    """Updates as the chip made them: what it was and had heard before, what it sent after."""

    before: list[Codes] = field(default_factory=list)
    heard: list[Codes] = field(default_factory=list)
    sent: list[Codes] = field(default_factory=list)
    lights: list[tuple[int, ...]] = field(default_factory=list)
    rejected: int = 0


def verify(genome: Genome, made: Build, updates: int = 1000, seed: int = 0, progress: Callable[[int], None] | None = None) -> Verification:
    """Prove an image.

    Args:
        updates: whole updates to compare. seed: of states, frames and their damage.
        progress: called with the number of updates done.
    Raises:
        EmulationError: the image stopped, or touched what it has no business with.
    """
    rng = np.random.default_rng(seed)
    chip, log = _chip(genome, made, rng, updates, lambda i: _stimulus(rng, genome), progress)
    chip.run()
    before, heard, sent = np.array(log.before), np.array(log.heard), np.array(log.sent)
    expected, _ = reference.wake(genome, before, heard)
    core, _ = CCell(genome).wake(before, heard)
    _check_setup(made, chip)
    _check_lights(genome, made, log, sent)

    simulated = [_simulated(rule) for rule in (ReferenceRule(genome), IntegerRule(genome))]
    fast = FastArray(SMALL, IntegerRule(genome)).run().trajectory.hexdigest()
    truth = _hash(expected)
    rungs = (
        Rung("integer cell, NumPy reference", truth, equal=True),
        Rung("integer cell, C core on the host", _hash(core), _hash(core) == truth),
        Rung("simulated array, C core against reference", simulated[1][0], simulated[1][0] == simulated[0][0]),
        Rung("fast engine, trajectory against the SimPy engine", fast, fast == simulated[0][0]),
        Rung(f"firmware image on an emulated {made.board.name}", _hash(sent), _hash(sent) == truth),
    )
    meter = _metered(genome, made, *simulated[0][1:])
    return Verification(
        board=made.board.name, image_sha256=made.sha256, updates_compared=len(sent),
        cycles_per_update=round(float(np.mean(meter.cycles))), instructions_per_update=round(float(np.mean(meter.instructions))),
        stack_bytes=chip.stack_high_water(STACK_TOP, STACK_TOP - STACK_WATCHED), frames_rejected=log.rejected, rungs=rungs,
        mismatch=_first_difference(expected, sent),
    )  # fmt: skip


def write_replay(path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int = 0) -> None:
    """Write the stimulus of the first mismatch, .npz: state [C], neighbours [8, C], expected [C], got [C]."""
    rng = np.random.default_rng(seed)
    chip, log = _chip(genome, made, rng, updates, lambda i: _stimulus(rng, genome), None)
    chip.run()
    i = mismatch.update
    expected, _ = reference.wake(genome, log.before[i], log.heard[i])
    out = io.BytesIO()
    np.savez(out, state=log.before[i], neighbours=log.heard[i], expected=expected, got=log.sent[i])
    write_whole(path, out.getvalue())


@dataclass(frozen=True)
class _Stimulus:
    """What happens to the chip before an update: a state put into its RAM or None, and neighbours to be told, damaged frames among them."""

    state: Codes | None
    neighbours: dict[int, Codes]
    damage: float


def _codes(rng: np.random.Generator, shape: tuple[int, ...]) -> Codes:
    """Codes of all magnitudes, small ones and extremes often."""
    scale = rng.choice([3, 20, 60, 127])
    codes = rng.integers(-scale, scale + 1, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([-127, 0, 127], shape), codes).astype(np.int8)


def _stimulus(rng: np.random.Generator, genome: Genome) -> _Stimulus:
    told = rng.permutation(NEIGHBOURS)[: rng.integers(0, NEIGHBOURS + 1)]
    state = _codes(rng, (genome.channels,)) if rng.random() < 0.5 else None
    return _Stimulus(state, {int(place): _codes(rng, (genome.channels,)) for place in told}, damage=0.2)


def _chip(
    genome: Genome, made: Build, rng: np.random.Generator, updates: int, stimulus: Callable[[int], _Stimulus],
    progress: Callable[[int], None] | None,
) -> tuple[Rp2040, _Log]:  # fmt: skip
    """A chip with the image, and what will drive it: it is run, and stops after so many updates."""
    noise = np.random.default_rng(1)
    chip = Rp2040(made.image.binary, seed_pin=made.board.seed.pin, noise=lambda: int(noise.integers(2)))
    chip.step = TIME_STEP_US
    chip.reset()
    log = _Log()
    state_at = next(s.address for s in made.image.symbols if s.name == "cell")  # the state comes first in it
    neighbours = np.zeros((NEIGHBOURS, genome.channels), np.int8)
    own = np.zeros(genome.channels, np.int8)
    outgoing = (bytearray(), bytearray())
    light: list[int] = []
    frame_bytes = len(frames.encode(0, own))
    waiting = False

    def on_idle() -> None:
        nonlocal waiting
        if waiting:
            return
        waiting = True
        wanted = stimulus(len(log.sent))
        if wanted.state is not None:
            own[:] = wanted.state
            chip.write(state_at, own.tobytes())
        for place, state in wanted.neighbours.items():
            port = chip.ports[int(rng.integers(2))]
            if rng.random() < wanted.damage:
                port.extend(_damaged(rng, frames.encode(place, state)))
                log.rejected += 1
            else:
                port.extend(frames.encode(place, state))
                neighbours[place] = state
        log.before.append(own.copy())
        log.heard.append(neighbours.copy())

    def on_send(port: int, byte: int) -> None:
        nonlocal waiting
        outgoing[port].append(byte)
        if min(map(len, outgoing)) < frame_bytes:
            return
        got = [frames.decode_all(bytes(data), genome.channels) for data in outgoing]
        places = tuple(tuple(place for place, _ in sound) for sound in got)
        if any(len(data) != frame_bytes for data in outgoing) or places != tuple((place,) for place in PLACE_OF_PORT):
            raise EmulationError(f"update {len(log.sent)}: the image sent no sound frame: {outgoing[0].hex()}, {outgoing[1].hex()}")
        own[:] = got[0][0][1]
        log.sent.append(own.copy())
        log.lights.append(tuple(light))
        light.clear()
        for data in outgoing:
            data.clear()
        waiting = False
        if progress is not None:
            progress(len(log.sent))
        if len(log.sent) == updates:
            chip.stop()

    chip.on_idle, chip.on_send, chip.on_light = on_idle, on_send, light.append
    return chip, log


def _damaged(rng: np.random.Generator, frame: bytes) -> bytes:
    """The frame with one byte changed, cut short, or with a byte lost."""
    kind, at = rng.integers(3), int(rng.integers(len(frame)))
    if kind == 0:
        return frame[:at] + bytes([frame[at] ^ int(rng.integers(1, 256))]) + frame[at + 1 :]
    return frame[:at] if kind == 1 else frame[:at] + frame[at + 1 :]


SMALL = Scenario(12, 12, seed=1, duration=20 * Scenario.interval)


def _simulated(rule: IntegerRule) -> tuple[str, Codes, Codes]:
    """A small array, grown: trajectory hash, states [cells, C], what the cells have heard [cells, 8, C]."""
    array = SimpyArray(SMALL, rule)
    digest = array.run().trajectory.hexdigest()
    return digest, np.array([cell.state for cell in array.cells]), np.array([cell.inbox for cell in array.cells])


def _metered(genome: Genome, made: Build, states: Codes, heard: Codes) -> CycleMeter:
    """Cycles of updates that evaluate the network, in a pattern that grows."""
    _, evaluated = reference.wake(genome, states, heard)
    chosen = np.flatnonzero(evaluated)
    if chosen.size == 0:
        chosen = np.arange(len(states))
    chosen = chosen[np.linspace(0, chosen.size - 1, METERED_UPDATES).astype(int)]

    def stimulus(i: int) -> _Stimulus:
        cell = chosen[i]
        return _Stimulus(states[cell], dict(enumerate(heard[cell])), damage=0)

    chip, _ = _chip(genome, made, np.random.default_rng(0), METERED_UPDATES, stimulus, None)
    address = next(s.address for s in made.image.symbols if s.name == "nca_cell_wake")
    meter = CycleMeter(made.image.binary, address)
    chip.count_cycles(meter)
    chip.run()
    return meter


def _check_setup(made: Build, chip: Rp2040) -> None:
    """What the firmware wrote into the chip's registers: baud rates within 1%, pins in their functions, blocks out of reset."""
    board = made.board
    wrong = []
    for uart in UART:
        divisor = (chip.register(uart + 0x24) or 0) + (chip.register(uart + 0x28) or 0) / 64
        baud = CRYSTAL_HZ / (16 * divisor) if divisor else 0
        if abs(baud / board.links.baud - 1) > 0.01:
            wrong.append(f"UART at {uart:#x} runs at {baud:.0f} baud, not {board.links.baud}")
    links = board.links
    functions = {links.east.tx: 2, links.east.rx: 2, links.west.tx: 2, links.west.rx: 2, board.led.pin: 1}  # UART, SPI
    for pin, function in functions.items():
        found = chip.register(IO_BANK0 + 4 + 8 * pin)
        if found != function:
            wrong.append(f"pin {pin} has function {found}, not {function}")
    needed = 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 16 | 1 << 21 | 1 << 22 | 1 << 23  # IO, pads (QSPI's too), SPI0, timer, UARTs
    if (chip.register(RESETS) or 0) & needed:
        wrong.append(f"blocks are held in reset: {(chip.register(RESETS) or 0) & needed:#x}")
    if chip.register(WATCHDOG_TICK) != 1 << 9 | CRYSTAL_HZ // 1_000_000:
        wrong.append("the timer does not count microseconds")
    if wrong:
        raise EmulationError("the image sets the chip up wrongly: " + "; ".join(wrong))


def _check_lights(genome: Genome, made: Build, log: _Log, states: Codes) -> None:
    """The LED's bits after every update, green, red, blue: four SPI bits a bit, squared brightness, capped. Source: docs/firmware.md."""
    channels = [min(c, genome.channels - 1) for c in (1, 0, 2)]
    wanted = led_duty(reference.val(genome, states[:, channels]), made.board.led.brightness)
    for update, (light, colours) in enumerate(zip(log.lights, wanted, strict=True)):
        bits = "".join(f"{word:016b}" for word in light)
        told = "".join({"1000": "0", "1100": "1"}.get(bits[i : i + 4], "?") for i in range(0, len(bits), 4))
        if told != "".join(f"{colour:08b}" for colour in colours):
            raise EmulationError(f"update {update}: the LED was told {told}, expected green, red, blue {colours.tolist()}")


def _hash(states: NDArray[np.int8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(states, np.int8).tobytes()).hexdigest()


def _first_difference(expected: Codes, got: Codes) -> Mismatch | None:
    where = np.argwhere(expected != got)
    if where.size == 0:
        return None
    update, channel = (int(i) for i in where[0])
    return Mismatch(update, channel, int(expected[update, channel]), int(got[update, channel]))
