"""Genome and board to an image that fits its budgets, in a folder."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nca_hw.core.genome import Genome
from nca_hw.errors import LimitMissed
from nca_hw.firmware import render
from nca_hw.firmware.families import family
from nca_hw.firmware.image import Image, read_image
from nca_hw.formats.boards import Board
from nca_hw.formats.files import make_folder, write_whole

NAME = "nca-hw"


@dataclass(frozen=True)
class Build:
    """An image for a board.

    Attributes:
        stack: worst case, bytes, bound from the image; None where it is only measured, by verify.
        files: around the image, path below the folder to bytes.
    """

    board: Board
    image: Image
    stack: int | None
    files: dict[str, bytes]

    @property
    def sha256(self) -> str:
        """SHA-256 of the flash contents, hex."""
        return hashlib.sha256(self.image.binary).hexdigest()

    def sizes(self) -> dict[str, Any]:
        """What size.json holds."""
        return {
            "board": self.board.name,
            "rom_bytes": len(self.image.binary),
            "rom_budget": self.board.budget.rom,
            "rom_parts": self.image.parts,
            "cell_ram_bytes": self.image.cell_ram,
            "cell_ram_budget": self.board.budget.cell_ram,
            "static_ram_bytes": self.image.static_ram,
            "stack_bytes": self.stack,
            "image_sha256": self.sha256,
        }


def build(genome: Genome, board: Board) -> Build:
    """Render, compile and link; nothing is written. The same genome and board give the same bytes on every machine.

    Raises:
        LimitMissed: the image is over a budget; says by how many bytes.
        ToolMissing: the compiler is not installed.
    """
    chips = family(board.family)
    texts, compiled = render.sources(genome, board)
    with tempfile.TemporaryDirectory(prefix="nca-hw-") as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text)
        chips.compile_and_link(Path(folder), compiled, f"{NAME}.elf")
        image = read_image(chips.seal((Path(folder) / f"{NAME}.elf").read_bytes()), chips.flash)
    stack = chips.stack(image.binary, image.symbols) if chips.stack else None
    over = [
        f"{what} {used} B, {used - limit} B over the budget of {limit} B"
        for what, used, limit in (
            ("ROM", len(image.binary), board.budget.rom), ("cell RAM", image.cell_ram, board.budget.cell_ram),
            ("flash", len(image.binary), board.memory.flash), ("static RAM and stack", image.static_ram + (stack or 0), board.memory.ram),
        ) if used > limit
    ]  # fmt: skip
    if over:
        parts = ", ".join(f"{part} {size}" for part, size in image.parts.items())
        told = f"the image for {board.name} does not fit: {'; '.join(over)} (ROM: {parts})"
        raise LimitMissed(told, cure="Train or choose a smaller genome.")
    made = Build(board, image, stack, {})
    files = {
        f"{NAME}.elf": image.elf,
        f"{NAME}.bin": image.binary,
        **chips.containers(image.binary),
        f"{NAME}.map": _map(image).encode(),
        "size.json": render.size_json(made.sizes()).encode(),
        **{f"platformio/src/{name}": text.encode() for name, text in texts.items()},
        **{f"platformio/{name}": text.encode() for name, text in render.project(board).items()},
    }
    return Build(board, image, stack, files)


def write(made: Build, folder: Path) -> list[Path]:
    """Write a build's files; gives their paths.

    Raises:
        NcaHwError: the folder can't be written.
    """
    make_folder(folder)
    paths = []
    for name, data in made.files.items():
        make_folder((folder / name).parent)
        write_whole(folder / name, data)
        paths.append(folder / name)
    return paths


def _map(image: Image) -> str:
    lines = [f"{'address':>10s} {'bytes':>6s}  symbol"]
    lines += [f"{s.address:#010x} {s.size:6d}  {s.name}" for s in image.symbols]
    return "\n".join(lines) + "\n"
