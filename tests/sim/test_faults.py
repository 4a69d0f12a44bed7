"""What faults do to cells, and what is left of it when they end. Truth: the reference cell, statistics, and what the words promise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from small_arrays import CHANNELS, RESTLESS, STILL, UNIT, CountingRule, seedless, updates, wakes

from nca_hw.core import reference
from nca_hw.sim.faults import Babble, Brownout, Cut, Fault, Kill, Plant, Slow, Stranger, Stuck
from nca_hw.sim.grid import Wiring
from nca_hw.sim.regions import Rectangle, Struck, parse
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import Engine, simulate
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import NEVER, SimpyArray

BOTH = pytest.mark.parametrize("engine", ["simpy", "fast"])
LEFT, RIGHT, ALL = parse("3x6@0,0"), parse("3x6@3,0"), parse("all")
ONE = parse("1x1@0,0")

# Cells that have heard of life come alive at their next update, whatever they were.
SPREADING = IntegerRule(
    shipped_size_genome(w2=np.zeros((128, 16), np.int8), b2=np.full(16, 7000, np.int16), m2=np.full(16, 20_000, np.int16), alive=7)
)


def random_states(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-127, 128, (height, width, CHANNELS)).astype(np.int8)


def powered(scenario: Scenario, engine: Engine = "auto") -> tuple[np.ndarray, np.ndarray]:
    """Times of the samples, and which cells had power, [samples, cells]."""
    recording = simulate(scenario, STILL, engine=engine).recording
    return np.array(recording.times), np.array(recording.powered).reshape(len(recording.times), -1)


def assert_uniform(codes: np.ndarray) -> None:
    """255 values, equally often: Pearson's chi square, 254 degrees of freedom, within 5 standard deviations."""
    counts = np.bincount(codes.astype(np.int64).reshape(-1) + 127, minlength=255)
    assert len(counts) == 255
    expected = codes.size / 255
    assert abs(((counts - expected) ** 2 / expected).sum() - 254) < 5 * np.sqrt(2 * 254)


# Power.


@BOTH
@pytest.mark.parametrize("memory", ["zero", "random"])
def test_cells_restart_with_nothing_or_with_anything_in_their_memory(memory: Any, engine: Engine) -> None:
    kill = Kill(LEFT, 5 * UNIT, 2 * UNIT, every=4 * UNIT, times=3, memory=memory)
    scenario = seedless(6, 6, start=random_states(6, 6), duration=20 * UNIT, sample_every=UNIT, faults=(kill,))
    recording = simulate(scenario, STILL, engine=engine).recording
    found = np.array([recording.states[at][:, :3] for at in (7, 11, 15)])
    np.testing.assert_array_equal(recording.states[20][:, 3:], random_states(6, 6)[:, 3:])
    assert not np.array([recording.states[at][:, :3] for at in (5, 6, 9, 10)]).any()
    if memory == "zero":
        assert not found.any()
    else:
        assert_uniform(found)
        assert len(np.unique(found.reshape(-1, CHANNELS), axis=0)) == 3 * 18  # another one each cell and time
        assert abs(np.corrcoef(found.reshape(-1, CHANNELS).astype(float).T)[np.triu_indices(CHANNELS, 1)]).mean() < 0.2


def test_random_memory_is_also_what_cells_believe_of_their_neighbours_until_they_hear() -> None:
    kill = Kill(ALL, UNIT, UNIT, memory="random")
    array = SimpyArray(seedless(8, 8, duration=2 * UNIT, faults=(kill,)), STILL)
    array.run()
    inboxes = np.array([cell.inbox for cell in array.cells])
    assert_uniform(inboxes)
    assert all(at == NEVER for cell in array.cells for at in cell.heard_at)
    assert (inboxes[:, 0] != np.array([cell.state for cell in array.cells])).any(axis=1).all()


@BOTH
def test_a_cell_restarted_updates_from_what_stands_in_its_memory(engine: Engine) -> None:
    """Alone in the world: state and inbox are known, if not random, to be zero."""
    alone = seedless(1, 1, start=random_states(1, 1), duration=8 * UNIT, faults=(Kill(ALL, 3 * UNIT, UNIT),))
    table = updates(alone, RESTLESS, engine)
    state, genome = np.zeros(CHANNELS, np.int8), RESTLESS.genome
    after = table[table["time"] > 4 * UNIT]
    assert len(after) >= 2
    for update in after:
        state = reference.wake(genome, state, np.zeros((8, CHANNELS), np.int8))[0]
        np.testing.assert_array_equal(update["state"], state)


@BOTH
def test_the_dead_stay_dead_even_if_another_fault_that_struck_them_ends(engine: Engine) -> None:
    faults = (Kill(LEFT, 5 * UNIT), Kill(ALL, 7 * UNIT, 2 * UNIT), Brownout(ALL, 12 * UNIT, UNIT))
    times, on = powered(seedless(6, 6, duration=20 * UNIT, sample_every=UNIT, faults=faults), engine)
    left = np.isin(np.arange(36) % 6, (0, 1, 2))
    assert not on[times >= 5 * UNIT][:, left].any()
    assert on[-1][~left].all()
    assert not on[7][~left].any()


@BOTH
def test_no_fault_gives_power_to_a_chip_before_its_time(engine: Engine) -> None:
    scenario = Scenario(6, 6, tile_width=2, tile_height=2, stagger=10 * UNIT, duration=12 * UNIT, sample_every=UNIT // 4)
    _, untouched = powered(scenario, engine)
    struck = replace(scenario, faults=(Kill(ALL, UNIT, UNIT), Brownout(ALL, 4 * UNIT, UNIT)))
    times, on = powered(struck, engine)
    dark = ((times >= UNIT) & (times < 2 * UNIT)) | ((times >= 4 * UNIT) & (times < 5 * UNIT))
    np.testing.assert_array_equal(on, untouched & ~dark[:, None])


@BOTH
def test_a_cell_that_two_faults_hold_comes_free_with_the_last_of_them(engine: Engine) -> None:
    span = {"at": 5 * UNIT, "lasts": 10 * UNIT}
    again: dict[str, Any] = {"at": 10 * UNIT, "lasts": 10 * UNIT}  # the first ends at 15, the second at 20
    for kind in (Kill, Brownout, Stuck, Babble):
        scenario = seedless(4, 4, start=random_states(4, 4), duration=24 * UNIT, faults=(kind(ALL, **span), kind(ALL, **again)))
        table = updates(scenario, RESTLESS, engine)
        alone = updates(replace(scenario, faults=(kind(ALL, 5 * UNIT, 15 * UNIT),)), RESTLESS, engine)
        np.testing.assert_array_equal(table, alone)


@BOTH
def test_a_fault_within_another_gives_back_what_the_other_made_of_the_cell(engine: Engine) -> None:
    slow = (Slow(ALL, 0, factor=4.0), Slow(ALL, 40 * UNIT, 20 * UNIT, factor=0.25))
    found = wakes(seedless(1, 1, waits="fixed", wait_jitter=0, duration=100 * UNIT, faults=slow), engine=engine)[0]
    assert np.diff(found)[found[1:] > 70 * UNIT].tolist() == [4 * UNIT] * 8
    cuts = (Cut(LEFT, 0, border=True), Cut(RIGHT, UNIT, 2 * UNIT))
    assert not crosses(engine, *cuts)


@BOTH
def test_in_a_brownout_all_are_dark_together_and_come_back_one_by_one_within_the_recovery(engine: Engine) -> None:
    brownout = Brownout(LEFT, 5 * UNIT, 3 * UNIT, recovery=10 * UNIT)
    scenario = seedless(6, 6, duration=20 * UNIT, sample_every=UNIT // 10, start=random_states(6, 6), faults=(brownout,))
    times, on = powered(scenario, engine)
    left = np.isin(np.arange(36) % 6, (0, 1, 2))
    assert on[times < 5 * UNIT].all()
    assert not on[(times >= 5 * UNIT) & (times < 8 * UNIT)][:, left].any()
    assert on[:, ~left].all()
    back = times[-1] - on[::-1, left].argmin(axis=0) * scenario.sample_every
    assert back.min() >= 8 * UNIT - scenario.sample_every
    assert back.max() <= 18 * UNIT
    assert len(np.unique(back)) > 12
    assert 10.5 * UNIT < back.mean() < 15.5 * UNIT


def test_a_brownout_ends_when_the_last_chip_is_back() -> None:
    assert Brownout(ALL, 5, 3, recovery=10, every=100, times=2).spans() == [(5, 18), (105, 118)]


@BOTH
def test_the_cells_of_a_chip_come_back_from_a_brownout_together(engine: Engine) -> None:
    brownout = Brownout(ALL, UNIT, UNIT, recovery=10 * UNIT)
    scenario = seedless(6, 6, tile_width=3, tile_height=2, duration=13 * UNIT, sample_every=UNIT // 10, faults=(brownout,))
    _, on = powered(scenario, engine)
    chips = on.reshape(-1, 3, 2, 2, 3).transpose(0, 1, 3, 2, 4).reshape(-1, 6, 6)  # [samples, chips, cells]
    assert (chips == chips[:, :, :1]).all()
    assert len(np.unique(chips[..., 0].sum(axis=0))) > 3


def test_what_was_sent_arrives_though_its_sender_is_dead_and_not_at_who_is_dead() -> None:
    """Messages take three intervals. The sender dies at 10; the receiver is dead from 11 to 12, and lastly from 14 on."""
    late = seedless(2, 1, waits="fixed", wait_jitter=0, latency=3 * UNIT, duration=16 * UNIT)
    for dark, expected in ((None, 9), ((11, 1), 9), ((12, 1), None)):
        faults: list[Fault] = [Kill(ONE, 10 * UNIT)]
        if dark:
            faults.append(Kill(parse("1x1@1,0"), dark[0] * UNIT, dark[1] * UNIT))
        array = SimpyArray(replace(late, faults=tuple(faults)), STILL)
        array.run()
        assert array.cells[1].heard_at[reference.W] == (NEVER if expected is None else expected * UNIT)


# Cells that misbehave.


@BOTH
def test_a_stuck_cell_sends_on_but_never_changes_until_it_comes_loose(engine: Engine) -> None:
    scenario = seedless(2, 1, start=random_states(1, 2), duration=30 * UNIT, faults=(Stuck(ONE, 10 * UNIT, 10 * UNIT),), sample_every=UNIT)
    result = simulate(scenario, RESTLESS, engine=engine)
    states = np.array(result.recording.states)[:, 0]
    assert (states[10:20, 0] == states[10, 0]).all()
    assert (np.diff(states[10:20, 1].astype(int), axis=0) != 0).any()
    assert (states[22:, 0] != states[10, 0]).any(axis=1).all()
    healthy = simulate(replace(scenario, faults=()), RESTLESS, engine=engine)
    assert result.recording.counters.messages_sent == healthy.recording.counters.messages_sent
    assert 7 <= healthy.recording.counters.updates - result.recording.counters.updates <= 13


def test_who_restarts_beside_a_stuck_cell_hears_what_it_is_stuck_in() -> None:
    faults = (Stuck(ONE, 10 * UNIT), Kill(parse("1x1@1,0"), 15 * UNIT, UNIT))
    array = SimpyArray(Scenario(2, 1, duration=20 * UNIT, faults=faults), CountingRule())
    array.run()
    assert array.cells[1].heard_at[reference.W] > 16 * UNIT
    assert array.cells[1].inbox[reference.W, 0] == array.cells[0].state[0] >= 6


@BOTH
def test_a_babbling_cell_says_anything_and_something_else_at_every_wake(engine: Engine) -> None:
    babble = Babble(parse("4x4@0,0"), 10 * UNIT, 200 * UNIT)
    start = random_states(6, 6)
    scenario = seedless(6, 6, start=start, duration=220 * UNIT, faults=(babble,))
    table = updates(scenario, STILL, engine)
    struck = np.isin(table["cell"], babble.struck.cells(scenario.grid, 0, 0))
    during = (table["time"] >= 10 * UNIT) & (table["time"] < 210 * UNIT)
    sane, said = table[~struck | ~during], table[struck & during]
    before = sane[sane["time"] < 10 * UNIT]
    np.testing.assert_array_equal(before["state"], start.reshape(36, CHANNELS)[before["cell"]])
    bystanders = table[~struck]
    np.testing.assert_array_equal(bystanders["state"], start.reshape(36, CHANNELS)[bystanders["cell"]])
    assert len(said) == pytest.approx(16 * 200, rel=0.02)
    assert len(np.unique(said["state"], axis=0)) == len(said)
    assert_uniform(said["state"])
    assert abs(np.corrcoef(said["state"].astype(float).T)[np.triu_indices(CHANNELS, 1)]).max() < 0.08
    for cell in (0, 7):  # it ends: they are what they said last, and stay so
        own, last = table[table["cell"] == cell], said[said["cell"] == cell][-1]["state"]
        assert (own[own["time"] >= 210 * UNIT]["state"] == last).all()


@BOTH
@pytest.mark.parametrize("factor", [0.25, 0.9, 3.0, 10.0])
def test_slow_and_fast_cells_wait_so_many_times_as_long_and_as_ever_afterwards(factor: float, engine: Engine) -> None:
    slow = Slow(ONE, 100 * UNIT, 200 * UNIT, factor=factor)
    struck, other = wakes(seedless(2, 1, duration=400 * UNIT, waits="fixed", wait_jitter=0.1, faults=(slow,)), engine=engine)
    waits, began = np.diff(struck) / UNIT, struck[:-1]
    during = (began >= 100 * UNIT) & (began < 300 * UNIT)
    assert waits[during].min() >= 0.899 * factor
    assert waits[during].max() <= 1.101 * factor
    assert abs(waits[~during] - 1).max() <= 0.101
    assert during.sum() == pytest.approx(200 / factor, abs=1 + 4 / factor)
    assert abs(np.diff(other) / UNIT - 1).max() <= 0.101


@BOTH
def test_a_stranger_computes_by_its_own_genome_from_what_it_knows_and_comes_back(engine: Engine) -> None:
    """Cells without neighbours know nothing but their own state: what they become is the reference's."""
    other = IntegerRule(shipped_size_genome(7, alive=0))
    stranger = Stranger(ALL, 10 * UNIT, 10 * UNIT, genome="other")
    scenario = seedless(1, 1, start=random_states(1, 1), duration=30 * UNIT, faults=(stranger,))
    state, seen = random_states(1, 1)[0, 0], {"own": 0, "other": 0}
    for update in updates(scenario, RESTLESS, engine, strangers={"other": other}):
        strange = 10 * UNIT <= update["time"] < 20 * UNIT
        rule = other if strange else RESTLESS
        state = reference.wake(rule.genome, state, np.zeros((8, CHANNELS), np.int8))[0]
        np.testing.assert_array_equal(update["state"], state)
        seen["other" if strange else "own"] += 1
    assert seen["other"] >= 7
    assert seen["own"] >= 14


@BOTH
def test_a_cell_planted_later_is_the_seed_at_once_and_lets_two_wakes_pass(engine: Engine) -> None:
    at = 10 * UNIT
    scenario = seedless(2, 1, duration=20 * UNIT, sample_every=UNIT, faults=(Plant(ONE, at),))
    recording = simulate(scenario, STILL, engine=engine).recording
    assert not np.array(recording.states[:10]).any()
    for states in recording.states[10:]:
        np.testing.assert_array_equal(states[0, 0], STILL.seed())
    planted, unplanted = wakes(scenario, engine=engine)[0], wakes(replace(scenario, faults=()), engine=engine)[0]
    assert planted.tolist() == [*unplanted[unplanted < at], *unplanted[unplanted >= at][2:]]


def test_a_planted_cell_sends_at_once() -> None:
    array = SimpyArray(seedless(2, 1, latency=5, duration=10 * UNIT + 5, faults=(Plant(ONE, 10 * UNIT),)), STILL)
    array.run()
    np.testing.assert_array_equal(array.cells[1].inbox[reference.W], STILL.seed())


# Cut links.


def crosses(engine: Engine, *faults: Fault, **changes: Any) -> bool:
    """Whether news of the seed, in the right half, reaches the left half within 20 intervals."""
    states = simulate(Scenario(6, 6, duration=20 * UNIT, faults=faults, **changes), SPREADING, engine=engine).recording.states[-1]
    assert states[:, 3:].all() or any(isinstance(fault, Cut) and not fault.border for fault in faults)
    return bool(states[:, :3].any())


@BOTH
@pytest.mark.parametrize(("wiring", "tile"), [("eight", 1), ("edges", 1), ("eight", 3), ("edges", 3)])
def test_news_crosses_a_cut_border_only_the_way_that_is_left(wiring: Wiring, tile: int, engine: Engine) -> None:
    grid: dict[str, Any] = {"wiring": wiring, "tile_width": tile, "tile_height": tile}
    assert crosses(engine, **grid)
    assert not crosses(engine, Cut(LEFT, 0, border=True), **grid)
    assert not crosses(engine, Cut(LEFT, 0, border=True, direction="in"), **grid)
    assert crosses(engine, Cut(LEFT, 0, border=True, direction="out"), **grid)
    assert not crosses(engine, Cut(RIGHT, 0, border=True, direction="out"), **grid)
    assert crosses(engine, Cut(RIGHT, 0, border=True, direction="in"), **grid)
    assert crosses(engine, Cut(LEFT, 0, 10 * UNIT, border=True), **grid)
    assert not crosses(engine, Cut(LEFT, 0, 21 * UNIT, border=True), **grid)


@BOTH
@pytest.mark.parametrize("direction", ["both", "out", "in"])
def test_who_is_cut_off_altogether_is_alone_in_the_directions_that_are_cut(direction: Any, engine: Engine) -> None:
    middle = parse("2x2@2,2")  # the seed, 3,3, among them
    scenario = Scenario(6, 6, duration=20 * UNIT, faults=(Cut(middle, 0, direction=direction),))
    alive = simulate(scenario, SPREADING, engine=engine).recording.states[-1].any(axis=-1)
    if direction == "in":  # the seed is heard all around, but those beside it hear nobody
        assert not alive[2, 2:4].any()
        assert alive.sum() == 36 - 3
    else:
        assert alive.sum() == 1


@BOTH
def test_a_broken_link_stays_broken_when_a_cut_ends(engine: Engine) -> None:
    assert not crosses(engine, Cut(ALL, 0, UNIT), broken=1.0)
    scenario = Scenario(6, 6, broken=0.4, loss=0.0, duration=100 * UNIT)
    faulty = replace(scenario, faults=(Cut(ALL, UNIT, UNIT),))
    lost = [simulate(one, STILL, engine=engine).recording.counters for one in (scenario, faulty)]
    share = lost[0].messages_lost / lost[0].messages_sent
    assert lost[1].messages_lost / lost[1].messages_sent == pytest.approx(share + (1 - share) / 100, abs=0.003)


def test_the_links_that_are_broken_are_the_same_after_a_cut() -> None:
    never = []
    for faults in ((), (Cut(ALL, UNIT, UNIT), Cut(LEFT, 3 * UNIT, UNIT, border=True))):
        array = SimpyArray(Scenario(6, 6, broken=0.4, duration=8 * UNIT, faults=faults), CountingRule())
        array.run()
        never.append({(cell.index, slot) for cell in array.cells for slot in range(8) if cell.heard_at[slot] == NEVER})
    assert never[0] == never[1]


@BOTH
def test_cuts_are_counted_as_lost_messages_of_the_links_that_were_cut(engine: Engine) -> None:
    scenario = seedless(6, 6, waits="fixed", wait_jitter=0, duration=20 * UNIT, faults=(Cut(LEFT, UNIT // 2, 10 * UNIT, border=True),))
    counters = simulate(scenario, STILL, engine=engine).recording.counters
    assert counters.messages_lost == 10 * 2 * (6 + 2 * 5)


# When, and whom.


@BOTH
def test_repeated_strikes_come_at_their_times_and_strike_other_cells_each_time(engine: Engine) -> None:
    kill = Kill(parse("25%"), 2 * UNIT, UNIT, every=4 * UNIT, times=5)
    scenario = seedless(12, 12, duration=24 * UNIT, sample_every=UNIT // 2, faults=(kill,))
    recording = simulate(scenario, STILL, engine=engine).recording
    assert [(strike.time, strike.changed) for strike in recording.strikes] == [(at * UNIT, 36) for at in (2, 6, 10, 14, 18)]
    times, on = powered(scenario, engine)
    dead = [{*np.flatnonzero(~on[times == at * UNIT][0])} for at in (2, 6, 10, 14, 18)]
    assert all(len(cells) == 36 for cells in dead)
    shared = [len(a & b) for n, a in enumerate(dead) for b in dead[:n]]
    assert 5 < np.mean(shared) < 13  # 9 of 36 by chance
    for time, cells in zip(times, on, strict=True):
        assert cells.all() != (time >= 2 * UNIT and (time - 2 * UNIT) % (4 * UNIT) < UNIT and time < 19 * UNIT)


@BOTH
@pytest.mark.parametrize(
    ("words", "expected"),
    [("2x3@1,2", {(y, x) for y in (2, 3, 4) for x in (1, 2)}), ("tile 1,0", {(y, x) for y in (0, 1) for x in (3, 4, 5)}),
     ("seed", {(3, 4)}), ("all", {(y, x) for y in range(6) for x in range(9)})],
)  # fmt: skip
def test_the_struck_are_those_that_were_named(words: str, expected: set[tuple[int, int]], engine: Engine) -> None:
    scenario = seedless(9, 6, tile_width=3, tile_height=2, duration=4 * UNIT, sample_every=UNIT, faults=(Kill(parse(words), 2 * UNIT),))
    _, on = powered(scenario, engine)
    assert {divmod(int(cell), 9) for cell in np.flatnonzero(~on[-1])} == expected


@BOTH
@pytest.mark.parametrize(("words", "tiles"), [("4 tiles", 4), ("25% tiles", 4)])
def test_tiles_are_struck_as_a_whole(words: str, tiles: int, engine: Engine) -> None:
    kill = Kill(parse(words), UNIT, UNIT, every=2 * UNIT, times=3)
    scenario = seedless(8, 8, tile_width=2, tile_height=2, duration=7 * UNIT, sample_every=UNIT, faults=(kill,))
    _, on = powered(scenario, engine)
    chips = on.reshape(-1, 4, 2, 4, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 16, 4)
    assert (chips == chips[:, :, :1]).all()
    assert [(~chips[at, :, 0]).sum() for at in (1, 3, 5)] == [tiles] * 3


NOBODY: Struck = Rectangle(0, 0, 0, 0)


@BOTH
@pytest.mark.parametrize(
    "faults",
    [(Kill(NOBODY, UNIT),), (Kill(ONE, 0), Kill(ONE, UNIT)), (Kill(ONE, 0), Brownout(ONE, UNIT)), (Stuck(ONE, 0), Stuck(ONE, UNIT)),
     (Babble(ONE, 0), Babble(ONE, UNIT)), (Kill(ONE, 0), Plant(ONE, UNIT)), (Cut(ALL, 0), Cut(ONE, UNIT)), (Slow(ONE, UNIT, factor=1.0),),
     (Slow(ONE, UNIT, factor=1.0001),), (Slow(ONE, 0, factor=2.0), Slow(ONE, UNIT, factor=2.0))],
)  # fmt: skip
def test_a_strike_that_changes_nothing_is_reported(faults: tuple[Fault, ...], engine: Engine) -> None:
    result = simulate(seedless(3, 3, duration=4 * UNIT, faults=faults), STILL, engine=engine)
    assert [(strike.fault, strike.time) for strike in result.unfired] == [(len(faults) - 1, UNIT)]


@BOTH
def test_strikes_that_change_something_are_not_reported(engine: Engine) -> None:
    kinds: list[Any] = [Kill, Brownout, Stuck, Babble, Slow, Cut, Plant]
    for kind in kinds:
        result = simulate(seedless(3, 3, duration=4 * UNIT, faults=(kind(ONE, UNIT, UNIT),)), STILL, engine=engine)
        assert result.recording.strikes[0].changed >= 1
        assert result.unfired == []
