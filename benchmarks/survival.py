"""Does it survive? Every trial of sim/survival.py for many seeds: growth, drift, damage, lost messages, relayed links, clocks apart.

    python benchmarks/survival.py [GENOME ...] [--grid WxH] [--seeds 20] [--no-drift]

The grid is that of each genome's target unless stated. Exits with 1 unless every genome passes every trial in every seed.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import statistics
import sys
import time

from nca_hw.core.genome import load
from nca_hw.formats.picture import from_png_bytes
from nca_hw.formats.words import grid as grid_words
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.survival import Outcome, trials, undergo


def run(name: str, size: tuple[int, int] | None, number: int, seed: int) -> float:
    genome = load(name)
    target = from_png_bytes(genome.target)
    width, height = size or (target.shape[1], target.shape[0])
    return undergo(trials(width, height)[number], IntegerRule(genome), target, seed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genomes", nargs="*", default=["lizard"])
    parser.add_argument("--grid", type=grid_words)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--no-drift", dest="drift", action="store_false")
    options = parser.parse_args()
    good = True
    with concurrent.futures.ProcessPoolExecutor() as pool:
        for name in options.genomes:
            start = time.perf_counter()
            todo = {n: trial for n, trial in enumerate(trials(*(options.grid or (40, 40)))) if options.drift or trial.kind != "drift"}
            seeds = range(1, options.seeds + 1)
            jobs = [[pool.submit(run, name, options.grid, n, seed) for seed in seeds] for n in todo]
            print(f"{name}, {options.seeds} seeds")
            for trial, futures in zip(todo.values(), jobs, strict=True):
                outcome = Outcome(trial, tuple(future.result() for future in futures))
                good &= outcome.survived == options.seeds
                values = f"{statistics.median(outcome.values):10.5f} median {outcome.worst:10.5f} worst   at most {trial.limit:<6g}"
                print(f"  {trial.name:36s}{values}{outcome.survived:4d} of {options.seeds}", flush=True)
            print(f"  {time.perf_counter() - start:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
