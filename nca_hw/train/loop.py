"""The training loop: a pool of living grids, damage, gradient steps, first on the float rule and then on the integer cell."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nca_hw.core import quantize
from nca_hw.core.model import seed_grid
from nca_hw.train import checkpoint
from nca_hw.train.damage import random_damage
from nca_hw.train.outcome import Progress, Trained
from nca_hw.train.rule import HIDDEN_MAX, Integer, Weights, flatten, flatten_mask, unflatten, wake
from nca_hw.train.settings import TrainSettings

RGBA = 4
BROKEN_LOSS = 0.03  # of a grid that is not worth keeping: debris, or nothing
HIDDEN_QUANTILE = 0.999
CALIBRATE_EVERY = 50
SHIFT_FROZEN_FROM = 0.85  # share of the steps after which S1 stays
SHIFT_START = 10
GRADIENT_FLOOR = 1e-8
STILL_STEPS = 16  # a resting grid is compared with itself that many automaton steps earlier
WANDERED = 0.6  # a grid has wandered if, moved by one cell, its loss is below this share of what it was


class Trainer:
    """All of the state of a training run. A run continued from `load` goes the way it would have gone uninterrupted."""

    def __init__(self, picture: NDArray[np.float32], settings: TrainSettings) -> None:
        self.picture = np.ascontiguousarray(picture, np.float32)
        self.settings = settings
        self.height, self.width = picture.shape[:2]
        self.rng = np.random.default_rng(settings.seed)
        self.weights = Weights(self.rng)
        self.adam = torch.optim.Adam(self.weights.parameters(), lr=settings.rate_start)
        self.pool = np.repeat(seed_grid(self.height, self.width)[None], settings.pool, axis=0)
        self.step = 0
        self.s1 = SHIFT_START
        self.integer = False
        self.losses: list[float] = []

    def cell(self) -> Integer:
        """The integer cell of the weights as they are now."""
        model = self.weights.model()
        return Integer.of(quantize.assemble(model, s1=self.s1), model)

    def advance(self) -> float:
        """One gradient step; returns the batch's mean pattern loss."""
        s = self.settings
        if not self.integer and self.step >= s.integer_from * s.steps:
            self._enter_integer()
        calibrating = self.integer and self.step % CALIBRATE_EVERY == 0 and self.step < SHIFT_FROZEN_FROM * s.steps
        chosen = self._choose()
        grids = self.pool[chosen]
        cell = self.cell() if self.integer else None
        seen: list[Tensor] | None = [] if calibrating else None
        earlier, final = (unflatten(x, self.height, self.width) for x in self._rollout(flatten(grids), cell, seen))
        each = ((final[..., :RGBA] - torch.from_numpy(self.picture)) ** 2).mean((1, 2, 3))
        loss = each.mean() + s.limit_weight * (final.abs() - s.state_limit).clamp(min=0).mean()
        if self.integer:  # grids that neither grow nor heal should stand still
            loss = loss + s.still_weight * (final - earlier)[s.damaged : -1].abs().mean()
        self._descend(loss)
        for entry, grid in zip(chosen, final.detach().numpy(), strict=True):
            self.pool[entry] = carried_back(grid, self.picture)
        if seen:
            self._choose_shift(torch.cat(seen))
        self.step += 1
        self.losses.append(float(each.detach().mean()))
        return self.losses[-1]

    def _choose(self) -> NDArray[np.int64]:
        """Pool entries of a batch, best first; the last becomes a seed, the best of the others are damaged."""
        s = self.settings
        chosen = self.rng.choice(s.pool, s.batch, replace=False)
        loss = ((self.pool[chosen][..., :RGBA] - self.picture) ** 2).mean((1, 2, 3))
        chosen = chosen[np.argsort(loss, kind="stable")]
        if self.integer and loss.max() < BROKEN_LOSS:  # none is broken: let any go, so that slow learners are not weeded out
            gone = int(self.rng.integers(s.batch))
            chosen = np.append(np.delete(chosen, gone), chosen[gone])
        self.pool[chosen[-1]] = self._seed()
        if self.step >= s.damage_from * s.steps:
            for entry in chosen[: s.damaged]:
                self.pool[entry][random_damage(self.height, self.width, self.rng)] = 0
        return np.asarray(chosen)

    def _seed(self) -> NDArray[np.float32]:
        grid = seed_grid(self.height, self.width)
        return grid if not self.integer else self._snapped(grid)

    def _rollout(self, states: Tensor, cell: Integer | None, seen: list[Tensor] | None) -> tuple[Tensor, Tensor]:
        """States some steps before the end, and at the end."""
        s = self.settings
        rate = self.rng.uniform(*s.update_rate)
        shape = (s.batch, self.height, self.width)
        earlier = states
        for left in reversed(range(int(self.rng.integers(s.rollout[0], s.rollout[1] + 1)))):
            fires = flatten_mask(self.rng.random(shape, np.float32) < rate)
            states = wake(states, self.weights, fires, self.width + 2, cell, seen)
            if left == STILL_STEPS:
                earlier = states
        return earlier, states

    def _descend(self, loss: Tensor) -> None:
        s = self.settings
        self.adam.zero_grad()
        loss.backward()
        for p in self.weights.parameters():
            assert p.grad is not None
            p.grad /= p.grad.norm() + GRADIENT_FLOOR
        turn = math.cos(math.pi * self.step / s.steps)
        for group in self.adam.param_groups:
            group["lr"] = s.rate_end + (s.rate_start - s.rate_end) * (1 + turn) / 2
        self.adam.step()

    def _enter_integer(self) -> None:
        """From here on states are codes; the shift comes from what the hidden units reach in the pool's own grids."""
        seen: list[Tensor] = []
        with torch.no_grad():
            self._rollout(flatten(self.pool[: self.settings.batch]), None, seen)
        unit = torch.from_numpy(quantize.hidden_scales(self.weights.model()).astype(np.float32))
        self._choose_shift(torch.cat(seen) / unit, lower_freely=True)
        self.integer = True
        self.pool = self._snapped(self.pool)

    def _snapped(self, grids: NDArray[np.float32]) -> NDArray[np.float32]:
        snapped: NDArray[np.float32] = self.cell().snap(torch.from_numpy(grids)).numpy()
        return snapped

    def _choose_shift(self, sums: Tensor, lower_freely: bool = False) -> None:
        """S1 by the rule of the quantizer: the 99.9th percentile of the widest hidden unit fits 8 bits. Lowered only with room to spare."""
        rank = max(1, round(sums.shape[0] * (1 - HIDDEN_QUANTILE)))
        reach = float(sums.topk(rank, dim=0).values[-1].max())
        fits = int(np.clip(math.ceil(math.log2(max(reach, 1.0) / HIDDEN_MAX)), 1, 24))
        if fits > self.s1 or lower_freely or reach < 0.7 * HIDDEN_MAX * 2.0 ** (self.s1 - 1):
            self.s1 = fits


def carried_back(grid: NDArray[np.float32], picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """A grid that wandered by a cell, moved back to where the picture is.

    A cell can't know where on the grid it stands. A grid a whole cell off its place could only teach it to move, whatever its place; a
    grid moved back teaches it to stay.

    Args:
        grid: float32 [H, W, 16]. picture: float32 [H, W, 4].
    """
    here = ((grid[..., :RGBA] - picture) ** 2).mean()
    best, moved = WANDERED * here, grid
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        other = np.zeros_like(grid)
        other[max(dy, 0) : len(grid) + min(dy, 0), max(dx, 0) : grid.shape[1] + min(dx, 0)] = grid[
            max(-dy, 0) : len(grid) + min(-dy, 0), max(-dx, 0) : grid.shape[1] + min(-dx, 0)
        ]
        loss = ((other[..., :RGBA] - picture) ** 2).mean()
        if loss < best:
            best, moved = loss, other
    return moved


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


def run(
    picture: NDArray[np.float32], settings: TrainSettings, *, folder: Path | None, resume: bool, progress: Callable[[Progress], None] | None
) -> Trained:
    """`nca_hw.train.train` once its input is checked and PyTorch is known to be there."""
    if settings.threads:
        torch.set_num_threads(settings.threads)
    trainer = Trainer(picture, settings)
    if folder is not None:
        checkpoint.prepare(folder, resume)
        if resume:
            checkpoint.load(trainer, folder)
    began, first = time.monotonic(), trainer.step
    with _CtrlC() as ctrl_c:
        while trainer.step < settings.steps and not ctrl_c.asked:
            loss = trainer.advance()
            if progress is not None:
                seconds = time.monotonic() - began
                speed = (trainer.step - first) / max(seconds, 1e-9)
                phase = "integer" if trainer.integer else "float"
                progress(Progress(trainer.step, settings.steps, loss, phase, seconds, speed, (settings.steps - trainer.step) / speed))
            if folder is not None and trainer.step % settings.checkpoint_every == 0:
                checkpoint.save(trainer, folder)
        if folder is not None:
            checkpoint.save(trainer, folder)
    done = trainer.step == settings.steps
    return Trained(trainer.weights.model(), trainer.s1, trainer.step, not done, tuple(trainer.losses))
