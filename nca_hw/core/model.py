"""The float model: the article's rule in NumPy, synchronous with random updates, before anything is quantized.

Source: Mordvintsev et al., "Growing Neural Cellular Automata", Distill 2020, section "Model".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError

Float = NDArray[np.float32]
CHANNELS = 16
KERNELS = 3
HIDDEN = 128
ALPHA = 3
ALIVE_THRESHOLD = 0.1
UPDATE_RATE = 0.5


@dataclass(frozen=True)
class FloatModel:
    """Weights of the article's rule, perception in blocked order (16 identity, 16 Sobel x / 8, 16 Sobel y / 8).

    Attributes:
        w1: float32 [48, H]; b1: float32 [H]; w2: float32 [H, 16]; b2: float32 [16].
    """

    w1: Float
    b1: Float
    w2: Float
    b2: Float

    def __post_init__(self) -> None:
        hidden = self.w1.shape[-1]
        expected = {"w1": (KERNELS * CHANNELS, hidden), "b1": (hidden,), "w2": (hidden, CHANNELS), "b2": (CHANNELS,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise NcaHwError(f"{name} has shape {list(array.shape)}, expected {list(shape)} for {hidden} hidden units")
            if not np.isfinite(array).all():
                bad = int(array.size - np.isfinite(array).sum())
                told = f"{name} holds {bad} values that are NaN or infinite"
                raise NcaHwError(told, cure="Export the weights again from before training diverged.")


def seed_grid(height: int, width: int) -> Float:
    """A grid with one seed cell in the middle, float32 [H, W, 16]: channels 3..15 are 1, all others 0."""
    grid = np.zeros((height, width, CHANNELS), np.float32)
    grid[height // 2, width // 2, ALPHA:] = 1
    return grid


def alive(states: Float) -> NDArray[np.bool_]:
    """Cells with alpha over 0.1 in their 3x3 neighbourhood, bool [H, W]."""
    height, width = states.shape[:2]
    padded = np.pad(states[..., ALPHA], 1)
    windows = [padded[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(np.max(windows, axis=0) > ALIVE_THRESHOLD)


def perceive(states: Float) -> Float:
    """Perception of a whole grid, float32 [H, W, 48], zeros outside; x to the right, y down."""
    height, width, _ = states.shape
    p = np.pad(states, ((1, 1), (1, 1), (0, 0)))

    def at(dy: int, dx: int) -> Float:
        return p[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]

    sx = (at(-1, 1) - at(-1, -1)) + 2 * (at(0, 1) - at(0, -1)) + (at(1, 1) - at(1, -1))
    sy = (at(1, -1) - at(-1, -1)) + 2 * (at(1, 0) - at(-1, 0)) + (at(1, 1) - at(-1, 1))
    return np.asarray(np.concatenate([states, sx / 8, sy / 8], axis=-1), np.float32)


def hidden_activity(model: FloatModel, perception: Float) -> Float:
    """Hidden units after the ReLU, float32 [..., H]."""
    return np.asarray(np.maximum(perception @ model.w1 + model.b1, 0))


def network(model: FloatModel, perception: Float) -> Float:
    """What the network adds to the state, float32 [..., 16]."""
    return np.asarray(hidden_activity(model, perception) @ model.w2 + model.b2)


def step(model: FloatModel, states: Float, fires: NDArray[np.bool_]) -> Float:
    """One synchronous step in which the cells of `fires`, bool [H, W], update."""
    before = alive(states)
    new = states + np.where(fires[..., None], network(model, perceive(states)), np.float32(0))
    return np.asarray(new * (before & alive(new))[..., None], np.float32)
