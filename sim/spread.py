"""How long a new genome takes to get to every cell of a wall: a model page by page, of cells that wake, compute, tell states, and die.

A cell has one thing to attend to at a time: its update, states, a page that it gives or takes, a page that it writes. Cells that wait do
nothing here: a cell's wakes are events from when it is first offered something until it and its neighbours have the genome. All times are
in seconds.
Source: docs/spreading.md; the figures of `Timing` are measured on emulated chips, and so is how far the model is from them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from nca_hw.errors import NcaHwError

FRAMES_A_PAGE = 11  # a request, ten parts
STATES = (3, 1, 3, 1)  # frames of states over an edge, each way: N, E, S, W
PAGES_A_WAKE = 4
PATIENCE = 4  # wakes without a new part after which another source is asked
OFFER_WAKES = 16
AHEAD, BEHIND = 0, 1  # in the queue for a cell's attention: its update, everything else

Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Timing:
    """Of a board: mean wait; an update with its report, of a living cell and of a dead one among dead ones, as all are that have just
    started; a frame over a wire; a page's erasure and write; the proof of a genome; a start."""

    interval: float = 0.200
    update: float = 0.058
    update_dead: float = 0.002
    frame: float = 0.00187
    write: float = 0.0095
    proof: float = 0.060
    start: float = 0.095


@dataclass(frozen=True)
class Spreading:
    """What is asked: a wall, the corner being fed; what goes wrong.

    Attributes:
        pages: of the genome. loss: fraction of frames that are damaged; they are given again. killed: fraction of the cells that lose their
            power for good, at random times up to `kill_within`, seconds; the cell that is fed is none of them.
    """

    width: int
    height: int
    pages: int
    loss: float = 0.0
    killed: float = 0.0
    kill_within: float = 60.0
    seed: int = 1
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True)
class Spread:
    """What came of it.

    Attributes:
        reached: seconds from the first offer until a cell runs the genome, float [height, width]; NaN where it never does.
        dead: bool [height, width]. frames: with parts and requests, damaged ones among them. resumed: times that another source was asked.
    """

    reached: np.ndarray
    dead: np.ndarray
    frames: int
    resumed: int

    @property
    def seconds(self) -> float:
        """Until the last cell that can be reached runs the genome."""
        return float(np.nanmax(self.reached))

    @property
    def cut_off(self) -> int:
        """Living cells that it never reaches: dead ones stand around them."""
        return int((np.isnan(self.reached) & ~self.dead).sum())


    def figures(self) -> dict[str, float | int]:
        """In words and numbers: seconds until the first, half and the last of the cells that it reaches run the genome."""
        times = np.sort(self.reached[~np.isnan(self.reached)])
        return {
            "first_seconds": float(times[0]), "half_seconds": float(times[(len(times) - 1) // 2]), "seconds": self.seconds,
            "reached": len(times), "dead": int(self.dead.sum()), "cut_off": self.cut_off, "frames": self.frames, "resumed": self.resumed,
        }  # fmt: skip


class _Cell:
    def __init__(self, wall: _Wall, number: int) -> None:
        self.wall = wall
        self.number = number
        self.attention = simpy.PriorityResource(wall.env)
        self.has = self.dead = self.taking = False
        self.reached = float("nan")
        self.woke = simpy.Event(wall.env)
        self.wake = 0
        self.is_awake = False

    def neighbours(self) -> list[_Cell]:
        """Those over the edges, with power."""
        width, height = self.wall.spreading.width, self.wall.spreading.height
        row, column = divmod(self.number, width)
        places = ((row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1))
        cells = [self.wall.cells[r * width + c] for r, c in places if 0 <= r < height and 0 <= c < width]
        return [cell for cell in cells if not cell.dead]

    def busy(self) -> bool:
        """Whether its time matters to anybody."""
        return not self.dead and (self.taking or (self.has and any(not cell.has for cell in self.neighbours())))

    def stir(self) -> None:
        """From now on its wakes are events."""
        if not self.is_awake and not self.dead:
            self.is_awake = True
            self.wall.env.process(self.wakes())

    def wakes(self) -> Process:
        """Waits of half to one and a half of the interval; an update, then the states of the cell and of those beside it."""
        wall, timing = self.wall, self.wall.spreading.timing
        next_wake = wall.env.now + timing.interval * wall.rng.uniform(0, 1.0)
        while self.busy():
            yield wall.env.timeout(max(0.0, next_wake - wall.env.now))
            next_wake += timing.interval * wall.rng.uniform(0.5, 1.5)
            edges = len(self.neighbours())
            states = edges / 4 * sum(STATES) * 2 * timing.frame  # given and taken
            with self.attention.request(priority=AHEAD) as mine:
                yield mine
                yield wall.env.timeout(timing.update_dead if self.has else timing.update)
            self.wake += 1
            self.woke.succeed()
            self.woke = simpy.Event(wall.env)
            with self.attention.request(priority=AHEAD) as mine:
                yield mine
                yield wall.env.timeout(states / (1 - wall.spreading.loss))
        self.is_awake = False

    def take(self) -> Process:
        """The whole genome, page by page, from a neighbour that has it, or from another when that has died."""
        wall, timing = self.wall, self.wall.spreading.timing
        self.taking = True
        self.stir()
        page, allowed, wake = 0, PAGES_A_WAKE, self.wake
        source = self.source(None)
        while page < wall.spreading.pages and not self.dead:
            if allowed == 0:
                yield self.woke
            if self.wake != wake:
                allowed, wake = PAGES_A_WAKE, self.wake
            if source is None or source.dead:
                for _ in range(PATIENCE):
                    yield self.woke
                source = self.source(source)
                wall.resumed += source is not None
                if source is None:
                    continue
            source.stir()
            with self.attention.request(priority=BEHIND) as mine:  # nobody takes from whoever takes: there is no ring of waiting cells
                yield mine
                with source.attention.request(priority=BEHIND) as its:
                    yield its
                    frames = FRAMES_A_PAGE + int(wall.rng.negative_binomial(FRAMES_A_PAGE, 1 - wall.spreading.loss))
                    yield wall.env.timeout(frames * timing.frame)
                if not (source.dead or self.dead):
                    yield wall.env.timeout(timing.write)
            if source.dead or self.dead:
                continue
            wall.frames += frames
            page, allowed = page + 1, allowed - 1
        if not self.dead:
            yield wall.env.timeout(timing.proof + timing.write + timing.start)
            self.receive()
        self.taking = False

    def source(self, last: _Cell | None) -> _Cell | None:
        """A neighbour that has the genome: the next one after the last."""
        have = [cell for cell in self.neighbours() if cell.has and cell is not last]
        return have[0] if have else None

    def receive(self) -> None:
        """It runs the genome, and offers it."""
        if self.dead:
            return
        self.has, self.reached = True, self.wall.env.now
        self.wall.done += 1
        if self.wall.progress is not None:
            self.wall.progress(self.wall.done)
        for cell in self.neighbours():
            if not cell.has and not cell.taking:
                cell.wall.env.process(cell.take())

    def dies(self, at: float) -> Process:
        yield self.wall.env.timeout(at)
        self.dead = True
        for cell in self.neighbours():
            if cell.has and not self.has:
                cell.stir()


class _Wall:
    def __init__(self, spreading: Spreading, progress: Callable[[int], None] | None) -> None:
        self.spreading = spreading
        self.progress = progress
        self.env = simpy.Environment()
        self.rng = np.random.default_rng(spreading.seed)
        self.cells = [_Cell(self, number) for number in range(spreading.width * spreading.height)]
        self.frames = self.resumed = self.done = 0

    def fed(self) -> Process:
        """The corner takes the genome over its service port, a page a wake."""
        spreading = self.spreading
        yield self.env.timeout(spreading.pages * spreading.timing.interval + spreading.timing.proof + spreading.timing.start)
        self.cells[0].receive()


def simulate(spreading: Spreading, progress: Callable[[int], None] | None = None) -> Spread:
    """Run the model.

    Args:
        progress: called with the number of cells that run the genome.
    Raises:
        NcaHwError: a wall of no cell, or one in which every frame is lost.
    """
    if spreading.width * spreading.height < 1:
        raise NcaHwError("a wall of no cells", where="--grid")
    if spreading.loss >= 1:
        raise NcaHwError("all frames are lost: nothing spreads", where="--loss", cure="Take less than 100%.")
    wall = _Wall(spreading, progress)
    cells = len(wall.cells)
    struck = wall.rng.permutation(np.arange(1, cells))[: min(round(spreading.killed * cells), cells - 1)]
    for number in struck.tolist():
        wall.env.process(wall.cells[number].dies(float(wall.rng.uniform(0, spreading.kill_within))))
    wall.env.process(wall.fed())
    wall.env.run()
    shape = (spreading.height, spreading.width)
    reached = np.array([cell.reached for cell in wall.cells]).reshape(shape)
    return Spread(reached, np.array([cell.dead for cell in wall.cells]).reshape(shape), wall.frames, wall.resumed)
