"""PyTorch state dicts: the zip archive that torch.save writes since 1.6, and the row of pickles that it wrote before.

Source: PyTorch, torch/serialization.py (_save, _legacy_save).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import pickles
from nca_hw.formats.weights.archive import Archive
from nca_hw.formats.weights.contents import DAMAGED, DTYPES, MOST, ONLY_THE_MODEL, Arrays, checked_shape, quoted
from nca_hw.formats.weights.pickles import STATE_DICT, Storage, Tensor

NAME, LEGACY_NAME = "PyTorch state dict", "PyTorch state dict (before 1.6)"
PICKLE = "data.pkl"
PICKLE_LIMIT = 4 << 20
MAGIC = 0x1950A86A20F9469CFC6C
LEGACY = b"\x80\x02\x8a\x0a" + MAGIC.to_bytes(10, "little") + b"."
VERSION = 1001
DEPTH = 16


def is_zip(archive: Archive) -> bool:
    """Whether the archive is one of torch.save's."""
    return _root(archive) is not None


def read_zip(archive: Archive) -> Arrays:
    """The tensors of a state dict, also within other dictionaries: their names joined by dots."""
    root = _root(archive) or ""
    if archive.size(root + PICKLE) > PICKLE_LIMIT:
        raise NcaHwError(f"holds a pickle of {archive.size(root + PICKLE)} bytes, limit {PICKLE_LIMIT}", cure=ONLY_THE_MODEL)
    value = pickles.load(io.BytesIO(archive.read(root + PICKLE)))
    if root + "byteorder" in archive.names and archive.read(root + "byteorder") != b"little":
        raise NcaHwError("was written on a big-endian machine", cure=STATE_DICT)
    fetched: dict[str, bytes] = {}

    def fetch(storage: Storage) -> bytes:
        if storage.key not in fetched:
            fetched[storage.key] = archive.read(f"{root}data/{storage.key}")
        return fetched[storage.key]

    return _collect(value, fetch)


def read_legacy(data: bytes) -> Arrays:
    """The same of the older format: magic number, version, machine, state dict, keys of storages; then each storage with its size."""
    stream = io.BytesIO(data)
    magic, version, machine, value, keys = (pickles.load(stream) for _ in range(5))
    if magic != MAGIC or version != VERSION or not isinstance(machine, dict) or not isinstance(keys, list):
        raise NcaHwError("begins like a PyTorch file of before 1.6, and goes on otherwise", cure=DAMAGED)
    if machine.get("little_endian") is False:
        raise NcaHwError("was written on a big-endian machine", cure=STATE_DICT)
    widths = {tensor.storage.key: np.dtype(DTYPES[tensor.storage.dtype]).itemsize for _, tensor in _tensors(value)}
    parts: dict[str, bytes] = {}
    at = stream.tell()
    for key in keys:
        size = int.from_bytes(data[at : at + 8], "little")
        if not isinstance(key, str) or key not in widths or key in parts or size * widths[key] > len(data) - at - 8:
            raise NcaHwError("holds storages that are not those of its tensors, or is cut short", cure=DAMAGED)
        parts[key] = data[at + 8 : at + 8 + size * widths[key]]
        at += 8 + len(parts[key])
    return _collect(value, lambda storage: parts.get(storage.key, b""))


def _root(archive: Archive) -> str | None:
    """The folder within the archive, named after the file that was saved."""
    found = [name.removesuffix(PICKLE) for name in archive.names if name == PICKLE or name.endswith("/" + PICKLE)]
    return min(found, key=len) if found else None


def _tensors(value: Any) -> list[tuple[str, Tensor]]:
    """All tensors within dictionaries, lists and tuples, each visited once however often it is referred to."""
    found: list[tuple[str, Tensor]] = []
    seen: set[int] = set()
    waiting: list[tuple[str, Any, int]] = [("", value, 0)]
    while waiting:
        name, item, depth = waiting.pop()
        if isinstance(item, Tensor):
            found.append((name, item))
            continue
        if not isinstance(item, dict | list | tuple) or id(item) in seen:
            continue
        seen.add(id(item))
        if depth >= DEPTH or len(found) > MOST:
            raise NcaHwError("holds dictionaries within dictionaries without end, or far too many tensors", cure=STATE_DICT)
        pairs = list(item.items() if isinstance(item, dict) else enumerate(item))
        waiting += [(f"{name}.{str(key)[:200]}" if name else str(key)[:200], inner, depth + 1) for key, inner in reversed(pairs)]
    return found


def _collect(value: Any, fetch: Callable[[Storage], bytes]) -> Arrays:
    arrays = Arrays()
    for name, tensor in _tensors(value):
        arrays.add(name or "tensor", tensor.storage.dtype, tensor.shape, partial(_numbers, name, tensor, fetch))
    if not arrays.numbers and not arrays.others:
        raise NcaHwError("holds no tensors", cure=STATE_DICT)
    return arrays


def _numbers(name: str, tensor: Tensor, fetch: Callable[[Storage], bytes]) -> bytes:
    """The bytes of a tensor in row-major order; its view must lie within the storage."""
    shape, strides = checked_shape(name, tensor.shape), checked_shape(name, tensor.strides)
    kind = np.dtype(DTYPES[tensor.storage.dtype])
    data = fetch(tensor.storage)
    if len(data) != tensor.storage.size * kind.itemsize:
        raise NcaHwError(f"{quoted(name)} has a storage of {len(data)} bytes, declared are {tensor.storage.size} numbers", cure=DAMAGED)
    if len(shape) != len(strides):
        raise NcaHwError(f"{quoted(name)} is a view that can't be", cure=DAMAGED)
    if 0 in shape:
        return b""
    last = tensor.offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if last >= tensor.storage.size:
        raise NcaHwError(f"{quoted(name)} reaches to number {last} of a storage of {tensor.storage.size}", cure=DAMAGED)
    numbers = np.frombuffer(data, kind)[tensor.offset :]
    return np.lib.stride_tricks.as_strided(numbers, shape, [step * kind.itemsize for step in strides], writeable=False).tobytes()
