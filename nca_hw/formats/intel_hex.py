"""Intel HEX: what programmers of AVR chips read. Source: Intel, Hexadecimal Object File Format Specification, revision A, 1988."""

from __future__ import annotations

BYTES_A_RECORD = 16
END = ":00000001FF\n"


def to_hex(image: bytes, address: int = 0) -> bytes:
    """An image as records of 16 bytes; it must end below 64 KB, so that no record needs more than 16 bits of address."""
    if address + len(image) > 1 << 16:
        raise ValueError(f"{len(image)} bytes at {address:#x} need more than 16 bits of address")
    records = []
    for at in range(0, len(image), BYTES_A_RECORD):
        piece = image[at : at + BYTES_A_RECORD]
        record = bytes([len(piece)]) + (address + at).to_bytes(2, "big") + b"\0" + piece
        records.append(f":{record.hex().upper()}{-sum(record) & 0xFF:02X}\n")
    return ("".join(records) + END).encode()
