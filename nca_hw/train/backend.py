"""The door to training: `train` checks its input and chooses who computes: a GPU by PyTorch where both are there, else the CPU by C."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.model import Float, FloatModel
from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.train.outcome import Progress, Trained
from nca_hw.train.rollout import Engine
from nca_hw.train.settings import TrainSettings

SMALLEST = 3  # cells of a side: Sobel needs a neighbourhood


def train(
    picture: NDArray[np.float32],
    settings: TrainSettings | None = None,
    *,
    start: FloatModel | None = None,
    folder: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] | None = None,
    look: Callable[[Float], None] | None = None,
) -> Trained:
    """Train the integer cell of docs/spec.md to grow, keep and regrow a picture. Source: the article's Experiment 3; docs/training.md.

    The same picture and settings give the same weights on the same machine with the same NumPy (and PyTorch, on a GPU). Ctrl-C ends the
    run after the step in hand, saves the checkpoint and returns what there is; a second Ctrl-C stops at once.

    Args:
        picture: float32 [H, W, 4], premultiplied RGBA, 0 to 1, with transparent margins: `nca_hw.formats.picture.load_picture`.
        settings: the recipe's numbers; None takes the defaults.
        start: weights to go on from; None starts from random ones.
        folder: for checkpoints and the losses' CSV; None keeps neither.
        resume: go on from the checkpoint in `folder`; the result is that of a run that was never interrupted.
        progress: called after every gradient step.
        look: called with the pool, float32 [pool, H, W, 16], whenever a checkpoint is due.
    Raises:
        ToolMissing: a GPU was asked for, and there is none or no PyTorch.
        NcaHwError: the picture has another shape or nothing to see, or the folder can't be used.
    """
    if picture.ndim != 3 or picture.shape[2] != 4 or min(picture.shape[:2]) < SMALLEST:
        raise NcaHwError(f"the picture has shape {list(picture.shape)}, expected [height, width, 4], at least {SMALLEST} cells a side")
    if not np.isfinite(picture).all() or not picture[..., 3].any():
        raise NcaHwError("the picture has no visible cell, or values that are not numbers")
    if resume and folder is None:
        raise NcaHwError("there is nothing to resume from: no checkpoint folder was named", cure="Name it with --checkpoint.")
    from nca_hw.train import loop

    settings = settings or TrainSettings()
    engine = choose_engine(settings, *picture.shape[:2])
    return loop.run(picture, settings, engine, start=start, folder=folder, resume=resume, progress=progress, look=look)


def choose_engine(settings: TrainSettings, height: int, width: int) -> Engine:
    """Who computes the rollouts of a run on grids of that size.

    Raises:
        ToolMissing: a GPU was asked for, and there is none or no PyTorch.
        NcaHwError: a GPU was asked for, and the axes are turned.
    """
    if settings.device == "gpu" and settings.turn:
        raise NcaHwError("turned axes are trained on the CPU alone", cure="Train on the CPU: --device cpu.")
    if settings.device != "cpu" and not settings.turn and importlib.util.find_spec("torch") is not None:
        import torch

        if torch.cuda.is_available():
            from nca_hw.train.gpu import TorchEngine

            return TorchEngine(settings.batch, height, width)
    if settings.device == "gpu":
        raise ToolMissing("there is no GPU that PyTorch can use", cure="pip install 'nca-hw[train]', or train on the CPU: --device cpu.")
    from nca_hw.train.native import NativeEngine

    return NativeEngine(settings.batch, height, width, settings.threads, turn=settings.turn)
