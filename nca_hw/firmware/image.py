"""What an image holds, read from its ELF: bytes by part, RAM, and a bound of the stack from its own call graph."""

from __future__ import annotations

import bisect
import io
import struct
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

FLASH = 0x10000000
BOOT2 = 256
CELL_SYMBOL = "cell"
PARTS = {
    "weights": ("nca_units",),
    "tables": ("nca_decode", "nca_b2", "nca_m2", "nca_taps", "seed"),
    "cell": ("nca_cell_wake", "nca_cell_network", "perceive", "val", "nca_compress"),
    "links, waiting, board": ("main", "send", "receive", "put", "copy", "light", "nca_crc16", "reset", "vector_table", "nca_link_receive",
                              "nca_link_send", "board_start", "board_light"),
}  # fmt: skip


@dataclass(frozen=True)
class Symbol:
    """A function or an object of the image."""

    name: str
    address: int
    size: int
    is_code: bool


@dataclass(frozen=True)
class Image:
    """An image and its figures.

    Attributes:
        elf: the ELF with its boot block's CRC. binary: flash from its first byte on.
        symbols: by address. parts: ROM bytes by part; they sum to len(binary).
        cell_ram: bytes of a cell's state, neighbours, perception and accumulators. static_ram: of all variables. stack: bound, bytes.
    """

    elf: bytes
    binary: bytes
    symbols: list[Symbol]
    parts: dict[str, int]
    cell_ram: int
    static_ram: int
    stack: int


def boot_crc(block: bytes) -> int:
    """CRC that the boot ROM computes over the first 252 bytes: polynomial 04C11DB7h, from all ones. Source: RP2040 datasheet 2.8.1.3.1."""
    crc = 0xFFFFFFFF
    for byte in block:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def read_image(elf: bytes) -> Image:
    """Read an ELF as the linker left it, and write the boot block's CRC into it."""
    patched = bytearray(elf)
    file = ELFFile(io.BytesIO(elf))
    offset = file.get_section_by_name(".boot2")["sh_offset"]
    struct.pack_into("<I", patched, offset + BOOT2 - 4, boot_crc(elf[offset : offset + BOOT2 - 4]))

    binary = bytearray()
    static_ram = 0
    for section in file.iter_sections():
        if not section["sh_flags"] & 2 or not section["sh_size"]:  # not in memory
            continue
        if section["sh_type"] == "SHT_NOBITS":
            static_ram += section["sh_size"]
            continue
        at = section["sh_addr"] - FLASH
        binary.extend(b"\xff" * (at - len(binary)))
        binary += patched[section["sh_offset"] : section["sh_offset"] + section["sh_size"]]
    symbols = sorted(
        (
            Symbol(s.name, s["st_value"] & ~1 if s["st_info"]["type"] == "STT_FUNC" else s["st_value"], s["st_size"],
                   s["st_info"]["type"] == "STT_FUNC")
            for s in file.get_section_by_name(".symtab").iter_symbols() if s["st_size"]
        ), key=lambda s: (s.address, s.name),
    )  # fmt: skip
    cell = next(s for s in symbols if s.name == CELL_SYMBOL)
    return Image(
        elf=bytes(patched), binary=bytes(binary), symbols=symbols, parts=_parts(symbols, len(binary)), cell_ram=cell.size,
        static_ram=static_ram, stack=_stack(bytes(binary), symbols),
    )  # fmt: skip


def _parts(symbols: list[Symbol], total: int) -> dict[str, int]:
    owner = {name: part for part, names in PARTS.items() for name in names}
    parts = dict.fromkeys(PARTS, 0)
    for symbol in symbols:
        if symbol.address >= FLASH and symbol.address < FLASH + total:
            parts[owner.get(symbol.name, "links, waiting, board")] += symbol.size
    parts["boot code, CRC, alignment"] = total - sum(parts.values())
    return parts


def _stack(binary: bytes, symbols: list[Symbol]) -> int:
    """Deepest stack from reset on: frames (push, sub sp) added up along the call graph (bl, and blx to what the caller's literals name).

    The code is ARMv6-M without recursion; encodings are those of the ARMv6-M manual, section A5.2.
    """
    functions = [s for s in symbols if s.is_code]
    starts = [s.address for s in functions]

    def function_at(address: int) -> Symbol | None:
        i = bisect.bisect_right(starts, address) - 1
        return functions[i] if i >= 0 and address < starts[i] + functions[i].size else None

    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for f in functions:
        code = binary[f.address - FLASH : f.address - FLASH + f.size]
        halves = struct.unpack(f"<{len(code) // 2}H", code[: len(code) // 2 * 2])
        frame, targets, indirect = 0, set(), False
        for i, half in enumerate(halves):
            if half & 0xFE00 == 0xB400:  # push
                frame += 4 * (half & 0x1FF).bit_count()
            elif half & 0xFF80 == 0xB080:  # sub sp, #imm
                frame += 4 * (half & 0x7F)
            elif half & 0xFF87 == 0x4780:  # blx register
                indirect = True
            elif half & 0xF800 == 0xF000 and i + 1 < len(halves) and halves[i + 1] & 0xD000 == 0xD000:  # bl
                low = halves[i + 1]
                s, j1, j2 = half >> 10 & 1, low >> 13 & 1, low >> 11 & 1
                offset = (1 - (j1 ^ s)) << 23 | (1 - (j2 ^ s)) << 22 | (half & 0x3FF) << 12 | (low & 0x7FF) << 1
                target = function_at(f.address + 2 * i + 4 + offset - (s << 24))
                if target is not None:
                    targets.add(target.name)
        if indirect:
            for at in range(-f.address % 4, len(code) - 3, 4):
                word = struct.unpack_from("<I", code, at)[0]
                target = function_at(word & ~1)
                if word & 1 and target is not None and target.address == word & ~1:
                    targets.add(target.name)
        frames[f.name], calls[f.name] = frame, targets

    def depth(name: str, above: tuple[str, ...] = ()) -> int:
        if name in above:
            raise ValueError(f"the image's call graph has a cycle: {' > '.join([*above, name])}")
        return frames[name] + max((depth(callee, (*above, name)) for callee in calls[name]), default=0)

    return depth("reset")
