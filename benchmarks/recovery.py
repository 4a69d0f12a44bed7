"""Does the pattern come back? The default run of `nca-hw simulate --kill 30%` for many seeds.

    python benchmarks/recovery.py [GENOME] [--grid 40x40] [--kill 30%] [--seeds 20] [--within 2]

Prints pattern loss before the kill and at the end for every seed, and exits with 1 unless all are back within the stated ratio.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(genome: str, grid: str, kill: str, seed: int) -> dict[str, float]:
    """One run of the command itself, as a user types it."""
    with tempfile.TemporaryDirectory() as folder:
        nca_hw = str(Path(sys.executable).with_name("nca-hw"))
        words = [nca_hw, "simulate", genome, "--grid", grid, "--kill", kill, "--seed", str(seed), "--report", folder, "--json"]
        return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", nargs="?", default="lizard")
    parser.add_argument("--grid", default="40x40")
    parser.add_argument("--kill", default="30%")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--within", type=float, default=2.0)
    options = parser.parse_args()
    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        seeds = range(1, options.seeds + 1)
        results = list(pool.map(lambda seed: run(options.genome, options.grid, options.kill, seed), seeds))
    print(f"{'seed':>4s} {'before':>9s} {'at the end':>11s} {'ratio':>6s} {'recovered after':>16s}")
    back = 0
    for seed, result in zip(seeds, results, strict=True):
        ratio = result["loss"] / result["loss_before"]
        back += ratio <= options.within
        after = result["recovery_updates"]
        told = "-" if after is None else f"{after:g} u"
        print(f"{seed:4d} {result['loss_before']:9.5f} {result['loss']:11.5f} {ratio:6.2f} {told:>16s}")
    print(f"back within {options.within:g}x: {back} of {len(results)}   ({time.perf_counter() - start:.0f} s)")
    return 0 if back == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
