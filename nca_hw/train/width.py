"""How many hidden units a cell has: a narrower one needs less flash and less time.

Training computes with as many units as the article's automaton; those that a narrower cell does not have are zero, learn nothing, and are
left out of the genome.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import model as float_model
from nca_hw.core.model import HIDDEN, FloatModel

SAMPLED_STEPS, SAMPLED_EVERY = 96, 8  # automaton steps of a run from the seed, and how often its hidden units are looked at


def alive(model: FloatModel) -> NDArray[np.bool_]:
    """Which hidden units can do anything, bool [H]."""
    return np.asarray(model.w2.any(axis=1) & (model.w1.any(axis=0) | (model.b1 > 0)))


def chosen(model: FloatModel, units: NDArray[Any]) -> FloatModel:
    """The model with these of its hidden units only: indices or a mask."""
    return replace(model, w1=model.w1[:, units], b1=model.b1[units], w2=model.w2[units])


def stripped(model: FloatModel) -> FloatModel:
    """The model without units that can't do anything: it computes the same."""
    return chosen(model, alive(model))


def padded(model: FloatModel) -> FloatModel:
    """The model with as many hidden units as training computes with: it computes the same."""
    more = HIDDEN - model.b1.size
    w1, w2 = np.pad(model.w1, ((0, 0), (0, more))), np.pad(model.w2, ((0, more), (0, 0)))
    return replace(model, w1=w1, b1=np.pad(model.b1, (0, more)), w2=w2)


def narrowed(model: FloatModel, hidden: int, canvas: tuple[int, int]) -> FloatModel:
    """The model with at most `hidden` units: those whose activity says most in a run from the seed.

    What the others do on average goes to b2.

    Args:
        canvas: (height, width) of the run.
    """
    model = stripped(model)
    if model.b1.size <= hidden:
        return model
    rng, states, samples = np.random.default_rng(0), float_model.seed_grid(*canvas), []
    for step in range(SAMPLED_STEPS):
        states = float_model.step(model, states, rng.random(canvas) < float_model.UPDATE_RATE)
        if step % SAMPLED_EVERY == 0:
            samples.append(float_model.hidden_activity(model, float_model.perceive(states)[float_model.alive(states)]))
    activity = np.concatenate(samples)
    says = activity.std(axis=0) * np.linalg.norm(model.w2, axis=1)
    kept = np.sort(np.argsort(-says, kind="stable")[:hidden])
    lost = np.setdiff1d(np.arange(model.b1.size), kept)
    return replace(chosen(model, kept), b2=model.b2 + activity.mean(axis=0)[lost] @ model.w2[lost])
