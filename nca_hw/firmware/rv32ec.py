"""RV32EC code: that an image holds nothing else."""

from __future__ import annotations

import struct


def foreign(code: bytes) -> list[str]:
    """Instructions that RV32EC has not: a register above x15, the multiply extension, anything but loads, stores, arithmetic and jumps.

    Formats: RISC-V unprivileged specification, chapters on RV32I, RV32E and compressed instructions.
    """
    found, at = [], 0
    while at < len(code):
        half = struct.unpack_from("<H", code, at)[0]
        if half & 3 != 3:
            quadrant, form = half & 3, half >> 13
            full = [half >> 7 & 31] if quadrant == 2 or (quadrant == 1 and form in (0, 2, 3)) else []  # CI, CR, CSS; others name x8 to x15
            full += [half >> 2 & 31] if quadrant == 2 and form in (4, 6) else []
            full = full[1:] if quadrant == 2 and form == 6 else full
            if any(register > 15 for register in full) or (quadrant != 1 and form % 2):  # floating point
                found.append(f"{at:#x}: {half:04x}")
            at += 2
            continue
        word = struct.unpack_from("<I", code, at)[0]
        opcode, fields = word & 0x7F, {"d": word >> 7 & 31, "1": word >> 15 & 31, "2": word >> 20 & 31}
        named = {0x37: "d", 0x17: "d", 0x6F: "d", 0x67: "d1", 0x63: "12", 0x03: "d1", 0x23: "12", 0x13: "d1", 0x33: "d12"}.get(opcode)
        if named is None or any(fields[field] > 15 for field in named) or (opcode == 0x33 and word >> 25 & 1):
            found.append(f"{at:#x}: {word:08x}")
        at += 4
    return found
