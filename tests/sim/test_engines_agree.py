"""One meaning, two engines: the fast engine's trajectory is the SimPy engine's, for any scenario."""

from __future__ import annotations

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from nca_hw.core.genome import Genome, load
from nca_hw.core.model import FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.sim.fast_engine import AVX2, PORTABLE, FastArray
from nca_hw.sim.recording import Recording
from nca_hw.sim.regions import RandomCount, RandomFraction, Rectangle, Struck
from nca_hw.sim.rules import FloatRule, IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import MICROSECOND, Kill, Scenario
from nca_hw.sim.simpy_engine import SimpyArray

GENOMES = {"lizard": load("lizard"), "restless": shipped_size_genome(2, alive=0), "masked": shipped_size_genome(3, alive=7)}


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Small arrays with any clocks, links and power cuts; times often equal, so that ties are met."""
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    interval = draw(st.sampled_from([10, 64, 1000, 100_000])) * MICROSECOND
    coarse = interval // 2
    duration = draw(st.integers(0, 24)) * coarse

    @st.composite
    def kills(draw: st.DrawFn) -> Kill:
        struck: Struck = draw(
            st.one_of(
                st.builds(RandomFraction, st.floats(0, 1)), st.builds(RandomCount, st.integers(0, width * height)),
                st.builds(Rectangle, st.integers(1, width), st.integers(1, height), st.just(0), st.just(0)),
            )
        )  # fmt: skip
        dead_for = draw(st.one_of(st.none(), st.integers(1, 8).map(lambda n: n * coarse), st.integers(1, 2 * interval)))
        return Kill(struck, draw(st.integers(0, duration // coarse)) * coarse, dead_for)

    return Scenario(
        width, height, seed=draw(st.integers(0, 2**32 - 1)), interval=interval, rate_spread=draw(st.sampled_from([0, 0.01, 0.2, 0.5])),
        latency=draw(st.sampled_from([1, 1000, interval // 50, interval, 3 * interval])), loss=draw(st.sampled_from([0, 0.1, 0.5, 1])),
        duration=duration, sample_every=draw(st.sampled_from([coarse, interval, 3 * coarse, 7 * interval])),
        kills=tuple(draw(st.lists(kills(), max_size=3))),
    )  # fmt: skip


def assert_same(fast: Recording, simpy: Recording) -> None:
    assert fast.trajectory.hexdigest() == simpy.trajectory.hexdigest()
    assert fast.counters == simpy.counters
    assert fast.times == simpy.times
    for ours, theirs in ((fast.states, simpy.states), (fast.powered, simpy.powered), ([fast.updates_per_cell], [simpy.updates_per_cell])):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


@settings(max_examples=300)
@given(scenarios(), st.sampled_from(list(GENOMES)), st.sampled_from([PORTABLE, AVX2]))
def test_both_engines_run_the_same_trajectory(scenario: Scenario, name: str, instructions: int) -> None:
    rule = IntegerRule(GENOMES[name])
    assert_same(FastArray(scenario, rule, instructions=instructions).run(), SimpyArray(scenario, rule).run())


@pytest.mark.parametrize("loss", [0, 0.3])
def test_both_engines_grow_kill_and_regrow_the_same_lizard(loss: float) -> None:
    unit = Scenario.interval
    scenario = Scenario(40, 40, seed=7, duration=60 * unit, loss=loss, kills=(Kill(RandomFraction(0.3), 30 * unit, 10 * unit),))
    rule = IntegerRule(GENOMES["lizard"])
    assert_same(FastArray(scenario, rule).run(), SimpyArray(scenario, rule).run())


def test_a_settled_cell_is_counted_but_not_computed_again() -> None:
    """With all weights 0 nothing ever changes: after its neighbours' last news a cell has nothing to compute."""
    still: Genome = shipped_size_genome(w2=np.zeros((128, 16), np.int8), b2=np.zeros(16, np.int16), alive=0)
    scenario = Scenario(8, 8, duration=50 * Scenario.interval)
    array = FastArray(scenario, IntegerRule(still))
    counters = array.run().counters
    assert counters == SimpyArray(scenario, IntegerRule(still)).run().counters
    assert counters.evaluated_updates > 3000
    assert array.computed_updates < 200


def test_the_fast_engine_says_what_it_cannot_run() -> None:
    model = FloatModel(*(np.zeros(shape, np.float32) for shape in ((48, 4), (4,), (4, 16), (16,))))
    with pytest.raises(NcaHwError, match="integer cell only, not float"):
        simulate(Scenario(3, 3), FloatRule(model), engine="fast")
    with pytest.raises(NcaHwError, match="--engine simpy"):
        FastArray(Scenario(3, 3, latency=10**12), IntegerRule(GENOMES["masked"]))
