"""The two layers 48 -> H -> 16 among the named arrays of a file: by the user's word, by the names w1, b1, w2, b2, or by their shapes."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import perception
from nca_hw.formats.weights.contents import CHANNELS, KNOWN, PERCEPTION, Arrays, Weights, quoted

HIDDEN_MAX = 256
ROLES = ("w1", "b1", "w2", "b2")
FILTERS = "filters"
SHOWN = 8  # of many names in a message
NAME_LIMIT = 400
OPTIMIZER = re.compile(r"(^|[./_])(optim\w*|opt|opt_state|adam\w*|exp_avg\w*|momentum\w*|rmsprop\w*|optimizer_slot)([./]|$)", re.I)
DECIDE = "State which arrays are the model's: --tensors w1=NAME,b1=NAME,w2=NAME,b2=NAME."


@dataclass(frozen=True)
class _Pair:
    """Names of the two kernels; whether they are stored [in, out] as in TensorFlow and JAX, or [out, in] as in PyTorch."""

    w1: str
    w2: str
    hidden: int
    in_out: bool


def find(arrays: Arrays, tensors: Mapping[str, str] | None, format_name: str, sha256: str) -> Weights:
    """The model.

    Args:
        tensors: names of the arrays for w1, w2, and if wanted b1, b2, filters, as the user states them; everything else is left aside.
    Raises:
        NcaHwError: no such layers, more than one choice, or values that can't be.
    """
    numbers = arrays.numbers
    named = {role: role for role in ROLES if role in numbers}
    if tensors:
        chosen = _stated(arrays, tensors)
    elif "w1" in named or "w2" in named:
        chosen = named
    else:
        chosen = _by_shape(arrays)
    strange = next((role for role in ROLES if role in arrays.others), None)
    if strange and not tensors:
        raise NcaHwError(f"{strange} is {arrays.others[strange]}, expected floating-point numbers", cure=DECIDE)
    missing = [role for role in ("w1", "w2") if role not in chosen]
    if missing:
        raise NcaHwError(f"lacks {', '.join(missing)}; found {arrays.listing()}", cure=f"{DECIDE}\n  {KNOWN}")
    parts = _oriented({role: numbers[chosen[role]] for role in ROLES if role in chosen})
    banks = {name: array for name, array in numbers.items() if perception.is_filters(array) and name not in chosen.values()}
    if tensors:
        banks = {tensors[FILTERS]: numbers[tensors[FILTERS]]} if FILTERS in tensors else {}
    seen = perception.read(banks) if banks else perception.Perception()
    if seen.rows is not None:
        parts["w1"] = parts["w1"][list(seen.rows)]
    named_by_file = {role: name for role, name in chosen.items() if role != name} | ({FILTERS: ", ".join(banks)} if banks else {})
    return Weights(
        **parts, layout=arrays.layout or seen.layout, format=format_name, sha256=sha256, filters=seen.filters,
        axes_known=seen.axes_known, tensors=named_by_file, notes=seen.notes,
    )  # fmt: skip


def _stated(arrays: Arrays, tensors: Mapping[str, str]) -> dict[str, str]:
    for role, name in tensors.items():
        if role not in (*ROLES, FILTERS):
            raise NcaHwError(f"--tensors: there is no {quoted(role)}; known are {', '.join((*ROLES, FILTERS))}", cure=DECIDE)
        if name not in arrays.numbers:
            near = difflib.get_close_matches(name, arrays.numbers, 1)
            hint = f"Did you mean {quoted(near[0])}? " if near else ""
            raise NcaHwError(f"--tensors: holds no array {quoted(name)} for {role}; found {arrays.listing()}", cure=hint + DECIDE)
    return {role: name for role, name in tensors.items() if role != FILTERS}


def _by_shape(arrays: Arrays) -> dict[str, str]:
    floats = {name: array for name, array in arrays.numbers.items() if array.dtype.kind == "f" and not OPTIMIZER.search(name[:NAME_LIMIT])}
    kernels = {name: array for name, array in floats.items() if not perception.is_filters(array)}
    pairs = list(itertools.islice(_pairs(kernels), SHOWN))
    if not pairs:
        raise NcaHwError(
            f"holds no two layers [48, H] and [H, 16], H from 1 to {HIDDEN_MAX}; found {arrays.listing()}", cure=f"{DECIDE}\n  {KNOWN}"
        )
    if len(pairs) > 1:
        told = sorted({pair.w1 for pair in pairs} | {pair.w2 for pair in pairs})
        raise NcaHwError(f"holds more than one choice of layers: {_shapes(kernels, told)}", cure=DECIDE)
    pair = pairs[0]
    chosen = {"w1": pair.w1, "w2": pair.w2} | _biases(kernels, pair)
    sizes = {1, PERCEPTION, CHANNELS, pair.hidden}
    rest = [name for name, array in kernels.items() if name not in chosen.values() and array.size >= CHANNELS and set(array.shape) <= sizes]
    if rest:
        raise NcaHwError(f"holds more arrays of the layers' sizes than two layers have: {_shapes(kernels, rest)}", cure=DECIDE)
    return chosen


def _pairs(kernels: Mapping[str, NDArray[Any]]) -> Iterable[_Pair]:
    matrices = {name: _matrices(array) for name, array in kernels.items()}
    for in_out in (True, False):
        first: list[tuple[str, int]] = []
        second: dict[int, list[str]] = {}
        for name, shapes in matrices.items():
            for shape in shapes:
                rows, columns = shape if in_out else shape[::-1]
                if rows == PERCEPTION and 1 <= columns <= HIDDEN_MAX:
                    first.append((name, columns))
                if columns == CHANNELS and 1 <= rows <= HIDDEN_MAX:
                    second.setdefault(rows, []).append(name)
        for w1, hidden in first:
            yield from (_Pair(w1, w2, hidden, in_out) for w2 in second.get(hidden, []) if w2 != w1)


def _matrices(array: NDArray[Any]) -> set[tuple[int, int]]:
    """The shape as a matrix: 1x1 convolutions carry empty axes, TensorFlow's before and PyTorch's behind the channels."""
    shape = array.shape
    if len(shape) < 2:
        return set()
    found = set()
    if all(n == 1 for n in shape[:-2]):
        found.add((shape[-2], shape[-1]))
    if all(n == 1 for n in shape[2:]):
        found.add((shape[0], shape[1]))
    return found


def _biases(kernels: Mapping[str, NDArray[Any]], pair: _Pair) -> dict[str, str]:
    """For each layer the vector of its size whose name is nearest to its kernel's, if there is one."""
    layers = {"b1": (pair.w1, pair.hidden), "b2": (pair.w2, CHANNELS)}
    vectors = [
        name for name, array in kernels.items()
        if name not in (pair.w1, pair.w2) and array.size == max(array.shape, default=1) and array.size in (pair.hidden, CHANNELS)
    ]  # fmt: skip
    chosen: dict[str, str] = {}
    for role, (kernel, size) in layers.items():
        other = next(name for key, (name, _) in layers.items() if key != role)
        fitting = [name for name in vectors if kernels[name].size == size]
        if pair.hidden == CHANNELS:  # both biases have one size: each belongs to the kernel that it is named like
            fitting = [name for name in fitting if _likeness(name, kernel) >= _likeness(name, other)]
        best = max((_likeness(name, kernel) for name in fitting), default=0)
        nearest = [name for name in fitting if _likeness(name, kernel) == best]
        if len(nearest) > 1:
            raise NcaHwError(f"holds more than one choice for the bias of {quoted(kernel)}: {_shapes(kernels, nearest)}", cure=DECIDE)
        if nearest:
            chosen[role] = nearest[0]
    if len(set(chosen.values())) < len(chosen):
        raise NcaHwError(f"holds one bias that fits both layers: {_shapes(kernels, set(chosen.values()))}", cure=DECIDE)
    return chosen


def _likeness(a: str, b: str) -> int:
    """How many characters two names share at their beginnings and ends."""

    def shared(x: str, y: str) -> int:
        return next((i for i, (p, q) in enumerate(zip(x, y, strict=False)) if p != q), min(len(x), len(y)))

    return shared(a, b) + shared(a[::-1], b[::-1])


def _shapes(kernels: Mapping[str, NDArray[Any]], names: Iterable[str]) -> str:
    told = [f"{quoted(name)} {list(kernels[name].shape)}" for name in names]
    return ", ".join(told[:SHOWN]) + (f" and {len(told) - SHOWN} more" if len(told) > SHOWN else "")


def _oriented(given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
    """float32 w1 [48, H], b1 [H], w2 [H, 16], b2 [16], whichever way round the file has them."""
    plain: dict[str, NDArray[np.float32]] = {}
    for role, array in given.items():
        if array.dtype.kind not in "fiu":
            raise NcaHwError(f"{role} is {array.dtype}, expected floating-point numbers", cure=KNOWN)
        with np.errstate(over="ignore", invalid="ignore"):
            plain[role] = array.astype(np.float32)
        bad = int((~np.isfinite(plain[role])).sum())
        if bad:
            told = f"{role} holds {bad} values that are NaN, infinite, or beyond float32"
            raise NcaHwError(told, cure="Export the weights from before training diverged.")
    turned = _turned(plain["w1"], plain["w2"])
    if turned is None:
        hidden = plain["b1"].size if "b1" in plain else "H"
        expected = {"w1": f"[48, {hidden}]", "w2": f"[{hidden}, 16]"}
        shapes = [f"{role} is {list(given[role].shape)}, expected {want}" for role, want in expected.items()]
        raise NcaHwError("has the wrong shapes: " + "; ".join(shapes) + f", H from 1 to {HIDDEN_MAX}", cure=KNOWN)
    plain["w1"], plain["w2"] = turned
    for role, size in (("b1", plain["w1"].shape[1]), ("b2", CHANNELS)):
        bias = plain.get(role, np.zeros(size, np.float32))
        if bias.size != size or bias.size != max(bias.shape, default=1):
            raise NcaHwError(f"has the wrong shapes: {role} is {list(bias.shape)}, expected [{size}]", cure=KNOWN)
        plain[role] = bias.reshape(size)
    return plain


def _turned(w1: NDArray[np.float32], w2: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    for in_out in (True, False):
        for a in _matrices(w1):
            for b in _matrices(w2):
                (rows, hidden), (again, columns) = (a, b) if in_out else (a[::-1], b[::-1])
                if (rows, columns) == (PERCEPTION, CHANNELS) and hidden == again and 1 <= hidden <= HIDDEN_MAX:
                    first, second = w1.reshape(a), w2.reshape(b)
                    return (first, second) if in_out else (np.ascontiguousarray(first.T), np.ascontiguousarray(second.T))
    return None
