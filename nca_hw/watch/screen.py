"""A watch in the terminal: the picture, its figures beside it, and the tiles with which something is wrong; drawn in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from textwrap import wrap
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from nca_hw.report.led import shrunk
from nca_hw.report.live import HalfBlocks

FRAME_SECONDS = 0.1
FIGURES_COLUMNS = 68  # of the terminal, beside the picture
PICTURE_COLUMNS = 24  # at the least; figures are folded then
LINES_AROUND = 4
Rows = list[tuple[str, str, str]]  # name, words, style


def rows(f: dict[str, Any]) -> Rows:
    """The figures in words: name, what is told, and how it looks."""
    rate, line, compare = f["rate"], f["line"], f["compare"]

    def bad(is_bad: object, otherwise: str = "") -> str:
        return "bold red" if is_bad else otherwise

    out: Rows = [
        ("cells alive", f"{f['alive']:,} of {f['told_cells']:,} that told, {f['watched_cells']:,} watched", ""),
        ("pattern loss", "-" if f["loss"] is None else f"{f['loss']:.5f}", "bold"),
        ("reports", f"{f['reports']:,}", ""),
        (
            "a cell and second", "-" if rate is None else
            f"{rate['mean']:.2f} ({rate['least']:.2f} to {rate['most']:.2f}); the board's {f['board_rate']:.2f}", "",
        ),
        ("pauses too long", f"{f['pauses']:,} (over {f['longest_pause']:.2f} s)", bad(f["pauses"], "green")),
        (
            "lines", f"{line['damaged']:,} damaged frames ({line['damaged_share']:.2%}), {line['stray']:,} stray bytes"
            + (f", {line['unplaced']:,} of no cell" if line["unplaced"] else ""), bad(line["damaged"] or line["unplaced"], "green"),
        ),
        (
            "self-tests", f"{f['self_tests']:,}, {f['restarts']:,} of them restarts"
            + (f"; image {f['image_crc']}" if f["image_crc"] else ""),
            "yellow" if f["restarts"] else "",
        ),
        ("silent tiles", _tiles(f["silent"]), bad(f["silent"], "green")),
        ("other image", _tiles(f["other_images"]), bad(f["other_images"], "green")),
        ("other genome", _tiles(f["other_genomes"]), bad(f["other_genomes"], "green")),
        ("ports gone", f"{len(f['gone'])}, {f['reopened']} came back", bad(f["gone"], "green")),
    ]  # fmt: skip
    if compare is not None:
        share = compare["older_share"]
        told = f"{compare['follow']:,} of {compare['checked']:,} checked"
        told += f", {compare['unknown'] + compare['skipped']:,} unchecked" if compare["unknown"] + compare["skipped"] else ""
        out.append(("states that follow", told, bad(not compare["holds"], "green")))
        out.append(("heard late", "-" if share is None else f"{share:.1%} of what cells had heard was not the newest told", ""))
        if compare["expected_loss"]:
            low, middle, high = compare["expected_loss"]
            out.append(("simulated loss", f"{low:.5f} to {high:.5f}, median {middle:.5f}", ""))
        low, middle, high = compare["expected_alive"] or (0, 0, 0)
        if compare["expected_alive"]:
            out.append(("simulated alive", f"{low:,} to {high:,}, median {middle:,}", ""))
    return out


def _tiles(names: list[str]) -> str:
    shown = " ".join(names[:6])
    return "none" if not names else f"{len(names)}: {shown}" + (" ..." if len(names) > 6 else "")


def drawing(f: dict[str, Any], light: NDArray[np.uint8], title: str, columns: int, lines: int) -> RenderableType:
    """What stands on a terminal of so many columns and lines."""
    table = Table.grid(padding=(0, 2))
    told = rows(f)
    for name, words, style in told:
        table.add_row(Text(name, "dim"), Text(words, style, overflow="fold"))
    room = max(PICTURE_COLUMNS, columns - FIGURES_COLUMNS - 4)
    shown = fitted(light, room, max(4, lines - LINES_AROUND - 2))
    beside_room = max(8, columns - shown.shape[1] - max(len(name) for name, *_ in told) - 8)
    left = lines - LINES_AROUND - sum(len(wrap(words, beside_room)) for _, words, _ in told) - 4
    beside: list[RenderableType] = [table]
    if f["trouble"] and left > 0:
        worst = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for head in ("tile", "port", "what"):
            worst.add_column(head, overflow="ellipsis", no_wrap=True)
        for one in f["trouble"][:left]:
            worst.add_row(one["tile"], one["port"], Text(one["what"], "yellow"))
        beside += [Text(""), worst]
    both = Table.grid(padding=(0, 2))
    both.add_row(HalfBlocks(shown), Group(*beside))
    heading = Text.assemble((title, "bold"), (f"   {f['grid']} cells   {f['seconds']:,.1f} s", "dim"), overflow="ellipsis")
    return Panel(Group(heading, Text(""), both), box=box.ROUNDED, border_style="dim")


def fitted(light: NDArray[np.uint8], columns: int, lines: int) -> NDArray[np.uint8]:
    """The picture as large as there is room for: cells as whole squares, or means of squares of cells."""
    height, width = light.shape[:2]
    grown = min(columns // width, 2 * lines // height)
    if grown >= 1:
        return light.repeat(grown, 0).repeat(grown, 1)
    return shrunk(light, max(-(-width // columns), -(-height // (2 * lines))))


class Screen:
    """A context in which `show` draws, on the terminal's other screen: what was there before comes back at the end, also after Ctrl-C."""

    def __init__(self, title: str, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console()
        self._title, self._clock = title, clock
        self._live: Live | None = None
        self._shown = -np.inf

    def __enter__(self) -> Screen:
        self._live = Live(console=self.console, screen=True, auto_refresh=False, vertical_overflow="crop")
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def is_due(self) -> bool:
        """Whether it is time to draw again."""
        return self._clock() - self._shown >= FRAME_SECONDS

    def show(self, f: dict[str, Any], light: NDArray[np.uint8]) -> None:
        """Draw the figures and the picture, 8-bit RGB [height, width, 3]."""
        if self._live is not None:
            self._shown = self._clock()
            self._live.update(drawing(f, light, self._title, self.console.width, self.console.height), refresh=True)
