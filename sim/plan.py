"""A scenario, drawn: every random choice that is not made by the cells themselves, in whole numbers, for both engines alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.reference import random_start, random_wait
from nca_hw.sim.scenario import MICROSECOND, Scenario
from nca_hw.sim.streams import TWO_32, Domain, key

MILLION = 1_000_000
WAITS = 1 << 12


@dataclass(frozen=True)
class PowerCut:
    """All of `cells` lose power at `time`, ns, or get it back."""

    time: int
    cells: tuple[int, ...]
    on: bool


@dataclass(frozen=True)
class Plan:
    """What an engine runs.

    Attributes:
        random: uint32 [cells], where every cell's generator starts.
        tick: int64 [cells], length of a thousand ticks of every cell's clock, in picoseconds: 10^9 for a true one.
        waits: uint32 [4096], ticks until the next wake for the upper 12 bits of a random number.
        loss_limit: a message is lost if its 32-bit number is below this.
        power_cuts: in the order in which they happen.
    """

    scenario: Scenario
    random: NDArray[np.uint32]
    tick: NDArray[np.int64]
    waits: NDArray[np.uint32]
    loss_limit: int
    power_cuts: tuple[PowerCut, ...]


def draw(scenario: Scenario) -> Plan:
    """Draw a scenario's random choices."""
    count, seed = scenario.cells, scenario.seed
    spread = round(scenario.rate_spread * MILLION)
    mean = scenario.interval // MICROSECOND
    cuts = []
    for number, kill in enumerate(scenario.kills):
        struck = tuple(kill.struck.cells(scenario.width, scenario.height, seed, number))
        cuts.append(PowerCut(kill.at, struck, on=False))
        if kill.dead_for is not None:
            cuts.append(PowerCut(kill.at + kill.dead_for, struck, on=True))
    return Plan(
        scenario,
        random=np.array([random_start(seed, i) for i in range(count)], np.uint32),
        tick=np.array([(MILLION + (key(seed, Domain.CLOCK_RATE, i) * (2 * spread + 1) >> 32) - spread) * 1000 for i in range(count)]),
        waits=np.array([random_wait(i << 20, mean) for i in range(WAITS)], np.uint32),
        loss_limit=round(scenario.loss * TWO_32),
        power_cuts=tuple(sorted(cuts, key=lambda cut: cut.time)),
    )
