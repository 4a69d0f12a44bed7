"""The integer cell in NumPy, written for reading beside docs/spec.md; the truth that the C core and every chip are held against.

All functions work on any leading axes: a state is int8 [..., C], its neighbours int8 [..., 8, C], clockwise from the north.
"""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import CODE_MAX, Genome, Kernel

Codes = NDArray[np.int8]
N, NE, E, SE, S, SW, W, NW = range(8)
SEED_QUIET = 2  # wakes that a new seed lets pass, docs/spec.md section 5


def val(genome: Genome, codes: Codes) -> NDArray[np.int64]:
    """Values of codes, int64 in 1/256. Source: spec.md section 2."""
    wide = codes.astype(np.int64)
    return np.sign(wide) * genome.decode.astype(np.int64)[np.minimum(np.abs(wide), CODE_MAX)]


def compress(genome: Genome, v: NDArray[np.int64], parts: int = 1) -> Codes:
    """The nearest codes, ties toward zero; v in 1/4096, or in that many parts of it. Source: spec.md section 2."""
    x = genome.decode.astype(np.int64)
    boundaries = 8 * parts * (x[:-1] + x[1:])  # [127], increasing: code m ends at boundaries[m]
    magnitude = np.searchsorted(boundaries, np.abs(v), side="left")
    return (np.sign(v) * magnitude).astype(np.int8)


def perceive(genome: Genome, state: Codes, neighbours: Codes) -> Codes:
    """Perception codes, int8 [..., P], blocked order. Source: spec.md section 3."""
    x = val(genome, neighbours)
    quarters, rest = divmod(genome.turn, 90)
    n, ne, e, se, s, sw, w, nw = (x[..., (k + 2 * quarters) % 8, :] for k in range(8))  # as the turned axes name them
    p, q = round(16 * cos(radians(rest))), round(16 * sin(radians(rest)))
    f, g = round(8 * (cos(radians(rest)) - sin(radians(rest)))), round(8 * (cos(radians(rest)) + sin(radians(rest))))
    codes = []
    for kernel in genome.kernels:
        if kernel is Kernel.IDENTITY:
            codes.append(np.maximum(state, -CODE_MAX))
        elif kernel is Kernel.SOBEL_X and rest:
            codes.append(compress(genome, p * (e - w) + q * (s - n) + f * (ne - sw) + g * (se - nw), parts=4))
        elif kernel is Kernel.SOBEL_Y and rest:
            codes.append(compress(genome, p * (s - n) - q * (e - w) + f * (se - nw) - g * (ne - sw), parts=4))
        elif kernel is Kernel.SOBEL_X:
            codes.append(compress(genome, 2 * ((ne - nw) + 2 * (e - w) + (se - sw))))
        elif kernel is Kernel.SOBEL_Y:
            codes.append(compress(genome, 2 * ((sw - nw) + 2 * (s - n) + (se - ne))))
        else:
            codes.append(compress(genome, (nw + ne + sw + se) + 2 * (n + e + s + w) - 12 * val(genome, state)))
    return np.concatenate(codes, axis=-1)


def network(genome: Genome, state: Codes, perception: Codes) -> Codes:
    """New codes of the state, int8 [..., C]. Source: spec.md section 4."""
    x = val(genome, perception)
    a = 4 * genome.b1.astype(np.int64) + x @ genome.w1.astype(np.int64)
    h = np.clip((a + (1 << (genome.s1 - 1))) >> genome.s1, 0, 255)
    o = genome.b2.astype(np.int64) + h @ genome.w2.astype(np.int64)
    d = (o * genome.m2.astype(np.int64) + (1 << (genome.s2 - 1))) >> genome.s2
    return compress(genome, 16 * val(genome, state) + d)


def wake(genome: Genome, state: Codes, neighbours: Codes) -> tuple[Codes, NDArray[np.bool_]]:
    """One wake: the new states, int8 [..., C], and whether the network was evaluated, bool [...]. Source: spec.md section 5."""
    new = network(genome, state, perceive(genome, state, neighbours))
    if genome.alive == 0:
        return new, np.ones(state.shape[:-1], bool)
    heard = neighbours[..., genome.alpha].max(axis=-1)
    before = np.maximum(state[..., genome.alpha], heard) >= genome.alive
    after = np.maximum(new[..., genome.alpha], heard) >= genome.alive
    return np.where((before & after)[..., None], new, np.int8(0)), before


def gather_neighbours(states: Codes) -> Codes:
    """Neighbours of every cell of a grid [H, W, C], int8 [H, W, 8, C]; outside is 0. For synchronous runs and tests."""
    height, width, _ = states.shape
    padded = np.pad(states, ((1, 1), (1, 1), (0, 0)))
    offsets = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    return np.stack([padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in offsets], axis=2)


def random_next(s: int) -> int:
    """xorshift32, docs/spec.md section 6."""
    s ^= (s << 13) & 0xFFFFFFFF
    s ^= s >> 17
    return s ^ ((s << 5) & 0xFFFFFFFF)


def random_wait(s: int, mean: int) -> int:
    """Ticks until the next wake for the random number s, docs/spec.md section 6."""
    return mean - (mean >> 1) + (((s >> 20) * mean) >> 12)


def mix(x: int) -> int:
    """MurmurHash3's 32-bit finaliser, docs/spec.md section 6."""
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
    return x ^ (x >> 16)


def random_start(seed: int, cell: int) -> int:
    """First generator state of a cell in run `seed`, docs/spec.md section 6."""
    return mix((seed + 0x9E3779B9 * (cell + 1)) & 0xFFFFFFFF) or 1
