"""Perception kernels as taps, and what turning the axes makes of them. Source: docs/spec.md section 3."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FULL_TURN, QUARTER = 360, 90  # degrees
TAP_UNIT = 16  # taps of axes that are not turned are in 1/16 of a value
FINER_SHIFT = 2  # taps of axes that are turned by no multiple of 90 degrees are in 1/16 >> 2: the finest in which the identity fits int8


class Kernel(enum.IntEnum):
    """Perception kernels, numbered as in the C core."""

    IDENTITY = 0
    SOBEL_X = 1
    SOBEL_Y = 2
    LAPLACIAN = 3


# Taps of the kernels: the neighbours clockwise from the north, then the cell itself; in 1/16 of a value.
TAPS = {
    Kernel.IDENTITY: (0, 0, 0, 0, 0, 0, 0, 0, 16),
    Kernel.SOBEL_X: (0, 2, 4, 2, 0, -2, -4, -2, 0),
    Kernel.SOBEL_Y: (-4, -2, 0, 2, 4, 2, 0, -2, 0),
    Kernel.LAPLACIAN: (2, 1, 2, 1, 2, 1, 2, 1, -12),
}
DEFAULT_KERNELS = (Kernel.IDENTITY, Kernel.SOBEL_X, Kernel.SOBEL_Y)


def tap_shift(turn: int) -> int:
    """How much finer than 1/16 the taps are for axes turned by so many degrees, as a shift."""
    return FINER_SHIFT if turn % QUARTER else 0


def turned_taps(kernels: Sequence[Kernel], turn: int) -> NDArray[np.int8]:
    """Taps of kernels whose axes are turned clockwise by `turn` degrees, int8 [K, 9], in 1/16 >> tap_shift(turn) of a value.

    A quarter turn moves every tap on by two neighbours. What is left of the angle mixes a Sobel kernel with itself a quarter turn on.
    """
    quarters, rest = divmod(turn, QUARTER)
    cosine, sine = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    rows = []
    for kernel in kernels:
        taps = np.array(TAPS[kernel]) << tap_shift(turn)
        around, own = taps[:-1], taps[-1:]
        if rest and kernel in (Kernel.SOBEL_X, Kernel.SOBEL_Y):
            around = np.round(cosine * around + sine * np.roll(around, 2))
        rows.append(np.concatenate([np.roll(around, 2 * quarters), own]))
    return np.array(rows).astype(np.int8)
