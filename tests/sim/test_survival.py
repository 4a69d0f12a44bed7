"""Trials tell genomes that heal from those that do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core.genome import load
from nca_hw.formats.picture import from_png_bytes
from nca_hw.sim.grid import Grid
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.survival import DRIFT_LIMIT, GROWTH_LIMIT, Outcome, survive, trials, undergo


def test_the_trials_are_those_that_are_promised() -> None:
    named = {trial.name: trial for trial in trials(40, 30)}
    assert len(named) == 13
    assert named["growth, 30% of messages lost"].scenario.loss == 0.3
    assert named["growth, four links with relay"].scenario.wiring == "edges"
    assert named["growth, clock rates spread +-20%"].scenario.rate_spread == 0.2
    assert named["drift to 10,000 updates"].scenario.duration == 10_000 * Scenario.interval
    grid = Grid(40, 30)
    struck = [named[f"loss of the {side} half"].scenario.faults[0].struck for side in ("left", "right", "upper", "lower")]
    halves = [set(half.cells(grid, 0, 0)) for half in struck]
    assert halves[0] | halves[1] == halves[2] | halves[3] == set(range(1200))
    assert not halves[0] & halves[1]
    assert not halves[2] & halves[3]
    disc = named["loss of a disc in the middle"].scenario.faults[0].struck.cells(grid, 0, 0)
    assert len(disc) == pytest.approx(math.pi * 7.5**2, rel=0.1)


def test_a_genome_that_grows_nothing_fails_to_grow_and_one_that_heals_does_not_fail() -> None:
    lizard = load("lizard")
    target = from_png_bytes(lizard.target)
    nothing = replace(lizard, w2=np.zeros_like(lizard.w2), b2=np.zeros_like(lizard.b2))
    trial = trials(40, 40)[0]
    assert undergo(trial, IntegerRule(nothing), target, 1) > GROWTH_LIMIT
    assert undergo(trial, IntegerRule(lizard), target, 1) < GROWTH_LIMIT
    outcomes = survive(IntegerRule(lizard), target, 40, 40, (1, 2), kinds=("damage",))
    assert [outcome.survived for outcome in outcomes][:2] == [2, 2]


def test_damage_is_judged_by_the_loss_before_it_and_drift_by_that_of_a_grown_pattern() -> None:
    """A restless genome's loss is no smaller than before; a still one drifts by nothing."""
    still = shipped_size_genome(w2=np.zeros((128, 16), np.int8), b2=np.zeros(16, np.int16), alive=0)
    target = np.zeros((4, 4, 4), np.float32)
    target[..., 3] = 1
    values = {trial.kind: undergo(trial, IntegerRule(still), target, 1) for trial in trials(4, 4)}
    assert values["drift"] == 1.0 < DRIFT_LIMIT
    assert values["damage"] > 1


def test_more_threads_give_the_same_values() -> None:
    lizard = load("lizard")
    target = from_png_bytes(lizard.target)
    one, three = (survive(IntegerRule(lizard), target, 24, 24, (1, 2), kinds=("growth",), threads=n) for n in (1, 3))
    assert [outcome.values for outcome in one] == [outcome.values for outcome in three]


def test_an_outcome_counts_what_is_within_the_limit() -> None:
    outcome = Outcome(trials(8, 8)[0], (0.001, GROWTH_LIMIT, 0.1))
    assert (outcome.survived, outcome.worst) == (2, 0.1)
