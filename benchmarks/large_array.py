"""A million cells: does an array of 1000x1000 fit into time and memory, and does a cell cost what it costs in a small array?

    python benchmarks/large_array.py [--side 1000] [--updates 20]

The lizard is grown on 40x40, cut out, and laid over the whole grid like tiles on a floor, so that most cells compute. An evaluated update
of the large floor on one thread is compared with one of a floor of 40x40 and with one of a single grown lizard on 40x40. Costs are
processor time of the run without setting up, the better of two; on all threads, the time that passed. Exit code 1 if a limit is not kept.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome, load
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario

SMALL = 40
GROWN_AFTER = 150  # mean updates
REPEATS = 2
SECONDS_MAX = 120.0
BYTES_MAX = 2_000_000_000
RATIO_MAX = 2.0


@dataclass(frozen=True)
class Run:
    """One run: seconds with setting up, seconds of the run alone, and what it did."""

    seconds: float
    running: float
    updates: int
    evaluated: int

    @property
    def cost(self) -> float:
        """ns of the run an evaluated update."""
        return self.running / self.evaluated * 1e9


def grown_lizard(genome: Genome) -> NDArray[np.int8]:
    """Codes of a grown lizard, int8 [40, 40, C]."""
    unit = Scenario.interval
    scenario = Scenario(SMALL, SMALL, seed=1, duration=GROWN_AFTER * unit, sample_every=GROWN_AFTER * unit)
    states: NDArray[np.int8] = FastArray(scenario, IntegerRule(genome)).run().states[-1]
    return states


def floor(tile: NDArray[np.int8], side: int) -> NDArray[np.int8]:
    """A square that is laid with a tile, int8 [side, side, C]."""
    height, width = tile.shape[:2]
    return np.ascontiguousarray(np.tile(tile, (-(-side // height), -(-side // width), 1))[:side, :side])


def run(start: NDArray[np.int8], updates: int, threads: int) -> Run:
    height, width = start.shape[:2]
    unit = Scenario.interval
    clock = time.process_time if threads == 1 else time.perf_counter
    begin = time.perf_counter()
    scenario = Scenario(width, height, seed=1, start=start, duration=updates * unit, sample_every=updates * unit)
    array = FastArray(scenario, IntegerRule(load("lizard")), threads=threads)
    start_of_run = clock()
    counters = array.run().counters
    running = clock() - start_of_run
    return Run(time.perf_counter() - begin, running, counters.updates, counters.evaluated_updates)


def best(start: NDArray[np.int8], updates: int, threads: int) -> Run:
    return min((run(start, updates, threads) for _ in range(REPEATS)), key=lambda one: one.running)


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--updates", type=int, default=20)
    options = parser.parse_args()
    side, updates, threads = options.side, options.updates, os.cpu_count() or 1

    genome = load("lizard")
    lizard = grown_lizard(genome)
    rows, columns = np.nonzero(lizard[..., genome.alpha] >= genome.alive)
    tile = lizard[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    many = max(updates, updates * side * side // (10 * SMALL * SMALL))  # in the small array, so that it runs long enough
    runs = {
        f"{SMALL}x{SMALL}, one lizard, one thread": best(lizard, many, 1),
        f"{SMALL}x{SMALL}, one thread": best(floor(tile, SMALL), many, 1),
        f"{side}x{side}, one thread": best(floor(tile, side), updates, 1),
        f"{side}x{side}, {threads} threads": best(floor(tile, side), updates, threads),
    }
    memory = peak_bytes()
    for name, one in runs.items():
        told = f"{one.seconds:8.2f} s {one.updates:12,} updates {one.evaluated / one.updates:5.0%} evaluated {one.cost:7.1f} ns each"
        print(f"  {name:34s}{told}")
    lizard_alone, small, large, _ = runs.values()
    ratio = large.cost / min(small.cost, lizard_alone.cost)
    print(f"  peak memory {memory / 1e6:,.0f} MB, allowed {BYTES_MAX / 1e6:,.0f}")
    print(f"  large array, one thread: {large.seconds:.1f} s with setting up, allowed {SECONDS_MAX:g}")
    print(f"  an evaluated update there takes {ratio:.2f} times as long as in the cheaper small array, allowed {RATIO_MAX:g}")
    kept = large.seconds < SECONDS_MAX and memory < BYTES_MAX and ratio < RATIO_MAX
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
