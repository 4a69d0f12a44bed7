"""safetensors: the length of a header, the header as JSON, the numbers.

Source: github.com/huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights import text
from nca_hw.formats.weights.contents import DAMAGED, Arrays, quoted

NAME = "safetensors"
HEADER_LIMIT = 1 << 20
DTYPES = {
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64", "I8": "int8", "I16": "int16", "I32": "int32",
    "I64": "int64", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip


def is_one(data: bytes) -> bool:
    """Whether the file begins with a length and a JSON object of it."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def read(data: bytes) -> Arrays:
    """All tensors."""
    length = int.from_bytes(data[:8], "little")
    header = text.parse(data[8 : 8 + length], HEADER_LIMIT)
    body = memoryview(data)[8 + length :]
    arrays = Arrays()
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape, (start, end) = text.word(entry["dtype"]), entry["shape"], entry["data_offsets"]
        except (KeyError, TypeError, ValueError):
            raise NcaHwError(f"{quoted(name)} lacks its type, shape or place", cure=DAMAGED) from None
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= len(body) or not isinstance(shape, list):
            raise NcaHwError(f"{quoted(name)} lies outside the file, which has {len(body)} bytes of numbers", cure=DAMAGED)
        arrays.add(name, DTYPES.get(dtype, dtype), shape, body[start:end])
    return arrays
