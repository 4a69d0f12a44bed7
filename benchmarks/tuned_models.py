"""What training from weights is worth: the published models as float, as imported and as tuned int8 genomes, in the simulator's trials.

    python benchmarks/tuned_models.py --models FOLDER [--tuned FOLDER] [--only ex3_eye,...] [--cells float,imported,tuned] [--no-drift]
    python benchmarks/tuned_models.py --models FOLDER --check ex3_eye

FOLDER of models holds exK_NAME.json, target_NAME.png and perhaps planarian_float; that of tuned genomes what these lines made of each:

    nca-hw import exK_NAME.json -o exK_NAME.npz
    nca-hw train target_NAME.png --from exK_NAME.npz --pad 16 -o exK_NAME.genome

Prints, for every model and every trial of sim/survival.py, in how many seeds it survived, and the median of its values: the float
original, the genome that `nca-hw quantize` makes of it, and the tuned one (`-` where there is none, or it is not asked for). Exits with 1
unless each tuned genome survives in every seed each trial that its float original survives in every seed.

The float original does not run in the simulator, whose float cell is too slow for such grids, but in training's C, cells waking by chance
in steps of a quarter of a mean update. That is a little harder on it: waits are geometric, not uniform, and neighbours may wake at once.
Messages take no time; every 16 mean updates all cells learn what their neighbours are; of a cell that was restarted its neighbours hear
at once that it is 0; there is no relay, so that trial has no float figure. `--check` puts both side by side on a 44x44 grid, where the
simulator takes minutes.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nca_hw.core.genome import load
from nca_hw.core.layout import find_layout, to_model
from nca_hw.core.model import Float, FloatModel, seed_grid
from nca_hw.core.quantize import quantize
from nca_hw.formats import weights
from nca_hw.formats.picture import load_picture
from nca_hw.sim.faults import Kill
from nca_hw.sim.metrics import place
from nca_hw.sim.rules import FloatRule, IntegerRule
from nca_hw.sim.survival import DEAD_FOR, GROWN_AT, HEALED_AFTER, STRUCK_AT, Outcome, Trial, survive, trials, undergo
from nca_hw.train.native import NativeEngine
from nca_hw.train.rollout import Rollout

CELLS = ("float", "imported", "tuned")
PAD = 16  # cells around the article's pictures
WAKES = 0.25  # probability that a cell wakes in one step
SEED_WAITS = 2  # mean updates: docs/spec.md section 5
STEPS = 64  # of a rollout: its memory grows with them
CHECK_GRID, CHECK_SEEDS = 44, 4
CHECKED = ("growth", "growth, 30% of messages lost", "loss of the left half")


class FloatArrays:
    """One grid a seed, all of a float model, alive at the same time."""

    def __init__(self, model: FloatModel, trial: Trial, seeds: Sequence[int]) -> None:
        scenario = trial.scenario
        self.model, self.trial, self.seeds = model, trial, seeds
        shape = (len(seeds), scenario.height, scenario.width)
        self.states = np.repeat(seed_grid(*shape[1:])[None], len(seeds), axis=0)
        spread = scenario.rate_spread
        self.wakes = WAKES * np.stack([np.random.default_rng(seed).uniform(1 - spread, 1 + spread, shape[1:]) for seed in seeds])
        self.lost = np.full(len(seeds), scenario.loss, np.float32) if scenario.loss else None
        self._engine = NativeEngine(*shape, threads=1)
        self._rollouts = 0

    def live(self, updates: float, silent: np.ndarray | None = None, deaf: np.ndarray | None = None) -> None:
        """So many mean updates; silent cells stay as they are, deaf ones have heard nobody; both bool [B, H, W]."""
        wakes = (self.wakes if silent is None else np.where(silent, 0, self.wakes)).astype(np.float32)
        left = round(updates / WAKES)
        while left:
            steps = min(left, STEPS)
            self._rollouts += 1
            rollout = Rollout(steps, self.seeds[0] << 20 | self._rollouts, wakes, (steps,), self.lost, deaf)
            self.states = self._engine.forward(self.model, None, rollout, self.states)[-1]
            left, deaf = left - steps, None

    def losses(self, target: Float) -> Float:
        """Pattern loss of every grid."""
        return np.asarray(((self.states[..., :4].astype(np.float64) - target) ** 2).mean((1, 2, 3)))

    def struck(self) -> np.ndarray:
        """The cells that the trial kills, those that the simulator would choose, bool [B, H, W]."""
        scenario = self.trial.scenario
        (fault,) = scenario.faults
        assert isinstance(fault, Kill)
        dead = np.zeros((len(self.seeds), scenario.cells), np.bool_)
        for row, seed in zip(dead, self.seeds, strict=True):
            row[fault.struck.cells(scenario.grid, seed, 0)] = True
        return dead.reshape(self.states.shape[:3])

    def undergo(self, target: Float) -> tuple[float, ...]:
        """The trial: its value of every seed, see survival.Trial."""
        self.live(SEED_WAITS, silent=self.states.any(-1))
        self.live(GROWN_AT - SEED_WAITS)
        before = self.losses(target)
        if self.trial.kind == "growth":
            return tuple(before.tolist())
        if self.trial.kind == "drift":
            self.live(self.trial.scenario.duration / self.trial.scenario.interval - GROWN_AT)
        else:
            self.live(STRUCK_AT - GROWN_AT)
            before, dead = self.losses(target), self.struck()
            self.live(DEAD_FOR, silent=dead)
            self.states[dead] = 0
            self.live(HEALED_AFTER, deaf=dead)
        with np.errstate(all="ignore"):
            return tuple(np.nan_to_num(self.losses(target) / before, nan=np.inf).tolist())


def models(folder: Path, only: Sequence[str]) -> dict[str, tuple[FloatModel, Float]]:
    """The float models of a folder and the pictures on their grids, by name."""
    paths = {path.stem: path for path in sorted(folder.glob("ex[23]_*.json"))}
    if (folder / "planarian_float").is_dir():
        paths["planarian_float"] = folder / "planarian_float" / "8000"
    found = {}
    for name, path in paths.items():
        if not only or name in only:
            raw = weights.read(path)
            picture = load_picture(folder / f"target_{name.replace('_float', '').split('_')[-1]}.png")
            found[name] = to_model(raw, find_layout(raw)[0]), np.pad(picture, ((PAD, PAD), (PAD, PAD), (0, 0)))
    return found


def check(model: FloatModel, picture: Float) -> None:
    """The stand-in and the simulator's float cell, the same trials on a small grid."""
    seeds = range(1, CHECK_SEEDS + 1)
    target = place(picture, CHECK_GRID, CHECK_GRID)
    for trial in trials(CHECK_GRID, CHECK_GRID):
        if trial.name in CHECKED:
            start = time.perf_counter()
            ours = FloatArrays(model, trial, seeds).undergo(target)
            simulated = [undergo(trial, FloatRule(model), target, seed) for seed in seeds]
            print(f"  {trial.name}, at most {trial.limit:g}   ({time.perf_counter() - start:.0f} s)")
            for which, values in (("C", ours), ("SimPy", simulated)):
                print(f"    {which:6s}" + " ".join(f"{value:.5f}" for value in sorted(values)), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--tuned", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--check", default="")
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--no-drift", dest="drift", action="store_false")
    options = parser.parse_args()
    found = models(options.models, [name for name in (options.check or options.only).split(",") if name])
    if not found:
        parser.error(f"no ex2_*.json or ex3_*.json of those names in {options.models}")
    good = True
    for name, (model, picture) in found.items():
        if options.check:
            print(name)
            check(model, picture)
            continue
        good &= row(name, model, picture, options)
    return 0 if good else 1


def row(name: str, model: FloatModel, picture: Float, options: argparse.Namespace) -> bool:
    """Print one model's table; returns whether its tuned genome keeps what the float original survives."""
    start = time.perf_counter()
    height, width = picture.shape[:2]
    seeds = range(1, options.seeds + 1)
    kinds = ("growth", "drift", "damage") if options.drift else ("growth", "damage")
    genomes = {}
    if "imported" in options.cells:
        genomes["imported"] = quantize(model, canvas=(height, width))
    if "tuned" in options.cells and options.tuned is not None and (options.tuned / f"{name}.genome").is_file():
        genomes["tuned"] = load(options.tuned / f"{name}.genome")
    int8 = {which: survive(IntegerRule(genome), picture, width, height, seeds, kinds=kinds, threads=1) for which, genome in genomes.items()}
    print(f"{name}, {width}x{height}, {options.seeds} seeds")
    print(f"  {'trial':34s}{'float':>8s}{'imported':>10s}{'tuned':>8s}     medians of the same: loss, or share of that before", flush=True)
    kept = True
    for number, trial in enumerate(trial for trial in trials(width, height) if trial.kind in kinds):
        told = {which: Outcome(trial, int8[which][number].values) if which in int8 else None for which in CELLS}
        if "float" in options.cells and trial.scenario.wiring == "eight":
            told["float"] = Outcome(trial, FloatArrays(model, trial, seeds).undergo(picture))
        counts = "".join("-".rjust(n) if o is None else str(o.survived).rjust(n) for o, n in zip(told.values(), (8, 10, 8), strict=True))
        middles = "".join("        -" if o is None else f"{statistics.median(o.values):9.5f}" for o in told.values())
        print(f"  {trial.name:34s}{counts}    {middles}", flush=True)
        original, tuned = told["float"], told["tuned"]
        if original is not None and tuned is not None and original.survived == options.seeds:
            kept &= tuned.survived == options.seeds
    print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)
    return kept


if __name__ == "__main__":
    sys.exit(main())
