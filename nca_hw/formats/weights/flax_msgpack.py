"""Flax: nested dictionaries as MessagePack, arrays as extension 1 (shape, type, bytes), as flax.serialization.to_bytes writes them.

Source: Flax, flax/serialization.py (_MsgpackExtType, _ndarray_to_bytes).
"""

from __future__ import annotations

from typing import Any

import msgpack

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, MOST, ONLY_THE_MODEL, Arrays

NAME = "Flax msgpack"
NDARRAY = 1
LENGTH = 1024  # entries of one dictionary or list: space for them is taken before they are read
CONTAINERS = 1024
DEPTH = 16


def is_one(data: bytes) -> bool:
    """Whether the file begins with a MessagePack map that has entries."""
    return data[:1] in (b"\xde", b"\xdf") or 0x81 <= (data[0] if data else 0) <= 0x8F


def read(data: bytes) -> Arrays:
    """All arrays, the names of nested dictionaries joined by dots."""
    arrays = Arrays()
    waiting: list[tuple[str, Any, int]] = [("", _unpack(data), 0)]
    while waiting:
        name, item, depth = waiting.pop()
        if isinstance(item, dict):
            if depth >= DEPTH or len(waiting) > MOST:
                raise NcaHwError("holds dictionaries within dictionaries without end, or far too many", cure=ONLY_THE_MODEL)
            pairs = [(str(key)[:200], inner) for key, inner in item.items()]
            waiting += [(f"{name}.{key}" if name else key, inner, depth + 1) for key, inner in reversed(pairs)]
        elif isinstance(item, msgpack.ExtType) and item.code == NDARRAY:
            _array(arrays, name, item.data)
    return arrays


def _array(arrays: Arrays, name: str, data: bytes) -> None:
    parts = _unpack(data)
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[0], list) or not isinstance(parts[2], bytes):
        raise NcaHwError("holds an array that is not its shape, its type and its bytes", cure=DAMAGED)
    arrays.add(name, parts[1] if isinstance(parts[1], str) else "?", parts[0], parts[2])


def _unpack(data: bytes) -> Any:
    containers = 0

    def counted(value: Any) -> Any:
        nonlocal containers
        containers += 1
        if containers > CONTAINERS:
            raise NcaHwError(f"holds more than {CONTAINERS} dictionaries and lists", cure=ONLY_THE_MODEL)
        return value

    try:
        return msgpack.unpackb(
            data, raw=False, strict_map_key=True, object_hook=counted, list_hook=counted, max_array_len=LENGTH, max_map_len=LENGTH,
            max_str_len=1 << 16, max_bin_len=len(data), max_ext_len=len(data),
        )  # fmt: skip
    except (ValueError, TypeError, OverflowError, msgpack.UnpackException, RecursionError) as error:
        raise NcaHwError(f"is no sound MessagePack ({error!s:.80})", cure=DAMAGED) from None
