"""The fast engine: the array of `simpy_engine` in C (sim/fast/engine.c), the same trajectory update for update."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CHANNELS_MAX, CCell
from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import SEED_QUIET
from nca_hw.errors import NcaHwError
from nca_hw.sim.clocks import SEGMENT_NS
from nca_hw.sim.faults import Cut, Memory, Plant, random_memory
from nca_hw.sim.grid import INSIDE, OFFSETS, OWN, Grid
from nca_hw.sim.plan import QUEUE, draw, pace_of
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario

RECORDS_BYTES = 1 << 17
RING_BYTES = 2 << 30
BUCKETS_MAX = 1 << 24
WAKES_A_BUCKET = 4
KEYS = 7  # that a bucket has room for
LISTENERS = 12
CELLS_FOR_THREADS = 100_000
CACHE_LINE = 64
CELLS_NEAR = 4_000  # what they are and send fits into a cache of a megabyte
PORTABLE, AVX2, AVX512 = range(3)  # instruction sets of the kernel, sim/fast/kernel.h
BEST = AVX512
STUCK, BABBLING = 1, 2

_CELL = np.dtype(
    [("next_wake", "i8"), ("since", "i8"), ("powered_at", "i8"), ("tick", "u4"), ("random", "u4"), ("updates", "u4"), ("number", "u4"),
     ("chip", "u4"), ("sent", "u4"), ("pace", "u4"), ("after", "i4"), ("quiet", "u1"), ("settled", "u1"), ("flags", "u1"), ("cut", "u1"),
     ("frames", "u1"), ("program", "u1"), ("links", "u1"), ("reserved", "u1")]
)  # fmt: skip
_SENT = np.dtype([("sent_at", "i8"), ("stable_since", "i8"), ("code", "i1", 16)])
_BUCKET = np.dtype([("count", "u4"), ("more", "i4"), ("key", "u8", KEYS)])
_PASSED = np.dtype([("told_at", "i8", 2), ("code", "i1", (2, 16))])
_WIRE = np.dtype([("offset", "i4"), ("slot", "u1"), ("frame", "u1"), ("carries", "u1"), ("used", "u1")])
NO_KEY = (1 << 64) - 1
UNSENT, REMEMBERED = -(1 << 62), -(1 << 60)  # sim/fast/engine.h
NEVER = -1


def _zeros(shape: int | tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Zeros that begin with a cache line: what is as long as one, lies in one."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    zeros: NDArray[Any] = memory[start : start + size].view(dtype).reshape(shape)
    return zeros


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


class TooFarApartError(NcaHwError):
    """The times of a scenario differ too much for the fast engine's tables; the SimPy engine runs it."""


class FastArray:
    """An array of integer cells, run by the C engine. It draws the same plan as `SimpyArray` and gives the same recording.

    Args:
        strangers: other rules that faults may program into cells, by name.
        instructions: the most that the kernel may use of what this processor has.
        threads: None for one, or for all processors where the array is large. The trajectory is the same.
    """

    def __init__(
        self, scenario: Scenario, rule: IntegerRule, strangers: Mapping[str, IntegerRule] | None = None, *, instructions: int = BEST,
        threads: int | None = None,
    ) -> None:  # fmt: skip
        self.scenario = scenario
        self.rule = rule
        self.plan = plan = draw(scenario, rule.channels)
        self.recording = Recording()
        self._arrays: dict[str, NDArray[Any]] = {}
        self._now = 0
        rules = [rule, *(strangers or {}).values()]
        self._program: dict[str | None, int] = {None: 0}
        self._program.update({name: n for n, name in enumerate(strangers or {}, 1)})
        self._genomes = [CCell(one.genome) for one in rules]
        memory = self._arrays["programs"] = _zeros(len(rules) * ffi.sizeof("nca_fast"), np.uint8)
        self._programs = ffi.cast("nca_fast *", ffi.from_buffer(memory))
        for n, genome in enumerate(self._genomes):
            lib.nca_fast_prepare(self._programs + n, genome.struct, instructions)
        if threads is None:
            threads = (os.cpu_count() or 1) if scenario.cells >= CELLS_FOR_THREADS else 1

        self._width = scenario.width + 2  # with the border
        rows, columns = np.divmod(np.arange(scenario.cells), scenario.width)
        self._index = ((rows + 1) * self._width + columns + 1).astype(np.uint32)
        self._engine = ffi.new("nca_engine *")
        self._arrays["waits"] = plan.waits
        self._cells = self._arrays["cells"] = self._new_cells(rows % scenario.tile_height, columns % scenario.tile_width)
        self._set_links()
        self._set_wheel()
        border = len(self._cells)
        self._arrays["states"] = _zeros((border, CHANNELS_MAX), np.int8)
        engine, fields = self._engine, dict(ffi.typeof(self._engine).item.fields)
        for name, array in self._arrays.items():
            setattr(engine, name, ffi.cast(fields[name].type, ffi.from_buffer(array)))
        self._order = engine.order = ffi.new("nca_wake[]", scenario.cells + KEYS)
        self._batch = engine.batch = ffi.new("nca_update[]", lib.NCA_BATCH_MAX)
        self._records = ffi.new("uint8_t[]", RECORDS_BYTES + CHANNELS_MAX)
        engine.seed, engine.threads = scenario.seed, threads
        grid = self._grid_shape = (scenario.height + 2, scenario.width + 2)
        inner = (slice(1, -1), slice(1, -1))
        self._states = self._arrays["states"].reshape(*grid, CHANNELS_MAX)[(*inner, slice(rule.channels))]
        self._grid_cells = self._cells.reshape(grid)[inner]

    def __del__(self) -> None:
        if hasattr(self, "_engine"):
            lib.nca_engine_close(self._engine)

    def _new_cells(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[Any]:
        """All cells and the border; row and column of every cell in its tile."""
        scenario, plan, grid = self.scenario, self.plan, self.scenario.grid
        cells = _zeros((scenario.width + 2) * (scenario.height + 2), _CELL)
        cells["next_wake"], cells["after"] = -1, -1
        for name, values in (
            ("tick", plan.clocks.tick), ("random", plan.random), ("number", np.arange(scenario.cells)), ("chip", grid.chip_of),
            ("pace", 1024), ("cut", plan.cut), ("frames", grid.frame_masks), ("links", np.bitwise_count(grid.frame_masks)),
        ):  # fmt: skip
            cells[name][self._index] = values
        if grid.tile_width * grid.tile_height > 1:
            position = self._arrays["position"] = _zeros(len(cells), np.uint16)
            position[self._index] = row * grid.tile_width + column
            self._arrays["chip_seen"] = _zeros(grid.chips, np.uint32)
        if len(plan.clocks.wander):
            self._arrays["wander"] = plan.clocks.wander
            for name, values in (("clock", plan.clocks.clock), ("phase", plan.clocks.phase)):
                self._arrays[name] = _zeros(len(cells), values.dtype)
                self._arrays[name][self._index] = values
            self._engine.segments, self._engine.segment_ns = plan.clocks.wander.shape[1], SEGMENT_NS
        return cells

    def _set_links(self) -> None:
        scenario, plan, grid, engine = self.scenario, self.plan, self.scenario.grid, self._engine
        engine.latency, engine.latency_jitter = scenario.latency, scenario.latency_jitter
        engine.loss_limit, engine.loss_spread = plan.loss_limit, plan.loss_spread
        engine.frame_ns, engine.queue_ns = plan.frame_ns, QUEUE * plan.frame_ns
        for frame in range(8):
            engine.link[frame], engine.carries[frame], engine.place[frame] = grid.link(frame), grid.carries(frame), grid.place(frame)
        self._arrays["sources"], self._arrays["listeners"] = _wires(grid, self._width)
        strikes = sum(fault.times for fault in scenario.faults if isinstance(fault, Plant))
        ring = _power_of_two(plan.longest_way // plan.shortest_wait + 2 + strikes)
        timed = bool(plan.frame_ns or scenario.latency_jitter)
        relayed = grid.wiring == "edges"
        if ring * len(self._cells) * (32 + 64 * timed + 48 * relayed) > RING_BYTES:
            told = f"messages that take up to {plan.longest_way} ns are too many intervals for the fast engine"
            raise TooFarApartError(told, where="scenario", cure="Take --engine simpy.")
        engine.ring, engine.all_cells, engine.stride = ring, len(self._cells), self._width
        engine.far = scenario.cells > CELLS_NEAR
        sent = self._arrays["sent"] = _zeros((len(self._cells), ring), _SENT)
        sent["sent_at"] = UNSENT
        cuts = any(isinstance(fault, Cut) for fault in scenario.faults)
        failing = bool(plan.loss_limit) or bool(plan.cut.any()) or len(plan.clean) > 0 or cuts
        found = any(getattr(fault, "memory", "zero") == "random" for fault in scenario.faults)  # memory that nobody sent
        engine.plain = not (failing or strikes or found or timed or relayed or grid.chips < grid.cells)
        if engine.plain:  # the border has told nothing new since the beginning
            newest = sent.reshape(ring, -1)[0]
            newest["sent_at"], newest["stable_since"] = 0, -scenario.latency
            newest["sent_at"][self._index] = UNSENT
        else:
            self._arrays["inboxes"] = _zeros((len(self._cells), NEIGHBOURS, CHANNELS_MAX), np.int8)
            self._arrays["sent_count"] = _zeros(len(self._cells), np.uint32)
            self._arrays["heard_at"] = np.full((len(self._cells), NEIGHBOURS), NEVER, np.int64)
        if len(plan.clean):
            self._arrays["clean"] = plan.clean
            engine.clean_count = len(plan.clean)
        if timed:
            self._arrays["arrival"] = _zeros((len(self._cells), ring, NEIGHBOURS), np.int64)
            self._arrays["free_at"] = _zeros((grid.chips, NEIGHBOURS), np.int64)
            self._arrays["last_at"] = _zeros((grid.chips, NEIGHBOURS), np.int64)
        if relayed:
            self._arrays["passed"] = _zeros((len(self._cells), ring), _PASSED)

    def _set_wheel(self) -> None:
        plan, engine = self.plan, self._engine
        shortest, longest = plan.shortest_wait, plan.longest_wait
        if shortest < 2:
            raise TooFarApartError("waits of a nanosecond are too short for the fast engine", where="scenario", cure="Take --engine simpy.")
        wanted = max(self.scenario.interval * WAKES_A_BUCKET // self.scenario.cells, longest >> 20, 1)
        shift = min(wanted, shortest // 2, 1 << 30).bit_length() - 1
        buckets = _power_of_two((longest >> shift) + 4)
        if buckets > BUCKETS_MAX:
            told = f"waits between {shortest} and {longest} ns are too different for the fast engine"
            raise TooFarApartError(told, where="scenario", cure="Take --engine simpy.")
        engine.bucket_shift, engine.buckets = shift, buckets
        engine.shortest_wait = shortest - (1 << shift)
        self._arrays["bucket"] = _zeros(buckets, _BUCKET)
        self._arrays["bucket"]["more"], self._arrays["bucket"]["key"] = -1, NO_KEY

    # What operations do to cells; the protocol is faults.Array.

    def power_off(self, cells: Sequence[int]) -> int:
        """Power is cut."""
        chosen = self._index[list(cells)]
        changed = int((self._cells["next_wake"][chosen] >= 0).sum())
        lib.nca_engine_power_off(self._engine, len(chosen), ffi.from_buffer("uint32_t[]", chosen))
        return changed

    def power_on(self, cells: Sequence[int], memory: Memory, event: int) -> int:
        """Power is back."""
        chosen = self._index[list(cells)]
        changed = len(chosen) - self.power_off(cells)
        if memory == "random":
            for cell, index in zip(cells, chosen, strict=True):
                found = random_memory(self.scenario.seed, event, cell, self.rule.channels)
                self._arrays["states"][index, : self.rule.channels] = found[0]
                self._arrays["inboxes"][index, :, : self.rule.channels] = found[1:]
        if self.scenario.same_random:
            self._cells["random"][chosen] = self.plan.random[list(cells)]
        lib.nca_engine_power_on(self._engine, len(chosen), ffi.from_buffer("uint32_t[]", chosen), self._now)
        return changed

    def remember(self, states: NDArray[np.int8]) -> int:
        """Start from known states."""
        self._states[:] = states
        if self._engine.plain:  # as if all had sent them long ago
            sent = self._arrays["sent"].reshape(-1, *self._grid_shape)[0, 1:-1, 1:-1]
            sent["sent_at"] = sent["stable_since"] = REMEMBERED
            sent["code"][..., : self.rule.channels] = states
            self._grid_cells["powered_at"] = 2 * REMEMBERED
            return self.scenario.cells
        padded = self._arrays["states"].reshape(*self._grid_shape, CHANNELS_MAX)
        inboxes = self._arrays["inboxes"].reshape(*self._grid_shape, NEIGHBOURS, CHANNELS_MAX)[1:-1, 1:-1]
        height, width = states.shape[:2]
        for slot, (down, right) in enumerate(OFFSETS):
            inboxes[:, :, slot] = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        return self.scenario.cells

    def plant(self, cells: Sequence[int]) -> int:
        """Make cells seeds."""
        seed = np.zeros(CHANNELS_MAX, np.int8)
        seed[: self.rule.channels] = self.rule.seed()
        chosen = [index for index in self._index[list(cells)].tolist() if self._cells["next_wake"][index] >= 0]
        for index in chosen:
            lib.nca_engine_plant(self._engine, index, ffi.from_buffer("int8_t[]", seed), SEED_QUIET, self._now)
        return len(chosen)

    def freeze(self, cells: Sequence[int], on: bool) -> int:
        """Cells get stuck, or come loose."""
        return self._flag(cells, STUCK, on)

    def babble(self, cells: Sequence[int], on: bool) -> int:
        """Cells begin or cease to babble."""
        return self._flag(cells, BABBLING, on)

    def _flag(self, cells: Sequence[int], flag: int, on: bool) -> int:
        chosen = self._index[list(cells)]
        before = self._cells["flags"][chosen]
        after = before | flag if on else before & ~np.uint8(flag)
        self._cells["flags"][chosen] = after
        return int((before != after).sum())

    def pace(self, cells: Sequence[int], slower: float) -> int:
        """Clocks run slower."""
        chosen = self._index[list(cells)]
        pace = pace_of(slower)
        changed = int((self._cells["pace"][chosen] != pace).sum())
        self._cells["pace"][chosen] = pace
        return changed

    def cut(self, frames: Sequence[tuple[int, int]], on: bool) -> int:
        """Frames no longer get through, or do again."""
        changed = 0
        for cell, frame in frames:
            index, bit = self._index[cell], 1 << frame
            before = int(self._cells["cut"][index])
            after = before | bit if on else before & ~bit | int(self.plan.cut[cell]) & bit
            changed += after != before
            self._cells["cut"][index] = after
        return changed

    def program(self, cells: Sequence[int], genome: str | None) -> int:
        """Cells run another genome."""
        chosen = self._index[list(cells)]
        changed = int((self._cells["program"][chosen] != self._program[genome]).sum())
        self._cells["program"][chosen] = self._program[genome]
        self._cells["settled"][chosen] = 0
        return changed

    # The run.

    def run(self, progress: Callable[[int], None] | None = None) -> Recording:
        """Run to the scenario's end.

        Args:
            progress: called with the time in ns, once a sample.
        """
        engine = self._engine
        operations = iter(self.plan.operations)
        pending = next(operations, None)
        for time, observed in self._stops():
            while pending is not None and pending.time <= time:
                self._run_until(pending.time)
                self._now = pending.time
                self.recording.note(pending, pending.apply(self))
                pending = next(operations, None)
            self._run_until(time + 1)
            if observed:
                powered = self._grid_cells["next_wake"] >= 0
                self.recording.add(time, self._states.copy(), powered)
            if progress is not None and time:
                progress(time)
        counters = self.recording.counters
        counters.updates = engine.all_updates
        for name in vars(counters):
            if name != "updates":
                setattr(counters, name, getattr(engine, name))
        self.recording.updates_per_cell = self._grid_cells["updates"].astype(np.int64)
        self.recording.sendings_per_cell = self._grid_cells["sent"].astype(np.int64)
        return self.recording

    def _stops(self) -> Iterator[tuple[int, bool]]:
        """Times at which the run pauses: those to be observed, and the end."""
        scenario = self.scenario
        for time in range(0, scenario.duration + 1, scenario.sample_every):
            yield time, True
        if scenario.duration % scenario.sample_every:
            yield scenario.duration, False

    @property
    def computed_updates(self) -> int:
        """Updates for which the network was run; evaluated ones that could change nothing are not run again."""
        return int(self._engine.computed_updates)

    def _run_until(self, until: int) -> None:
        more = ffi.new("uint8_t *", 1)
        while more[0]:
            written = lib.nca_engine_run(self._engine, until, self._records, RECORDS_BYTES, more)
            if written:
                self.recording.trajectory.add_records(ffi.buffer(self._records, written))


def _wires(grid: Grid, stride: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """How a cell at every position of a tile hears its neighbours, and who hears it: tables of the engine, its rows `stride` cells apart.

    They are those of the middle one of nine tiles; what would lie beyond the grid is never sent.
    """
    nine = Grid(3 * grid.tile_width, 3 * grid.tile_height, grid.tile_width, grid.tile_height, grid.wiring)
    middle = nine.cells_of_chip(4)
    sources, listeners = np.zeros((len(middle), NEIGHBOURS), _WIRE), np.zeros((len(middle), LISTENERS), _WIRE)

    def offset(one: int, other: int) -> int:
        (y0, x0), (y1, x1) = divmod(one, nine.width), divmod(other, nine.width)
        return (y1 - y0) * stride + x1 - x0

    for position, cell in enumerate(middle):
        for slot in range(len(OFFSETS)):
            sender, frame = nine.source(cell, slot)
            sources[position, slot] = (offset(cell, sender), slot, frame, OWN if frame == INSIDE else grid.carries(frame), 1)
        heard = [(r, slot, frame.number, frame.carries) for frame in nine.frames(cell) for r, slot in frame.receivers]
        heard += [(r, slot, INSIDE, OWN) for r, slot in nine.inside(cell)]
        for n, (receiver, slot, frame, carries) in enumerate(heard):
            listeners[position, n] = (offset(cell, receiver), slot, frame, carries, 1)
    return sources, listeners
