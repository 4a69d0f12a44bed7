"""How fast are the engines? Both on the same scenario, beside what they stand on, in one go: bare SimPy timeouts, and the bare C core.

    python benchmarks/simulator_speed.py [GENOME] [--grid 40] [--updates 300]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import simpy

from nca_hw.core.ccore import CCell
from nca_hw.core.genome import load
from nca_hw.core.reference import gather_neighbours
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray


def bare_timeouts(processes: int, count: int) -> float:
    """Seconds that SimPy alone needs for so many timeouts of so many processes."""
    env = simpy.Environment()

    def tick() -> Generator[simpy.Event, Any, None]:
        while True:
            yield env.timeout(1)

    for _ in range(processes):
        env.process(tick())
    start = time.perf_counter()
    env.run(until=count // processes)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", nargs="?", default="lizard")
    parser.add_argument("--grid", type=int, default=40)
    parser.add_argument("--updates", type=int, default=300)
    options = parser.parse_args()
    genome = load(options.genome)
    unit = Scenario.interval
    scenario = Scenario(options.grid, options.grid, seed=1, duration=options.updates * unit)
    rule = IntegerRule(genome)
    start = time.perf_counter()
    simpy_run = SimpyArray(scenario, rule).run()
    seconds = time.perf_counter() - start
    array = FastArray(scenario, rule)
    start = time.perf_counter()
    fast_run = array.run()
    fast_seconds = time.perf_counter() - start
    assert fast_run.trajectory.hexdigest() == simpy_run.trajectory.hexdigest()
    counters = simpy_run.counters

    timeouts = 2 * counters.updates  # a wake and an arrival each
    bare = bare_timeouts(scenario.cells, timeouts)

    states = simpy_run.states[-1]
    cell, neighbours = CCell(genome), gather_neighbours(states)
    start = time.perf_counter()
    evaluated = 0
    while time.perf_counter() - start < 1:
        evaluated += int(np.count_nonzero(cell.wake(states, neighbours)[1]))
    core = (time.perf_counter() - start) / evaluated

    print(f"{options.grid}x{options.grid} cells, {options.updates} mean updates a cell: {counters.updates:,} updates, "
          f"{counters.evaluated_updates:,} evaluated")  # fmt: skip
    print(f"  fast engine       {fast_seconds:7.2f} s   {counters.updates / fast_seconds:12,.0f} updates/s     "
          f"{counters.evaluated_updates / fast_seconds:,.0f} evaluated/s, {seconds / fast_seconds:.0f}x the SimPy engine")  # fmt: skip
    print(f"  SimPy engine      {seconds:7.2f} s   {counters.updates / seconds:12,.0f} updates/s")
    print(f"  bare SimPy        {bare:7.2f} s   {timeouts / bare:12,.0f} timeouts/s    engine / bare: {seconds / bare:.2f}x")
    share = core * counters.evaluated_updates
    print(f"  C core alone      {share:7.2f} s   {1 / core:12,.0f} updates/s     share of the engine: {share / seconds:.0%}")


if __name__ == "__main__":
    main()
