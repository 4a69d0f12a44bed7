"""UF2, read by its public specification, for tests: what a boot loader takes from such a file."""

from __future__ import annotations

import struct

BLOCK = 512
NOT_MAIN_FLASH, FAMILY_ID_PRESENT = 0x00000001, 0x00002000
RP2040 = 0xE48BFF56


def blocks(data: bytes) -> dict[int, tuple[int, int, bytes]]:
    """Whole blocks for an RP2040's flash: number to (how many there are, address, payload)."""
    found = {}
    for at in range(0, len(data) - BLOCK + 1, BLOCK):
        first, second, flags, address, size, number, count, family = struct.unpack_from("<8I", data, at)
        (end,) = struct.unpack_from("<I", data, at + BLOCK - 4)
        if (first, second, end) != (0x0A324655, 0x9E5D5157, 0x0AB16F30):
            continue
        if flags & NOT_MAIN_FLASH or not flags & FAMILY_ID_PRESENT or family != RP2040 or size > 476 or number >= count:
            continue
        found[number] = count, address, data[at + 32 : at + 32 + size]
    return found


def is_whole(data: bytes) -> bool:
    """Whether every block is there."""
    found = blocks(data)
    return bool(found) and len(found) == next(iter(found.values()))[0]


def flash(data: bytes, base: int = 0x10000000) -> bytes:
    """What flash holds from its first byte on, FFh where nothing was written."""
    found = sorted((address, payload) for _, address, payload in blocks(data).values())
    memory = bytearray()
    for address, payload in found:
        assert address >= base + len(memory), "blocks overlap or lie before the flash"
        memory.extend(b"\xff" * (address - base - len(memory)))
        memory += payload
    return bytes(memory)
