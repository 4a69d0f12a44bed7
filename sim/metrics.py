"""Pattern loss against the target, recovery from faults, age of what cells know, load of links. Definitions: docs/simulation.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import NEIGHBOURS
from nca_hw.sim.grid import Grid
from nca_hw.sim.recording import Counters

RECOVERED_WITHIN = 1.25  # of the loss just before the first fault


def place(target: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """The target on a grid, float32 [height, width, 4]: its middle on the seed cell, nothing around, cropped by a smaller grid."""
    out = np.zeros((height, width, 4), np.float32)
    top, left = height // 2 - target.shape[0] // 2, width // 2 - target.shape[1] // 2
    y0, x0 = max(top, 0), max(left, 0)
    y1, x1 = min(top + target.shape[0], height), min(left + target.shape[1], width)
    out[y0:y1, x0:x1] = target[y0 - top : y1 - top, x0 - left : x1 - left]
    return out


def pattern_loss(rgba: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Mean squared error of premultiplied RGBA over the whole grid and the four channels; both float32 [height, width, 4]."""
    return float(np.mean((rgba.astype(np.float64) - target) ** 2))


@dataclass(frozen=True)
class Recovery:
    """How a run came back from its faults.

    Attributes:
        loss_before: pattern loss in the last sample before the first fault, None without a fault.
        recovered: the loss at the end is within 1.25 times of it, None without a fault.
        after: ns from the end of the last fault (restart, or strike where cells stay dead) to the first sample from which on
            the loss stays within 1.25 times, None if it never does.
    """

    loss_before: float | None
    recovered: bool | None
    after: int | None


def recovery(times: list[int], losses: list[float], strikes: list[int], ends: list[int]) -> Recovery:
    """Recovery from faults that strike and end at the given times, ns; `times` and `losses` are the samples of the run."""
    if not strikes:
        return Recovery(None, None, None)
    before = [loss for time, loss in zip(times, losses, strict=True) if time < min(strikes)]
    loss_before = before[-1] if before else losses[0]
    limit = RECOVERED_WITHIN * loss_before
    back = None
    for time, loss in zip(reversed(times), reversed(losses), strict=True):
        if loss > limit or time < max(ends):
            break
        back = time
    return Recovery(loss_before, losses[-1] <= limit, None if back is None else back - max(ends))


def information_age(counters: Counters) -> float | None:
    """How old a neighbour's state is when a cell uses it, ns on average since its owner sent it; None if none was ever heard."""
    return counters.age / counters.heard if counters.heard else None


@dataclass(frozen=True)
class LinkLoad:
    """How busy links are, each direction for itself: the time in which they send, as a fraction of the run."""

    mean: float
    busiest: float


def link_load(grid: Grid, sendings_per_cell: NDArray[np.int64], frame_seconds: float, duration: int) -> LinkLoad | None:
    """Load of the links between chips, for each cell sends all its frames at once; None where there are no links or no time.

    Args:
        sendings_per_cell: int64 [height, width]. frame_seconds: that a frame takes. duration: ns.
    """
    frames = np.zeros((grid.chips, NEIGHBOURS), np.int64)
    links = np.zeros((grid.chips, NEIGHBOURS), np.bool_)
    for frame in range(NEIGHBOURS):
        sends = (grid.frame_masks >> np.uint8(frame) & 1).astype(np.bool_)
        chips = grid.chip_of[sends]
        np.add.at(frames[:, grid.link(frame)], chips, sendings_per_cell.reshape(-1)[sends])
        links[chips, grid.link(frame)] = True
    if not links.any() or duration == 0:
        return None
    load = frames[links] * (frame_seconds * 1e9 / duration)
    return LinkLoad(float(load.mean()), float(load.max()))
