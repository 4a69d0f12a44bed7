"""Float model to genome: one weight scale a hidden unit, companded state, shifts found by a float calibration run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import model as float_model
from nca_hw.core.genome import VALUE_MAX, Genome, Provenance, companded_table
from nca_hw.core.model import ALPHA, CHANNELS, Float, FloatModel
from nca_hw.errors import NcaHwError

STATE_UNIT = 1 / 256  # of val()
UPDATE_UNIT = 1 / 4096  # of what compress() takes
CALIBRATION_STEPS = 192
CALIBRATION_EVERY = 8
HIDDEN_PERCENTILE = 99.9
HIDDEN_MAX = 255
WEIGHT_MAX = 127
BIAS_MAX = 32767
BIAS1_UNIT = 4  # b1 is kept in units of four accumulator steps


def hidden_scales(model: FloatModel) -> Float:
    """Float value of one accumulator step of every hidden unit, float64 [H]: the coarser of what weights and bias need."""
    for_weights = np.abs(model.w1).max(axis=0).astype(np.float64) * STATE_UNIT / WEIGHT_MAX
    for_bias = np.abs(model.b1).astype(np.float64) / (BIAS1_UNIT * BIAS_MAX)
    return np.asarray(np.maximum(np.maximum(for_weights, for_bias), 1e-12))


def calibrate(model: FloatModel, canvas: tuple[int, int], seed: int) -> Float:
    """What every hidden unit reaches in a float run from the seed, float64 [H]: the 99.9th percentile over living cells and time."""
    rng = np.random.default_rng(seed)
    states = float_model.seed_grid(*canvas)
    samples = []
    for step in range(CALIBRATION_STEPS):
        if step % CALIBRATION_EVERY == 0:
            living = float_model.alive(states)
            samples.append(float_model.hidden_activity(model, float_model.perceive(states)[living]))
        states = float_model.step(model, states, rng.random(canvas) < float_model.UPDATE_RATE)
        if not np.isfinite(states).all() or np.abs(states).max() > 1e4:
            raise NcaHwError(
                f"the float model explodes at step {step} of {CALIBRATION_STEPS}",
                cure="Check the order of its perception values: 'nca-hw import --layout blocked|interleaved'.",
            )
        if not float_model.alive(states).any():
            raise NcaHwError(f"the float model dies at step {step}", cure="Check its weights: nothing grows from the seed.")
    return np.asarray(np.percentile(np.concatenate(samples).astype(np.float64), HIDDEN_PERCENTILE, axis=0))


def hidden_shift(model: FloatModel, canvas: tuple[int, int], seed: int = 0) -> int:
    """S1: what the widest hidden unit reaches in a float run fits 8 bits. Arguments and errors: see `quantize`."""
    reach = (calibrate(model, canvas, seed) / hidden_scales(model)).max()
    return int(np.clip(np.ceil(np.log2(max(reach, 1.0) / HIDDEN_MAX)), 1, 24))


def quantize(
    model: FloatModel, *, target_png: bytes = b"", canvas: tuple[int, int] = (72, 72), provenance: Provenance | None = None, seed: int = 0
) -> Genome:
    """The genome of a float model.

    Args:
        model: weights in blocked order.
        target_png: the target picture to ship with it.
        canvas: (height, width) of the calibration run, large enough for the pattern.
        seed: of the calibration run's random updates.
    Raises:
        NcaHwError: the model explodes or dies within the calibration run, or its output is out of the integer cell's range.
    """
    return assemble(model, s1=hidden_shift(model, canvas, seed), target_png=target_png, provenance=provenance)


def alive_code(decode: NDArray[np.int16]) -> int:
    """The smallest code of a decode table that stands for more than the model's alive threshold."""
    return int(np.searchsorted(decode, float_model.ALIVE_THRESHOLD / STATE_UNIT, side="right"))


def seed_codes(decode: NDArray[np.int16]) -> NDArray[np.int8]:
    """The model's seed state in codes of a decode table, int8 [C]."""
    seed = np.zeros(CHANNELS, np.int8)
    seed[ALPHA:] = np.abs(decode * STATE_UNIT - 1).argmin()
    return seed


def assemble(model: FloatModel, *, s1: int, turn: int = 0, target_png: bytes = b"", provenance: Provenance | None = None) -> Genome:
    """The genome of a float model whose hidden shift S1 is known, axes turned. Source: docs/spec.md section 4; docs/quantization.md."""
    u1 = hidden_scales(model)
    w2 = model.w2.astype(np.float64) * u1[:, None] * 2.0**s1
    u2 = np.maximum(np.maximum(np.abs(w2).max(axis=0) / WEIGHT_MAX, np.abs(model.b2) / BIAS_MAX), 1e-15)
    per_step = u2 / UPDATE_UNIT  # what one output step adds to the state, in 1/4096
    s2 = int(np.floor(np.log2(BIAS_MAX / per_step.max())))
    if s2 < 12:
        raise NcaHwError("the model's output weights are too large for the integer cell (S2 would be below 12)")
    s2 = min(s2, 30)
    decode = companded_table()
    assert decode[-1] == VALUE_MAX
    return Genome(
        w1=_round(model.w1 * (STATE_UNIT / u1), np.int8, WEIGHT_MAX),
        b1=_round(model.b1 / (u1 * BIAS1_UNIT), np.int16, BIAS_MAX),
        w2=_round(w2 / u2, np.int8, WEIGHT_MAX),
        b2=_round(model.b2 / u2, np.int16, BIAS_MAX),
        m2=_round(per_step * 2.0**s2, np.int16, BIAS_MAX),
        decode=decode, seed=seed_codes(decode), s1=s1, s2=s2, alpha=ALPHA, alive=alive_code(decode), turn=turn, target=target_png,
        provenance=provenance or Provenance(),
    )  # fmt: skip


def _round(values: Float, dtype: type[np.int8] | type[np.int16], limit: int) -> NDArray[Any]:
    return np.clip(np.round(values), -limit, limit).astype(dtype)
