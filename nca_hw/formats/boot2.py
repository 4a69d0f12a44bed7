"""The boot block of an RP2040: 256 bytes at the start of flash, of which the last four are a CRC that the boot ROM checks."""

from __future__ import annotations

import io
import struct

from elftools.elf.elffile import ELFFile

BOOT2 = 256


def boot_crc(block: bytes) -> int:
    """CRC that the boot ROM computes over the first 252 bytes: polynomial 04C11DB7h, from all ones. Source: RP2040 datasheet 2.8.1.3.1."""
    crc = 0xFFFFFFFF
    for byte in block:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def seal(elf: bytes) -> bytes:
    """Write the boot block's CRC into an ELF as the linker left it."""
    patched = bytearray(elf)
    offset = ELFFile(io.BytesIO(elf)).get_section_by_name(".boot2")["sh_offset"]
    struct.pack_into("<I", patched, offset + BOOT2 - 4, boot_crc(elf[offset : offset + BOOT2 - 4]))
    return bytes(patched)
