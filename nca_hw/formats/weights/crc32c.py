"""CRC-32C (Castagnoli) and TensorFlow's mask of it. The standard library knows other CRCs only.

Source: RFC 3720, appendix B.4, for polynomial and vectors; the mask is LevelDB's (doc/log_format.md: a CRC of data that hold CRCs is weak).
"""

from __future__ import annotations

from functools import cache

POLYNOMIAL = 0x82F63B78
MASK = 0xA282EAD8


@cache
def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


def crc32c(data: bytes | memoryview) -> int:
    """CRC-32C of bytes."""
    table = _table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def masked(crc: int) -> int:
    """The CRC as TensorFlow's files store it: rotated right by 15, plus a constant."""
    return ((crc >> 15 | crc << 17) + MASK) & 0xFFFFFFFF
