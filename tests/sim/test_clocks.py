"""When cells wake: waits, rates that differ, oscillators that wander, measured clocks, power-on. Truth: algebra, statistics, the traces."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from small_arrays import STILL, UNIT, seedless, wakes

from nca_hw.core.reference import random_next, random_start, random_wait
from nca_hw.sim.clocks import CRYSTAL_PPM, RC_KEPT_PERCENT, RC_SLOW_PPM, RC_SPREAD_PPM, RC_WANDER_PPM, Oscillator, Trace, read_traces
from nca_hw.sim.faults import Kill
from nca_hw.sim.plan import draw
from nca_hw.sim.regions import parse
from nca_hw.sim.run import Engine, simulate
from nca_hw.sim.scenario import MICROSECOND, SECOND, Scenario

MINUTE = 60 * SECOND
TICKING = {"waits": "fixed", "wait_jitter": 0.0, "interval": SECOND}  # every wait is what a second is by the cell's clock


def all_waits(scenario: Scenario, count: int) -> NDArray[np.int64]:
    """The first waits of all cells, ns: equally many of each, for those that wait long have fewer."""
    found = [times[:count] for times in wakes(scenario)]
    assert all(len(times) == count for times in found)
    return np.concatenate([np.diff(times, prepend=0) for times in found])


@pytest.mark.parametrize("engine", ["simpy", "fast"])
def test_a_cell_with_a_true_clock_wakes_when_the_firmwares_generator_says(engine: Engine) -> None:
    found = wakes(seedless(3, 2, seed=9, duration=20 * UNIT), engine=engine)
    for cell in range(6):
        drawn, time, expected = random_start(9, cell), 0, []
        while True:
            drawn = random_next(drawn)
            time += random_wait(drawn, UNIT // MICROSECOND) * MICROSECOND
            if time > 20 * UNIT:
                break
            expected.append(time)
        assert found[cell].tolist() == expected


def test_uniform_waits_are_spread_evenly_over_half_to_one_and_a_half() -> None:
    waits = all_waits(seedless(20, 20, duration=120 * UNIT), 100) / UNIT
    shares, _ = np.histogram(waits, bins=10, range=(0.5, 1.5))
    assert shares.sum() == len(waits)
    np.testing.assert_allclose(shares / len(waits), 0.1, atol=0.01)


def test_exponential_waits_are_a_64th_and_an_exponential_rest() -> None:
    waits = all_waits(seedless(20, 20, waits="exponential", duration=400 * UNIT), 300) / UNIT
    assert 1 / 64 - 1e-4 <= waits.min() <= 1 / 64 + 0.001
    assert waits.mean() == pytest.approx(1, abs=0.01)
    assert waits.std() == pytest.approx(63 / 64, abs=0.02)
    for longer in (0.5, 1, 2, 4):
        assert (waits > longer).mean() == pytest.approx(math.exp(-(longer - 1 / 64) / (63 / 64)), abs=0.005)


def test_waits_that_follow_one_another_are_unrelated() -> None:
    for how in ("uniform", "exponential"):
        found = wakes(seedless(10, 10, waits=how, duration=200 * UNIT))
        pairs = np.concatenate([np.stack([np.diff(times)[:-1], np.diff(times)[1:]]) for times in found], axis=1)
        assert abs(np.corrcoef(pairs)[0, 1]) < 0.03
        neighbours = [np.corrcoef(np.diff(found[i])[:100], np.diff(found[i + 1])[:100])[0, 1] for i in range(99)]
        assert abs(np.mean(neighbours)) < 0.03


@pytest.mark.parametrize("jitter", [0.0, 0.1, 0.9])
def test_fixed_waits_stay_within_their_jitter_and_use_all_of_it(jitter: float) -> None:
    waits = all_waits(seedless(10, 10, waits="fixed", wait_jitter=jitter, duration=150 * UNIT), 100) / UNIT
    assert abs(waits - 1).max() <= jitter + 1e-5
    assert waits.min() <= 1 - 0.99 * jitter
    assert waits.max() >= 1 + 0.99 * jitter
    assert waits.mean() == pytest.approx(1, abs=1e-5 + 0.03 * jitter)
    assert waits.std() == pytest.approx(jitter / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("engine", ["simpy", "fast"])
def test_the_cells_of_a_chip_share_one_clock_and_chips_differ_within_the_spread(engine: Engine) -> None:
    scenario = seedless(40, 20, seed=5, tile_width=2, tile_height=2, **{**TICKING, "rate_spread": 0.05}, duration=3 * SECOND)
    waits = np.array([times[0] for times in wakes(scenario, engine=engine)])
    of_chip = waits.reshape(10, 2, 20, 2).transpose(0, 2, 1, 3).reshape(200, 4)
    assert (of_chip == of_chip[:, :1]).all()
    off = of_chip[:, 0] / SECOND - 1
    assert len(np.unique(off)) > 195
    assert 0.045 < abs(off).max() <= 0.05
    assert abs(off.mean()) < 0.006
    assert off.std() == pytest.approx(0.05 / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("oscillator", ["crystal", "rc", "trace"])
def test_the_cells_of_a_chip_share_one_oscillator(oscillator: Oscillator) -> None:
    trace = Trace((0, 2 * MINUTE, 4 * MINUTE), (0, SECOND, -SECOND))
    traces = (trace,) if oscillator == "trace" else ()
    found = wakes(seedless(6, 6, tile_width=3, tile_height=3, **TICKING, oscillator=oscillator, traces=traces, duration=3 * MINUTE))
    for cell in range(36):
        first_of_chip = cell // 18 * 18 + cell % 6 // 3 * 3
        np.testing.assert_array_equal(found[cell], found[first_of_chip])
    assert len({tuple(found[cell]) for cell in (0, 3, 18, 21)}) >= 3  # crystals may be alike to the ppm


def test_a_crystal_is_within_its_ppm() -> None:
    ppm = (all_waits(seedless(30, 30, **TICKING, oscillator="crystal", duration=2 * SECOND), 1) / SECOND - 1) * 1e6
    assert CRYSTAL_PPM - 2 < abs(ppm).max() <= CRYSTAL_PPM
    assert abs(ppm.mean()) < 2
    assert ppm.std() == pytest.approx(CRYSTAL_PPM / math.sqrt(3), rel=0.1)


def test_rc_oscillators_are_slow_together_and_apart_as_measured() -> None:
    """Of the measured ones, a second by their own clock takes 1 / 0.9911 s on average; they are 2,100 ppm apart."""
    found = wakes(seedless(40, 40, **TICKING, oscillator="rc", duration=2 * SECOND))
    ppm = (np.array([times[0] for times in found]) / SECOND - 1) * 1e6
    assert abs(ppm.mean() - (1 / 0.9911 - 1) * 1e6) < 200
    assert abs(ppm.mean() - RC_SLOW_PPM) < 200
    assert ppm.std() == pytest.approx(RC_SPREAD_PPM, rel=0.1)


def minute_by_minute(found: list[NDArray[np.int64]], minutes: int) -> NDArray[np.float64]:
    """How long a second of every clock was at the beginning of each minute, ppm, [cells, minutes]."""
    rows = []
    for times in found:
        at = np.searchsorted(times, np.arange(minutes) * MINUTE)
        rows.append((times[at + 1] - times[at]) / SECOND * 1e6)
    return np.array(rows)


def test_rc_oscillators_wander_and_remember_most_of_it_for_a_minute() -> None:
    ticks = minute_by_minute(wakes(seedless(8, 6, **TICKING, oscillator="rc", duration=200 * MINUTE + 9 * SECOND)), 200)
    wander = ticks - ticks.mean(axis=1, keepdims=True)
    assert wander.std() == pytest.approx(RC_WANDER_PPM, rel=0.1)
    kept = (wander[:, 1:] * wander[:, :-1]).mean() / (wander**2).mean()
    assert kept == pytest.approx(RC_KEPT_PERCENT / 100, abs=0.04)
    assert (np.diff(ticks) != 0).mean() > 0.95


def test_the_measured_clocks_are_what_the_rc_model_was_made_from(measured: Path) -> None:
    rates = []
    for trace in read_traces(measured):
        at = np.arange(trace.times[0], trace.times[-1], MINUTE)
        rates.append(np.diff(np.interp(at, trace.times, trace.ahead)) / MINUTE * 1e6)
    assert len(rates) == 6
    assert np.concatenate(rates).std() == pytest.approx(RC_WANDER_PPM, rel=0.1)
    kept = [np.corrcoef(rate[1:], rate[:-1])[0, 1] for rate in rates]
    assert np.median(kept) == pytest.approx(RC_KEPT_PERCENT / 100, abs=0.03)


def test_cells_replay_the_measured_clocks(measured: Path) -> None:
    """A rate is constant for a minute: at whole minutes a clock is off by what was measured, to 5 ms; between them to 25 ms."""
    traces = read_traces(measured)
    scenario = seedless(4, 2, **TICKING, oscillator="trace", traces=traces, duration=3600 * SECOND)
    clocks = draw(scenario).clocks
    span = clocks.wander.shape[1] * MINUTE
    swings = []
    for cell, times in enumerate(wakes(scenario)):
        trace, phase = traces[clocks.clock[cell]], int(clocks.phase[cell])
        stop = min(len(times), (span - phase) // SECOND)  # then the trace begins anew
        shown = np.arange(1, stop + 1) * SECOND  # by the cell's own clock
        into = trace.times[0] + phase + np.append(0, times[:stop])
        deviation = np.append(0, shown - times[:stop])
        expected = np.interp(into, trace.times, trace.ahead)
        error = deviation - expected
        whole = (into - trace.times[0]) % MINUTE < SECOND
        error -= error[whole][0]
        assert abs(error[whole]).max() < 5_000_000
        assert abs(error).max() < 25_000_000
        swings.append(np.ptp(expected))
    assert max(swings) > 300_000_000  # what is followed is far greater than the bounds


@pytest.mark.parametrize("engine", ["simpy", "fast"])
def test_a_clock_that_gains_a_tenth_and_then_loses_it_has_ticks_to_match(engine: Engine) -> None:
    """120 s true, 12 s ahead; 240 s, none: first 1.1, then 0.9 ticks a tick's time."""
    trace = Trace((0, 2 * MINUTE, 4 * MINUTE), (0, 12 * SECOND, 0))
    scenario = seedless(3, 1, seed=2, **TICKING, oscillator="trace", traces=(trace,), duration=8 * MINUTE)
    phases = draw(scenario).clocks.phase
    for times, phase in zip(wakes(scenario, engine=engine), phases, strict=True):
        began = np.append(0, times[:-1]) + phase
        gaining = began % (4 * MINUTE) < 2 * MINUTE
        assert abs(np.diff(times, prepend=0) - np.where(gaining, SECOND / 1.1, SECOND / 0.9)).max() < 1000


def test_chips_get_power_one_by_one_within_the_stagger_their_cells_together() -> None:
    scenario = Scenario(20, 20, tile_width=2, tile_height=2, stagger=10 * UNIT, duration=14 * UNIT, sample_every=UNIT // 20)
    pieces: list[bytes] = []
    recording = simulate(scenario, STILL, listener=pieces.append).recording
    powered = np.array(recording.powered)  # [samples, rows, columns]
    assert powered[-1].all()
    on = powered.argmax(axis=0) * scenario.sample_every  # ns, at the latest
    of_chip = on.reshape(10, 2, 10, 2).transpose(0, 2, 1, 3).reshape(100, 4)
    assert (of_chip == of_chip[:, :1]).all()
    fractions = of_chip[:, 0] / scenario.stagger
    assert fractions.max() <= 1.005
    shares, _ = np.histogram(fractions, bins=4, range=(0, 1.01))
    assert shares.min() >= 12
    assert shares.max() <= 38
    table = np.frombuffer(b"".join(pieces), np.dtype([("time", "<u8"), ("cell", "<u4"), ("state", "i1", 16)]))
    first = [table["time"][table["cell"] == cell].min() for cell in range(400) if cell != scenario.seed_cell]
    waited = first - np.delete(on.reshape(-1), scenario.seed_cell).astype(np.int64)
    assert waited.min() >= 0.5 * 0.99 * UNIT - scenario.sample_every
    assert waited.max() <= 1.5 * 1.01 * UNIT
    states = np.array(recording.states)[:, 10, 10]
    assert (states.any(axis=1) == powered[:, 10, 10]).all()  # the seed is one as soon as it has power


def test_cells_with_one_random_seed_wake_together_if_their_clocks_are_alike_and_drift_apart_if_not() -> None:
    alike = wakes(seedless(4, 4, same_random=True, duration=50 * UNIT))
    assert all((times == alike[0]).all() for times in alike)
    different = wakes(seedless(4, 4, duration=50 * UNIT))
    assert len({times[0] for times in different}) >= 14
    scenario = replace(seedless(4, 4, same_random=True, duration=50 * UNIT), rate_spread=0.1)
    drifting = wakes(scenario)
    rates = draw(scenario).clocks.tick / 1e9
    for cell in range(16):
        common = min(len(drifting[0]), len(drifting[cell]))
        np.testing.assert_allclose(drifting[cell][:common] / rates[cell], drifting[0][:common] / rates[0], rtol=1e-6)
    assert np.ptp([times[40] for times in drifting]) > 2 * UNIT


@pytest.mark.parametrize("engine", ["simpy", "fast"])
def test_cells_with_one_random_seed_are_in_step_again_after_every_restart(engine: Engine) -> None:
    reset = Kill(parse("all"), 20 * UNIT, UNIT)
    again = replace(seedless(3, 3, same_random=True, duration=30 * UNIT, faults=(reset,)), rate_spread=0.1)
    for times in wakes(again, engine=engine):
        first = times[times < 20 * UNIT][:6]
        np.testing.assert_array_equal(times[times >= 21 * UNIT][:6] - 21 * UNIT, first)
    own = wakes(seedless(3, 3, duration=30 * UNIT, faults=(reset,)), engine=engine)
    assert len({times[times >= 21 * UNIT][0] for times in own}) == 9
