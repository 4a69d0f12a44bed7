"""Random numbers of a run, each a function of what it is for, so that no result depends on the order of execution.

Cells draw their waits from the firmware's own generator (docs/spec.md section 6). Everything the world does to them (clock rates, lost
messages, struck cells) is counter-based: a hash of the run's seed, a domain and counters.
"""

from __future__ import annotations

import enum

from nca_hw.core.reference import mix

_GOLDEN = 0x9E3779B9
_MASK = 0xFFFFFFFF
TWO_32 = 1 << 32


class Domain(enum.IntEnum):
    """What a counter-based number is for."""

    CLOCK_RATE = 1
    LINK_LOSS = 2
    FAULT = 3


def key(seed: int, domain: Domain, *counters: int) -> int:
    """A uniform 32-bit number for a purpose: chained MurmurHash3 finalisers over seed, domain and counters."""
    h = mix((seed + _GOLDEN * domain) & _MASK)
    for counter in counters:
        h = mix((h ^ mix((counter + _GOLDEN) & _MASK)) + _GOLDEN & _MASK)
    return h


def sample(seed: int, domain: Domain, event: int, population: int, count: int) -> list[int]:
    """`count` different numbers below `population`, sorted: those with the smallest keys."""
    order = sorted(range(population), key=lambda i: (key(seed, domain, event, i), i))
    return sorted(order[:count])
