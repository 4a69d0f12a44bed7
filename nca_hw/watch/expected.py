"""What a healthy array of this kind looks like by the simulator: the range of pattern loss and of living cells, once it is grown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome
from nca_hw.formats.boards import Board
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import MICROSECOND, Scenario
from nca_hw.watch.places import Places

SEEDS = 5
UPDATES = 20_000_000  # of all runs together, at the most: some seconds; of an array beyond that one run is made
GROWN, END = 100, 200  # mean updates after power-on, between which an array is looked at
LATENCY_NS = 10_000 * MICROSECOND  # of a neighbour's state over the wires: docs/protocol.md


@dataclass(frozen=True)
class Expected:
    """Least, median and greatest of all samples of all seeds, from 100 to 200 mean updates after power-on."""

    loss: tuple[float, float, float] | None
    alive: tuple[int, int, int]


def expect(genome: Genome, board: Board, places: Places, target: NDArray[np.float32] | None) -> Expected:
    """Simulate an array like this one, of healthy cells with the seed in its middle, several times.

    Args:
        target: premultiplied RGBA, float32 [h, w, 4].
    """
    interval = board.interval_us * MICROSECOND
    losses: list[float] = []
    alive: list[int] = []
    for seed in range(max(1, min(SEEDS, UPDATES // (END * places.width * places.height)))):
        scenario = Scenario(
            places.width, places.height, seed=seed, tile_width=places.tile_width, tile_height=places.tile_height, wiring="edges",
            interval=interval, latency=LATENCY_NS, duration=END * interval, sample_every=interval,
        )  # fmt: skip
        done = simulate(scenario, IntegerRule(genome), target)
        losses += done.losses[GROWN:]
        alive += done.alive[GROWN:]

    def three(values: list[float]) -> tuple[float, float, float]:
        return min(values), float(np.median(values)), max(values)

    low, middle, high = (round(value) for value in three([float(n) for n in alive]))
    return Expected(three(losses) if losses else None, (low, middle, high))
