"""Quantization keeps the model: weights to half a step, growth to a loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nca_hw.core import reference
from nca_hw.core.layout import to_model
from nca_hw.core.model import FloatModel, network, perceive, seed_grid, step
from nca_hw.core.quantize import assemble, hidden_scales, quantize
from nca_hw.errors import NcaHwError
from nca_hw.formats import weights

GOLDEN = ["ex2_pretzel", "ex3_eye", "ex3_lizard"]


def random_model(seed: int = 0) -> FloatModel:
    rng = np.random.default_rng(seed)

    def draw(*shape: int, scale: float) -> np.ndarray:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    return FloatModel(draw(48, 128, scale=0.2), draw(128, scale=0.1), draw(128, 16, scale=0.05), draw(16, scale=0.01))


def test_integer_weights_are_within_half_a_step_of_the_float_ones() -> None:
    model = random_model()
    genome = assemble(model, s1=10)
    u1 = hidden_scales(model)
    assert np.all(np.abs(genome.w1 * u1 * 256 - model.w1) <= u1 * 256 * 0.5001)
    assert np.all(np.abs(genome.b1 * 4 * u1 - model.b1) <= u1 * 2.001)
    output_step = genome.m2 / 2.0**genome.s2 / 4096  # what one unit of o adds to the state
    exact = genome.w2 * output_step / (u1[:, None] * 2.0**10)
    assert np.all(np.abs(exact - model.w2) <= output_step / (u1[:, None] * 2.0**10) * 0.52)


def test_the_integer_network_adds_what_the_float_network_adds() -> None:
    """One update from random states: the difference is the size of a code step."""
    model = random_model()
    genome = assemble(model, s1=10)
    rng = np.random.default_rng(1)
    codes = rng.integers(-60, 61, (500, 48)).astype(np.int8)
    perception = reference.val(genome, codes) / 256
    own = codes[:, :16]

    got = reference.val(genome, reference.network(genome, own, codes)) / 256
    expected = perception[:, :16] + network(model, perception.astype(np.float32))

    inside = np.abs(expected) < 15
    assert np.abs(got - expected)[inside].max() < 0.08 * np.abs(expected).max()
    assert np.abs(got - expected)[inside].mean() < 0.02


def test_a_bias_too_large_for_its_field_makes_the_scale_coarser_instead_of_clipping() -> None:
    model = random_model()
    b1 = model.b1.copy()
    b1[5] = 3000.0
    model = replace(model, b1=b1, w2=model.w2 / 100)
    genome = assemble(model, s1=10)
    assert genome.b1[5] == 32767
    assert abs(int(genome.b1[5]) * 4 * hidden_scales(model)[5] / 3000.0 - 1) < 1e-4


def test_a_model_that_explodes_is_refused_with_the_likely_cause() -> None:
    model = random_model()
    with pytest.raises(NcaHwError, match=r"explodes|dies"):
        quantize(replace(model, w2=model.w2 * 50), canvas=(24, 24))


def test_not_a_number_in_weights_is_refused() -> None:
    model = random_model()
    w1 = model.w1.copy()
    w1[0, 0] = np.nan
    with pytest.raises(NcaHwError, match="w1 holds 1 values that are NaN"):
        replace(model, w1=w1)


def test_the_float_step_grows_nothing_from_nothing() -> None:
    states = seed_grid(9, 9) * 0
    assert not step(random_model(), states, np.ones((9, 9), bool)).any()


def test_float_perception_equals_a_convolution_written_out() -> None:
    rng = np.random.default_rng(0)
    states = rng.standard_normal((5, 6, 16)).astype(np.float32)
    sobel = np.outer([1, 2, 1], [-1, 0, 1]) / 8
    padded = np.pad(states, ((1, 1), (1, 1), (0, 0)))
    got = perceive(states)
    for y in range(5):
        for x in range(6):
            window = padded[y : y + 3, x : x + 3]
            np.testing.assert_allclose(got[y, x, 16:32], np.einsum("ij,ijc->c", sobel, window), atol=1e-5)
            np.testing.assert_allclose(got[y, x, 32:48], np.einsum("ij,ijc->c", sobel.T, window), atol=1e-5)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_published_model_grows_from_its_genome_in_step_with_the_float_model(published: Path, name: str) -> None:
    """Synchronous, every cell firing with the same coin for both: after 60 steps the pictures agree."""
    model = to_model(weights.read(published / f"{name}.json"), "blocked")
    genome = quantize(model)
    rng = np.random.default_rng(0)
    states = seed_grid(72, 72)
    codes = np.zeros((72, 72, 16), np.int8)
    codes[36, 36] = genome.seed
    for _ in range(60):
        fires = rng.random((72, 72)) < 0.5
        states = step(model, states, fires)
        new, _ = reference.wake(genome, codes, reference.gather_neighbours(codes))
        codes = np.where(fires[..., None], new, codes)
    difference = reference.val(genome, codes[..., :4]) / 256 - states[..., :4]
    assert np.mean(difference**2) < 0.003
    assert np.mean(states[..., 3] > 0.5) > 0.02  # something did grow
