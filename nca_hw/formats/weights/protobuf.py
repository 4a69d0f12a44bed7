"""Protocol buffers on the wire, as much of them as TensorFlow's files need: numbered fields, one after the other.

Source: protobuf.dev, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, ONLY_THE_MODEL

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_WIDTH = {FIXED64: 8, FIXED32: 4}

Field = int | memoryview
Budget = Iterator[int]
FIELDS = 100_000  # of a whole file; the article's graph has 2,000


def new_budget() -> Budget:
    """What one file may hold: two bytes are a field, and a field takes time."""
    return iter(range(FIELDS))


def varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    """The number at a place, at most 64 bits, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value < 1 << 64:
                return value, at
            break
    raise NcaHwError("holds a protocol buffer that ends within a number", cure=DAMAGED)


def fields(data: memoryview, budget: Budget) -> Iterator[tuple[int, Field]]:
    """Number and value of each field: an int for varints and fixed widths (unsigned), the bytes for everything that has a length."""
    at = 0
    while at < len(data):
        if next(budget, None) is None:
            raise NcaHwError(f"holds more than {FIELDS} fields, far more than such a model", cure=ONLY_THE_MODEL)
        tag, at = varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = varint(data, at)
            yield number, value
            continue
        if wire == LENGTH:
            length, at = varint(data, at)
        elif wire in _WIDTH:
            length = _WIDTH[wire]
        else:
            raise NcaHwError(f"holds a protocol buffer with a field of unknown kind {wire}", cure=DAMAGED)
        if length > len(data) - at:
            raise NcaHwError("holds a protocol buffer that ends within a field", cure=DAMAGED)
        part = data[at : at + length]
        at += length
        yield number, part if wire == LENGTH else int.from_bytes(part, "little")


def message(value: Field) -> memoryview:
    """A field's value where a message, a text or bytes must stand."""
    if isinstance(value, int):
        raise NcaHwError("holds a protocol buffer with a number where a message belongs", cure=DAMAGED)
    return value


def number(value: Field) -> int:
    """A field's value where a number must stand."""
    if not isinstance(value, int):
        raise NcaHwError("holds a protocol buffer with a message where a number belongs", cure=DAMAGED)
    return value


def text(value: Field) -> str:
    """A field's value where a text must stand."""
    return bytes(message(value)).decode("utf-8", "replace")
