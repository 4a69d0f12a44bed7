"""Random numbers of a run, each a function of what it is for, so that no result depends on the order of execution.

Cells draw their waits from the firmware's own generator (docs/spec.md section 6). Everything the world does to them (clock rates, lost
messages, struck cells) is counter-based: a hash of the run's seed, a domain and counters.
"""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.reference import mix

_GOLDEN = 0x9E3779B9
_MASK = 0xFFFFFFFF
TWO_32 = 1 << 32


class Domain(enum.IntEnum):
    """What a counter-based number is for. The numbers are also in sim/fast/engine.c."""

    CLOCK_RATE = 1
    LINK_LOSS = 2
    FAULT = 3
    LINK_JITTER = 4
    LINK_QUALITY = 5
    LINK_BROKEN = 6
    BIT_ERROR = 7
    MEMORY = 8
    BABBLE = 9
    STAGGER = 10
    WANDER = 11


def key(seed: int, domain: Domain, *counters: int) -> int:
    """A uniform 32-bit number for a purpose: chained MurmurHash3 finalisers over seed, domain and counters."""
    h = mix((seed + _GOLDEN * domain) & _MASK)
    for counter in counters:
        h = mix((h ^ mix((counter + _GOLDEN) & _MASK)) + _GOLDEN & _MASK)
    return h


def keys(seed: int, domain: Domain, *counters: Any) -> NDArray[np.uint32]:
    """`key` for arrays of counters, which broadcast."""
    h: Any = np.uint32(mix((seed + _GOLDEN * domain) & _MASK))
    with np.errstate(over="ignore"):
        for counter in counters:
            h = mix_all((h ^ mix_all(np.asarray(counter).astype(np.uint32) + np.uint32(_GOLDEN))) + np.uint32(_GOLDEN))
    return np.asarray(h, np.uint32)


def mix_all(x: Any) -> NDArray[np.uint32]:
    """`mix` for arrays of uint32."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return np.asarray(x ^ (x >> np.uint32(16)))


def random_starts(seed: int, cells: NDArray[Any]) -> NDArray[np.uint32]:
    """First generator states of cells, docs/spec.md section 6: `random_start` for arrays."""
    with np.errstate(over="ignore"):
        mixed = mix_all(np.uint32(seed) + np.uint32(_GOLDEN) * (cells.astype(np.uint32) + np.uint32(1)))
    return np.where(mixed == 0, np.uint32(1), mixed)


def sample(seed: int, domain: Domain, event: int, population: int, count: int) -> list[int]:
    """`count` different numbers below `population`, sorted: those with the smallest keys, at equal keys the smaller numbers."""
    order = np.argsort(keys(seed, domain, event, np.arange(population)), kind="stable")
    return sorted(order[:count].tolist())


def bell(seed: int, domain: Domain, *counters: Any) -> NDArray[np.int64]:
    """Normally distributed whole numbers of standard deviation 2^16: twelve uniform numbers, summed."""
    twelve = [keys(seed, domain, *counters, n).astype(np.int64) for n in range(12)]
    return np.asarray((sum(twelve[1:], twelve[0]) >> 16) - 6 * (1 << 16))
