"""LevelDB's table, which is the index of a TensorFlow checkpoint: sorted keys with values, in blocks with a CRC each.

Source: LevelDB, doc/table_format.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, MOST, ONLY_THE_MODEL
from nca_hw.formats.weights.crc32c import crc32c, masked
from nca_hw.formats.weights.protobuf import varint

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48
TRAILER = 5  # a block's kind and CRC
PLAIN, SNAPPY = 0, 1
SIZE_LIMIT = 1 << 20
KEY_LIMIT = 1024


def entries(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys with their values, in order.

    Raises:
        NcaHwError: no such table, a wrong CRC, compressed, or too large.
    """
    if len(data) < FOOTER or not data.endswith(MAGIC):
        raise NcaHwError("is not the index of a TensorFlow checkpoint", cure=DAMAGED)
    if len(data) > SIZE_LIMIT:
        raise NcaHwError(f"has an index of {len(data)} bytes, limit {SIZE_LIMIT}", cure=ONLY_THE_MODEL)
    footer = memoryview(data)[-FOOTER:]
    _, at = varint(footer, 0)  # the handle of the meta block, which holds nothing that is needed
    _, at = varint(footer, at)
    offset, at = varint(footer, at)
    size, _ = varint(footer, at)
    end = 0
    count = 0
    for _, handle in _block(data, offset, size):
        offset, at = varint(handle, 0)
        size, _ = varint(handle, at)
        if offset < end:
            raise NcaHwError("has an index with blocks that overlap", cure=DAMAGED)
        end = offset + size
        for entry in _block(data, offset, size):
            count += 1
            if count > MOST:
                raise NcaHwError(f"has an index of more than {MOST} entries", cure=ONLY_THE_MODEL)
            yield entry


def _block(data: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Entries of one block: each key leaves out what it shares with the key before it."""
    if offset + size + TRAILER > len(data) - FOOTER or size < 4:
        raise NcaHwError("has an index with a block outside the file", cure=DAMAGED)
    kind = data[offset + size]
    stored = int.from_bytes(data[offset + size + 1 : offset + size + TRAILER], "little")
    if masked(crc32c(memoryview(data)[offset : offset + size + 1])) != stored:
        raise NcaHwError("has an index with a block whose CRC is wrong", cure=DAMAGED)
    if kind != PLAIN:
        how = "by Snappy" if kind == SNAPPY else f"by method {kind}"
        raise NcaHwError(f"has an index compressed {how}, which TensorFlow does not write", cure="Save the checkpoint again.")
    block = memoryview(data)[offset : offset + size]
    restarts = int.from_bytes(block[-4:], "little")
    if 4 * (restarts + 1) > size:
        raise NcaHwError("has an index with a block that is too short", cure=DAMAGED)
    block = block[: size - 4 * (restarts + 1)]
    at, key = 0, b""
    while at < len(block):
        shared, at = varint(block, at)
        own, at = varint(block, at)
        length, at = varint(block, at)
        if shared > len(key) or own + length > len(block) - at or shared + own > KEY_LIMIT:
            raise NcaHwError("has an index with a block whose entries do not fit", cure=DAMAGED)
        key = key[:shared] + bytes(block[at : at + own])
        yield key, bytes(block[at + own : at + own + length])
        at += own + length
