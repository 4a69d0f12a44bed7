"""Rollouts by PyTorch, on a GPU. Import this module only where PyTorch is known to be there."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nca_hw.core.genome import Genome
from nca_hw.core.model import Float, FloatModel
from nca_hw.core.reference import mix
from nca_hw.errors import NcaHwError
from nca_hw.train.rollout import WAKES, Gradient, Rollout, every
from nca_hw.train.rule import Integer, Weights, flatten, unflatten, wake

GOLDEN = 0x9E3779B9
MASK = 0xFFFFFFFF


class TorchEngine:
    """Rollouts of B grids of H x W cells by the rule of `rule.py`.

    Args:
        batch, height, width: B, H, W.
        device: PyTorch's name of what computes.
    """

    loses = False

    def __init__(self, batch: int, height: int, width: int, device: str = "cuda") -> None:
        self.shape = (batch, height, width)
        self.device = device
        self._seen: list[Tensor] = []

    def forward(self, model: FloatModel, genome: Genome | None, rollout: Rollout, start: Float) -> Float:
        """Run a rollout: see `rollout.Engine`.

        Raises:
            NcaHwError: messages are to be lost or cells to be deaf, which only the C of native/ computes.
        """
        if rollout.lost is not None or rollout.deaf is not None:
            raise NcaHwError("lost messages and deaf cells are trained on the CPU alone", cure="Train on the CPU.")
        _, height, width = self.shape
        self._weights = Weights.of(model, self.device)
        self._seen, self._marked = [], []
        cell = Integer.of(genome, model, self.device) if genome else None
        states = flatten(start).to(self.device)
        if cell is not None:
            states = cell.snap(states)
        limit = (torch.from_numpy(rollout.wakes).to(self.device, torch.float64) * 2**30).to(torch.int64)
        for step in range(rollout.steps):
            fires = self._draw(rollout.seed, step) >> 2 < limit
            flat = torch.nn.functional.pad(fires, (1, 1, 1, 1)).reshape(-1)
            states = wake(states, self._weights, flat, width + 2, cell, self._seen)
            if step + 1 in rollout.marks:
                self._marked.append(unflatten(states, height, width))
        return np.asarray(torch.stack(self._marked).detach().cpu().numpy())

    def backward(self, towards: Float) -> Gradient:
        """The gradient of the weights: see `rollout.Engine`."""
        torch.autograd.backward(self._marked, [torch.from_numpy(g).to(self.device) for g in towards])
        self._marked = []
        return {name: getattr(self._weights, name).grad.cpu().numpy() for name in ("w1", "b1", "w2", "b2")}

    def perceptions(self, most: int) -> Float:
        """Perceptions of the last rollout: see `rollout.Engine`."""
        x = torch.cat(self._seen)
        return np.asarray(x[:: every(len(x), most)].cpu().numpy())

    def _draw(self, seed: int, step: int) -> Tensor:
        """The numbers that decide who wakes, int64 [B, H, W]: `key` of nca_hw/sim/streams.py."""
        batch, height, width = self.shape

        def link(h: Tensor, counter: Tensor) -> Tensor:
            return _mix((h ^ _mix(counter + GOLDEN & MASK)) + GOLDEN & MASK)

        def counters(count: int) -> Tensor:
            return torch.arange(count, dtype=torch.int64, device=self.device)

        first = torch.tensor(mix(seed + GOLDEN * WAKES & MASK), device=self.device)
        of_grids = link(link(first, counters(batch)), torch.tensor(step, device=self.device))
        return link(of_grids[:, None], counters(height * width)).reshape(batch, height, width)


def _mix(x: Tensor) -> Tensor:
    """`reference.mix` of int64 below 2^32: products modulo 2^64 have the right lower half."""
    x = (x ^ (x >> 16)) * 0x85EBCA6B & MASK
    x = (x ^ (x >> 13)) * 0xC2B2AE35 & MASK
    return x ^ (x >> 16)
