"""Genomes side by side, each grown, struck and healed on a simulated array of its own size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nca_hw.core.genome import Genome
from nca_hw.core.model import Float
from nca_hw.report import led
from nca_hw.sim.faults import Kill
from nca_hw.sim.regions import RandomFraction
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

STRUCK_AT, DEAD_FOR, EVERY = 150, 10, 5  # mean updates
MOMENTS = (10, 20, 145, 150, 175, 250)
CAPTION = "u: mean updates of a cell. At 150 u three cells in ten lose power; at 160 u they start again."


def gallery(genomes: Mapping[str, Genome], targets: Mapping[str, Float], progress: Callable[[int], None] | None = None) -> bytes:
    """PNG of a row of moments a genome.

    Args:
        targets: premultiplied RGBA, float32 [h, w, 4]; the grids are as large. progress: called with the number of genomes done.
    """
    unit, rows = Scenario.interval, []
    side = max(max(target.shape[:2]) for target in targets.values())
    kill = Kill(RandomFraction(0.3), STRUCK_AT * unit, DEAD_FOR * unit)
    for n, (name, genome) in enumerate(genomes.items(), 1):
        height, width = targets[name].shape[:2]
        scenario = Scenario(width, height, seed=1, duration=MOMENTS[-1] * unit, sample_every=EVERY * unit, faults=(kill,))
        result = simulate(scenario, IntegerRule(genome), targets[name])
        rows.append((f"{name}, {width}x{height}", [(f"{moment} u", _filling(result.rgba(moment // EVERY), side)) for moment in MOMENTS]))
        if progress is not None:
            progress(n)
    return led.sheet(rows, 3, CAPTION)


def _filling(rgba: Float, side: int) -> Float:
    """A picture enlarged by a whole factor and centred on a square."""
    larger = side // max(rgba.shape[:2])
    big = np.repeat(np.repeat(rgba, larger, 0), larger, 1)
    y, x = ((side - n) // 2 for n in big.shape[:2])
    return np.pad(big, ((y, side - y - big.shape[0]), (x, side - x - big.shape[1]), (0, 0)))
