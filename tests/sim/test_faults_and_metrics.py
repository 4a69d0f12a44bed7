"""Which cells a fault strikes, what a scenario allows, and how loss and recovery are told."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nca_hw.errors import NcaHwError
from nca_hw.sim.grid import Grid
from nca_hw.sim.metrics import pattern_loss, place, recovery
from nca_hw.sim.regions import RandomCount, RandomFraction, Rectangle, parse
from nca_hw.sim.scenario import Kill, Scenario
from nca_hw.sim.streams import Domain, key, sample


def test_words_for_cells() -> None:
    assert parse("480") == RandomCount(480)
    assert parse("30%") == RandomFraction(0.3)
    assert parse("20x40@5,0") == Rectangle(20, 40, 5, 0)


@pytest.mark.parametrize(
    "words", ["480", "30%", "0.1%", "12.25%", "20x40@5,0", "disc 2.5@3,4", "3 tiles", "25% tiles", "tile 2,0", "seed", "all", "100%", "0"]
)
def test_a_choice_of_cells_as_text_is_the_words_it_was_read_from(words: str) -> None:
    assert str(parse(words)) == words


@pytest.mark.parametrize("words", ["130%", "-3", "a third", "", "3x@1,1", "0x4@0,0", "30 %", "1e3", "nan%"])
def test_words_that_name_no_cells_are_refused_with_the_cure(words: str) -> None:
    with pytest.raises(NcaHwError) as caught:
        parse(words)
    assert "WxH@X,Y" in (caught.value.cure or "")


@given(st.text(max_size=12))
def test_any_words_are_cells_or_an_error(words: str) -> None:
    with contextlib.suppress(NcaHwError):
        parse(words)


@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_a_fraction_strikes_so_many_different_cells(width: int, height: int, fraction: float, seed: int) -> None:
    cells = RandomFraction(fraction).cells(Grid(width, height), seed, 0)
    assert len(set(cells)) == len(cells) == round(fraction * width * height)
    assert cells == sorted(cells)
    assert all(0 <= cell < width * height for cell in cells)


def test_strikes_are_spread_over_the_grid_and_differ_between_seeds_and_faults() -> None:
    first = RandomFraction(0.3).cells(Grid(40, 40), 1, 0)
    quarters = np.histogram(first, bins=4, range=(0, 1600))[0]
    assert quarters.min() > 85
    assert quarters.max() < 155
    assert first != RandomFraction(0.3).cells(Grid(40, 40), 2, 0)
    assert first != RandomFraction(0.3).cells(Grid(40, 40), 1, 1)


def test_a_region_outside_the_grid_and_too_many_cells_are_refused() -> None:
    with pytest.raises(NcaHwError, match="does not lie within the 10x10 grid"):
        Rectangle(5, 5, 6, 0).cells(Grid(10, 10), 0, 0)
    with pytest.raises(NcaHwError, match="can't strike 101 of 100"):
        RandomCount(101).cells(Grid(10, 10), 0, 0)


def test_a_rectangle_is_its_rows_and_columns() -> None:
    assert Rectangle(2, 2, 1, 1).cells(Grid(4, 4), 0, 0) == [5, 6, 9, 10]


def test_a_disc_is_round_and_may_reach_over_the_edge() -> None:
    assert parse("disc 1.5@2,2").cells(Grid(5, 5), 0, 0) == [6, 7, 8, 11, 12, 13, 16, 17, 18]
    assert parse("disc 2@0,0").cells(Grid(5, 5), 0, 0) == [0, 1, 5, 6]
    cells = parse("disc 20@50,50").cells(Grid(100, 100), 0, 0)
    assert len(cells) == pytest.approx(np.pi * 20**2, rel=0.02)
    with pytest.raises(NcaHwError, match="does not lie on the 5x5 grid"):
        parse("disc 2@5,0").cells(Grid(5, 5), 0, 0)


def test_counter_based_numbers_are_uniform_and_unrelated() -> None:
    draws = np.array([[key(seed, Domain.LINK_LOSS, i) for i in range(5000)] for seed in (0, 1)]) / 2**32
    counts, _ = np.histogram(draws[0], bins=20, range=(0, 1))
    assert np.all(np.abs(counts - 250) < 80)
    assert abs(np.corrcoef(draws)[0, 1]) < 0.05
    assert abs(np.corrcoef(draws[0, 1:], draws[0, :-1])[0, 1]) < 0.05


def test_samples_are_different_numbers() -> None:
    assert sample(0, Domain.FAULT, 0, 10, 10) == list(range(10))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"width": 0}, "width is 0"), ({"loss": 1.5}, "loss is 1.5"), ({"latency": 0}, "latency is 0"), ({"interval": 100_000_500}, "micro"),
     ({"seed": -1}, "seed is -1"), ({"width": 10_000, "height": 10_000}, "cells is 100000000")],
)  # fmt: skip
def test_a_scenario_outside_its_ranges_is_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        Scenario(**{"width": 8, "height": 8, **changes})  # type: ignore[arg-type]


def test_a_fault_that_never_happens_is_refused() -> None:
    with pytest.raises(NcaHwError, match="never happens"):
        Scenario(8, 8, duration=10**9, faults=(Kill(RandomCount(1), 2 * 10**9, None),))


def test_the_target_stands_with_its_middle_on_the_seed_cell() -> None:
    target = np.zeros((4, 6, 4), np.float32)
    target[2, 3] = 1
    for height, width in ((4, 6), (9, 9), (10, 8), (3, 3)):
        grid = place(target, height, width)
        assert grid.shape == (height, width, 4)
        assert np.argwhere(grid[..., 0]).tolist() == [[height // 2, width // 2]]


def test_loss_is_the_mean_square_over_all_cells_and_four_channels() -> None:
    rgba = np.zeros((2, 2, 4), np.float32)
    rgba[0, 0, 0] = 2
    assert pattern_loss(rgba, np.zeros_like(rgba)) == 4 / 16


def test_recovery_is_told_from_the_last_return_below_the_limit() -> None:
    times = list(range(10))
    losses = [9, 1, 1, 8, 8, 1.2, 5, 1.2, 1.1, 1.0]
    back = recovery(times, losses, strikes=[3], ends=[4])
    assert (back.loss_before, back.recovered, back.after) == (1, True, 3)


def test_a_pattern_that_stays_ruined_is_not_recovered() -> None:
    back = recovery([0, 1, 2, 3], [1, 1, 5, 5], strikes=[2], ends=[2])
    assert (back.recovered, back.after) == (False, None)


def test_without_a_fault_there_is_nothing_to_recover_from() -> None:
    assert recovery([0, 1], [1, 1], [], []).loss_before is None
