"""What stands on the terminal, at any size of it."""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.formats.boards import load_board
from nca_hw.report.led import HALF_BLOCK
from nca_hw.watch.array import LiveArray
from nca_hw.watch.figures import figures, picture
from nca_hw.watch.places import place
from nca_hw.watch.ports import Tap
from nca_hw.watch.screen import drawing, fitted


def watched(side: int) -> LiveArray:
    board = load_board("rp2040")
    live = LiveArray(load("heart"), board, place([Tap(f"/dev/ttyUSB{n}") for n in range(side * side)], board, (side, side)))
    states = np.random.default_rng(1).integers(-127, 128, (side * side, 16)).astype(np.int8)
    for now in (0.0, 0.1, 9.0):
        for port in range(side * side):
            if port != 3 or now < 1:
                live.feed(now, port, frames.frame(frames.REPORT_STATE, states[port]))
    return live


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (100, 30), (160, 50)])
@pytest.mark.parametrize("side", [2, 12, 60])
def test_picture_figures_and_trouble_fit_the_terminal(columns: int, lines: int, side: int) -> None:
    live = watched(side)
    console = Console(width=columns, height=lines, color_system=None, force_terminal=True)
    with console.capture() as captured:
        console.print(drawing(figures(live), picture(live), "a wall", columns, lines))
    text = captured.get()
    assert max(map(len, text.splitlines())) == columns and len(text.splitlines()) <= lines
    shown = [line for line in text.splitlines() if HALF_BLOCK in line]
    high, wide = len(shown), shown[0].count(HALF_BLOCK)
    assert len({line.count(HALF_BLOCK) for line in shown}) == 1 and abs(2 * high - wide) <= 2 and wide >= 12
    if columns > 80:
        assert f"{side * side:,} watched" in text
        assert "silent for 8.9 s" in text and "/dev/ttyUSB3" in text


def test_cells_are_whole_squares_or_means_of_squares() -> None:
    light = np.random.default_rng(2).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    assert (fitted(light, 24, 12)[::4, ::4] == light).all() and fitted(light, 24, 12).shape == (24, 24, 3)
    assert fitted(light, 3, 4).shape == (3, 3, 3)
    assert fitted(light, 3, 4)[0, 0].tolist() == np.round(light[:2, :2].reshape(4, 3).mean(0)).tolist()
