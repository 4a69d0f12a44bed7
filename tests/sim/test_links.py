"""How states travel: latency, bandwidth, loss, bit errors, broken links, two kinds of wiring, and how old what is heard is."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_arrays import CHANNELS, RESTLESS, STILL, UNIT, CountingRule, seedless, updates

from nca_hw.core import reference
from nca_hw.sim.faults import Stuck
from nca_hw.sim.grid import Grid, Wiring
from nca_hw.sim.metrics import information_age
from nca_hw.sim.plan import QUEUE
from nca_hw.sim.regions import parse
from nca_hw.sim.run import Engine, simulate
from nca_hw.sim.scenario import MICROSECOND, Scenario
from nca_hw.sim.simpy_engine import NEVER, SimpyArray

MILLISECOND = 1000 * MICROSECOND
BOTH = pytest.mark.parametrize("engine", ["simpy", "fast"])
WIRINGS = pytest.mark.parametrize("wiring", ["eight", "edges"])
TILES = pytest.mark.parametrize("tile", [(1, 1), (2, 1), (3, 3)])
FRAME_BITS = 8 * (CHANNELS + 5)  # docs/protocol.md


def arrivals(scenario: Scenario, look_every: int, rule: Any = None) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """For every receiver and slot: when it was sent, and when it was first seen there, ns, of all that was seen."""
    array = SimpyArray(scenario, rule or CountingRule())
    seen: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def look() -> Generator[Any, Any, None]:
        while True:
            yield array.env.timeout(look_every)
            for cell in array.cells:
                for slot, told_at in enumerate(cell.heard_at):
                    if told_at != NEVER:
                        news = seen.setdefault((cell.index, slot), [])
                        if not news or news[-1][0] != told_at:
                            news.append((told_at, array.now))

    array.env.process(look())
    array.run()
    return seen


def inboxes(array: SimpyArray) -> np.ndarray:
    return np.array([cell.inbox for cell in array.cells])


def links_of(width: int, height: int) -> int:
    """Pairs of neighbours, each direction for itself."""
    return 2 * ((width - 1) * height + width * (height - 1) + 2 * (width - 1) * (height - 1))


# Latency.


def test_a_latency_is_drawn_for_every_message_evenly_between_its_bounds() -> None:
    scenario = Scenario(4, 4, latency=3 * MILLISECOND, latency_jitter=40 * MILLISECOND, duration=60 * UNIT)
    took = np.array([at - told_at for news in arrivals(scenario, MILLISECOND // 4).values() for told_at, at in news]) / MILLISECOND
    assert len(took) > 4000
    assert took.min() >= 3
    assert took.max() <= 43.25
    shares, _ = np.histogram(took, bins=8, range=(3, 43.25))
    np.testing.assert_allclose(shares / len(took), 1 / 8, atol=0.02)


def test_without_jitter_every_message_takes_the_latency() -> None:
    scenario = Scenario(4, 4, latency=3 * MILLISECOND, duration=20 * UNIT)
    took = [at - told_at for news in arrivals(scenario, MILLISECOND // 4).values() for told_at, at in news]
    assert min(took) >= 3 * MILLISECOND
    assert max(took) <= 3.25 * MILLISECOND


@WIRINGS
def test_messages_never_overtake_one_another_on_a_link(wiring: Wiring) -> None:
    scenario = Scenario(4, 4, wiring=wiring, latency=1, latency_jitter=5 * UNIT, duration=60 * UNIT)
    for news in arrivals(scenario, MILLISECOND).values():
        told_at = [told for told, _ in news]
        assert told_at == sorted(told_at)
        assert max(at - told for told, at in news) <= 5 * UNIT * (2 if wiring == "edges" else 1) + 2 * UNIT
        assert len(news) > 5


# Bandwidth.


def test_a_frame_is_heard_when_it_has_been_sent_bit_by_bit_and_has_travelled() -> None:
    """Of 2 channels, a frame has 7 bytes of 10 bits: at 1,000 bits a second 70 ms. Three sent at once follow one another."""
    array = SimpyArray(Scenario(2, 1, baud=1000, latency=5 * MILLISECOND), CountingRule())
    for value in (1, 2, 3):
        array.cells[0].state[:] = value
        array.send(array.cells[0])
    heard = array.cells[1].inbox[reference.W]
    for value in (1, 2, 3):
        due = value * 70 * MILLISECOND + 5 * MILLISECOND
        array.env.run(until=due)
        assert heard[0] == value - 1
        array.env.run(until=due + 1)
        assert heard[0] == value


def test_frames_that_find_more_waiting_than_the_queue_holds_are_dropped_and_counted() -> None:
    array = SimpyArray(Scenario(2, 1, baud=1000, latency=1), CountingRule())
    for value in range(1, QUEUE + 5):
        array.cells[0].state[:] = value
        array.send(array.cells[0])
    counters = array.recording.counters
    assert (counters.messages_sent, counters.messages_dropped) == (QUEUE + 4, 3)  # one is being sent
    array.env.run(until=100 * 70 * MILLISECOND)
    assert array.cells[1].inbox[reference.W, 0] == QUEUE + 1


@BOTH
@WIRINGS
def test_a_link_that_is_too_slow_carries_what_it_can_and_drops_the_rest(wiring: Wiring, engine: Engine) -> None:
    """A cell of a 2x2 grid sends three frames ten times a second; at 300 bits a second, one of 21 bytes takes 0.7 s."""
    scenario = seedless(2, 2, wiring=wiring, baud=300, duration=600 * UNIT, latency=1)
    counters = simulate(scenario, STILL, engine=engine).recording.counters
    assert counters.messages_sent == pytest.approx(600 * 3 * 4, rel=0.02)
    links = 12 if wiring == "eight" else 8
    carried = links * (60 / 0.7 + QUEUE)  # those that wait at the end were taken, too
    assert counters.messages_sent - counters.messages_dropped == pytest.approx(carried, rel=0.02)


@BOTH
@WIRINGS
@TILES
def test_link_load_is_the_time_that_all_frames_take(tile: tuple[int, int], wiring: Wiring, engine: Engine) -> None:
    stuck = Stuck(parse("50%"), 10 * UNIT)  # they send on
    scenario = Scenario(6, 6, tile_width=tile[0], tile_height=tile[1], wiring=wiring, duration=50 * UNIT, faults=(stuck,))
    result = simulate(scenario, STILL, engine=engine)
    load = result.link_load(115_200)
    assert load is not None
    across, down = 6 // tile[0], 6 // tile[1]
    edges = 2 * ((across - 1) * down + across * (down - 1))
    links = links_of(across, down) if wiring == "eight" else edges
    frames_take = result.recording.counters.messages_sent * 21 * 10 / 115_200
    assert load.mean == pytest.approx(frames_take / links / (scenario.duration / 1e9))
    assert load.mean < load.busiest < 10 * load.mean


def test_the_link_over_an_edge_carries_three_frames_where_it_relays() -> None:
    """Of a row of a tile's cells each sends one frame north; to the east each sends its own, and the corners what they pass on."""
    load = simulate(seedless(9, 9, tile_width=3, tile_height=3, wiring="edges", waits="fixed", wait_jitter=0, duration=100 * UNIT), STILL
                    ).link_load(115_200)  # fmt: skip
    assert load is not None
    assert load.busiest == pytest.approx(5 * 10 * 210 / 115_200)  # the middle chip's: 3 of its own, 2 passed on, ten times a second


# Loss.


@BOTH
def test_ruined_frames_are_as_frequent_as_bits_flip(engine: Engine) -> None:
    for p in (1e-4, 2e-3, 0.05):
        size = 30 if engine == "fast" else 8
        counters = simulate(seedless(size, size, bit_errors=p, duration=25 * UNIT), RESTLESS, engine=engine).recording.counters
        share, expected = counters.messages_corrupted / counters.messages_sent, 1 - (1 - p) ** FRAME_BITS
        assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / counters.messages_sent))


def test_ruined_frames_are_not_heard() -> None:
    clean = arrivals(Scenario(4, 4, duration=50 * UNIT), 10 * MILLISECOND, STILL)
    ruined = arrivals(Scenario(4, 4, bit_errors=0.004, duration=50 * UNIT), 10 * MILLISECOND, STILL)
    heard = sum(map(len, ruined.values())) / sum(map(len, clean.values()))
    assert heard == pytest.approx((1 - 0.004) ** FRAME_BITS, abs=0.03)
    assert arrivals(Scenario(4, 4, bit_errors=0.5, duration=50 * UNIT), 10 * MILLISECOND, STILL) == {}


def test_ruined_frames_pass_the_crc_as_rarely_as_its_mathematics_says() -> None:
    """Start, kind, place and the bits that are always 0 must be sound (24 bits); the other 144 must be flipped by a code word: of even
    weight, at least 4, one pattern in 2^15."""
    p, variable = 0.03, 8 * CHANNELS + 16
    words = sum(math.comb(variable, weight) * p**weight * (1 - p) ** (variable - weight) for weight in range(4, variable + 1, 2)) / 2**15
    counters = simulate(seedless(60, 60, bit_errors=p, duration=200 * UNIT, latency=UNIT // 10), STILL).recording.counters
    expected = counters.messages_sent * (1 - p) ** 24 * words
    assert expected > 30
    assert abs(counters.messages_undetected - expected) < 4 * math.sqrt(expected)
    assert counters.messages_undetected < counters.messages_corrupted / 2**16


def heard_shares(scenario: Scenario) -> dict[tuple[int, int], float]:
    """How much of what was sent every receiver heard in every slot; the seed's first message is one too many."""
    scenario = replace(scenario, waits="fixed", wait_jitter=0.1, rate_spread=0)
    sent = scenario.duration / UNIT
    return {wire: len(news) / sent for wire, news in arrivals(scenario, 20 * MILLISECOND).items()}


def test_links_lose_as_much_as_stated_some_more_some_less() -> None:
    same = np.array(list(heard_shares(Scenario(6, 6, seed=4, loss=0.3, duration=200 * UNIT)).values()))
    different = heard_shares(Scenario(6, 6, seed=4, loss=0.3, loss_spread=1, duration=200 * UNIT))
    assert len(same) == len(different) == links_of(6, 6)
    lost = 1 - np.array(list(different.values()))
    noise = math.sqrt(0.3 * 0.7 / 200)
    assert same.std() < 1.3 * noise
    assert abs(1 - same.mean() - 0.3) < 0.01
    assert abs(lost.mean() - 0.3) < 0.04
    assert lost.max() <= 0.6 + 4 * noise
    assert lost.std() == pytest.approx(math.hypot(0.6 / math.sqrt(12), noise), rel=0.15)  # evenly within 0 to 0.6
    there = [different[cell, reference.E] for cell in range(36) if cell % 6 < 5]
    back = [different[cell + 1, reference.W] for cell in range(36) if cell % 6 < 5]
    assert abs(np.corrcoef(there, back)[0, 1]) < 0.5  # each direction for itself


def test_a_message_is_lost_whatever_became_of_the_one_before() -> None:
    news = arrivals(Scenario(6, 6, loss=0.5, waits="fixed", wait_jitter=0, rate_spread=0, duration=100 * UNIT), 20 * MILLISECOND)
    gaps = np.concatenate([np.diff([told for told, _ in seen]) for seen in news.values()]) // UNIT
    for messages in (1, 2, 3, 4):
        assert (gaps == messages).mean() == pytest.approx(0.5**messages, abs=0.015)


def test_broken_links_never_carry_anything_are_as_many_as_stated_and_often_work_the_other_way() -> None:
    array = SimpyArray(Scenario(20, 20, broken=0.2, duration=4 * UNIT), CountingRule())
    array.run()
    heard = {(cell.index, slot) for cell in array.cells for slot, at in enumerate(cell.heard_at) if at != NEVER}
    grid = array.scenario.grid
    wires = [(cell, slot) for cell in range(400) for slot in range(8) if grid.neighbour(cell, slot) is not None]
    assert len(wires) == links_of(20, 20)
    broken = {wire for wire in wires if wire not in heard}
    assert len(broken) / len(wires) == pytest.approx(0.2, abs=0.03)
    both = sum((grid.neighbour(cell, slot), (slot + 4) % 8) in broken for cell, slot in broken)
    assert both / len(broken) == pytest.approx(0.2, abs=0.06)
    counters = array.recording.counters
    assert counters.messages_lost / counters.messages_sent == pytest.approx(len(broken) / len(wires), abs=0.01)


def test_a_broken_link_between_chips_fails_all_cells_at_that_edge() -> None:
    array = SimpyArray(Scenario(18, 18, tile_width=3, tile_height=3, wiring="edges", broken=0.5, duration=8 * UNIT), CountingRule())
    array.run()
    heard = np.array([cell.heard_at for cell in array.cells]).reshape(6, 3, 6, 3, 8) != NEVER
    eastern = heard[:, :, :5, 2, reference.E]  # what the eastern cells of a chip hear from the next chip: [rows, cells, chips]
    assert (eastern == eastern[:, :1]).all()
    assert 0 < eastern.mean() < 1
    relayed = heard[:5, 2, :5, 2, reference.SE]  # over the southern links
    assert relayed.any()
    assert not (relayed & ~heard[:5, 2, :5, 2, reference.S]).any()


# Wiring.


@WIRINGS
@pytest.mark.parametrize(("grid", "tile"), [((5, 4), (1, 1)), ((1, 5), (1, 1)), ((6, 4), (2, 1)), ((4, 6), (1, 2)), ((9, 6), (3, 3)),
                                            ((3, 9), (3, 3)), ((4, 4), (4, 4))])  # fmt: skip
def test_in_the_end_every_cell_knows_exactly_its_neighbours_states(wiring: Wiring, grid: tuple[int, int], tile: tuple[int, int]) -> None:
    states = np.random.default_rng(0).integers(-127, 128, (grid[1], grid[0], CHANNELS)).astype(np.int8)
    scenario = Scenario(*grid, tile_width=tile[0], tile_height=tile[1], wiring=wiring, duration=8 * UNIT)
    array = SimpyArray(scenario, STILL)

    def set_states() -> Generator[Any, Any, None]:
        yield array.env.timeout(1)
        for cell, state in zip(array.cells, states.reshape(-1, CHANNELS), strict=True):
            cell.state[:] = state

    array.env.process(set_states())
    array.run()
    np.testing.assert_array_equal(inboxes(array).reshape(*grid[::-1], 8, CHANNELS), reference.gather_neighbours(states))


@BOTH
@WIRINGS
def test_an_array_that_starts_from_known_states_starts_as_if_all_had_heard_all(wiring: Wiring, engine: Engine) -> None:
    """No news arrives in this run: all that a cell knows of its neighbours at its first update is what it was started with."""
    states = np.random.default_rng(3).integers(-127, 128, (4, 5, CHANNELS)).astype(np.int8)
    scenario = seedless(5, 4, start=states, wiring=wiring, latency=100 * UNIT, duration=2 * UNIT)
    table = updates(scenario, RESTLESS, engine)
    expected = reference.wake(RESTLESS.genome, states, reference.gather_neighbours(states))[0].reshape(20, CHANNELS)
    for cell in range(20):
        np.testing.assert_array_equal(table[table["cell"] == cell]["state"][0], expected[cell])


def test_a_diagonals_news_takes_two_hops_over_edges_and_one_over_links_of_its_own() -> None:
    for direct in (False, True):
        array = SimpyArray(Scenario(2, 2, wiring="eight" if direct else "edges", latency=10), CountingRule())
        first, east, south, opposite = array.cells
        first.state[:] = 9
        array.send(first)
        array.env.run(until=11)
        assert east.inbox[reference.W, 0] == south.inbox[reference.N, 0] == 9
        assert (opposite.inbox[reference.NW, 0] == 9) == direct
        array.send(east)
        array.send(south)
        array.env.run(until=20)
        assert (opposite.inbox[reference.NW, 0] == 9) == direct
        array.env.run(until=22)
        assert opposite.inbox[reference.NW, 0] == 9
        assert opposite.heard_at[reference.NW] == 0  # its age counts from its owner


@WIRINGS
def test_cells_of_a_chip_know_each_other_at_once_whatever_the_latency(wiring: Wiring) -> None:
    scenario = Scenario(6, 3, tile_width=3, tile_height=3, wiring=wiring, latency=50 * UNIT, duration=20 * UNIT)
    recording = SimpyArray(scenario, CountingRule()).run()
    knows = recording.states[-1][..., 1] == 100
    assert knows[:, 3:].all()  # the seed's chip
    assert not knows[:, :3].any()
    alone = SimpyArray(replace(scenario, width=3), CountingRule()).run()
    assert alone.states[-1][..., 1].all()
    assert alone.counters.messages_sent == 0
    assert alone.counters.age / alone.counters.heard < UNIT


def test_edges_carry_the_frames_that_the_protocol_says() -> None:
    """docs/protocol.md: by edge, the places where the receiver sees whose state it is told."""
    grid = Grid(3, 3, wiring="edges")
    told: dict[int, set[int]] = {}
    for frame in grid.frames(4):
        told.setdefault(frame.link, set()).add(grid.place(frame.number))
    assert told == {reference.N: {3, 4, 5}, reference.E: {6}, reference.S: {7, 0, 1}, reference.W: {2}}


# How old what is heard is.


def age(scenario: Scenario, engine: Engine = "auto") -> float:
    found = information_age(simulate(scenario, STILL, engine=engine).recording.counters)
    assert found is not None
    return found / UNIT


@BOTH
def test_cells_in_lockstep_hear_what_was_told_the_latest_whole_interval_before(engine: Engine) -> None:
    lockstep = seedless(4, 3, waits="fixed", wait_jitter=0, duration=20 * UNIT)
    for latency, expected in ((1, 1), (UNIT - 1, 1), (UNIT, 2), (5 * UNIT // 2, 3)):
        assert age(replace(lockstep, latency=latency), engine) == expected


@pytest.mark.parametrize(("waits", "square"), [("uniform", 1 + 1 / 12), ("exponential", 1 + (63 / 64) ** 2), ("fixed", 1 + 0.9**2 / 3)])
def test_information_is_as_old_as_renewal_theory_says(waits: str, square: float) -> None:
    """A moment falls into a wait in proportion to its length, so that half the mean square of a wait has passed on average."""
    scenario = seedless(10, 10, waits=waits, wait_jitter=0.9, duration=400 * UNIT, latency=UNIT // 5)
    assert age(scenario) == pytest.approx(square / 2 + 0.2, rel=0.02)


def test_lost_messages_make_information_older_by_the_messages_that_were_lost() -> None:
    """The time between two that arrive is a sum of a geometric number of waits."""
    kept, variance = 0.5, 1 / 12
    square = variance / kept + (1 - kept) / kept**2 + 1 / kept**2
    assert age(seedless(10, 10, loss=0.5, duration=400 * UNIT, latency=1)) == pytest.approx(square * kept / 2, rel=0.02)


def test_cells_of_a_chip_hear_without_latency_and_relayed_news_is_twice_as_old() -> None:
    one = 13 / 24
    chip = seedless(3, 3, tile_width=3, tile_height=3, duration=2000 * UNIT, latency=UNIT)
    assert age(chip) == pytest.approx(one, rel=0.03)
    corners = seedless(2, 2, wiring="edges", duration=4000 * UNIT, latency=UNIT // 5)  # each hears two direct and one relayed
    assert age(corners) == pytest.approx((2 + 2) / 3 * (one + 0.2), rel=0.03)
