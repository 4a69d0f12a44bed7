"""A wall of emulated chips, each with the unmodified image and a clock of its own, wired edge to edge: run, struck, and recorded.

The scenario is the simulator's, as far as chips can be told what it says: clocks, and faults of power and wires. What cells do is the
firmware's.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.core.model import ALIVE_THRESHOLD, ALPHA
from nca_hw.core.reference import SEED_QUIET
from nca_hw.emulate import simavr
from nca_hw.emulate.simavr import FEMTO, Events, Firmware, LedTiming, SimavrArray, Wiring, Work
from nca_hw.emulate.wall_replay import Compared, Difference, Replay
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import Build
from nca_hw.firmware.families import family
from nca_hw.firmware.image import CELL_SYMBOL
from nca_hw.firmware.render import layout
from nca_hw.formats.boards import Board, bundled_boards, load_board
from nca_hw.sim import metrics
from nca_hw.sim.clocks import TICK, draw_clocks
from nca_hw.sim.faults import Cut, Memory, Operation
from nca_hw.sim.grid import EDGE_LINK
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import Result
from nca_hw.sim.scenario import Scenario

Progress = Callable[[int, Recording], None]
KINDS = ("kill", "brownout", "cut")  # of faults that can be done to chips from outside
FRAMES_OVER_EDGES = (3, 1, 3, 1)  # N, E, S, W: to the north and south a cell passes on whom it has to its east and west
SETTLED_NS = 2_000_000  # a frame that got over so long ago lies in RAM


@dataclass(frozen=True)
class EmulatedChip:
    """What is known of a family here: its name in libsimavr, the level of its strap at a seed."""

    mcu: str
    strapped: bool


CHIPS = {"atmega": EmulatedChip("atmega328p", strapped=False)}


@dataclass(frozen=True)
class Frames:
    """Frames on all edges: begun (a bit got over); got over soundly, or damaged; broken off; the others are still under way.

    owed: what updates made due; a frame that has not begun by the next update is replaced by a newer one.
    """

    begun: int
    sound: int
    rejected: int
    broken: int
    owed: int

    @property
    def loss(self) -> float:
        """Fraction of those that have ended which were not received."""
        lost = self.rejected + self.broken
        return lost / (self.sound + lost) if lost else 0.0


@dataclass(frozen=True)
class Emulation:
    """What an emulated wall did.

    Attributes:
        result: as of a simulation: samples, losses, trajectory.
        lights: of every sample, what LEDs were told last, red, green, blue in 1/255, uint8 [height, width, 3].
        compared, difference, differences: how much was held against the reference, the first difference and how many there are.
        cycles, most_cycles: mean and greatest of updates that ran the network.
        stack_bytes: high water of all chips; of all RAM, variables included, `ram_bytes` were used.
        events: how often chips started, reported a right self-test, were reset by their watchdogs, crashed, or drove a wire high.
        seconds: on this machine's clock. cpu_seconds: of its processor. rss_bytes: the greatest memory that the process has ever had.
    """

    result: Result
    lights: list[NDArray[np.uint8]]
    frames: Frames
    compared: Compared
    difference: Difference | None
    differences: int
    cycles: float | None
    most_cycles: int | None
    stack_bytes: int
    ram_bytes: int
    events: dict[str, int]
    led: LedTiming | None
    work: Work
    seconds: float
    cpu_seconds: float
    rss_bytes: int

    @property
    def equal(self) -> bool:
        """All that chips made equals the reference."""
        return self.difference is None


def check(scenario: Scenario, board: Board) -> None:
    """Whether there are emulated chips for a board, and whether they can be told what a scenario says.

    Raises:
        NcaHwError: no wall of chips of the board's family, or what only a simulator can do.
        ToolMissing: no libsimavr.
    """
    if board.family not in CHIPS:
        known = [name for name in bundled_boards() if load_board(name).family in CHIPS]
        cure = f"Take one of: {', '.join(known)}. 'nca-hw verify' emulates one chip of any board."
        raise NcaHwError(f"there is no wall of emulated chips for {board.name!r}", where="--board", cure=cure)
    simavr.library()
    for number, fault in enumerate(scenario.faults, 1):
        if fault.kind not in KINDS:
            told = f"fault {number} ({fault.kind}) can't be done to chips from outside; power and wires can"
            raise NcaHwError(told, where="scenario", cure=f"Kinds here: {', '.join(KINDS)}. 'nca-hw simulate' knows the others.")
        if isinstance(fault, Cut) and fault.direction != "both":
            raise NcaHwError(f"fault {number} cuts one direction of a wire", where="scenario", cure="Cut both.")
    if scenario.wiring != "edges" or scenario.grid.cells != scenario.grid.chips:
        cure = "Take tiles of 1x1, and wiring 'edges'."
        raise NcaHwError("the firmware is one cell a chip, wired over its edges", where="scenario", cure=cure)


@dataclass
class _Counts:
    cycles: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)  # of the update that took them
    frames: Counter[int] = field(default_factory=Counter)
    sound: int = 0
    owed: int = 0
    self_tests: int = 0
    starts: int = 0
    others: Counter[int] = field(default_factory=Counter)


class Wall:
    """Chips of a grid, and all that is recorded of them; an `Array` of the simulator's, as far as faults of power and wires need one."""

    def __init__(self, genome: Genome, made: Build, scenario: Scenario, target: NDArray[np.float32] | None = None) -> None:
        """Prepare chips without power.

        Args:
            made: an image of this genome. target: premultiplied RGBA, float32 [h, w, 4].
        Raises:
            NcaHwError: no emulator of the board's family, or a scenario that chips can't be told.
            ToolMissing: no libsimavr.
        """
        board = made.board
        check(scenario, board)
        chip, edges, grid = CHIPS[board.family], board.edges, scenario.grid
        at = {symbol.name: symbol.address for symbol in made.image.symbols}
        self.genome, self.made, self.scenario, self.target = genome, made, scenario, target
        self.recording = Recording()
        place = layout(genome, made.kernel)
        boot_at = family(board.family).boot_at if made.spread else 0  # of an AVR
        firmware = Firmware(
            made.image.binary, at[place.wake], (at[CELL_SYMBOL] & 0xFFFF) + place.state_at, genome.channels,
            frames.frame_bytes(genome.channels), chip.mcu, board.chip.clock_hz, reads_itself=True,
            boot_at=boot_at,
        )  # fmt: skip
        wiring = Wiring((edges.north, edges.east, edges.south, edges.west), board.led.pin, board.seed.pin, strapped=chip.strapped)
        clocks = draw_clocks(scenario.seed, grid.chip_of, scenario.rate_spread, scenario.oscillator, scenario.traces)
        rates = TICK / clocks.tick.astype(np.float64)
        neighbours = simavr.grid_neighbours(scenario.width, scenario.height)
        self.array = SimavrArray(firmware, wiring, neighbours, rates, seed=scenario.seed)
        self.replay = Replay(genome, grid, board.led.brightness)
        self._heard_at = firmware.state - place.state_at + place.heard_at
        self._shown = np.zeros((grid.cells, genome.channels), np.int8)
        self._lights = np.zeros((grid.cells, 3), np.uint8)
        self._all_lights: list[NDArray[np.uint8]] = []
        self._updates = np.zeros(grid.cells, np.int64)
        self._begun: dict[int, int] = {}  # cells that update now, and the numbers of these updates
        self._last_heard = np.zeros(grid.cells, np.int64)
        self._counts = _Counts()
        self._said = [b""] * grid.cells
        self._self_test = frames.self_test(made.told, genome.cell_hash, genome.channels)
        self._rest: Events = simavr.concatenated([])
        self._owed = ((neighbours != simavr.NOBODY) @ np.array(FRAMES_OVER_EDGES)).tolist()

    # What operations do (sim/faults.py).

    def power_off(self, cells: Sequence[int]) -> int:
        """See `faults.Array`."""
        struck = [cell for cell in cells if self.array.has_power(cell)]
        for cell in struck:
            self.array.power_off(cell)
            self.replay.power_off(cell)
            self._dark(cell)
        self._rest = self._rest[~np.isin(self._rest["chip"], struck)]  # what they would have done
        return len(struck)

    def power_on(self, cells: Sequence[int], memory: Memory, event: int) -> int:
        """See `faults.Array`; memory is what RAM happens to hold, and who is strapped is a seed whenever its power comes."""
        self.power_off(cells)
        for cell in cells:
            is_seed = cell == self.scenario.grid.seed_cell
            self.array.power_on(cell, is_seed=is_seed)
            self.replay.power_on(cell, is_seed=is_seed)
            self._counts.starts += 1
            self._counts.owed += (1 + SEED_QUIET) * self._owed[cell] if is_seed else 0
            self._dark(cell)
            self._shown[cell] = self.replay.states[cell]
        return len(cells)

    def plant(self, cells: Sequence[int]) -> int:
        """See `faults.Array`; the strap has done it."""
        return len(cells)

    def cut(self, frames: Sequence[tuple[int, int]], on: bool) -> int:
        """See `faults.Array`; the two wires over which the frames run are cut, or mended."""
        for edge in sorted({(cell, EDGE_LINK[number] // 2) for cell, number in frames}):
            for wire in range(2):
                self.array.cut(*edge, wire, cut=on)
        return len(frames)

    def _dark(self, cell: int) -> None:
        self._shown[cell] = 0
        self._lights[cell] = 0
        self._begun.pop(cell, None)

    def run(self, operations: Sequence[Operation], progress: Progress | None = None) -> None:
        """Run the scenario to its end."""
        scenario = self.scenario
        samples = range(0, scenario.duration + 1, scenario.sample_every)
        stops = sorted({*samples, *(operation.time for operation in operations if operation.time <= scenario.duration), scenario.duration})
        left = list(operations)
        for stop in stops:
            self._take(self.array.run(stop), end=stop == scenario.duration)
            while left and left[0].time <= stop:
                operation = left.pop(0)
                self.recording.note(operation, operation.apply(self))  # type: ignore[arg-type]
            if stop in samples or stop == scenario.duration:
                self._sample(stop)
                if progress is not None:
                    progress(stop, self.recording)
        self.replay.settle()
        self._remember(scenario.duration)

    def _sample(self, now: int) -> None:
        shape = (self.scenario.height, self.scenario.width)
        powered = np.array([self.array.has_power(cell) for cell in range(self.array.chips)])
        self.recording.add(now, self._shown.reshape(*shape, -1).copy(), powered.reshape(shape))
        self._all_lights.append(self._lights.reshape(*shape, 3).copy())

    def _take(self, events: Events, *, end: bool) -> None:
        """What happened before now; what a chip did on its own a little later is kept for the next time."""
        events = simavr.concatenated([self._rest, events])
        events = events[np.lexsort((events["chip"], events["time"]))]
        late = 0 if end else int((events["time"] >= self.array.now_fs).sum())
        done, self._rest = events[: len(events) - late], events[len(events) - late :]
        for fs, chip, cycles, kind, a, data in zip(
            *(done[name].tolist() for name in ("time", "chip", "cycles", "kind", "a")), done["data"], strict=True
        ):  # fmt: skip
            self._event(fs // FEMTO, chip, cycles, kind, a, data)

    def _event(self, now: int, cell: int, cycles: int, kind: int, a: int, data: NDArray[np.uint8]) -> None:
        replay, counts = self.replay, self._counts
        if kind == simavr.FRAME_BEGINS:
            counts.frames[kind] += 1
            replay.frame_begins(cell, a)
        elif kind == simavr.FRAME:
            counts.frames[kind] += 1
            counts.sound += replay.frame_ends(now, cell, a, data[: self.array.firmware.frame_bytes].tobytes())
            self._last_heard[cell] = now
        elif kind == simavr.FRAME_BROKEN:
            counts.frames[kind] += 1
            replay.frame_ends(now, cell, a, b"")
        elif kind == simavr.UPDATE_BEGINS:
            self._begun[cell] = len(replay.evaluated)
            replay.update_begins(now, cell)
        elif kind == simavr.UPDATE_ENDS:
            state = data[: self.genome.channels].view(np.int8).copy()
            replay.update_ends(cell, state)
            counts.cycles.append(cycles)
            counts.number.append(self._begun.pop(cell))
            counts.owed += self._owed[cell]
            self._shown[cell] = state
            self._updates[cell] += 1
            self.recording.trajectory.add(now, cell, state.tobytes())
        elif kind == simavr.LIGHT:
            green, red, blue = data[:3].tolist()
            self._lights[cell] = red, green, blue
            replay.light(now, cell, (green, red, blue))
        elif kind == simavr.SERVICE:
            self._service(now, cell, data[:a].tobytes())
        else:
            counts.others[kind] += 1
            if kind == simavr.WATCHDOG:
                counts.starts += 1
                replay.power_on(cell, is_seed=cell == self.scenario.grid.seed_cell)
                self._dark(cell)
                self._shown[cell] = replay.states[cell]

    def _service(self, now: int, cell: int, told: bytes) -> None:
        """Bytes of the service port: a report, or a part of one."""
        if told[0] == frames.START:
            self._said[cell] = b""
        self._said[cell] += told
        for head, codes in frames.decode_reports(self._said[cell], self.genome.channels):
            if head == frames.REPORT_STATE:
                self.replay.report(now, cell, codes)
            else:
                self._counts.self_tests += self._said[cell] == self._self_test
            self._said[cell] = b""

    def _remember(self, now: int) -> None:
        """Hold what lies in the chips' RAM against the reference."""
        channels = self.genome.channels
        for cell in range(self.array.chips):
            if not self.array.has_power(cell) or cell in self._begun:
                continue
            state = np.frombuffer(self.array.peek(cell, self.array.firmware.state, channels), np.int8)
            heard = np.frombuffer(self.array.peek(cell, self._heard_at, 8 * channels), np.int8)
            settled = now - self._last_heard[cell] > SETTLED_NS
            self.replay.remembers(now, cell, state, heard if settled else None)

    def emulation(self, seconds: float, cpu_seconds: float) -> Emulation:
        """What there is to tell after the run, which took so long."""
        scenario, recording, counts, replay = self.scenario, self.recording, self._counts, self.replay
        rule = IntegerRule(self.genome)
        evaluated = np.array(replay.evaluated, bool)[np.array(counts.number, int)]
        cycles = np.array(counts.cycles, np.int64)[evaluated]
        begun, whole, broken = (counts.frames[kind] for kind in (simavr.FRAME_BEGINS, simavr.FRAME, simavr.FRAME_BROKEN))
        on_wires = Frames(begun, counts.sound, whole - counts.sound, broken, counts.owed)
        recording.counters.updates, recording.counters.evaluated_updates = len(counts.cycles), int(evaluated.sum())
        recording.counters.messages_sent, recording.counters.messages_lost = begun, on_wires.rejected + broken
        recording.counters.messages_corrupted = on_wires.rejected
        shape = (scenario.height, scenario.width)
        recording.updates_per_cell = recording.sendings_per_cell = self._updates.reshape(shape)
        static = max((s.address & 0xFFFF) + s.size for s in self.made.image.symbols if s.address >= RAM)
        used = max((self.array.stack_bytes(cell, static) for cell in range(self.array.chips) if self.array.has_power(cell)), default=0)
        return Emulation(
            result=_result(scenario, rule, recording, self.target), lights=self._all_lights, frames=on_wires, compared=replay.compared,
            difference=replay.difference, differences=replay.differences, cycles=float(cycles.mean()) if cycles.size else None,
            most_cycles=int(cycles.max()) if cycles.size else None, stack_bytes=used, ram_bytes=used + self.made.image.static_ram,
            events={
                "starts": counts.starts, "self_tests": counts.self_tests,
                "watchdog_resets": counts.others[simavr.WATCHDOG], "crashes": counts.others[simavr.CRASHED],
                "driven_high": counts.others[simavr.PUSHED],
            },
            led=self.array.led_timing, work=self.array.work, seconds=seconds, cpu_seconds=cpu_seconds,
            rss_bytes=_peak_memory(),
        )  # fmt: skip


RAM = 0x800000  # where data lie in an AVR's ELF


def emulate(
    genome: Genome, made: Build, scenario: Scenario, target: NDArray[np.float32] | None = None, progress: Progress | None = None
) -> Emulation:
    """Run a scenario on emulated chips.

    Args:
        made: an image of this genome. target: premultiplied RGBA, float32 [h, w, 4].
        progress: called with the time in ns and the recording.
    Raises:
        NcaHwError: see `Wall`.
    """
    from nca_hw.sim.plan import draw

    began, cpu = time.monotonic(), time.process_time()
    wall = _wall(genome, made, scenario, target)
    wall.run(draw(scenario, genome.channels).operations, progress)
    return wall.emulation(time.monotonic() - began, time.process_time() - cpu)


def _wall(genome: Genome, made: Build, scenario: Scenario, target: NDArray[np.float32] | None) -> Wall:
    if made.spread is None:
        return Wall(genome, made, scenario, target)
    from nca_hw.core import spread
    from nca_hw.emulate.spread import SpreadWall
    from nca_hw.firmware.spread import packed

    name = spread.name(packed(genome, made.spread))
    return SpreadWall({name: genome}, genome, made, scenario, target)


def _result(scenario: Scenario, rule: IntegerRule, recording: Recording, target: NDArray[np.float32] | None) -> Result:
    on_grid = None if target is None else metrics.place(target, scenario.height, scenario.width)
    pictures = [rule.rgba(states) for states in recording.states]
    losses = [] if on_grid is None else [metrics.pattern_loss(picture, on_grid) for picture in pictures]
    alive = [int((picture[..., ALPHA] > ALIVE_THRESHOLD).sum()) for picture in pictures]
    spans = [span for fault in scenario.faults for span in fault.spans()]
    ends = [start if end is None else end for start, end in spans]
    back = metrics.recovery(recording.times, losses, [start for start, _ in spans], ends) if losses else metrics.Recovery(None, None, None)
    return Result(scenario, rule, "chips", recording, on_grid, losses, alive, back, recording.counters.evaluated_updates)


def _peak_memory() -> int:
    """Bytes; Linux tells KiB, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
