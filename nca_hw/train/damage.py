"""What happens to grids while they learn to heal: scattered dead cells, lost halves, lost discs.

A damaged cell is a killed and restarted one: its whole state is zero. Everything here is NumPy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
SCATTERED = (0.3, 0.5)  # share of the cells
DISC = (0.1, 0.35)  # radius as a share of the grid's shorter side


def scattered(height: int, width: int, rng: np.random.Generator) -> Mask:
    """True for 30 to 50% of the cells, each on its own."""
    return rng.random((height, width)) < rng.uniform(*SCATTERED)


def half(height: int, width: int, rng: np.random.Generator) -> Mask:
    """True on one side of a line through a point near the middle, in any direction; every other time exactly one half of the grid."""
    if rng.random() < 0.5:
        lost = np.zeros((height, width), np.bool_)
        upper = (slice(height // 2), slice(None)), (slice(height // 2, None), slice(None))
        left = (slice(None), slice(width // 2)), (slice(None), slice(width // 2, None))
        lost[(*upper, *left)[rng.integers(4)]] = True
        return lost
    angle = rng.uniform(0, 2 * np.pi)
    centre_y, centre_x = rng.uniform(0.4, 0.6) * height, rng.uniform(0.4, 0.6) * width
    y, x = np.mgrid[:height, :width]
    return np.asarray((y - centre_y) * np.sin(angle) + (x - centre_x) * np.cos(angle) > 0)


def disc(height: int, width: int, rng: np.random.Generator) -> Mask:
    """True inside a disc whose centre is anywhere in the middle half of the grid."""
    centre_y, centre_x = rng.uniform(0.25, 0.75) * height, rng.uniform(0.25, 0.75) * width
    radius = rng.uniform(*DISC) * min(height, width)
    y, x = np.mgrid[:height, :width]
    return np.asarray((y - centre_y) ** 2 + (x - centre_x) ** 2 < radius**2)


def random_damage(height: int, width: int, rng: np.random.Generator) -> Mask:
    """One of the three, halves and discs twice as often as scattered cells: of all damage they heal worst."""
    kinds = (scattered, half, half, disc, disc)
    return kinds[rng.integers(len(kinds))](height, width, rng)
