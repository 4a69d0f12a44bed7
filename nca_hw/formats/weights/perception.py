"""The perception filters of a file: identity and the two Sobels in some order, some scale and some arrangement, or something else.

What the article's rule calls perception is fixed, so that most files do without. Where the filters are there, they say in which order the
48 values stand, which of them is x, and how large a Sobel is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import CHANNELS, PERCEPTION, USUAL_FILTERS, Filters, Layout, quoted

SOBEL_X = np.outer([1, 2, 1], [-1, 0, 1]) / 8
KERNELS = (np.pad([[1.0]], 1), SOBEL_X, SOBEL_X.T)
KINDS = ("identity", "Sobel x", "Sobel y")
SOBELS = (1, 2)
TOLERANCE = 1e-3
MOST = 64  # arrays of filters; the article's graph has five
ONLY_THESE = (
    "The integer cell perceives by identity and Sobel filters alone: train with them; or, if this array is not the model's perception, "
    "name the ones that are: --tensors w1=...,w2=...,b1=...,b2=..."
)

Kind = tuple[int, float]


@dataclass(frozen=True)
class Perception:
    """What the filters of a file say.

    Attributes:
        filters: as in Weights. layout: None if they leave it open. axes_known: they say which value is x.
        rows: if not None, the row of w1 for each row in blocked order: an arrangement that is neither layout.
        notes: sentences for a person.
    """

    filters: Filters = USUAL_FILTERS
    layout: Layout | None = None
    axes_known: bool = False
    rows: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


def is_filters(array: NDArray[Any]) -> bool:
    """Whether an array can hold filters of 3x3 cells."""
    spatial = array.ndim >= 2 and (array.shape[:2] == (3, 3) or array.shape[-2:] == (3, 3))
    return spatial and array.dtype.kind == "f" and 0 < array.size <= 9 * PERCEPTION * CHANNELS


def read(found: dict[str, NDArray[Any]]) -> Perception:
    """What all arrays of filters of a file say together.

    Raises:
        NcaHwError: a filter that is none of the three, or filters that contradict one another.
    """
    if len(found) > MOST:
        raise NcaHwError(f"holds {len(found)} arrays of 3x3 filters, allowed are {MOST}", cure=ONLY_THESE)
    banks = {name: _kinds(name, array) for name, array in found.items()}
    for name, kinds in banks.items():
        if len(kinds) == PERCEPTION:
            return _whole(name, kinds)
        if len(kinds) == len(KERNELS):
            return _three(name, kinds)
        if len(kinds) == 2 * CHANNELS:
            return _sobels_only(name, kinds)
    scales: dict[int, float] = {}
    for name, kinds in banks.items():
        for kind, scale in kinds:
            if abs(scales.setdefault(kind, scale) - scale) > TOLERANCE * abs(scale):
                raise NcaHwError(
                    f"holds {KINDS[kind]} filters of different size, {scales[kind]:g} and {scale:g} times the article's: {quoted(name)}",
                    cure=ONLY_THESE,
                )
    filters = tuple((kind, scales.get(kind, 1.0)) for kind in range(len(KERNELS)))
    return Perception(filters, notes=_notes(", ".join(map(quoted, list(found)[:4])), filters))


def _kinds(name: str, array: NDArray[Any]) -> list[Kind]:
    """Kind and factor of every filter in the order of the outputs; of a full convolution, only one input may count for each output."""
    with np.errstate(invalid="ignore"):
        banks = _arrangements(array.astype(np.float64))
    for bank in banks:
        fits, factors = _fitting(bank)
        if fits.any(1).all():
            return [(int(kind), float(row[kind])) for kind, row in zip(fits.argmax(1), factors, strict=True)]
    raise NcaHwError(
        f"perceives by {quoted(name)} {list(array.shape)}, which holds other filters than identity, Sobel x, Sobel y ({_describe(banks)})",
        cure=ONLY_THESE,
    )


def _arrangements(array: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The filters [N, 3, 3], under each reading of the shape: PyTorch's [..., 3, 3], and TensorFlow's and Flax's [3, 3, ...]."""
    readings = []
    if array.shape[-2:] == (3, 3):
        readings.append(_grouped(array.reshape(*(n for n in array.shape[:-2]), 3, 3)))
    if array.shape[:2] == (3, 3) and array.ndim > 2:
        rest = array.shape[2:]
        moved = np.moveaxis(array, (0, 1), (-2, -1))
        if rest == (CHANNELS, PERCEPTION):  # a full convolution, its outputs last
            moved = moved.swapaxes(0, 1)
        readings.append(_grouped(moved))
    return readings


def _grouped(bank: NDArray[np.float64]) -> NDArray[np.float64]:
    if bank.shape[:-2] == (PERCEPTION, CHANNELS):
        used = np.abs(bank).sum((-2, -1)) > 0
        per_output = np.array([next(iter(np.flatnonzero(row)), 0) for row in used])
        one_each = np.array_equal(used.sum(1), np.ones(PERCEPTION))
        in_order = any(np.array_equal(per_output, order) for order in (np.arange(PERCEPTION) // 3, np.arange(PERCEPTION) % CHANNELS))
        if one_each and in_order:
            return np.asarray(bank[np.arange(PERCEPTION), per_output])
    return bank.reshape(-1, 3, 3)


def _fitting(bank: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Whether each filter is each of the three kinds, bool [N, 3], and by which factor, float64 [N, 3]."""
    flat, kernels = bank.reshape(-1, 1, 9), np.stack(KERNELS).reshape(3, 9)
    with np.errstate(over="ignore", invalid="ignore"):
        factors = (flat * kernels).sum(-1) / (kernels * kernels).sum(-1)
        error = np.abs(flat - factors[..., None] * kernels).max(-1)
        return np.isfinite(factors) & (factors != 0) & (error <= TOLERANCE * np.abs(factors) * np.abs(kernels).max(-1)), factors


def _describe(banks: Sequence[NDArray[np.float64]]) -> str:
    other = next(bank[int(np.argmin(_fitting(bank)[0].any(1)))] for bank in banks)
    edge, corner = other[0, 1], other[0, 0]
    if np.allclose(other.ravel()[[1, 3, 5, 7]], edge) and np.allclose(other.ravel()[[0, 2, 6, 8]], corner):
        return "one looks like a Laplacian or a blur" if np.any(other) else "one is all zeros"
    return "learned, or of another design"


def _whole(name: str, kinds: list[Kind]) -> Perception:
    triples: dict[Layout, Filters] = {"interleaved": tuple(kinds[:3]), "blocked": tuple(kinds[::CHANNELS])}
    repeated: dict[Layout, list[Kind]] = {
        "interleaved": list(triples["interleaved"]) * CHANNELS, "blocked": [kind for kind in triples["blocked"] for _ in range(CHANNELS)],
    }  # fmt: skip
    for layout, filters in triples.items():
        if _same(repeated[layout], kinds):
            _each_once(name, filters)
            return Perception(filters, layout, True, notes=_notes(quoted(name), filters))
    raise NcaHwError(
        f"perceives by {quoted(name)}, whose 48 filters are neither blocked nor interleaved, or not the same for all channels",
        cure=ONLY_THESE,
    )


def _three(name: str, kinds: list[Kind]) -> Perception:
    filters = tuple(kinds)
    _each_once(name, filters)
    return Perception(filters, None, True, notes=_notes(quoted(name), filters))


def _sobels_only(name: str, kinds: list[Kind]) -> Perception:
    """Two Sobels a channel, the state itself before them: torch.cat([x, conv(x)])."""
    identity: Filters = ((0, 1.0),)
    blocked, mixed = identity + tuple(kinds[::CHANNELS]), identity + tuple(kinds[:2])
    if _same([kind for kind in blocked[1:] for _ in range(CHANNELS)], kinds):
        _each_once(name, blocked)
        return Perception(blocked, "blocked", True, notes=_notes(quoted(name), blocked))
    _each_once(name, mixed)
    if not _same(list(mixed[1:]) * CHANNELS, kinds):
        raise NcaHwError(f"perceives by {quoted(name)}, whose filters are not the same for all channels", cure=ONLY_THESE)
    rows = [*range(CHANNELS), *range(CHANNELS, PERCEPTION, 2), *range(CHANNELS + 1, PERCEPTION, 2)]
    return Perception(mixed, "blocked", True, tuple(rows), _notes(quoted(name), mixed))


def _same(a: Sequence[Kind], b: Sequence[Kind]) -> bool:
    return all(x[0] == y[0] and abs(x[1] - y[1]) <= TOLERANCE * abs(y[1]) for x, y in zip(a, b, strict=True))


def _each_once(name: str, filters: Filters) -> None:
    if sorted(kind for kind, _ in filters) != [0, 1, 2]:
        told = ", ".join(KINDS[kind] for kind, _ in filters)
        raise NcaHwError(f"perceives by {quoted(name)}: {told}; expected each of identity, Sobel x and Sobel y once", cure=ONLY_THESE)


def _notes(names: str, filters: Filters) -> tuple[str, ...]:
    """What a person might not expect of the filters."""
    order = ", ".join(KINDS[kind] for kind, _ in filters)
    notes = () if [kind for kind, _ in filters] == [0, 1, 2] else (f"{names} perceives {order}, in this order",)
    told = [f"{KINDS[kind]} {scale:g} times the article's" for kind, scale in filters if abs(scale - 1) > TOLERANCE]
    return notes + ((f"{', '.join(told)} in {names}: folded into w1",) if told else ())
