"""UF2, the container that an RP2040's boot volume takes. Source: the UF2 specification, "File format"."""

from __future__ import annotations

import struct

MAGIC_START0, MAGIC_START1, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
FAMILY_PRESENT = 0x2000
RP2040_FAMILY = 0xE48BFF56
PAYLOAD = 256


def to_uf2(image: bytes, address: int, family: int = RP2040_FAMILY, *, more: tuple[int, bytes] | None = None) -> bytes:
    """The UF2 file that writes `image` to flash at `address`: blocks of 256 bytes, the last one filled with zeros.

    Args:
        more: an address and bytes, at most a block of them, that are written first.
    """
    pieces = [(address + at, image[at : at + PAYLOAD]) for at in range(0, len(image), PAYLOAD)]
    if more is not None:
        pieces.insert(0, more)
    blocks = []
    for number, (at, piece) in enumerate(pieces):
        head = struct.pack("<8I", MAGIC_START0, MAGIC_START1, FAMILY_PRESENT, at, PAYLOAD, number, len(pieces), family)
        blocks.append(head + piece.ljust(476, b"\0") + struct.pack("<I", MAGIC_END))
    return b"".join(blocks)


def volume_info(text: str) -> dict[str, str]:
    """INFO_UF2.TXT, which every boot volume has: lines of `Key: value` after a first one. Source: the UF2 specification, "Embedding"."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}
