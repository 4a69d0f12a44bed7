"""A genome read as a float model is the same automaton, short of the integer cell's roundings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core import reference
from nca_hw.core.dequantize import dequantize
from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.core.model import network
from nca_hw.core.quantize import assemble
from nca_hw.errors import NcaHwError
from nca_hw.formats.picture import from_png_bytes
from nca_hw.sim.rules import FloatRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

LIZARD = load("lizard")


def full_scale_genome() -> Genome:
    """Every unit and every output uses the whole range of a weight, as quantized and trained ones do."""
    genome = shipped_size_genome(5)
    w1, w2 = genome.w1.copy(), genome.w2.copy()
    w1[0], w2[0] = -127, 127
    return replace(genome, w1=w1, w2=w2)


@pytest.mark.parametrize("genome", [LIZARD, full_scale_genome()], ids=["lizard", "random"])
def test_quantizing_again_gives_the_same_weights_or_the_next(genome: Genome) -> None:
    again = assemble(dequantize(genome), s1=genome.s1)
    assert (again.alive, again.seed.tolist(), again.s1) == (genome.alive, genome.seed.tolist(), genome.s1)
    rescaled = again.m2 * 2.0 ** (genome.s2 - again.s2)  # the quantizer takes the largest S2
    np.testing.assert_allclose(rescaled, genome.m2, atol=2.0 ** (genome.s2 - again.s2))
    for name in ("w1", "b1", "w2", "b2"):
        steps = np.abs(getattr(again, name).astype(int) - getattr(genome, name))
        assert steps.max() <= 1, name
        assert (steps == 0).mean() > 0.99, name


def test_the_float_network_adds_what_the_integer_network_adds_within_its_roundings() -> None:
    """Half a step a hidden unit, passed through W2 and M2, half a step of d, half a code: nothing else may differ while no unit clips."""
    model = dequantize(LIZARD)
    rng = np.random.default_rng(0)
    perception = rng.integers(-30, 31, (2000, 48)).astype(np.int8)
    own = perception[:, :16]
    x = (reference.val(LIZARD, perception) / 256).astype(np.float32)
    activity = x @ model.w1 + model.b1
    unclipped = activity.max(axis=-1) < 255
    assert unclipped.sum() > 200

    expected = (x[:, :16] + network(model, x))[unclipped] * 256
    got = reference.network(LIZARD, own, perception)[unclipped]

    update_step = LIZARD.m2 * 2.0**-LIZARD.s2 / 16  # of one unit of o, in 1/256
    slack = 0.5 * np.abs(LIZARD.w2.astype(float)).sum(axis=0) * update_step + 0.5 / 16 + 0.01
    magnitude = np.abs(got).astype(int)
    decode = LIZARD.decode.astype(float)
    half_code = np.maximum(np.diff(decode)[np.minimum(magnitude, 126)], np.diff(decode)[np.maximum(magnitude - 1, 0)]) / 2
    inside = magnitude < 127
    assert np.all(np.abs(reference.val(LIZARD, got) - expected)[inside] <= (slack + half_code)[inside])


def test_one_wake_of_the_float_cell_is_one_wake_of_the_integer_cell_to_about_a_code() -> None:
    growing = simulate(Scenario(24, 24, seed=1, duration=6 * Scenario.interval), FloatRule(dequantize(LIZARD)))
    codes = np.asarray(reference.compress(LIZARD, np.round(growing.recording.states[-1] * 4096).astype(np.int64)))
    heard = reference.gather_neighbours(codes)
    expected, evaluated = reference.wake(LIZARD, codes, heard)
    assert evaluated.sum() > 100

    states = (reference.val(LIZARD, codes) / 256).astype(np.float32)
    inboxes = (reference.val(LIZARD, heard) / 256).astype(np.float32)
    rule = FloatRule(dequantize(LIZARD))
    found = [rule.bind(state, inbox)() for state, inbox in zip(states.reshape(-1, 16), inboxes.reshape(-1, 8, 16), strict=True)]
    assert found == evaluated.ravel().tolist()
    difference = np.abs(states - reference.val(LIZARD, expected) / 256)[evaluated]
    moved = np.abs(reference.val(LIZARD, expected) - reference.val(LIZARD, codes))[evaluated] / 256
    assert difference.mean() < 0.01
    assert difference.mean() < 0.2 * moved.mean()


def test_the_lizard_grows_in_float_arithmetic_too() -> None:
    target = from_png_bytes(LIZARD.target)
    result = simulate(Scenario(40, 40, seed=1, duration=100 * Scenario.interval), FloatRule(dequantize(LIZARD)), target)
    assert result.loss is not None
    assert result.loss < 0.002


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kernels": (Kernel.IDENTITY, Kernel.SOBEL_Y, Kernel.SOBEL_X)}, "identity, sobel_y, sobel_x, not identity, sobel_x, sobel_y"),
        ({"alpha": 4}, "alpha channel is 4, not 3"),
        ({"alive": 0}, "alive code is 0, not 7"),
        ({"turn": 30}, "its turn is 30, not 0"),
        ({"seed": np.full(16, 44, np.int8)}, r"seed is \[44, "),
        ({"w1": np.ones((24, 128), np.int8), "b1": np.zeros(128, np.int16), "w2": np.ones((128, 8), np.int8), "b2": np.zeros(8, np.int16),
          "m2": np.ones(8, np.int16), "seed": np.zeros(8, np.int8)}, "channels is 8, not 16"),
    ],
)  # fmt: skip
def test_what_is_no_automaton_of_the_article_is_refused_with_the_cure(changes: dict[str, object], told: str) -> None:
    with pytest.raises(NcaHwError, match=told) as caught:
        dequantize(replace(LIZARD, **changes))
    assert caught.value.cure is not None
