"""The proof of an image: it runs, unmodified, on an emulated chip, and every update is compared, byte for byte, with the NumPy reference.

Some updates are whole: the chip hears neighbours over its wires, waits, updates, tells its LED and its service port, and gives its state
and those that it passes on to its neighbours. The others, the many, are calls of the update alone, with states and neighbours put into RAM.
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
from nca_hw.core.spread import name, offer
from nca_hw.emulate.array import FirmwareRule
from nca_hw.emulate.chip import EDGES, Chip, EmulationError, Meter
from nca_hw.emulate.emulators import emulated
from nca_hw.emulate.grown import grown_cells
from nca_hw.emulate.stimulus import check_self_test, codes, damaged
from nca_hw.emulate.tile import run_tile
from nca_hw.emulate.verification import Mismatch, Rung, Verification, digest, first_difference, save_stimulus
from nca_hw.emulate.wire import WireEnd
from nca_hw.firmware.build import Build
from nca_hw.firmware.image import CELL_SYMBOL
from nca_hw.firmware.render import layout
from nca_hw.firmware.spread import packed
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule, ReferenceRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

STACK_WATCHED = 0x400  # the smallest chips have 2 KB of RAM, and variables at its other end
TIME_STEP_US = 5_000
WHOLE_UPDATES = 60  # at most, of those that are compared
METERED_UPDATES = 16
OWED: dict[int, tuple[int, ...]] = {0: (3, 4, 5), 1: (6,), 2: (0, 1, 7), 3: (2,)}  # places told over each edge: docs/protocol.md
PASSED = {3: 2, 1: 2, 5: 6, 7: 6}  # whose state is passed on: the neighbour to the east or to the west


@dataclass
class _Log:
    """Whole updates as the chip made them: what it was and had heard before, what it sent after."""

    before: list[Codes] = field(default_factory=list)
    heard: list[Codes] = field(default_factory=list)
    sent: list[Codes] = field(default_factory=list)
    lights: list[tuple[int, ...]] = field(default_factory=list)
    rejected: int = 0


def verify(
    genome: Genome, made: Build, updates: int = 1000, seed: int = 0, progress: Callable[[int], None] | None = None,
    whole: int = WHOLE_UPDATES,
) -> Verification:  # fmt: skip
    """Prove an image.

    Args:
        updates: to compare. seed: of states, frames and their damage. whole: how many of the updates are whole ones.
        progress: called with the number of updates done.
    Raises:
        EmulationError: the image stopped, or touched what it has no business with.
    """
    rng = np.random.default_rng(seed)
    whole = min(updates, whole)
    chip, log = _whole(genome, made, rng, whole, progress)
    if made.board.tile.cells == 1:
        _check_lights(genome, made, chip, log)
    rule = FirmwareRule(genome, made)
    called = _called(genome, rule, rng, updates - whole, lambda n: progress(whole + n) if progress else None)
    before, heard, got = (np.concatenate([np.array(w, np.int8).reshape(-1, *c.shape[1:]), c])
                          for w, c in zip((log.before, log.heard, log.sent), called, strict=True))  # fmt: skip
    expected, _ = reference.wake(genome, before, heard)
    core, _ = CCell(genome).wake(before, heard)

    simulated = [_simulated(rule) for rule in (ReferenceRule(genome), IntegerRule(genome))]
    fast = FastArray(SMALL, IntegerRule(genome)).run().trajectory.hexdigest()
    truth = digest(expected)
    rungs = (
        Rung("integer cell, NumPy reference", truth, equal=True),
        Rung("integer cell, C core on the host", digest(core), digest(core) == truth),
        Rung("simulated array, C core against reference", simulated[1], simulated[1] == simulated[0]),
        Rung("fast engine, trajectory against the SimPy engine", fast, fast == simulated[0]),
        Rung(f"firmware image on an emulated {made.board.name}", digest(got), digest(got) == truth),
    )
    grown, most = _metered(genome, made)
    return Verification(
        board=made.board.name, image_sha256=made.sha256, updates_compared=len(got), whole_updates=whole,
        cycles_per_update=round(float(np.mean(grown.cycles))), instructions_per_update=round(float(np.mean(grown.instructions))),
        most_cycles=max(*grown.cycles, *most.cycles),
        stack_bytes=max(c.stack_high_water(c.stack_top, c.stack_top - STACK_WATCHED) for c in (chip, rule.chip)),
        frames_rejected=log.rejected, rungs=rungs, mismatch=first_difference(expected, got),
    )  # fmt: skip


def write_replay(path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int = 0) -> None:
    """Write the stimulus of the first mismatch, .npz: state [C], neighbours [8, C], expected [C], got [C]."""
    rng = np.random.default_rng(seed)
    whole = min(updates, WHOLE_UPDATES)
    _, log = _whole(genome, made, rng, whole, None)
    called = _called(genome, FirmwareRule(genome, made), rng, updates - whole, lambda n: None)
    i = mismatch.update
    before, heard, got = (w[i] if i < whole else c[i - whole] for w, c in zip((log.before, log.heard, log.sent), called, strict=True))
    save_stimulus(path, genome, before, heard, got)


def _called(
    genome: Genome, rule: FirmwareRule, rng: np.random.Generator, updates: int, progress: Callable[[int], None]
) -> tuple[Codes, Codes, Codes]:
    """Calls of the update alone: states before [n, C], neighbours [n, 8, C], states after."""
    state, inbox = np.zeros(genome.channels, np.int8), np.zeros((NEIGHBOURS, genome.channels), np.int8)
    before, heard = np.zeros((updates, *state.shape), np.int8), np.zeros((updates, *inbox.shape), np.int8)
    after = np.zeros_like(before)
    wake = rule.bind(state, inbox)
    for i in range(updates):
        before[i], heard[i] = codes(rng, state.shape), codes(rng, inbox.shape)
        state[:], inbox[:] = before[i], heard[i]
        wake()
        after[i] = state
        progress(i + 1)
    return before, heard, after


def _whole(
    genome: Genome, made: Build, rng: np.random.Generator, updates: int, progress: Callable[[int], None] | None
) -> tuple[Chip, _Log]:
    """Run a chip with the image for so many whole updates.

    Before each one, some neighbours tell their states over any of the edges, one frame in five of them damaged; half of the updates start
    from a state that is put into RAM.
    """
    if made.board.tile.cells > 1:
        chip, tile = run_tile(genome, made, rng, updates, progress)
        return chip, _Log(tile.before[:updates], tile.heard[:updates], tile.sent[:updates], rejected=tile.rejected)
    noise = np.random.default_rng(1)
    chip, log = emulated(made, noise=lambda: int(noise.integers(2))), _Log()
    chip.step = TIME_STEP_US
    state_at = next(s.address for s in made.image.symbols if s.name == CELL_SYMBOL) + layout(genome, made.kernel).state_at
    own, neighbours = np.zeros(genome.channels, np.int8), np.zeros((NEIGHBOURS, genome.channels), np.int8)
    frame_bytes = frames.frame_bytes(genome.channels)
    taken: list[tuple[int, bytes]] = []
    chip.ends = [WireEnd(edge, frame_bytes, lambda edge, data: take(edge, data)) for edge in range(EDGES)]
    light: list[int] = []
    reported = bytearray()
    stage = "start"

    def take(edge: int, data: bytes) -> None:
        if not frames.decode_spread(data, genome.channels):  # offers of genomes are no part of an update
            taken.append((edge, data))

    def on_report(byte: int) -> None:
        reported.append(byte)
        if made.spread is not None and frames.decode_spread(bytes(reported[-frame_bytes:]), genome.channels):
            del reported[-frame_bytes:]

    def on_idle() -> None:
        nonlocal stage
        if stage == "hearing":
            stage = "waiting"
            return
        if not reported:
            return
        if stage == "start":
            check_self_test(made, genome, bytes(reported))
            if wrong := chip.wrong_setup():
                raise EmulationError("the image sets the chip up wrongly: " + "; ".join(wrong))
            for end in chip.ends:
                if made.spread is not None and end is not None:
                    end.give(offer(name(packed(genome, made.spread))))  # or it would not listen
        elif len(taken) < NEIGHBOURS and len(reported) == frame_bytes:
            return  # between two frames; one that never comes is found when the next update is reported
        else:
            _settle()
            if len(log.sent) == updates:
                chip.stop()
                return
        reported.clear()
        taken.clear()
        light.clear()
        if rng.random() < 0.5:
            own[:] = codes(rng, own.shape)
            chip.write(state_at, own.tobytes())
        for place in rng.permutation(NEIGHBOURS)[: rng.integers(0, NEIGHBOURS + 1)]:
            state, end = codes(rng, own.shape), chip.ends[int(rng.integers(EDGES))]
            assert end is not None
            frame = frames.encode(int(place), state)
            if rng.random() < 0.2:
                end.give(damaged(rng, frame))
                log.rejected += 1
            else:
                end.give(frame)
                neighbours[place] = state
        log.before.append(own.copy())
        log.heard.append(neighbours.copy())
        stage = "hearing"

    def _settle() -> None:
        """The update is over: what it reported, and what it told its neighbours."""
        reports = frames.decode_reports(bytes(reported), genome.channels)
        if len(reports) != 1 or reports[0][0] != frames.REPORT_STATE:
            raise EmulationError(f"update {len(log.sent)}: the service port tells {bytes(reported).hex()}, which is no report of a state")
        own[:] = reports[0][1]
        for edge, places in OWED.items():
            wanted = {frames.encode(p, neighbours[PASSED[p]] if p in PASSED else own) for p in places}
            got = [data for at, data in taken if at == edge]
            if set(got) != wanted or len(got) != len(wanted):
                told = f"{[d.hex() for d in got]}, not {[d.hex() for d in wanted]}"
                raise EmulationError(f"update {len(log.sent)}: edge {edge} was told {told}")
        log.sent.append(own.copy())
        log.lights.append(tuple(light))
        if progress is not None:
            progress(len(log.sent))

    chip.on_idle, chip.on_report, chip.on_light = on_idle, on_report, light.append
    chip.reset()
    chip.run()
    return chip, log


SMALL = Scenario(12, 12, seed=1, duration=20 * Scenario.interval)


def _simulated(rule: IntegerRule) -> str:
    """Trajectory hash of a small array that grows."""
    return SimpyArray(SMALL, rule).run().trajectory.hexdigest()


def _metered(genome: Genome, made: Build) -> tuple[Meter, Meter]:
    """Cycles of updates that evaluate the network: in a grown pattern, and of random states and extremes."""
    states, heard = grown_cells(genome, METERED_UPDATES)
    rng = np.random.default_rng(0)
    wild_states = rng.integers(-127, 128, (METERED_UPDATES, genome.channels))
    wild_heard = rng.integers(-127, 128, (METERED_UPDATES, *heard.shape[1:]))
    wild_states[:, genome.alpha] = np.abs(wild_states[:, genome.alpha]) | 64
    meters = []
    for own, around in ((states, heard), (wild_states.astype(np.int8), wild_heard.astype(np.int8))):
        rule = FirmwareRule(genome, made, metered=True)
        assert rule.meter is not None
        rule.meter.cycles.clear()
        rule.meter.instructions.clear()
        meters.append(rule.meter)
        state, inbox = np.zeros(genome.channels, np.int8), np.zeros((NEIGHBOURS, genome.channels), np.int8)
        wake = rule.bind(state, inbox)
        for s, h in zip(own, around, strict=True):
            state[:], inbox[:] = s, h
            wake()
    return meters[0], meters[1]


def _check_lights(genome: Genome, made: Build, chip: Chip, log: _Log) -> None:
    """What the LED was told after every update, green, red, blue: squared brightness, capped. Source: docs/firmware.md."""
    wanted = led_told(genome, np.array(log.sent), made.board.led.brightness)
    for update, (light, colours) in enumerate(zip(log.lights, wanted, strict=True)):
        told = chip.light(light)
        if told != colours.tolist():
            raise EmulationError(f"update {update}: the LED was told {told}, expected green, red, blue {colours.tolist()}")
