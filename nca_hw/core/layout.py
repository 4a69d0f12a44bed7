"""The order of the 48 perception values differs between code bases, and so does which axis is called x; growing tells what a file uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import model as float_model
from nca_hw.core.model import CHANNELS, KERNELS, FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import LAYOUTS, Layout, Weights

Axes = Literal["xy", "yx"]
AXES: tuple[Axes, ...] = ("xy", "yx")
STEPS = 96  # the article's models were trained to show their picture after 64 to 96
CANVAS = 72
PADDING = 16
EXPLODED = 1000.0
ALIKE = 1.25  # losses within this factor of each other decide nothing
LOOKS_LIKE = 0.5  # of the loss of an empty grid: a model with more does not grow this picture
SWAPPED = {0: 0, 1: 2, 2: 1}


@dataclass(frozen=True)
class Growth:
    """How one candidate fared.

    Attributes:
        end: the step at which it exploded or died, or None if it stood to the end. fate: the same in a word.
        rgba: float32 [H, W, 4], the last state whose values were numbers.
        loss: pattern loss against the target, the best of the nine one-pixel shifts; None without a target.
    """

    layout: Layout
    axes: Axes
    end: int | None
    fate: str
    rgba: NDArray[np.float32]
    loss: float | None = None

    @property
    def told(self) -> str:
        """In words."""
        fate = self.fate + (f" at step {self.end}" if self.end is not None else "")
        return fate if self.loss is None else f"{fate}, loss {self.loss:.2g}"


@dataclass(frozen=True)
class Order:
    """What was decided, with the evidence: every candidate that was grown, none if the user or the file states the order."""

    layout: Layout
    axes: Axes
    evidence: tuple[Growth, ...] = ()

    @property
    def told(self) -> dict[str, str]:
        """The evidence in words, by the candidates' names."""
        return dict(zip(names(self.evidence), (growth.told for growth in self.evidence), strict=True))


class Undecided(NcaHwError):
    """Growing can't tell the order. `evidence`: every candidate that was grown."""

    def __init__(self, what: str, *, cure: str, evidence: Sequence[Growth]) -> None:
        super().__init__(what, cure=cure)
        self.evidence = tuple(evidence)


def names(evidence: Sequence[Growth]) -> list[str]:
    """A name for each candidate: the layout, and the axes where they differ."""
    with_axes = len({growth.axes for growth in evidence}) > 1
    return [f"{growth.layout}-{growth.axes}" if with_axes else growth.layout for growth in evidence]


def to_model(weights: Weights, layout: Layout, axes: Axes = "xy") -> FloatModel:
    """The model in blocked order (identity of all channels, then Sobel x / 8, then Sobel y / 8) of weights in the given one."""
    w1 = weights.w1.reshape(KERNELS, CHANNELS, -1)
    if layout == "interleaved":  # (id, sx, sy) of channel 0, then of channel 1, ...
        w1 = weights.w1.reshape(CHANNELS, KERNELS, -1).transpose(1, 0, 2)
    ours = np.empty_like(w1)
    for part, (kind, scale) in zip(w1, weights.filters, strict=True):
        ours[kind if axes == "xy" else SWAPPED[kind]] = part if scale == 1 else part * np.float32(scale)
    return FloatModel(np.ascontiguousarray(ours.reshape(weights.w1.shape)), weights.b1, weights.w2, weights.b2)


def grow(weights: Weights, layout: Layout, axes: Axes = "xy", target: NDArray[np.float32] | None = None, seed: int = 0) -> Growth:
    """Grow 96 steps from the seed in one order, and say what became of it."""
    rng = np.random.default_rng(seed)
    model = to_model(weights, layout, axes)
    side = CANVAS if target is None else max(CANVAS, *(n + 2 * PADDING for n in target.shape[:2]))
    canvas = (side, side)
    states = float_model.seed_grid(*canvas)
    for step in range(STEPS):
        with np.errstate(over="ignore", invalid="ignore"):
            new = float_model.step(model, states, rng.random(canvas) < float_model.UPDATE_RATE)
        if not np.isfinite(new).all() or np.abs(new).max() > EXPLODED:
            return Growth(layout, axes, step, "exploded", states[..., :4])
        living = float_model.alive(new)
        if not living.any():
            return Growth(layout, axes, step, "died", states[..., :4])
        states = new
    if living[:2].any() and living[-2:].any() and living[:, :2].any() and living[:, -2:].any():
        return Growth(layout, axes, STEPS, "filled the grid", states[..., :4])
    return Growth(layout, axes, None, "stands", states[..., :4], None if target is None else _loss(states[..., :4], target))


def find_order(weights: Weights, layout: str = "auto", axes: str = "auto", target: NDArray[np.float32] | None = None) -> Order:
    """The order in which the model grows and stands; or, of several, the one that grows the target; or what the user or the file states.

    Without a target, axes that nobody states are taken as x, y: swapped, the same model grows the picture mirrored at its diagonal.

    Args:
        target: float32 [H, W, 4], premultiplied RGBA.
    Raises:
        Undecided: none stands, or more than one does and no target decides.
    """
    layouts = tuple(one for one in LAYOUTS if one == layout) or ((weights.layout,) if weights.layout else LAYOUTS)
    stated = tuple(one for one in AXES if one == axes)
    both = AXES if target is not None and not weights.axes_known else AXES[:1]
    candidates = [(one, other) for one in layouts for other in stated or both]
    if len(candidates) == 1:
        return Order(*candidates[0])
    evidence = tuple(grow(weights, one, other, target) for one, other in candidates)
    return _only(evidence) if target is None else _best(evidence, target)


def find_layout(weights: Weights, stated: str = "auto") -> tuple[Layout, tuple[Growth, ...]]:
    """The layout alone, with the evidence, where no target is at hand."""
    order = find_order(weights, stated)
    return order.layout, order.evidence


def _only(evidence: tuple[Growth, ...]) -> Order:
    standing = [growth for growth in evidence if growth.end is None]
    if len(standing) != 1:
        raise _undecided("the order of the perception values can't be told by growing", evidence, "State it: --layout blocked|interleaved")
    return Order(standing[0].layout, standing[0].axes, evidence)


def _best(evidence: tuple[Growth, ...], target: NDArray[np.float32]) -> Order:
    """The candidate nearest to the target. Axes that make no difference to it are taken as x, y, for which candidates come first."""
    ranked = sorted(((growth.loss, i) for i, growth in enumerate(evidence) if growth.loss is not None))
    if not ranked or ranked[0][0] > LOOKS_LIKE * _loss(np.zeros_like(evidence[0].rgba), target):
        raise _undecided("no order of perception values grows the target", evidence, "Is it the right picture? State --layout and --axes")
    alike = [evidence[i] for i in sorted(i for loss, i in ranked if loss <= ALIKE * ranked[0][0])]
    if len({growth.layout for growth in alike}) > 1:
        raise _undecided("the target can't tell orders of perception values apart", evidence, "State it: --layout blocked|interleaved")
    return Order(alike[0].layout, alike[0].axes, evidence)


def _undecided(what: str, evidence: tuple[Growth, ...], cure: str) -> Undecided:
    told = "; ".join(f"{name} {growth.told}" for name, growth in zip(names(evidence), evidence, strict=True))
    return Undecided(f"{what}: {told}", cure=f"{cure}.", evidence=evidence)


def _loss(rgba: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Pattern loss, the target's middle within one cell of the seed: code bases differ in where the middle of an even side is."""
    side, (height, width) = rgba.shape[0], target.shape[:2]
    losses = []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            placed = np.zeros_like(rgba)
            top, left = side // 2 - height // 2 + dy, side // 2 - width // 2 + dx
            placed[top : top + height, left : left + width] = target
            losses.append(float(np.mean((rgba.astype(np.float64) - placed) ** 2)))
    return min(losses)
