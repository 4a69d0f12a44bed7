"""What an image holds, read from its ELF: bytes by part, and RAM."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

from elftools.elf.elffile import ELFFile

CELL_SYMBOL = "cell"
PARTS = {
    "weights": ("nca_slots", "nca_units", "nca_b1", "nca_stream"),
    "tables": ("nca_decode", "nca_outputs", "nca_b2", "nca_m2", "nca_taps", "nca_pairs", "nca_triangles", "nca_page", "nca_seed",
               "seed", "about"),
    "cell": ("nca_cell_wake", "nca_cell_network", "perceive", "val", "nca_compress", "nca_kernel_wake", "alive", "difference",
             "compress"),
}  # fmt: skip
APART = (".slots", ".boot")  # sections of images that take new genomes
REST = "links, waiting, board"


@dataclass(frozen=True)
class Symbol:
    """A function or an object of the image, by its name in the sources: without what GCC adds to those that it has changed (.isra.0)."""

    name: str
    address: int
    size: int
    is_code: bool


@dataclass(frozen=True)
class Image:
    """An image and its figures.

    Attributes:
        elf: as it is flashed. binary: flash from its first byte on.
        symbols: by address. parts: ROM bytes by part; they sum to len(binary).
        code: bytes of the first section, which the self-test's CRC covers: all but the slots of an image that takes new genomes.
        cell_ram: bytes of a cell's state, neighbours, perception and accumulators. static_ram: of all variables.
    """

    elf: bytes = field(repr=False)
    binary: bytes = field(repr=False)
    symbols: list[Symbol]
    parts: dict[str, int]
    cell_ram: int
    static_ram: int
    code: int


def read_image(elf: bytes, flash: int) -> Image:
    """Read an ELF; its image begins at the address `flash`."""
    file = ELFFile(io.BytesIO(elf))
    binary = bytearray()
    static_ram = code = 0
    for section in file.iter_sections():
        if not section["sh_flags"] & 2 or not section["sh_size"]:  # not in memory
            continue
        if section["sh_type"] == "SHT_NOBITS":
            static_ram += section["sh_size"]
            continue
        at = section["sh_addr"] - flash
        binary.extend(b"\xff" * (at - len(binary)))
        binary += elf[section["sh_offset"] : section["sh_offset"] + section["sh_size"]]
        code = len(binary) if section.name not in APART else code
    symbols = sorted(
        (
            Symbol(s.name.split(".")[0], s["st_value"] & ~1 if s["st_info"]["type"] == "STT_FUNC" else s["st_value"], s["st_size"],
                   s["st_info"]["type"] == "STT_FUNC")
            for s in file.get_section_by_name(".symtab").iter_symbols() if s["st_size"]
        ), key=lambda s: (s.address, s.name),
    )  # fmt: skip
    cell = next(s for s in symbols if s.name == CELL_SYMBOL)
    return Image(
        elf=elf, binary=bytes(binary), symbols=symbols, parts=_parts(symbols, flash, len(binary)), cell_ram=cell.size,
        static_ram=static_ram, code=code,
    )  # fmt: skip


def _parts(symbols: list[Symbol], flash: int, total: int) -> dict[str, int]:
    owner = {name: part for part, names in PARTS.items() for name in names}
    parts = dict.fromkeys((*PARTS, REST), 0)
    for symbol in symbols:
        if flash <= symbol.address < flash + total:
            parts[owner.get(symbol.name, REST)] += symbol.size
    parts["boot code, CRC, alignment"] = total - sum(parts.values())
    return parts
