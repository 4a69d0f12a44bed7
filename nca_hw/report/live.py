"""A run as it happens, in a colour terminal: the array as half blocks, drawn in place, and a line of figures below it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from nca_hw.core.model import ALIVE_THRESHOLD, ALPHA
from nca_hw.report.led import HALF_BLOCK, Colour, Look, half_block_rows, shrunk, to_light
from nca_hw.sim import metrics
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import Rule
from nca_hw.sim.run import Progress
from nca_hw.sim.scenario import Scenario

FRAME_SECONDS = 1 / 25  # at least, from one frame to the next: more no eye needs and few terminals draw
RUN_SECONDS = 15.0  # that a run takes to look at, if it could be simulated faster
LINES_AROUND = 3  # the title, the figures, and the line on which the cursor rests


class LiveView:
    """A context in which `show` draws the array; outside a terminal it draws nothing, and says so once.

    Ctrl-C passes through: the picture stays as it is, and the cursor is back.
    """

    def __init__(
        self, width: int, height: int, *, title: str = "", console: Console | None = None, look: Look | None = None,
        seconds: float = RUN_SECONDS, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """A view of an array.

        Args:
            width, height: cells. title: the line above the picture. console: where to draw, stdout if it is not given.
            seconds: that a whole run should take to look at, at least.
        """
        self.width, self.height, self.title = width, height, title
        # FORCE_COLOR makes rich take a pipe for a terminal, but nothing can be drawn in place there.
        self.console = console or Console(force_terminal=None if sys.stdout.isatty() else False)
        self._look, self._seconds, self._clock, self._sleep = look, seconds, clock, sleep
        self._live: Live | None = None
        self._began = self._shown = -np.inf

    @property
    def factor(self) -> int:
        """Cells to a side of what is drawn as one, so that the array fits the terminal as large as it is now."""
        columns, rows = self.console.width, max(1, self.console.height - LINES_AROUND)
        return max(1, -(-self.width // columns), -(-self.height // (2 * rows)))

    def __enter__(self) -> LiveView:
        if (why := self._hindrance()) is None:
            self._live = Live(console=self.console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        else:
            print(f"No live view: {why}.", file=sys.stderr)
        self._began = self._clock()
        return self

    def _hindrance(self) -> str | None:
        """Why nothing can be drawn."""
        if not self.console.is_terminal:
            return "the output is no terminal"
        if self.console.is_dumb_terminal:
            return "the terminal (TERM) can't move its cursor"
        if self.console.color_system is None or self.console.no_color:
            return "the terminal shows no colours, or NO_COLOR is set"
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def show(self, rgba: NDArray[np.float32], words: str, done: float | None = None) -> None:
        """Draw a state, premultiplied RGBA [height, width, 4], and a line of words.

        Args:
            done: part of the run that is over, 0 to 1. A simulation that is ahead of the pace waits here; one that is behind is
                never held up. Left out, nothing waits.
        """
        if self._live is None or not self.is_due(done):
            return
        at = self._at(done)
        if (ahead := at - self._clock()) > 0:
            self._sleep(ahead)
        self._shown = at
        self._live.update(Group(*self._drawn(rgba, words)), refresh=True)

    def is_due(self, done: float | None = None) -> bool:
        """Whether `show` would draw: a frame that follows the last one too closely is left out, but never the last of a run."""
        at_end = done is not None and done >= 1
        return self._live is not None and (at_end or self._at(done) - self._shown >= FRAME_SECONDS)

    def _at(self, done: float | None) -> float:
        """When the state is shown."""
        now = self._clock()
        return now if done is None else max(now, self._began + done * self._seconds)

    def _drawn(self, rgba: NDArray[np.float32], words: str) -> Iterator[RenderableType]:
        factor = self.factor
        title = f"{self.title}  (a point is {factor}x{factor} cells)" if factor > 1 else self.title
        if title:
            yield Text(title, no_wrap=True, overflow="ellipsis")
        yield HalfBlocks(shrunk(to_light(rgba, self._look), factor))
        yield Text(words, no_wrap=True, overflow="ellipsis")


@dataclass(frozen=True)
class HalfBlocks:
    """8-bit RGB [height, width, 3] as rich draws it; text with ANSI colours would do too, in eight times the time."""

    light: NDArray[np.uint8]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.light.shape[1], self.light.shape[1])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for row in half_block_rows(self.light):
            for upper, lower, length in row:
                yield Segment(HALF_BLOCK * length, _style(upper, lower))
            yield Segment.line()


@lru_cache(1 << 14)
def _style(upper: Colour, lower: Colour) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))


def tiled(grids: NDArray[np.float32], columns: int) -> NDArray[np.float32]:
    """States [n, height, width, 4] as one, row by row, a dark cell between them."""
    rows = -(-len(grids) // columns)
    apart = np.pad(grids, ((0, rows * columns - len(grids)), (0, 1), (0, 1), (0, 0)))
    _, height, width, _ = apart.shape
    return apart.reshape(rows, columns, height, width, 4).swapaxes(1, 2).reshape(rows * height, columns * width, 4)[:-1, :-1]


def figures(updates: float, loss: float | None, alive: int, cells: int) -> str:
    """The line below the picture: time in mean updates, pattern loss, cells that look alive."""
    told = "" if loss is None else f"   loss {loss:.5f}"
    return f"{updates:6.1f} mean updates{told}   {alive:,} of {cells:,} cells alive"


def follow(view: LiveView, scenario: Scenario, rule: Rule, target: NDArray[np.float32] | None = None) -> Progress:
    """A function that shows a run in a view while it is simulated: the `progress` of `simulate`."""
    on_grid = None if target is None else metrics.place(target, scenario.height, scenario.width)

    def progress(now: int, recording: Recording) -> None:
        done = now / max(1, scenario.duration)
        if not view.is_due(done):
            return
        rgba = rule.rgba(recording.states[-1])
        loss = None if on_grid is None else metrics.pattern_loss(rgba, on_grid)
        alive = int((rgba[..., ALPHA] > ALIVE_THRESHOLD).sum())
        view.show(rgba, figures(now / scenario.interval, loss, alive, scenario.cells), done)

    return progress
