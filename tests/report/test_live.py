"""The live view: drawn in place, paced, out of the way of pipes, and gone cleanly."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from rich.console import Console

from nca_hw.core.genome import load
from nca_hw.report.led import HALF_BLOCK, Look
from nca_hw.report.live import FRAME_SECONDS, LiveView, figures, follow, tiled
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
OVER = r"\r\x1b\[2K(?:\x1b\[1A\x1b\[2K)*"  # to the beginning of the line, and up line by line, wiping


class Clock:
    """Time that passes only in sleeping, and what a simulation takes."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += seconds


def terminal(width: int = 80, height: int = 50) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system="truecolor", no_color=False)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def frames(console: Console) -> list[str]:
    """What was drawn, frame by frame; the end draws the last one again."""
    return re.split(OVER, written(console))[:-1]


def grey(width: int, height: int, level: float = 1.0) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.full((height, width, 4), level, np.float32)


def drawn_with(clock: Clock, console: Console, moments: list[float], takes: float) -> int:
    """Shows a run at these parts of it, where every step takes so long to simulate; gives the number of frames drawn."""
    with LiveView(2, 2, console=console, seconds=10, clock=clock, sleep=clock.sleep) as view:
        for done in moments:
            clock.now += takes
            view.show(grey(2, 2), f"<{done:.3f}>", done)
    return len(frames(console))


def test_it_draws_the_array_its_title_and_the_words() -> None:
    console = terminal()
    with LiveView(3, 4, title="lizard", console=console) as view:
        view.show(grey(3, 4), "time and loss")
    (text,) = frames(console)
    assert text.count(HALF_BLOCK) == 6
    assert "\x1b[38;2;255;255;255;48;2;255;255;255m" + HALF_BLOCK * 3 in text
    assert "lizard" in text
    assert "time and loss" in text


def test_the_next_frame_is_drawn_over_the_last() -> None:
    console = terminal()
    with LiveView(3, 4, console=console, seconds=0.1) as view:
        view.show(grey(3, 4), "one", 0)
        view.show(grey(3, 4), "two", 1)
    one, two = frames(console)
    assert two == one.replace("one", "two").removeprefix(HIDE)
    assert re.search(r"one\r\x1b\[2K(\x1b\[1A\x1b\[2K){2}" + re.escape(two), written(console))  # up over two rows of half blocks


@pytest.mark.parametrize(
    ("cells", "window", "factor"),
    [((40, 40), (80, 24), 1), ((40, 44), (80, 24), 2), ((81, 10), (80, 24), 2), ((200, 200), (80, 50), 3), ((9, 9), (80, 4), 5)],
)
def test_an_array_larger_than_the_terminal_is_scaled_down_by_whole_factors(
    cells: tuple[int, int], window: tuple[int, int], factor: int
) -> None:
    console = terminal(*window)
    with LiveView(*cells, title="x", console=console) as view:
        assert view.factor == factor
        view.show(grey(*cells), "words")
    picture = [line for line in frames(console)[0].split("\n") if HALF_BLOCK in line]
    assert max(line.count(HALF_BLOCK) for line in picture) == -(-cells[0] // factor) <= window[0]
    assert len(picture) + 2 <= window[1]
    assert (f"{factor}x{factor} cells" in written(console)) == (factor > 1)


def test_a_fast_simulation_is_held_to_the_pace_at_25_frames_a_second() -> None:
    clock = Clock()
    drawn = drawn_with(clock, terminal(), [i / 4000 for i in range(4001)], takes=0)
    assert clock.now - 100 == pytest.approx(10)
    assert 10 / FRAME_SECONDS * 0.8 < drawn <= 10 / FRAME_SECONDS + 2


def test_a_slow_simulation_is_never_held_up() -> None:
    clock = Clock()
    drawn = drawn_with(clock, terminal(), [i / 100 for i in range(101)], takes=0.5)
    assert clock.slept == 0
    assert drawn == 101


def test_the_last_state_of_a_run_is_always_drawn() -> None:
    console = terminal()
    drawn_with(Clock(), console, [0.99999, 1.0], takes=0)
    assert "<1.000>" in written(console)


def test_a_pipe_is_left_alone_and_stderr_says_why_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    clock = Clock()
    with LiveView(2, 2, title="x", clock=clock, sleep=clock.sleep) as view:
        for done in (0.0, 0.5, 1.0):
            view.show(grey(2, 2), "words", done)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "No live view: the output is no terminal.\n"
    assert clock.slept == 0


def test_a_terminal_without_colours_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, no_color=True)
    with LiveView(2, 2, console=console) as view:
        view.show(grey(2, 2), "words")
    assert written(console) == ""
    assert "NO_COLOR" in capsys.readouterr().err


def test_ctrl_c_passes_through_and_the_cursor_is_back() -> None:
    console = terminal()
    with pytest.raises(KeyboardInterrupt), LiveView(2, 2, console=console) as view:
        view.show(grey(2, 2), "words")
        raise KeyboardInterrupt
    text = written(console)
    assert text.index(HIDE) < text.index("words") < text.rindex(SHOW)
    assert text.rindex(HIDE) < text.rindex(SHOW)


def test_a_simulation_can_be_followed() -> None:
    rule, console, clock = IntegerRule(load("lizard")), terminal(), Clock()
    scenario = Scenario(8, 6, duration=10 * Scenario.interval)
    target = np.zeros((6, 8, 4), np.float32)
    with LiveView(8, 6, console=console, look=Look(64), clock=clock, sleep=clock.sleep) as view:
        result = simulate(scenario, rule, target, follow(view, scenario, rule, target))
    last = figures(10, result.loss, result.alive[-1], 48)
    assert last in written(console)
    assert result.alive[-1] > 1
    assert clock.slept == pytest.approx(15)


def test_figures_without_a_target_leave_out_the_loss() -> None:
    assert figures(12.5, None, 3, 1600) == "  12.5 mean updates   3 of 1,600 cells alive"


def test_a_batch_is_drawn_as_rows_of_grids_with_a_dark_cell_between() -> None:
    grids = np.stack([grey(2, 3, level) for level in (0.2, 0.4, 0.6)])
    sheet = tiled(grids, 2)
    assert sheet.shape == (7, 5, 4)
    expected = np.zeros((7, 5), np.float32)
    expected[:3, :2], expected[:3, 3:], expected[4:, :2] = 0.2, 0.4, 0.6
    np.testing.assert_array_equal(sheet[..., 0], expected)
