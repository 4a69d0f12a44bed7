"""Do published models survive the integer cell? Float and int8, the same asynchronous grid, the same seeds, side by side.

    python benchmarks/published_models.py --models FOLDER [--grid 64] [--at 150,500] [--seed 1]

FOLDER holds exK_NAME.json (the article's web-demo models) and target_NAME.png. A model looks right when its pattern loss, the best of
the nine one-pixel shifts, is below 0.005. Exits with 1 if int8 looks right on fewer models than float less one, at any of the times.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys
import time
from pathlib import Path

import numpy as np

from nca_hw.core.layout import find_layout, to_model
from nca_hw.core.quantize import quantize
from nca_hw.formats import weights
from nca_hw.formats.picture import load_picture
from nca_hw.sim.metrics import pattern_loss, place
from nca_hw.sim.rules import FloatRule, IntegerRule, Rule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

LOOKS_RIGHT = 0.005


def shifted_loss(rgba: np.ndarray, target: np.ndarray) -> float:
    """The smallest pattern loss over the nine one-pixel shifts of the target."""
    return min(pattern_loss(rgba, np.roll(target, (dy, dx), (0, 1))) for dy in (-1, 0, 1) for dx in (-1, 0, 1))


def run(path: Path, kind: str, grid: int, at: tuple[int, ...], seed: int) -> list[float]:
    raw = weights.read(path)
    model = to_model(raw, find_layout(raw)[0])
    rule: Rule = FloatRule(model) if kind == "float" else IntegerRule(quantize(model))
    target = load_picture(path.parent / f"target_{path.stem.split('_')[1]}.png")
    step = int(np.gcd.reduce(at))
    interval = Scenario(grid, grid).interval
    scenario = Scenario(grid, grid, seed=seed, duration=max(at) * interval, sample_every=step * interval)
    result = simulate(scenario, rule, target)
    on_grid = place(target, grid, grid)
    return [shifted_loss(result.rgba(t // step), on_grid) for t in at]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--grid", type=int, default=64)
    parser.add_argument("--at", default="150,500")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    at = tuple(int(t) for t in options.at.split(","))
    paths = sorted(p for p in options.models.glob("ex[23]_*.json"))
    if not paths:
        parser.error(f"no ex2_*.json or ex3_*.json in {options.models}")
    start = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor() as pool:
        jobs = {(p, kind): pool.submit(run, p, kind, options.grid, at, options.seed) for p in paths for kind in ("float", "int8")}
        losses = {job: future.result() for job, future in jobs.items()}
    print(f"pattern loss on {options.grid}x{options.grid} cells, asynchronous, seed {options.seed}; * looks right (< {LOOKS_RIGHT})")
    print(f"{'model':16s}" + "".join(f"{kind + ' at ' + str(t):>16s}" for t in at for kind in ("float", "int8")))
    right = {(kind, t): 0 for kind in ("float", "int8") for t in at}
    for p in paths:
        row = f"{p.stem:16s}"
        for i, t in enumerate(at):
            for kind in ("float", "int8"):
                loss = losses[p, kind][i]
                right[kind, t] += loss < LOOKS_RIGHT
                row += f"{loss:14.5f}{' *' if loss < LOOKS_RIGHT else '  '}"
        print(row)
    print(f"{'look right':16s}" + "".join(f"{right[kind, t]:>14d}  " for t in at for kind in ("float", "int8")))
    kept = all(right["int8", t] >= right["float", t] - 1 for t in at)
    print(f"int8 keeps what float keeps, less one: {'yes' if kept else 'NO'}   ({time.perf_counter() - start:.0f} s)")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
