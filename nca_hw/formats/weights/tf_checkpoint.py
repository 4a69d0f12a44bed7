"""TensorFlow's checkpoint (its second format, of TensorFlow 1 and 2): an index of tensors, and shards that hold their bytes.

Source: TensorFlow, core/protobuf/tensor_bundle.proto (BundleHeaderProto, BundleEntryProto), core/framework/types.proto.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import sstable
from nca_hw.formats.weights.contents import DAMAGED, Arrays, quoted
from nca_hw.formats.weights.crc32c import crc32c, masked
from nca_hw.formats.weights.protobuf import Budget, fields, message, new_budget, number
from nca_hw.formats.weights.source import Files

NAME = "TensorFlow checkpoint"
DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 7: "string", 9: "int64", 10: "bool", 14: "bfloat16",
    17: "uint16", 19: "float16", 22: "uint32", 23: "uint64",
}  # fmt: skip
OBJECT_SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # TensorFlow 2 adds it to the name of every variable
SHARDS = 1000


@dataclass
class Entry:
    """A tensor in the index: its type's number, its shape, and where its bytes are."""

    dtype: int = 0
    shape: list[int] = field(default_factory=list)
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    sliced: bool = False


def read(prefix: Path, files: Files) -> Arrays:
    """All numeric tensors of PREFIX.index and PREFIX.data-0000x-of-0000y. The names of the files come from `prefix` alone."""
    index = prefix.with_name(prefix.name + ".index")
    try:
        found = list(sstable.entries(files.read(index)))
        if not found or found[0][0] != b"":
            raise NcaHwError("is an index without a header", cure=DAMAGED)
        budget = new_budget()
        shards = _header(found[0][1], budget)
        entries = {key.decode("utf-8", "replace").removesuffix(OBJECT_SUFFIX): _entry(value, budget) for key, value in found[1:]}
    except NcaHwError as error:
        raise NcaHwError(error.what, where=error.where or index, cure=error.cure) from None
    needed = sorted({entry.shard for entry in entries.values()})
    if needed and needed[-1] >= shards:
        raise NcaHwError(f"speaks of shard {needed[-1]}, and has {shards}", where=index, cure=DAMAGED)
    data = {shard: files.read(prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}")) for shard in needed}
    arrays = Arrays()
    for name, entry in entries.items():
        dtype = DTYPES.get(entry.dtype, f"type {entry.dtype}") if not entry.sliced else "parts of a partitioned variable"
        arrays.add(name, dtype, entry.shape, partial(_bytes, name, entry, data[entry.shard]))
    return arrays


def _header(data: bytes, budget: Budget) -> int:
    """The number of shards."""
    shards = 0
    for key, value in fields(memoryview(data), budget):
        if key == 1:
            shards = number(value)
        elif key == 2 and value != 0:
            raise NcaHwError("was written on a big-endian machine", cure="Load it there and save the weights with numpy.savez.")
    if not 1 <= shards <= SHARDS:
        raise NcaHwError(f"has {shards} shards, allowed are 1 to {SHARDS}", cure=DAMAGED)
    return shards


def _entry(data: bytes, budget: Budget) -> Entry:
    entry = Entry()
    setters: dict[int, Callable[[int], None]] = {
        1: partial(setattr, entry, "dtype"), 3: partial(setattr, entry, "shard"), 4: partial(setattr, entry, "offset"),
        5: partial(setattr, entry, "size"), 6: partial(setattr, entry, "crc"),
    }  # fmt: skip
    for key, value in fields(memoryview(data), budget):
        if key == 2:
            entry.shape = shape(message(value), budget)
        elif key == 7:
            entry.sliced = True
        elif key in setters:
            setters[key](number(value))
    return entry


def shape(data: memoryview, budget: Budget) -> list[int]:
    """Sizes of a TensorShapeProto."""
    sizes = []
    for key, value in fields(data, budget):
        if key == 2:
            sizes.append(next((number(size) for part, size in fields(message(value), budget) if part == 1), 0))
    return sizes


def _bytes(name: str, entry: Entry, shard: bytes) -> memoryview:
    """The bytes of a tensor, its CRC checked."""
    if entry.offset + entry.size > len(shard):
        raise NcaHwError(
            f"{quoted(name)} ends at byte {entry.offset + entry.size} of shard {entry.shard}, which has {len(shard)}", cure=DAMAGED
        )
    data = memoryview(shard)[entry.offset : entry.offset + entry.size]
    if len(data) > 8 * (1 << 16) or masked(crc32c(data)) != entry.crc:
        raise NcaHwError(f"{quoted(name)} is not what was saved: its CRC is wrong", cure=DAMAGED)
    return data
