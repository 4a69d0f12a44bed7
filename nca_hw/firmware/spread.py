"""What makes an image one that takes new genomes: a version, a key, two slots, and the code that serves them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nca_hw.core.genome import Genome
from nca_hw.core.slot import PUBLIC_KEY, pack, shape_of
from nca_hw.errors import NcaHwError
from nca_hw.formats.boards import Board, bundled_boards, load_board

CODE_BYTES = 7000  # of the smallest such image, without genomes
GENOME_HEADER, SLOTS = "genome.h", "slots.S"
SOURCES = ("slot.h", "flash.h", "chaskey.h", "chaskey.c", "rounds.c", "spread.h", "spread.c")  # of firmware_templates/spread, as they are


@dataclass(frozen=True)
class Spread:
    """Of the genome that an image is made with: its version. Of the image: the key, 16 bytes, of the genomes that it takes."""

    version: int = 1
    key: bytes = field(default=PUBLIC_KEY, repr=False)

    @property
    def is_secret(self) -> bool:
        """Whether only some have the key, so that the image is for nobody else's eyes."""
        return self.key != PUBLIC_KEY


def check(genome: Genome, board: Board, families: Mapping[str, Callable[[Board], str]]) -> None:
    """Whether there can be such an image.

    Args:
        families: those that have one, and the pin at which it hears.
    Raises:
        NcaHwError: not of this board, or not with this genome.
    """
    if board.family not in families or board.tile.cells > 1:
        known = [name for name in bundled_boards() if (b := load_board(name)).family in families and b.tile.cells == 1]
        two = 2 * shape_of(genome).slot_bytes
        short = "; it is written for one cell a chip" if board.tile.cells > 1 else "; it is not written for its chip"
        if two + CODE_BYTES > board.memory.flash:
            short = f": two genomes take {two:,d} B, the rest some {CODE_BYTES:,d} B, and its flash is {board.memory.flash:,d} B"
        cure = f"Take one of: {', '.join(known)}. Cells of other boards are flashed anew, each by itself."
        raise NcaHwError(f"no firmware of {board.name!r} takes a new genome from its neighbours{short}", where="--spread", cure=cure)
    hears = families[board.family](board)
    taken = next((purpose for purpose, pin in board.pins().items() if pin == hears), None)
    if taken is not None:
        told = f"the service port's input, {hears}, is {taken} of {board.name!r} already"
        raise NcaHwError(told, where="--spread", cure="Take another pin for that in the board file.")
    shape_of(genome)


def packed(genome: Genome, spread: Spread) -> bytes:
    """The slot that an image is made with."""
    return pack(genome, spread.version, spread.key)


def stride(genome: Genome, erased: int) -> int:
    """Bytes from slot to slot, where so many are erased at a time."""
    return -(-shape_of(genome).slot_bytes // erased) * erased


def holes(genome: Genome, spread: Spread, erased: int) -> dict[str, Any]:
    """What the templates are rendered with.

    Args:
        erased: bytes that the chip erases at a time.
    """
    shape = shape_of(genome)
    return {
        "pages": shape.pages, "shape": shape.kernels, "stride": stride(genome, erased), "erased": erased,
        "slot": list(packed(genome, spread)),
        "key": [f"{word:#010x}u" for word in struct.unpack("<4I", spread.key)],
    }  # fmt: skip
