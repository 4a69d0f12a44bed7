"""The training loop: a pool of living grids, damage, gradient steps, first on the float rule and then on the integer cell."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import quantize
from nca_hw.core.genome import Genome
from nca_hw.core.model import CHANNELS, HIDDEN, KERNELS, Float, FloatModel, seed_grid
from nca_hw.errors import NcaHwError
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.survival import survive
from nca_hw.train import checkpoint, width
from nca_hw.train.adam import Adam
from nca_hw.train.damage import random_damage
from nca_hw.train.judge import FIRST_SEED, FULL_SEEDS, TAUGHT, Verdict, judge
from nca_hw.train.outcome import Best, Progress, Trained
from nca_hw.train.rollout import Engine, Rollout
from nca_hw.train.settings import TrainSettings

RGBA = 4
STEADY_SEEDS = 4  # of the long trial, at the end of training from weights
BROKEN_LOSS = 0.03  # of a grid that is not worth keeping: debris, or nothing
HIDDEN_QUANTILE = 0.999
CALIBRATE_EVERY = 50
SHIFT_FROZEN_FROM = 0.85  # share of the steps after which S1 stays
SHIFT_START = 10
GRADIENT_FLOOR = 1e-8
BALANCE = 0.12  # root mean square of a first layer that has learned
HIDDEN_MAX = 255
SAMPLE = 16384  # perceptions from which S1 is chosen
STILL_STEPS = 16  # a resting grid is compared with itself that many automaton steps earlier
WANDERED = 0.6  # a grid has wandered if, moved by one cell, its loss is below this share of what it was


class Trainer:
    """All of the state of a training run. A run continued from `load` goes the way it would have gone uninterrupted."""

    def __init__(self, picture: Float, settings: TrainSettings, engine: Engine, start: FloatModel | None = None) -> None:
        self.picture = np.ascontiguousarray(picture, np.float32)
        self.settings = settings
        self.engine = engine
        self.height, self.width = picture.shape[:2]
        self.rng = np.random.default_rng(settings.seed)
        self.weights = first_weights(self.rng, settings.hidden) if start is None else balanced(self._narrowed(start))
        self.adam = Adam(self.weights)
        self.pool = np.repeat(seed_grid(self.height, self.width)[None], settings.pool, axis=0)
        self.step = 0
        self.s1 = SHIFT_START
        self.integer = False
        self.mean = {name: weights.astype(np.float64) for name, weights in self.weights.items()}  # running, of the integer cell's weights
        self.losses: list[float] = []
        self.grids = self.pool[: settings.batch]  # the last batch as it ended
        self.best: Best | None = None

    def genome(self) -> Genome:
        """The integer cell as it is now."""
        return quantize.assemble(self.model(), s1=self.s1, turn=self.settings.turn)

    def _narrowed(self, start: FloatModel) -> FloatModel:
        return width.padded(width.narrowed(start, self.settings.hidden, (self.height, self.width)))

    def model(self) -> FloatModel:
        """A copy of the weights as they are now."""
        return FloatModel(**{name: array.copy() for name, array in self.weights.items()})

    def mean_model(self) -> FloatModel:
        """The running mean of the weights, which is what is judged and kept: it has less of the last batches' accidents."""
        return FloatModel(**{name: array.astype(np.float32) for name, array in self.mean.items()})

    def mean_genome(self) -> Genome:
        """The integer cell of the running mean."""
        return quantize.assemble(self.mean_model(), s1=self.s1, turn=self.settings.turn)

    def advance(self) -> float:
        """One gradient step; returns the batch's mean pattern loss."""
        s = self.settings
        if not self.integer and self.step >= s.integer_from * s.steps:
            self._enter_integer()
        chosen, struck = self._choose()
        start, rollout, model = self.pool[chosen], self._rollout(struck), self.model()
        genome = quantize.assemble(model, s1=self.s1, turn=s.turn) if self.integer else None
        states = self.engine.forward(model, genome, rollout, start)
        self.grids = states[-1]
        each, towards = self._judge(states, start)
        self._descend(self.engine.backward(towards))
        for name, weights in self.weights.items():
            self.mean[name] += (1 - (s.mean if self.integer else 0)) * (weights - self.mean[name])
        for entry, grid in zip(chosen, states[-1], strict=True):
            self.pool[entry] = carried_back(grid, self.picture)
        if self.integer and self.step % CALIBRATE_EVERY == 0 and self.step < SHIFT_FROZEN_FROM * s.steps:
            assert genome is not None
            self._choose_shift(sums(genome, self.engine.perceptions(SAMPLE)))
        self.step += 1
        self.losses.append(float(each.mean()))
        return self.losses[-1]

    def judge(self) -> Verdict:
        """Judge the integer cell as it is now, and keep it if it is the best so far."""
        if not self.integer:
            self._enter_integer()
        genome, s = self.mean_genome(), self.settings
        seeds = range(FIRST_SEED, FIRST_SEED + s.judge_seeds)
        verdict = judge(genome, self.picture, s.regime, seeds, threads=s.threads)
        if verdict.beats(None if self.best is None else self.best.verdict):
            self.best = Best(self.step, verdict, self.mean_model(), self.s1)
        return verdict

    def is_judged_now(self) -> bool:
        """A judgement is due after the step that was done last."""
        s = self.settings
        due = self.step % s.judge_every == 0 and self.step >= s.judge_from * s.steps
        return self.integer and (due or self.step == s.steps)

    def has_survived(self) -> bool:
        """The integer cell as it is now survives every trial, the long one too, with twenty seeds."""
        genome, s = self.mean_genome(), self.settings
        seeds = range(FIRST_SEED, FIRST_SEED + FULL_SEEDS)
        return judge(genome, self.picture, s.regime, seeds, drift=True, threads=s.threads).whole

    def _choose(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Pool entries of a batch, best first, and which of their cells were struck, bool [B, H, W].

        The last becomes a seed, the best of the others are damaged.
        """
        s = self.settings
        struck = np.zeros((s.batch, self.height, self.width), np.bool_)
        chosen = self.rng.choice(s.pool, s.batch, replace=False)
        if s.regime == "grow":
            self.pool[chosen] = seed_grid(self.height, self.width)
            return chosen, struck
        loss = ((self.pool[chosen][..., :RGBA] - self.picture) ** 2).mean((1, 2, 3))
        chosen = chosen[np.argsort(loss, kind="stable")]
        if self.integer and loss.max() < BROKEN_LOSS:  # none is broken: let any go, so that slow learners are not weeded out
            gone = int(self.rng.integers(s.batch))
            chosen = np.append(np.delete(chosen, gone), chosen[gone])
        self.pool[chosen[-1]] = seed_grid(self.height, self.width)
        if self._rough():
            for n, entry in enumerate(chosen[: self._damaged]):
                struck[n] = random_damage(self.height, self.width, self.rng)
                self.pool[entry][struck[n]] = 0
        return np.asarray(chosen), struck

    @property
    def _damaged(self) -> int:
        return self.settings.damaged if self.settings.regime == "regenerate" else 0

    def _rough(self) -> bool:
        """Damage and weather have begun."""
        return self.step >= self.settings.damage_from * self.settings.steps

    def _rollout(self, struck: NDArray[np.bool_] | None = None) -> Rollout:
        """The states at the end are asked for, and those some steps before if there are as many."""
        s = self.settings
        rate = self.rng.uniform(*s.update_rate)
        steps = int(self.rng.integers(s.rollout[0], s.rollout[1] + 1))
        marks = (steps - STILL_STEPS, steps) if self.integer and steps > STILL_STEPS else (steps,)
        wakes = np.full((s.batch, self.height, self.width), rate, np.float32)
        seed = int(self.rng.integers(2**32))
        if struck is None or not self._rough():
            return Rollout(steps, seed, wakes, marks)
        weather = self.rng.random(s.batch) < s.weather
        apart = self.rng.uniform(1 - s.clocks_apart, 1 + s.clocks_apart, wakes.shape).astype(np.float32)
        wakes = np.where(weather[:, None, None], np.minimum(wakes * apart, 1), wakes)
        lost = np.where(weather, self.rng.uniform(*s.lost, s.batch), 0).astype(np.float32)
        if not self.engine.loses:
            return Rollout(steps, seed, wakes, marks)
        return Rollout(steps, seed, wakes, marks, lost if lost.any() else None, struck if struck.any() else None)

    def _judge(self, states: Float, start: Float) -> tuple[Float, Float]:
        """Pattern loss of every grid [B], and the gradient of the whole loss, of the shape of `states` [marks, B, H, W, 16]."""
        s = self.settings
        final, towards = states[-1], np.zeros_like(states)
        wrong = final[..., :RGBA] - self.picture
        each = (wrong**2).mean((1, 2, 3))
        towards[-1, ..., :RGBA] = wrong * np.float32(2 / wrong.size)
        beyond = np.abs(final) > s.state_limit
        towards[-1][beyond] += np.sign(final[beyond]) * np.float32(s.limit_weight / final.size)
        if self.integer:  # grids that neither grow nor heal should stand still
            resting = slice(self._damaged, -1 if s.regime != "grow" else 0)
            change = np.sign(final[resting] - (states[0] if len(states) > 1 else start)[resting])
            change *= np.float32(s.still_weight / max(change.size, 1))
            towards[-1, resting] += change
            if len(states) > 1:
                towards[0, resting] -= change
        return each, towards

    def _descend(self, gradient: dict[str, Float]) -> None:
        s = self.settings
        scaled = {name: g / np.float32(np.linalg.norm(g) + GRADIENT_FLOOR) for name, g in gradient.items()}
        turn = math.cos(math.pi * self.step / s.steps)
        self.adam.advance(scaled, s.rate_end + (s.rate_start - s.rate_end) * (1 + turn) / 2)

    def _enter_integer(self) -> None:
        """From here on states are codes; the shift comes from what the hidden units reach in the pool's own grids."""
        model = self.model()
        self.engine.forward(model, None, self._rollout(), self.pool[: self.settings.batch])
        hidden = np.maximum(self.engine.perceptions(SAMPLE) @ model.w1 + model.b1, 0)
        self._choose_shift(hidden / quantize.hidden_scales(model).astype(np.float32), lower_freely=True)
        self.integer = True

    def _choose_shift(self, hidden: Float, lower_freely: bool = False) -> None:
        """S1 by the rule of the quantizer: the 99.9th percentile of the widest hidden unit fits 8 bits. Lowered only with room to spare."""
        rank = max(1, round(hidden.shape[0] * (1 - HIDDEN_QUANTILE)))
        reach = float(np.partition(hidden, -rank, axis=0)[-rank].max())
        fits = int(np.clip(math.ceil(math.log2(max(reach, 1.0) / HIDDEN_MAX)), 1, 24))
        if fits > self.s1 or lower_freely or reach < 0.7 * HIDDEN_MAX * 2.0 ** (self.s1 - 1):
            self.s1 = fits


def first_weights(rng: np.random.Generator, hidden: int = HIDDEN) -> dict[str, Float]:
    """What training starts from, by the names of FloatModel: the second layer is zero, so that a cell at first does nothing.

    Units from `hidden` on are zero, and stay so.
    """
    inputs = KERNELS * CHANNELS
    limit = np.sqrt(6 / (inputs + HIDDEN))  # Glorot, as in the article's code
    w1 = rng.uniform(-limit, limit, (inputs, HIDDEN)).astype(np.float32)
    w1[:, hidden:] = 0
    return {
        "w1": w1, "b1": np.zeros(HIDDEN, np.float32),
        "w2": np.zeros((HIDDEN, CHANNELS), np.float32), "b2": np.zeros(CHANNELS, np.float32),
    }  # fmt: skip


def balanced(model: FloatModel) -> dict[str, Float]:
    """A model's weights with hidden units scaled so that both layers learn at one rate; what it computes stays the same."""
    scale = np.float32(np.sqrt((model.w1**2).mean()) / BALANCE)
    return {"w1": model.w1 / scale, "b1": model.b1 / scale, "w2": model.w2 * scale, "b2": model.b2.copy()}


def sums(genome: Genome, perceptions: Float) -> Float:
    """What the hidden units of the integer cell sum up before the shift, float32 [n, H]; perceptions in real units, float32 [n, 48]."""
    return np.asarray(perceptions @ (genome.w1 * np.float32(1 / quantize.STATE_UNIT)) + quantize.BIAS1_UNIT * genome.b1.astype(np.float32))


def carried_back(grid: Float, picture: Float) -> Float:
    """A grid that wandered by a cell, moved back to where the picture is.

    A cell can't know where on the grid it stands. A grid a whole cell off its place could only teach it to move, whatever its place; a
    grid moved back teaches it to stay.

    Args:
        grid: float32 [H, W, 16]. picture: float32 [H, W, 4].
    """
    height, width = picture.shape[:2]
    seen = np.pad(grid[..., :RGBA], ((1, 1), (1, 1), (0, 0)))
    best, step = WANDERED * float(((grid[..., :RGBA] - picture) ** 2).mean()), None
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        loss = float(((seen[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width] - picture) ** 2).mean())
        if loss < best:
            best, step = loss, (dy, dx)
    if step is None:
        return grid
    dy, dx = step
    return np.pad(grid, ((1, 1), (1, 1), (0, 0)))[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]


class _CtrlC:
    """While it is entered, the first Ctrl-C only sets `asked`, so that no step is left half done; the second acts as usual."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> _CtrlC:
        self._mine = threading.current_thread() is threading.main_thread()
        if self._mine:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._mine:
            signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, self._before)


def _beginnings(picture: Float, settings: TrainSettings, engine: Engine, start: FloatModel) -> list[Best]:
    """What a run from weights begins with, judged: with the hidden shift that training chooses, and with that of `nca-hw quantize`.

    Either may be the better one: the shift decides how much of a damage the cell's hidden values can tell.
    """
    trainer = Trainer(picture, settings, engine, start)
    read = [Best(0, trainer.judge(), trainer.mean_model(), trainer.s1)]
    if settings.turn == 0:
        with contextlib.suppress(NcaHwError):  # it explodes or dies
            shift = quantize.hidden_shift(trainer.model(), (trainer.height, trainer.width))
            if shift != trainer.s1:
                trainer.s1 = shift
                read.append(Best(0, trainer.judge(), trainer.mean_model(), shift))
    return read


def _steady(best: Best, picture: Float, settings: TrainSettings) -> int:
    """How many runs of the long trial a kept genome survives, of STEADY_SEEDS: too long to be asked for at every judgement."""
    genome = quantize.assemble(best.model, s1=best.s1, turn=settings.turn)
    height, width = picture.shape[:2]
    seeds = range(FIRST_SEED, FIRST_SEED + STEADY_SEEDS)
    (outcome,) = survive(IntegerRule(genome), picture, width, height, seeds, kinds=("drift",), threads=settings.threads)
    return outcome.survived


def _that_stays(best: Best, beginnings: list[Best], picture: Float, settings: TrainSettings) -> Best:
    """The best, or what the run began with where training, or the shift, has lost that: a picture that stays."""
    others = [one for one in beginnings if one is not best]
    if not others or "drift" not in TAUGHT[settings.regime]:
        return best
    return max([best, *others], key=lambda one: _steady(one, picture, settings))  # of equals the first


def run(
    picture: Float, settings: TrainSettings, engine: Engine, *, start: FloatModel | None, folder: Path | None, resume: bool,
    progress: Callable[[Progress], None] | None, look: Callable[[Float], None] | None,
) -> Trained:  # fmt: skip
    """`nca_hw.train.train` once its input is checked and it is known who computes."""
    trainer = Trainer(picture, settings, engine, start)
    if folder is not None:
        checkpoint.prepare(folder, resume)
        if resume:
            checkpoint.load(trainer, folder)
    began, first = time.monotonic(), trainer.step
    beginnings = [] if start is None or settings.integer_from > 0 else _beginnings(picture, settings, engine, start)
    if trainer.step == 0:
        for one in beginnings:  # so that what is kept in the end is no worse than what there was
            if one.verdict.beats(None if trainer.best is None else trainer.best.verdict):
                trainer.best = one
    survived = False
    with _CtrlC() as ctrl_c:
        while trainer.step < settings.steps and not ctrl_c.asked and not survived:
            loss = trainer.advance()
            verdict = trainer.judge() if trainer.is_judged_now() else None
            if progress is not None:
                seconds = time.monotonic() - began
                speed = (trainer.step - first) / max(seconds, 1e-9)
                left = (settings.steps - trainer.step) / speed
                phase = "integer" if trainer.integer else "float"
                progress(Progress(trainer.step, settings.steps, loss, phase, seconds, speed, left, trainer.grids, verdict))
            survived = settings.until_survived and verdict is not None and verdict.whole and trainer.has_survived()
            if trainer.step % settings.checkpoint_every == 0:
                if folder is not None:
                    checkpoint.save(trainer, folder)
                if look is not None:
                    look(trainer.pool)
        if folder is not None:
            checkpoint.save(trainer, folder)
    done = trainer.step == settings.steps or survived
    best = trainer.best
    if done and not survived and best is not None:
        best = _that_stays(best, beginnings, picture, settings)
    if best is None or survived:
        verdict = None if best is None else best.verdict
        return Trained(trainer.mean_model(), trainer.s1, trainer.step, not done, tuple(trainer.losses), verdict, turn=settings.turn)
    return Trained(best.model, best.s1, trainer.step, not done, tuple(trainer.losses), best.verdict, best.step, settings.turn)
