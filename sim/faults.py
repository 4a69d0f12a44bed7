"""What goes wrong: every kind of fault, and the elementary operations that both engines carry out for it.

A fault strikes at a time, perhaps again and again, lasts for a while or to the end, and is nothing but operations on cells. A new kind of
fault is a new class here; the engines know operations only. What happens where faults overlap is overlap.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.sim.grid import OFFSETS, Grid
from nca_hw.sim.regions import Struck
from nca_hw.sim.streams import TWO_32, Domain, key, keys

REPEAT = 1 << 16  # the number of a fault's n-th strike, for random choices, is its own number + n REPEAT
SPEED_MAX = 64
RECOVERY_MAX = 1 << 50  # ns
STRUCK_MAX = 100_000_000  # cells, over all strikes of a fault
Memory = Literal["zero", "random"]


class Array(Protocol):
    """What an engine lets operations do. All functions take cells and give how many of them it changed."""

    def power_off(self, cells: Sequence[int]) -> int:
        """Power is cut: state, memory and everything underway in the cell is lost."""

    def power_on(self, cells: Sequence[int], memory: Memory, event: int) -> int:
        """Power is back: cells start with an empty memory, or one full of random numbers drawn for the event."""

    def remember(self, states: NDArray[np.int8]) -> int:
        """All cells are in these states, [height, width, C], and have heard of each other."""

    def plant(self, cells: Sequence[int]) -> int:
        """Cells with power become seeds."""

    def freeze(self, cells: Sequence[int], on: bool) -> int:
        """Stuck cells wake and send, but never update."""

    def babble(self, cells: Sequence[int], on: bool) -> int:
        """Babbling cells take a random state at every wake, and send it."""

    def pace(self, cells: Sequence[int], slower: float) -> int:
        """Ticks last so many times as long as the cell's own from its next wait on."""

    def cut(self, frames: Sequence[tuple[int, int]], on: bool) -> int:
        """Frames (cell, number) no longer get through, or do again unless the link was broken from the start."""

    def program(self, cells: Sequence[int], genome: str | None) -> int:
        """Cells run another genome from now on, or their own again; state and memory stay."""


@dataclass(frozen=True)
class Operation:
    """Something that happens to cells at a time, ns.

    Attributes:
        fault: number of the fault in the scenario, None where it belongs to the world itself.
        strike: it is the beginning of a fault that must change something.
    """

    time: int
    fault: int | None = field(default=None, kw_only=True)
    strike: bool = field(default=False, kw_only=True)

    def apply(self, array: Array) -> int:
        """Carry it out; gives how many cells or frames it changed."""
        raise NotImplementedError


@dataclass(frozen=True)
class Power(Operation):
    """Power goes, or comes back with a memory as stated; `event` numbers the random memory."""

    cells: tuple[int, ...]
    on: bool
    memory: Memory = "zero"
    event: int = 0

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.power_on(self.cells, self.memory, self.event) if self.on else array.power_off(self.cells)


@dataclass(frozen=True)
class Planting(Operation):
    """Cells become seeds."""

    cells: tuple[int, ...]

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.plant(self.cells)


@dataclass(frozen=True)
class Remembering(Operation):
    """All cells start from known states, int8 [height, width, C], and know those of their neighbours."""

    states: NDArray[np.int8]

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.remember(self.states)


@dataclass(frozen=True)
class Freezing(Operation):
    """Cells get stuck, or come loose."""

    cells: tuple[int, ...]
    on: bool

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.freeze(self.cells, self.on)


@dataclass(frozen=True)
class Babbling(Operation):
    """Cells begin or cease to babble."""

    cells: tuple[int, ...]
    on: bool

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.babble(self.cells, self.on)


@dataclass(frozen=True)
class Pace(Operation):
    """Clocks run `slower` times as slow as they should."""

    cells: tuple[int, ...]
    slower: float

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.pace(self.cells, self.slower)


@dataclass(frozen=True)
class Cutting(Operation):
    """Frames get lost on cut links, or get through again."""

    frames: tuple[tuple[int, int], ...]
    on: bool

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.cut(self.frames, self.on)


@dataclass(frozen=True)
class Programming(Operation):
    """Cells run another genome, or their own (None)."""

    cells: tuple[int, ...]
    genome: str | None

    def apply(self, array: Array) -> int:
        """See Operation."""
        return array.program(self.cells, self.genome)


@dataclass(frozen=True)
class Fault:
    """A planned fault.

    Attributes:
        struck: the cells. at: time of the first strike, ns. lasts: ns, None for ever.
        every, times: it strikes so many times, so many ns apart; random cells are drawn anew.
    """

    kind: ClassVar[str]
    struck: Struck
    at: int
    lasts: int | None = None
    every: int | None = field(default=None, kw_only=True)
    times: int = field(default=1, kw_only=True)

    def strikes(self) -> Iterator[tuple[int, int]]:
        """Number and time of every strike."""
        for n in range(self.times):
            yield n, self.at + n * (self.every or 0)

    def spans(self) -> list[tuple[int, int | None]]:
        """When it strikes and when each strike ends, None for never."""
        return [(at, None if self.lasts is None else at + self.lasts) for _, at in self.strikes()]

    def mistakes(self, grid: Grid, seed: int, number: int, duration: int) -> Iterator[tuple[str, str]]:
        """Why the fault can't happen in a run of `duration` ns: (attribute, what is wrong with it)."""
        if self.lasts is not None and self.lasts < 1:
            yield "lasts", f"a fault ({self.kind}) must last at least 1 ns"
        if self.times < 1:
            yield "times", f"a fault ({self.kind}) that strikes {self.times} times is none. Let it strike at least once."
        elif self.times > 1 and (self.every is None or self.every < 1):
            yield "times", f"a fault ({self.kind}) that strikes {self.times} times needs a time between strikes"
        elif self.at < 0 or self.at + (self.times - 1) * (self.every or 0) > duration:
            last = self.at + (self.times - 1) * (self.every or 0)
            told = f"a fault ({self.kind}) at {last / 1e9:g} s never happens in a run of {duration / 1e9:g} s"
            yield "at", f"{told}. Move it forward, or let the run last longer."
        try:
            struck = len(self.struck.cells(grid, seed, number))
        except NcaHwError as error:
            yield "struck", error.what
            return
        if struck * self.times > STRUCK_MAX:
            yield "times", f"{self.times} strikes at {struck} cells are more than the {STRUCK_MAX:,} that are allowed"

    def operations(self, grid: Grid, seed: int, number: int) -> Iterator[Operation]:
        """What it does, for the fault's number in the scenario."""
        for n, at in self.strikes():
            event = number + n * REPEAT
            cells = tuple(self.struck.cells(grid, seed, event))
            yield self._begin(grid, cells, at, event, number)
            if self.lasts is not None:
                yield from self._end(grid, cells, at + self.lasts, event, number, seed)

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        raise NotImplementedError

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        raise NotImplementedError


@dataclass(frozen=True)
class Kill(Fault):
    """Cells lose power, and with it all they know; when it is back they start with a memory of zeros, or of random numbers."""

    kind = "kill"
    memory: Memory = field(default="zero", kw_only=True)

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Power(time, cells, on=False, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Power(time, cells, on=True, memory=self.memory, event=event, fault=number)


@dataclass(frozen=True)
class Brownout(Fault):
    """The supply of cells sinks below what they need: all reset at once, and chips come back one by one within `recovery` ns."""

    kind = "brownout"
    recovery: int = field(default=0, kw_only=True)

    def spans(self) -> list[tuple[int, int | None]]:
        """See Fault; a strike ends when the last chip is back."""
        return [(at, None if end is None else end + self.recovery) for at, end in super().spans()]

    def mistakes(self, grid: Grid, seed: int, number: int, duration: int) -> Iterator[tuple[str, str]]:
        """See Fault."""
        yield from super().mistakes(grid, seed, number, duration)
        if not 0 <= self.recovery <= RECOVERY_MAX:
            yield "recovery", f"recovery is {self.recovery} ns, allowed are 0 to {RECOVERY_MAX}"

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Power(time, cells, on=False, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        by_chip: dict[int, list[int]] = {}
        for cell in cells:
            by_chip.setdefault(int(grid.chip_of[cell]), []).append(cell)
        late = keys(seed, Domain.STAGGER, event + 1, np.array(list(by_chip), np.int64)).astype(object) * (self.recovery + 1) // TWO_32
        for together, after in zip(by_chip.values(), late, strict=True):
            yield Power(time + int(after), tuple(together), on=True, fault=number)


@dataclass(frozen=True)
class Stuck(Fault):
    """Cells wake and send, but their state no longer changes."""

    kind = "stuck"

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Freezing(time, cells, on=True, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Freezing(time, cells, on=False, fault=number)


@dataclass(frozen=True)
class Babble(Fault):
    """Cells send random states."""

    kind = "babble"

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Babbling(time, cells, on=True, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Babbling(time, cells, on=False, fault=number)


@dataclass(frozen=True)
class Slow(Fault):
    """Clocks of cells run `factor` times as slow; below 1 they run fast."""

    kind = "slow"
    factor: float = field(default=10.0, kw_only=True)

    def mistakes(self, grid: Grid, seed: int, number: int, duration: int) -> Iterator[tuple[str, str]]:
        """See Fault."""
        yield from super().mistakes(grid, seed, number, duration)
        if not 1 / SPEED_MAX <= self.factor <= SPEED_MAX:
            yield "factor", f"a clock {self.factor:g} times as slow; allowed are {1 / SPEED_MAX:g} to {SPEED_MAX}"

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Pace(time, cells, self.factor, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Pace(time, cells, 1.0, fault=number)


@dataclass(frozen=True)
class Cut(Fault):
    """Links are cut: all of the struck cells' chips, or those across the border of the struck region.

    Attributes:
        direction: "both", only "out" of the struck cells, or only "in". border: only links between struck and other cells.
    """

    kind = "cut"
    direction: Literal["both", "out", "in"] = field(default="both", kw_only=True)
    border: bool = field(default=False, kw_only=True)

    def _frames(self, grid: Grid, cells: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        return tuple(sorted(set(_frames_at(grid, set(cells), self.direction, border=self.border))))

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Cutting(time, self._frames(grid, cells), on=True, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Cutting(time, self._frames(grid, cells), on=False, fault=number)


@dataclass(frozen=True)
class Stranger(Fault):
    """Cells run another genome, by its name in the scenario; what they know stays."""

    kind = "stranger"
    genome: str = field(default="", kw_only=True)

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Programming(time, cells, self.genome, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield Programming(time, cells, None, fault=number)


@dataclass(frozen=True)
class Plant(Fault):
    """Cells become seeds: not a fault, but it happens at a time as well. It has no end."""

    kind = "plant"

    def _begin(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int) -> Operation:
        return Planting(time, cells, fault=number, strike=True)

    def _end(self, grid: Grid, cells: tuple[int, ...], time: int, event: int, number: int, seed: int) -> Iterator[Operation]:
        yield from ()


def _frames_at(grid: Grid, struck: set[int], direction: str, *, border: bool) -> Iterator[tuple[int, int]]:
    """Frames (cell, number) over the links that begin (`out`) or end (`in`) at struck cells' chips."""
    chip_of = grid.chip_of
    chips = {int(chip_of[cell]) for cell in struck}
    around = {c for chip in chips for c in _chips_around(grid, chip)} | chips
    for chip in sorted(around):
        for cell in grid.cells_of_chip(chip):
            mask = int(grid.frame_masks[cell])
            for number in (n for n in range(8) if mask >> n & 1):
                down, right = OFFSETS[grid.link(number)]
                to = chip + down * grid.chips_across + right
                leaves, enters = chip in chips, to in chips
                wanted = (direction != "in" and leaves) or (direction != "out" and enters)
                if wanted and not (border and leaves and enters):
                    yield cell, number


def _chips_around(grid: Grid, chip: int) -> list[int]:
    row, column = divmod(chip, grid.chips_across)
    near = [(row + down, column + right) for down, right in OFFSETS]
    return [y * grid.chips_across + x for y, x in near if 0 <= y < grid.chips_down and 0 <= x < grid.chips_across]


def random_memory(seed: int, event: int, cell: int, channels: int) -> NDArray[np.int8]:
    """What stands in a cell's memory at power-on where it is not cleared: its state and its eight neighbours', int8 [9, channels]."""
    drawn = keys(seed, Domain.MEMORY, event, cell, np.arange(9 * channels)).astype(np.int64)
    return ((drawn * 255 >> 32) - 127).astype(np.int8).reshape(9, channels)


def random_state(seed: int, cell: int, sent: int, channels: int) -> NDArray[np.int8]:
    """What a babbling cell says, int8 [channels]."""
    return np.array([(key(seed, Domain.BABBLE, cell, sent, c) * 255 >> 32) - 127 for c in range(channels)], np.int8)
