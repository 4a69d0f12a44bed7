"""The integer cell as PyTorch sees it while it learns: exact integer arithmetic forward, the float rule's gradient backward.

It is what a GPU computes (`gpu.py`), and the yardstick of the C in native/. Only cells that wake and are alive are computed.
States are float32 in real units (a code's value / 256), so that every value of the integer cell is an exact float32.
Import this module only where PyTorch is known to be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nca_hw.core import quantize, reference
from nca_hw.core.genome import Genome
from nca_hw.core.model import ALIVE_THRESHOLD, ALPHA, CHANNELS, Float, FloatModel

STATE_SCALE = 256.0  # val() is in units of 1/256
UPDATE_SCALE = 4096.0  # compress() takes units of 1/4096
REACH = 65536  # |v| in 1/4096 at which every code is at its end: 16 * 4096
HIDDEN_MAX = 255


@dataclass(frozen=True)
class Weights:
    """The float model's arrays as tensors that receive a gradient."""

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor

    @classmethod
    def of(cls, model: FloatModel, device: str = "cpu") -> Weights:
        """Copies of a model's arrays."""
        return cls(*(torch.tensor(a, device=device, requires_grad=True) for a in (model.w1, model.b1, model.w2, model.b2)))


@dataclass(frozen=True)
class Integer:
    """One genome's constants as float32 tensors that hold integers, and the scale that takes a hidden value back to the float model's.

    Float32 is exact here while sum |W1| |x| + |4 b1| <= 2^24. The specification's worst case is 2^24.6, with all 48 perception values
    at +-16 and all weights at +-127; trained cells stay below 2^20. The product with M2 is formed in float64, exact below 2^53.
    """

    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    per_step: Tensor
    hidden_unit: Tensor
    s1: int
    alive: float
    values: Tensor

    @classmethod
    def of(cls, genome: Genome, model: FloatModel, device: str = "cpu") -> Integer:
        """The constants of `genome`, which `quantize.assemble` made of `model`."""

        def tensor(array: NDArray[Any], dtype: torch.dtype = torch.float32) -> Tensor:
            return torch.from_numpy(np.asarray(array, np.float64)).to(device, dtype)

        return cls(
            w1=tensor(genome.w1), b1=tensor(4 * genome.b1.astype(np.int64)), w2=tensor(genome.w2), b2=tensor(genome.b2),
            per_step=tensor(genome.m2 / 2.0**genome.s2, torch.float64), hidden_unit=tensor(quantize.hidden_scales(model) * 2.0**genome.s1),
            s1=genome.s1, alive=float(genome.decode[genome.alive]) / STATE_SCALE, values=_snap_table(genome, device),
        )  # fmt: skip

    def snap(self, states: Tensor) -> Tensor:
        """val(compress(.)) of real values, rounded to 1/4096 first."""
        index = (states * UPDATE_SCALE).round_().clamp_(-REACH, REACH).add_(REACH).to(torch.int32)
        return self.values.index_select(0, index.reshape(-1)).reshape(states.shape)


_tables: dict[tuple[bytes, str], Tensor] = {}


def _snap_table(genome: Genome, device: str) -> Tensor:
    """val(compress(v)) / 256 for v = -65536..65536, float32 [131073]; it depends on the decode table alone."""
    key = (genome.decode.tobytes(), device)
    if key not in _tables:
        codes = reference.compress(genome, np.arange(-REACH, REACH + 1))
        _tables[key] = torch.from_numpy((reference.val(genome, codes) / STATE_SCALE).astype(np.float32)).to(device)
    return _tables[key]


class _Wake(torch.autograd.Function):  # type: ignore[misc]
    """One synchronous step of the cells that wake. States are flat, [B * (H + 2) * (W + 2), 16], with a border of zeros."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, fires: Tensor, width: int, cell: Integer | None,
                seen: list[Tensor] | None) -> Tensor:  # fmt: skip
        alpha = states[:, ALPHA]
        around = _largest_around(alpha, width)
        before = torch.maximum(alpha, around)
        evaluated = fires & (before >= cell.alive if cell else before > ALIVE_THRESHOLD)
        rows = evaluated.nonzero().squeeze(1)
        x = torch.cat([p.index_select(0, rows) for p in (states, *_sobel(states, width))], 1)
        if cell is None:
            hidden = torch.addmm(b1, x, w1).clamp_(min=0)
            new = x[:, :CHANNELS] + torch.addmm(b2, hidden, w2)
            new.clamp_(-16, 16)
            open_units = hidden > 0
        else:
            x[:, CHANNELS:] = cell.snap(x[:, CHANNELS:])
            a = torch.addmm(cell.b1, x * STATE_SCALE, cell.w1)
            hidden = a.add_(2.0 ** (cell.s1 - 1)).mul_(2.0**-cell.s1).floor_().clamp_(0, HIDDEN_MAX)
            open_units = (hidden > 0) & (hidden < HIDDEN_MAX)
            o = torch.addmm(cell.b2, hidden, cell.w2)
            d = (o.to(torch.float64) * cell.per_step + 0.5).floor_().to(torch.float32)
            new = cell.snap(x[:, :CHANNELS] + d / UPDATE_SCALE)
            hidden *= cell.hidden_unit
        if seen is not None:
            seen.append(x)
        # A cell's neighbours are judged by what they sent before, itself by what it just became: spec.md section 5.
        largest = torch.maximum(new[:, ALPHA], around.index_select(0, rows))
        lives = (largest >= cell.alive if cell else largest > ALIVE_THRESHOLD).unsqueeze(1)
        new *= lives
        after = states * ~fires.unsqueeze(1)
        after.index_copy_(0, rows, new)
        ctx.save_for_backward(w1, w2, fires, rows, x, hidden, open_units, lives)
        ctx.width = width
        return after

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        w1, w2, fires, rows, x, hidden, open_units, lives = ctx.saved_tensors
        g_after = grads[0]
        g_new = g_after.index_select(0, rows) * lives
        g_hidden = (g_new @ w2.T) * open_units
        g_x = g_hidden @ w1.T
        g_states = g_after * ~fires.unsqueeze(1)
        g_states.index_copy_(0, rows, g_new + g_x[:, :CHANNELS])
        for spread, part in ((_spread_x, g_x[:, CHANNELS : 2 * CHANNELS]), (_spread_y, g_x[:, 2 * CHANNELS :])):
            dense = torch.zeros_like(g_states).index_copy_(0, rows, part)
            spread(g_states, dense, ctx.width)
        return g_states, x.T @ g_hidden, g_hidden.sum(0), hidden.T @ g_new, g_new.sum(0), None, None, None, None


def wake(states: Tensor, weights: Weights, fires: Tensor, width: int, cell: Integer | None, seen: list[Tensor] | None = None) -> Tensor:
    """One step: the cells of `fires` wake, all from the states before it.

    Args:
        states: float32 [N, 16], flat and bordered (`flatten`).
        weights: receive the gradient; they are also computed with where `cell` is None (the float rule).
        fires: bool [N], False on the border.
        width: of a bordered row.
        cell: the integer cell to compute with, made of `weights`.
        seen: collects the perceptions, float32 [n, 48].
    """
    after: Tensor = _Wake.apply(states, weights.w1, weights.b1, weights.w2, weights.b2, fires, width, cell, seen)
    return after


def flatten(grids: Float) -> Tensor:
    """States [B, H, W, 16] with a border of zeros, flat: float32 [B * (H + 2) * (W + 2), 16]."""
    return torch.from_numpy(np.pad(grids, ((0, 0), (1, 1), (1, 1), (0, 0)))).reshape(-1, CHANNELS)


def unflatten(states: Tensor, height: int, width: int) -> Tensor:
    """Flat states back to [B, H, W, 16]."""
    return states.reshape(-1, height + 2, width + 2, CHANNELS)[:, 1:-1, 1:-1]


# A flat shift by a row or a cell is a contiguous slice. What it carries across an edge lands on the border, which never wakes.


def _largest_around(alpha: Tensor, width: int) -> Tensor:
    """The largest alpha of the eight neighbours, [N]."""
    largest = torch.zeros_like(alpha)
    torch.maximum(alpha[2:], alpha[:-2], out=largest[1:-1])
    three = torch.maximum(largest, alpha)
    largest[:-width] = torch.maximum(largest[:-width], three[width:])
    largest[width:] = torch.maximum(largest[width:], three[:-width])
    return largest


def _sobel(states: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Sobel x / 8 and y / 8, [N, 16]; right inside the border only."""
    across, down = torch.zeros_like(states), torch.zeros_like(states)
    torch.sub(states[2:], states[:-2], out=across[1:-1])
    torch.sub(states[2 * width :], states[: -2 * width], out=down[width:-width])
    return _smooth(across, width), _smooth(down, 1)


def _smooth(values: Tensor, shift: int) -> Tensor:
    """(1, 2, 1) / 8 along one axis."""
    smooth = values * 0.25
    smooth[:-shift].add_(values[shift:], alpha=0.125)
    smooth[shift:].add_(values[:-shift], alpha=0.125)
    return smooth


def _spread_x(into: Tensor, dense: Tensor, width: int) -> None:
    """Adds the transpose of Sobel x / 8."""
    smooth = _smooth(dense, width)
    into[2:] += smooth[1:-1]
    into[:-2] -= smooth[1:-1]


def _spread_y(into: Tensor, dense: Tensor, width: int) -> None:
    """Adds the transpose of Sobel y / 8."""
    smooth = _smooth(dense, 1)
    into[2 * width :] += smooth[width:-width]
    into[: -2 * width] -= smooth[width:-width]
