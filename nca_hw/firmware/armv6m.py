"""A bound of the stack of ARMv6-M code, from the code itself."""

from __future__ import annotations

import bisect
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nca_hw.firmware.image import Symbol


def stack_bound(binary: bytes, flash: int, symbols: list[Symbol], entry: str) -> int:
    """Deepest stack from `entry` on: frames (push, sub sp) added up along the call graph (bl, and blx to whatever is named by literals).

    The code is ARMv6-M without recursion; encodings are those of the ARMv6-M manual, section A5.2.
    """
    functions = [s for s in symbols if s.is_code]
    starts = [s.address for s in functions]

    def function_at(address: int) -> Symbol | None:
        i = bisect.bisect_right(starts, address) - 1
        return functions[i] if i >= 0 and address < starts[i] + functions[i].size else None

    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    named: set[str] = set()  # functions whose address somebody has
    indirect: set[str] = set()  # functions that call by address
    for f in functions:
        code = binary[f.address - flash : f.address - flash + f.size]
        halves = struct.unpack(f"<{len(code) // 2}H", code[: len(code) // 2 * 2])
        frame, targets = 0, set()
        for i, half in enumerate(halves):
            if half & 0xFE00 == 0xB400:  # push
                frame += 4 * (half & 0x1FF).bit_count()
            elif half & 0xFF80 == 0xB080:  # sub sp, #imm
                frame += 4 * (half & 0x7F)
            elif half & 0xFF87 == 0x4780:  # blx register
                indirect.add(f.name)
            elif half & 0xF800 == 0xF000 and i + 1 < len(halves) and halves[i + 1] & 0xD000 == 0xD000:  # bl
                low = halves[i + 1]
                s, j1, j2 = half >> 10 & 1, low >> 13 & 1, low >> 11 & 1
                offset = (1 - (j1 ^ s)) << 23 | (1 - (j2 ^ s)) << 22 | (half & 0x3FF) << 12 | (low & 0x7FF) << 1
                target = function_at(f.address + 2 * i + 4 + offset - (s << 24))
                if target is not None:
                    targets.add(target.name)
        for at in range(-f.address % 4, len(code) - 3, 4):
            word = struct.unpack_from("<I", code, at)[0]
            target = function_at(word & ~1)
            if word & 1 and target is not None and target.address == word & ~1:
                named.add(target.name)
        frames[f.name], calls[f.name] = frame, targets

    for name in indirect:
        calls[name] |= named

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"the image's call graph has a cycle: {' > '.join([*above, name])}")
        return frames[name] + max((depth(callee, (*above, name)) for callee in calls[name]), default=0)

    return depth(entry)
