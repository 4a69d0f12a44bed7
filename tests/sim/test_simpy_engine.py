"""The asynchronous array: independent clocks, messages that take time and get lost, cells that die and start again."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import simpy
from genome_strategies import shipped_size_genome
from small_arrays import UNIT, CountingRule

from nca_hw.core import reference
from nca_hw.sim.regions import Rectangle, parse
from nca_hw.sim.rules import IntegerRule, ReferenceRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Kill, Scenario
from nca_hw.sim.simpy_engine import Cell, SimpyArray

SMALL = Scenario(7, 5, seed=3, duration=20 * UNIT)
GENOME = shipped_size_genome(2, alive=0)


def trajectory(scenario: Scenario, rule: Any = None) -> str:
    return SimpyArray(scenario, rule or IntegerRule(GENOME)).run().trajectory.hexdigest()


def test_the_same_seed_gives_the_same_trajectory_and_another_seed_another() -> None:
    assert trajectory(SMALL) == trajectory(SMALL)
    assert trajectory(SMALL) != trajectory(replace(SMALL, seed=4))


def test_the_c_core_and_the_numpy_reference_run_the_same_trajectory() -> None:
    scenario = replace(SMALL, loss=0.2, faults=(Kill(parse("30%"), 5 * UNIT, 3 * UNIT),))
    assert trajectory(scenario) == trajectory(scenario, ReferenceRule(GENOME))


def test_the_trajectory_is_the_one_that_was_published() -> None:
    """Fixed forever for this scenario: whoever changes the event order, the streams or the arithmetic must say so here."""
    scenario = replace(SMALL, loss=0.1, faults=(Kill(parse("30%"), 5 * UNIT, 3 * UNIT),))
    assert trajectory(scenario)[:16] == "fb806b1c83ec9691"


def test_every_cell_waits_half_to_one_and_a_half_of_its_own_mean_interval() -> None:
    array = SimpyArray(replace(SMALL, duration=200 * UNIT, rate_spread=0.1), CountingRule())
    wakes: dict[int, list[int]] = {}
    original = array.wake

    def wake(cell: Cell) -> None:
        wakes.setdefault(cell.index, []).append(array.env.now)
        original(cell)

    array.wake = wake  # type: ignore[method-assign]
    array.run()

    rates = array.plan.clocks.tick / 1e9 - 1
    assert len(np.unique(rates)) > 30
    assert np.abs(rates).max() <= 0.1
    for cell in array.cells:
        waits = np.diff(wakes[cell.index]) / UNIT / (1 + rates[cell.index])
        assert waits.min() >= 0.499
        assert waits.max() <= 1.501
        assert abs(waits.mean() - 1) < 0.09


def test_news_travels_one_cell_a_hop_and_never_faster_than_the_latency() -> None:
    scenario = Scenario(9, 1, seed=1, duration=30 * UNIT, latency=UNIT // 4, sample_every=UNIT // 8)
    recording = SimpyArray(scenario, CountingRule()).run()
    heard = [next(t for t, s in zip(recording.times, recording.states, strict=True) if s[0, x, 1] == 100) for x in range(4, 9)]
    assert heard[0] == 0
    assert all(later - earlier >= scenario.latency for earlier, later in itertools.pairwise(heard))


def test_a_message_reaches_exactly_the_eight_neighbours_each_in_the_right_place() -> None:
    array = SimpyArray(Scenario(5, 5, latency=1, duration=0), CountingRule())
    array.power_on([12], "zero", 0)
    array.plant([12])  # the middle
    array.env.run(until=10)
    inboxes = np.array([cell.inbox[:, 1] for cell in array.cells]).reshape(5, 5, 8)
    found = {(int(y) - 2, int(x) - 2): int(k) for y, x, k in np.argwhere(inboxes)}
    # the sender stands where the receiver looks: a cell to its north-west hears it from the south-east, and so on
    assert found == {(-1, -1): reference.SE, (-1, 0): reference.S, (-1, 1): reference.SW, (0, 1): reference.W,
                     (1, 1): reference.NW, (1, 0): reference.N, (1, -1): reference.NE, (0, -1): reference.E}  # fmt: skip


def test_the_wiring_is_the_neighbourhood_that_the_reference_gathers() -> None:
    rng = np.random.default_rng(0)
    states = rng.integers(-127, 128, (6, 4, 16)).astype(np.int8)
    array = SimpyArray(Scenario(4, 6, latency=1, duration=0), IntegerRule(GENOME))
    for cell, state in zip(array.cells, states.reshape(-1, 16), strict=True):
        cell.state[:] = state
        array.send(cell)
    array.env.run(until=10)
    np.testing.assert_array_equal(np.array([cell.inbox for cell in array.cells]), reference.gather_neighbours(states).reshape(24, 8, 16))


def test_the_seed_sends_at_once_and_lets_two_wakes_pass_before_it_updates() -> None:
    array = SimpyArray(replace(SMALL, duration=5 * UNIT, sample_every=UNIT // 20), CountingRule())
    recording = array.run()
    middle = [int(states[2, 3, 0]) for states in recording.states]
    first = recording.times[next(i for i, count in enumerate(middle) if count)]
    assert 1.5 * 0.99 * UNIT <= first <= 4.5 * 1.01 * UNIT + UNIT // 20


def test_lost_messages_are_counted_and_as_frequent_as_stated() -> None:
    counters = SimpyArray(replace(SMALL, duration=200 * UNIT, loss=0.25), CountingRule()).run().counters
    assert counters.messages_sent > 30_000
    assert abs(counters.messages_lost / counters.messages_sent - 0.25) < 0.01


def test_with_every_message_lost_only_the_seed_knows() -> None:
    recording = SimpyArray(replace(SMALL, loss=1.0), CountingRule()).run()
    assert (recording.states[-1][..., 1] == 100).sum() == 1


def test_killed_cells_are_dark_while_dead_and_start_from_zero() -> None:
    region = Rectangle(3, 2, 1, 1)
    recording = SimpyArray(replace(SMALL, faults=(Kill(region, 6 * UNIT, 4 * UNIT),)), CountingRule()).run()
    inside = (slice(1, 3), slice(1, 4))
    for time, states, powered in zip(recording.times, recording.states, recording.powered, strict=True):
        dead = 6 * UNIT <= time < 10 * UNIT
        assert powered[inside].any() != dead
        assert powered.sum() == (35 - 6 if dead else 35)
        if dead:
            assert not states[inside].any()
    counts = recording.states[-1][..., 0]
    assert counts[inside].max() <= 21  # ten intervals of at least half the mean
    assert counts[inside].min() >= 4
    assert counts[4, 6] >= 10


def test_cells_left_dead_never_come_back_and_send_nothing() -> None:
    kill = Kill(Rectangle(7, 5, 0, 0), 6 * UNIT, None)
    array = SimpyArray(replace(SMALL, faults=(kill,)), CountingRule())
    recording = array.run()
    before = SimpyArray(replace(SMALL, duration=6 * UNIT), CountingRule()).run().counters
    assert not recording.states[-1].any()
    assert recording.counters.messages_sent == before.messages_sent


def test_the_dead_are_remembered_as_they_last_were() -> None:
    array = SimpyArray(Scenario(3, 1, duration=20 * UNIT, faults=(Kill(Rectangle(1, 1, 0, 0), 10 * UNIT, None),)), CountingRule())
    array.run()
    assert array.cells[1].inbox[reference.W, 0] > 3


def test_a_users_own_process_lives_in_the_same_world() -> None:
    array = SimpyArray(SMALL, CountingRule())

    def vandal(env: simpy.Environment) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(5 * UNIT)
        array.cells[0].state[0] = -100

    array.env.process(vandal(array.env))
    assert array.run().states[-1][0, 0, 0] < -60


def test_samples_come_at_even_times_from_the_start_to_the_end() -> None:
    recording = SimpyArray(SMALL, CountingRule()).run()
    assert recording.times == [k * UNIT for k in range(21)]


def test_counters_add_up() -> None:
    result = simulate(SMALL, CountingRule())
    counters = result.recording.counters
    assert result.recording.updates_per_cell.sum() == counters.updates == counters.evaluated_updates
    assert counters.updates == pytest.approx(35 * 20, rel=0.1)
