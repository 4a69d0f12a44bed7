"""What is run: the grid, its clocks and links, the faults that strike it, and for how long. Times are whole nanoseconds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.formats import words
from nca_hw.sim.clocks import Oscillator, Trace
from nca_hw.sim.faults import REPEAT, Fault, Kill
from nca_hw.sim.grid import Grid, Wiring

__all__ = ["CELLS_MAX", "MICROSECOND", "SECOND", "Kill", "Scenario", "ScenarioError"]

MICROSECOND = 1_000
SECOND = 1_000_000_000
CELLS_MAX = 4_000_000
INTERVAL_TICKS_MAX = 1 << 20
STRIKES_MAX = 100_000  # of all faults together
BAUD_MIN = 300
TIMES = ("interval", "stagger", "latency", "latency_jitter", "duration", "sample_every")
Waits = Literal["uniform", "exponential", "fixed"]
Mistake = tuple[tuple[str | int, ...], str]  # an attribute of the scenario (and of one of its faults), what is wrong with it


class ScenarioError(NcaHwError):
    """A scenario that can't be run.

    Attributes:
        mistakes: all that is wrong with it.
    """

    def __init__(self, mistakes: list[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(told for _, told in mistakes), where="scenario")


@dataclass(frozen=True)
class Scenario:
    """One run of one array.

    Attributes:
        width, height: cells. tile_width, tile_height: cells of a chip.
        wiring: "eight" links a chip, or four "edges" with relayed diagonals.
        seed: of every random number of the run.
        start: what cells are and have heard at power-on, codes int8 [height, width, C]; None: nothing, and the seed is planted.
        interval: mean wait between a cell's updates, ns, whole microseconds, at most 2^20.
        waits: how they are spread: "uniform" over half to one and a half (the firmware), "exponential", or "fixed" with a jitter.
        wait_jitter: of fixed waits: uniform within +- this fraction.
        rate_spread: clocks of chips run uniformly within +- this fraction of the true rate.
        oscillator: what the clocks are besides: ideal, a crystal, an RC oscillator that wanders; or measured traces.
        stagger: chips get power one by one, at random times within so many ns.
        same_random: all cells start their generator alike whenever they get power, as in a real bug of the field.
        latency: from the end of sending to having been received, ns, at least 1. latency_jitter: up to so many ns more, message by message.
        baud: bits a second of a link, 10 for a byte; a frame waits for those before it. 0: sending takes no time.
        loss: probability that a message is lost on its link. loss_spread: links' probabilities are within +- this fraction of it.
        bit_errors: probability that a bit of a frame is flipped on its way; the CRC decides what is heard.
        broken: fraction of links that carry nothing, each direction for itself.
        duration: ns. sample_every: ns between two recorded states.
        faults: in any order.
    """

    width: int
    height: int
    seed: int = 0
    tile_width: int = 1
    tile_height: int = 1
    wiring: Wiring = "eight"
    start: NDArray[np.int8] | None = field(default=None, compare=False, repr=False)
    interval: int = 100_000 * MICROSECOND
    waits: Waits = "uniform"
    wait_jitter: float = 0.1
    rate_spread: float = 0.01
    oscillator: Oscillator = "ideal"
    traces: tuple[Trace, ...] = ()
    stagger: int = 0
    same_random: bool = False
    latency: int = 2_000 * MICROSECOND
    latency_jitter: int = 0
    baud: int = 0
    loss: float = 0.0
    loss_spread: float = 0.0
    bit_errors: float = 0.0
    broken: float = 0.0
    duration: int = 40 * SECOND
    sample_every: int = 100_000 * MICROSECOND
    faults: tuple[Fault, ...] = field(default=())

    def __post_init__(self) -> None:
        if mistakes := list(self._mistakes()):
            raise ScenarioError(mistakes)

    def _mistakes(self) -> Iterator[Mistake]:
        yield from self._out_of_range()
        if not (self.width >= 1 and self.height >= 1 and self.cells <= CELLS_MAX and self.tile_width > 0 and self.tile_height > 0):
            return
        if self.width % self.tile_width or self.height % self.tile_height:
            told = f"tiles of {self.tile_width}x{self.tile_height} cells do not fill a grid of {self.width}x{self.height}"
            yield ("tile_width",), f"{told}. Take a grid of whole tiles."
            return
        if self.start is not None and (self.stagger or self.start.shape[:2] != (self.height, self.width)):
            told = f"states of {self.start.shape[1]}x{self.start.shape[0]} cells to start from"
            yield ("start",), f"{told}, but the grid has {self.width}x{self.height} cells, and all must start at once"
        for number, fault in enumerate(self.faults):
            for attribute, told in fault.mistakes(self.grid, self.seed, number, self.duration):
                yield ("faults", number, attribute), told

    def _out_of_range(self) -> Iterator[Mistake]:
        for name, value, low, high in (
            ("width", self.width, 1, CELLS_MAX), ("height", self.height, 1, CELLS_MAX),

            ("cells", max(self.width, 1) * max(self.height, 1), 1, CELLS_MAX),
            ("tile_width", self.tile_width, 1, max(self.width, 1)), ("tile_height", self.tile_height, 1, max(self.height, 1)),
            ("seed", self.seed, 0, (1 << 32) - 1), ("interval", self.interval, 10 * MICROSECOND, INTERVAL_TICKS_MAX * MICROSECOND),
            ("wait_jitter", self.wait_jitter, 0.0, 0.9), ("rate_spread", self.rate_spread, 0.0, 0.5),
            ("stagger", self.stagger, 0, 1 << 40), ("latency", self.latency, 1, 1 << 40),
            ("latency_jitter", self.latency_jitter, 0, 2 * SECOND), ("baud", self.baud, 0, 1_000_000_000), ("loss", self.loss, 0.0, 1.0),
            ("loss_spread", self.loss_spread, 0.0, 1.0), ("bit_errors", self.bit_errors, 0.0, 0.5), ("broken", self.broken, 0.0, 1.0),
            ("duration", self.duration, 0, 1 << 62), ("sample_every", self.sample_every, 1, 1 << 62),
            ("faults", len(self.faults), 0, REPEAT - 1),
        ):  # fmt: skip
            if not low <= value <= high:
                told = [words.told(int(n)) if name in TIMES else str(n) for n in (value, low, high)]
                yield (name,), f"{name} is {told[0]}, allowed are {told[1]} to {told[2]}"
        if sum(fault.times for fault in self.faults) > STRIKES_MAX:
            yield ("faults",), f"faults strike {sum(fault.times for fault in self.faults)} times, allowed are {STRIKES_MAX}"
        if 0 < self.baud < BAUD_MIN:
            yield ("baud",), f"baud is {self.baud}, allowed are {BAUD_MIN} to 1000000000, or 0 where sending takes no time"
        if self.interval % MICROSECOND:
            yield ("interval",), f"interval is {self.interval} ns, expected whole microseconds"
        if self.traces and self.oscillator != "trace":
            yield ("traces",), f"clock traces, but an oscillator that is {self.oscillator!r}. Take 'trace'."
        if self.oscillator == "trace" and not self.traces:
            yield ("oscillator",), "an oscillator that is a trace, but no traces. Name a file or a folder of them."

    @cached_property
    def grid(self) -> Grid:
        """The cells, their chips and their wires."""
        return Grid(self.width, self.height, self.tile_width, self.tile_height, self.wiring)

    @property
    def cells(self) -> int:
        """Number of cells; cell i is in row i // width, column i % width."""
        return self.width * self.height

    @property
    def seed_cell(self) -> int:
        """The cell that is the seed."""
        return self.grid.seed_cell
