"""Cells of a grown pattern: what a wall computes nearly all of its time, for figures of cycles."""

from __future__ import annotations

import numpy as np

from nca_hw.core import reference
from nca_hw.core.genome import Genome
from nca_hw.core.reference import Codes
from nca_hw.formats.picture import from_png_bytes
from nca_hw.sim.grid import OFFSETS
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

GROWN_FOR = 100  # mean updates
SIDE = 40  # of the grid of a genome that has no target


def grown_cells(genome: Genome, most: int) -> tuple[Codes, Codes]:
    """States [n, C] and neighbours [n, 8, C] of at most so many cells that evaluate the network, from the genome's grown pattern."""
    height, width = from_png_bytes(genome.target).shape[:2] if genome.target else (SIDE, SIDE)
    duration = GROWN_FOR * Scenario.interval
    result = simulate(Scenario(width, height, seed=1, duration=duration, sample_every=duration), IntegerRule(genome))
    states = np.asarray(result.recording.states[-1], np.int8)
    bordered = np.pad(states, ((1, 1), (1, 1), (0, 0)))
    heard = np.stack([bordered[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in OFFSETS], axis=2)
    own, around = states.reshape(-1, genome.channels), heard.reshape(-1, len(OFFSETS), genome.channels)
    _, evaluated = reference.wake(genome, own, around)
    chosen = np.flatnonzero(evaluated) if evaluated.any() else np.arange(len(own))
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(int)]
    return own[chosen], around[chosen]
