"""The order of the 48 perception values differs between code bases; growing tells which one a file uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nca_hw.core import model as float_model
from nca_hw.core.model import CHANNELS, KERNELS, FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import LAYOUTS, Layout, Weights

STEPS = 96
CANVAS = (72, 72)
EXPLODED = 1000.0


@dataclass(frozen=True)
class Growth:
    """How a layout fared: the step at which it exploded or died, or None if it stood to the end."""

    layout: Layout
    end: int | None
    fate: str


def to_model(weights: Weights, layout: Layout) -> FloatModel:
    """The model in blocked order (identity of all channels, then Sobel x, then Sobel y) of weights in the given one."""
    w1 = weights.w1.reshape(KERNELS, CHANNELS, -1)
    if layout == "interleaved":  # (id, sx, sy) of channel 0, then of channel 1, ...
        w1 = weights.w1.reshape(CHANNELS, KERNELS, -1).transpose(1, 0, 2)
    ours = np.empty_like(w1)
    for part, (kind, scale) in zip(w1, weights.filters, strict=True):
        ours[kind] = part if scale == 1 else part * np.float32(scale)
    return FloatModel(np.ascontiguousarray(ours.reshape(weights.w1.shape)), weights.b1, weights.w2, weights.b2)


def grow(weights: Weights, layout: Layout, seed: int = 0) -> Growth:
    """Grow 96 steps from the seed in one layout, and say what became of it."""
    rng = np.random.default_rng(seed)
    model = to_model(weights, layout)
    states = float_model.seed_grid(*CANVAS)
    for step in range(STEPS):
        states = float_model.step(model, states, rng.random(CANVAS) < float_model.UPDATE_RATE)
        if not np.isfinite(states).all() or np.abs(states).max() > EXPLODED:
            return Growth(layout, step, "exploded")
        living = float_model.alive(states)
        if not living.any():
            return Growth(layout, step, "died")
    if living[:2].any() and living[-2:].any() and living[:, :2].any() and living[:, -2:].any():
        return Growth(layout, STEPS, "filled the grid")
    return Growth(layout, None, "stands")


def find_layout(weights: Weights, stated: str = "auto") -> tuple[Layout, list[Growth]]:
    """The layout in which the model grows and stands, with the evidence; or the one that the user or the file states.

    Raises:
        NcaHwError: none stands, or both do.
    """
    for layout in LAYOUTS:
        if layout == stated:
            return layout, []
    if weights.layout is not None:
        return weights.layout, []
    evidence = [grow(weights, layout) for layout in LAYOUTS]
    standing = [growth for growth in evidence if growth.end is None]
    if len(standing) == 1:
        return standing[0].layout, evidence
    told = "; ".join(f"{growth.layout} {growth.fate}" + (f" at step {growth.end}" if growth.end else "") for growth in evidence)
    raise NcaHwError(f"the order of the perception values can't be told by growing: {told}", cure="State it: --layout blocked|interleaved.")
