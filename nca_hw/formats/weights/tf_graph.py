"""TensorFlow's frozen graph (GraphDef, .pb): its constants are the weights.

Source: TensorFlow, core/framework/graph.proto, node_def.proto, attr_value.proto, tensor.proto.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, ONLY_THE_MODEL, Arrays, Bytes, checked_shape, quoted
from nca_hw.formats.weights.protobuf import Budget, Field, fields, message, new_budget, number, text
from nca_hw.formats.weights.tf_checkpoint import DTYPES, shape

NAME = "TensorFlow frozen graph"
LIMIT = 2 << 20
LISTS = {5: "<f4", 6: "<f8"}  # TensorProto's float_val and double_val; constants of other types hold no weights
CUT = "The file is damaged or no frozen graph: of a SavedModel, name the folder."


def read(data: bytes) -> Arrays:
    """Every constant of the graph under its node's name."""
    if len(data) > LIMIT:
        raise NcaHwError(f"has {len(data)} bytes of graph, limit {LIMIT}", cure=ONLY_THE_MODEL)
    arrays, budget = Arrays(), new_budget()
    for key, value in fields(memoryview(data), budget):
        if key == 1:
            _node(arrays, message(value), budget)
    if not arrays.numbers and not arrays.others:
        raise NcaHwError("has no constants, so it is no frozen graph", cure=CUT)
    return arrays


def fill(name: str, dtype: str, sizes: list[int], values: bytes, item: str) -> bytes:
    """A constant given as a list of numbers, the last of which stands for all that follow, as the bytes of an array."""
    size = math.prod(checked_shape(name, sizes))
    numbers = np.frombuffer(values[: size * np.dtype(item).itemsize], item)
    if numbers.size == 0 and size:
        raise NcaHwError(f"{quoted(name)} has a shape and no numbers", cure=DAMAGED)
    padded = np.concatenate([numbers, np.full(size - numbers.size, numbers[-1:])]) if numbers.size < size else numbers
    return padded.tobytes()


def _node(arrays: Arrays, node: memoryview, budget: Budget) -> None:
    parts: dict[int, Field] = {}
    attributes = []
    for key, value in fields(node, budget):
        if key == 5:
            attributes.append(message(value))
        else:
            parts[key] = value
    if text(parts.get(2, memoryview(b""))) != "Const":
        return
    for attribute in attributes:
        entry = dict(fields(attribute, budget))
        if text(entry.get(1, memoryview(b""))) == "value":
            for key, value in fields(message(entry.get(2, memoryview(b""))), budget):
                if key == 8:
                    _constant(arrays, text(parts.get(1, memoryview(b""))), message(value), budget)


def _constant(arrays: Arrays, name: str, tensor: memoryview, budget: Budget) -> None:
    dtype, sizes = "", list[int]()
    content: bytes | memoryview | None = None
    listed: dict[int, list[bytes]] = {}
    for key, value in fields(tensor, budget):
        if key == 1:
            dtype = DTYPES.get(number(value), f"type {number(value)}")
        elif key == 2:
            sizes = shape(message(value), budget)
        elif key == 4:
            content = message(value)
        elif key in LISTS:
            width = np.dtype(LISTS[key]).itemsize
            if isinstance(value, int) and value >= 1 << 8 * width:
                raise NcaHwError(f"{quoted(name)} has numbers of the wrong width", cure=DAMAGED)
            listed.setdefault(key, []).append(value.to_bytes(width, "little") if isinstance(value, int) else bytes(value))
    load: Bytes | Callable[[], Bytes]
    if content is not None:
        load = content
    elif listed and dtype in ("float32", "float64"):
        key = 5 if dtype == "float32" else 6
        load = partial(_listed, name, dtype, sizes, b"".join(listed.get(key, [])), LISTS[key])
    else:
        dtype, load = f"{dtype} in words", b""
    arrays.add(name, dtype, sizes, load)


def _listed(name: str, dtype: str, sizes: list[int], values: bytes, item: str) -> bytes:
    if len(values) % np.dtype(item).itemsize:
        raise NcaHwError(f"{quoted(name)} has a number cut short", cure=DAMAGED)
    return fill(name, dtype, sizes, values, item)
