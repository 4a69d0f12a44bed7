"""How fast is a gradient step? The C of nca_hw/train/native/ and PyTorch on the same CPU, by turns, from the same state, in both phases.

    python benchmarks/training_speed.py [PICTURE] [--threads 2] [--grown 300] [--steps 10]

First a run of `--grown` steps makes weights and a pool of living grids. From there both make the same steps: same grids, same cells that
wake. Beside steps a second of wall time stands the CPU time of a step, which other programs on the machine disturb less. The last column
sets the multiply-adds of the layers, forward and backward, against the float32 multiply-adds that the same threads can do at best, which is
measured right before; forward, the integer cell multiplies bytes, which are faster than that. Without PyTorch only the C is measured.

On a busy machine compare with --threads 1: PyTorch's threads spin while they wait for one another, many times an automaton step.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import time
from pathlib import Path

import numpy as np

import nca_hw.genomes
from nca_hw.core.model import CHANNELS, HIDDEN, KERNELS
from nca_hw.formats.picture import load_picture
from nca_hw.train import TrainSettings
from nca_hw.train.adam import Adam
from nca_hw.train.loop import Trainer
from nca_hw.train.native import NativeEngine
from nca_hw.train.rollout import Engine

PICTURE = Path(nca_hw.genomes.__file__).with_name("lizard.png")
MULTIPLY_ADDS = 3 * (KERNELS * CHANNELS * HIDDEN + HIDDEN * CHANNELS)  # of an update: once forward, twice backward
ROUNDS = 40_000


def like(trainer: Trainer, engine: Engine) -> Trainer:
    """A run in the same state that another engine computes."""
    other = Trainer(trainer.picture, trainer.settings, engine)
    other.pool, other.s1, other.integer, other.step = trainer.pool.copy(), trainer.s1, trainer.integer, trainer.step
    other.weights = {name: array.copy() for name, array in trainer.weights.items()}
    other.adam = Adam(other.weights)
    other.rng = copy.deepcopy(trainer.rng)
    return other


def limit(engine: NativeEngine) -> float:
    """Multiply-adds a second of CPU time, the best of five tries."""
    best = 0.0
    for _ in range(5):
        start = time.process_time()
        done = engine.yardstick(ROUNDS)
        best = max(best, done / (time.process_time() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=PICTURE)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--grown", type=int, default=300)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    picture = load_picture(options.picture, (40, 40))
    settings = TrainSettings(steps=10_000, damage_from=0, integer_from=1)
    native = NativeEngine(settings.batch, 40, 40, options.threads)
    engines: dict[str, Engine] = {f"C, {native.instructions}": native}
    if importlib.util.find_spec("torch") is not None:
        import torch

        from nca_hw.train.gpu import TorchEngine

        torch.set_num_threads(options.threads)
        engines[f"PyTorch {torch.__version__}"] = TorchEngine(settings.batch, 40, 40, "cpu")
    grown = Trainer(picture, settings, native)
    for _ in range(options.grown):
        grown.advance()

    print(f"{options.threads} threads, 8 grids of 40x40 cells, 56 to 88 automaton steps a gradient step, {options.steps} gradient steps")
    for phase, integer_from in (("float", 1.0), ("integer", 0.0)):
        settings = TrainSettings(steps=10_000, damage_from=0, integer_from=integer_from)
        grown.settings = settings
        runs = {name: like(grown, engine) for name, engine in engines.items()}
        wall, cpu, updates = dict.fromkeys(runs, 0.0), dict.fromkeys(runs, 0.0), 0
        for run in runs.values():
            run.advance()  # enters the phase, and warms up
        most = limit(native)
        for _ in range(options.steps):
            for name, run in runs.items():
                began, began_cpu = time.perf_counter(), time.process_time()
                run.advance()
                wall[name] += time.perf_counter() - began
                cpu[name] += time.process_time() - began_cpu
                updates += native.updates if run.engine is native else 0
        losses = " and ".join(f"{run.losses[-1]:.6f}" for run in runs.values())
        print(f"  {phase} phase: {updates / options.steps:,.0f} updates a step; last losses {losses}")
        for name in runs:
            share = updates * MULTIPLY_ADDS / cpu[name] / most
            print(f"    {name:24s}{options.steps / wall[name]:7.1f} steps/s {1e3 * cpu[name] / options.steps:9.1f} ms of CPU a step "
                  f"{share:6.0%} of {most / 1e9:.0f} G multiply-adds/s a thread")  # fmt: skip
        if len(runs) > 1:
            (a, b), (c, d) = wall.values(), cpu.values()
            print(f"    the C is faster by {b / a:.1f} times in wall time, {d / c:.1f} times in CPU time")


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
