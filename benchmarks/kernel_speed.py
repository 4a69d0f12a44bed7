"""How fast is one update on the host? Every kernel on the same cells of a grown pattern, one thread, in one go, beside NumPy.

    python benchmarks/kernel_speed.py [GENOME] [--cells 4096]

NumPy is the same two layers as float32 matrix products over all cells at once (perception ready made), a peer for the multiply-adds alone.
Set OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 for one thread there too. What the processor lacks falls back to the row before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from nca_hw.core import reference
from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import Genome, load
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

SECONDS = 1.0


def grown_cells(genome: Genome, count: int) -> tuple[np.ndarray, np.ndarray]:
    """States and received states of cells that evaluate the network, from a grown pattern."""
    array = SimpyArray(Scenario(40, 40, seed=1, duration=60 * Scenario.interval), IntegerRule(genome))
    array.run()
    states = np.array([cell.state for cell in array.cells])
    heard = np.array([cell.inbox for cell in array.cells])
    chosen = np.resize(np.flatnonzero(reference.wake(genome, states, heard)[1]), count)
    return np.ascontiguousarray(states[chosen]), np.ascontiguousarray(heard[chosen])


def seconds_an_update(run: Callable[[], object], count: int) -> float:
    run()
    best = float("inf")
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", nargs="?", default="lizard")
    parser.add_argument("--cells", type=int, default=4096)
    options = parser.parse_args()
    genome, count = load(options.genome), options.cells
    states, heard = grown_cells(genome, count)
    core = CCell(genome)
    evaluated = np.zeros(count, np.uint8)

    def fast(most: int) -> Callable[[], object]:
        kernel = ffi.new("nca_fast *")
        lib.nca_fast_prepare(kernel, core.struct, most)

        def run() -> None:
            new = states.copy()
            lib.nca_fast_wake_many(kernel, count, ffi.from_buffer("int8_t[]", new), ffi.from_buffer("int8_t[]", heard),
                                   ffi.from_buffer("uint8_t[]", evaluated))  # fmt: skip

        return run

    x = np.random.default_rng(0).standard_normal((count, genome.perception)).astype(np.float32)
    w1, w2 = genome.w1.astype(np.float32), genome.w2.astype(np.float32)
    rows = {
        "C core (the firmware's)": seconds_an_update(lambda: core.wake(states, heard), count),
        "fast kernel, portable": seconds_an_update(fast(0), count),
        "fast kernel, AVX2": seconds_an_update(fast(1), count),
        "fast kernel, AVX-512 VNNI": seconds_an_update(fast(2), count),
        "NumPy reference": seconds_an_update(lambda: reference.wake(genome, states, heard), count),
        "NumPy float32, layers alone": seconds_an_update(lambda: np.maximum(x @ w1, 0) @ w2, count),
    }
    best = rows["fast kernel, AVX-512 VNNI"]
    multiply_adds = genome.w1.size + genome.w2.size
    sizes = f"{genome.perception}/{genome.hidden}/{genome.channels}"
    print(f"{count} cells of a grown pattern, {sizes}, {multiply_adds:,} multiply-adds an update")
    for name, seconds in rows.items():
        rate = multiply_adds / seconds / 1e9
        told = f"{seconds * 1e6:9.3f} us an update {1 / seconds:14,.0f} updates/s {rate:7.1f} G multiply-adds/s"
        print(f"  {name:28s}{told} {seconds / best:7.1f}x")


if __name__ == "__main__":
    main()
