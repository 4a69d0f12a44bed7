"""Damage hits the share and the shape it promises."""

from __future__ import annotations

import numpy as np
import pytest

from nca_hw.train import damage

MANY = range(200)


def masks(kind, height=40, width=40):
    return [kind(height, width, np.random.default_rng(seed)) for seed in MANY]


def test_scattered_hits_30_to_50_percent_everywhere():
    hit = masks(damage.scattered)
    shares = [m.mean() for m in hit]
    assert 0.26 < min(shares) < 0.35
    assert 0.45 < max(shares) < 0.54
    assert np.mean(hit, axis=0).min() > 0.2


def test_half_is_cut_by_one_straight_line():
    for mask in masks(damage.half):
        assert 0.25 < mask.mean() < 0.75
        for line in (*mask, *mask.T):
            assert np.count_nonzero(np.diff(line.astype(int))) <= 1


def test_every_other_half_is_exactly_one_of_the_four_of_the_trials():
    row, column = np.mgrid[:40, :40]
    halves = {mask.tobytes() for mask in (row < 20, row >= 20, column < 20, column >= 20)}
    exact = [mask.tobytes() for mask in masks(damage.half) if mask.tobytes() in halves]
    assert 0.4 < len(exact) / len(MANY) < 0.6
    assert set(exact) == halves


def test_half_faces_every_way():
    assert np.mean(masks(damage.half), axis=0).min() > 0.3


def test_disc_is_round_and_of_the_stated_size():
    inside = [m for m in masks(damage.disc) if not (m[0].any() or m[-1].any() or m[:, 0].any() or m[:, -1].any())]
    assert len(inside) > len(MANY) // 2
    for mask in inside:
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert abs(int(rows) - int(columns)) <= 2
        assert 7 <= rows <= 29
        assert mask.sum() == pytest.approx(np.pi / 4 * rows * columns, rel=0.25)


def test_random_damage_is_any_of_them_and_repeats_with_its_seed():
    drawn = masks(damage.random_damage)
    again = masks(damage.random_damage)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    jumps = [np.count_nonzero(np.diff(m.astype(int), axis=0)) for m in drawn]
    scattered = np.mean(np.array(jumps) > 200)
    assert 0.15 < scattered < 0.35
