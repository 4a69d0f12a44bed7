"""Genome and board to an image that fits its budgets, in a folder."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nca_hw.core.genome import Genome
from nca_hw.errors import LimitMissed, NcaHwError
from nca_hw.firmware import budget, project, render
from nca_hw.firmware.families import FAMILIES, family
from nca_hw.firmware.image import Image, read_image
from nca_hw.firmware.kernels import Kernel, able
from nca_hw.firmware.spread import Spread, check
from nca_hw.formats.boards import Board
from nca_hw.formats.files import FOR_ALL, FOR_THE_OWNER, make_folder, write_whole

NAME = "nca-hw"
UNITS = 8  # in which kernels count hidden units
PINNED, GCC = TOOLCHAINS = ("pinned", "gcc")


@dataclass(frozen=True)
class Build:
    """An image for a board.

    Attributes:
        stack: worst case, bytes, bound from the image; None where it is only measured, by verify.
        files: around the image, path below the folder to bytes.
        toolchain: that compiled it. warnings: budgets that are missed by an image that is not shipped.
        kernel: that is the cell in it; None is the C core.
        genome_hash, channels: of the genome in it, as its self-test tells them. spread: of an image that takes new genomes.
    """

    board: Board
    image: Image
    stack: int | None
    files: dict[str, bytes] = field(repr=False)
    toolchain: str = PINNED
    warnings: tuple[str, ...] = ()
    kernel: Kernel | None = None
    genome_hash: str = ""
    channels: int = 0
    spread: Spread | None = None

    @property
    def told(self) -> bytes:
        """What the self-test's CRC covers."""
        return self.image.binary[: self.image.code]

    @property
    def sha256(self) -> str:
        """SHA-256 of the flash contents, hex."""
        return hashlib.sha256(self.image.binary).hexdigest()

    def sizes(self) -> dict[str, Any]:
        """What size.json holds."""
        return {
            "board": self.board.name,
            "family": self.board.family,
            "genome_hash": self.genome_hash,
            "channels": self.channels,
            "number_at": None if (place := family(self.board.family).number_at) is None else place(self.board),
            "kernel": self.kernel.name if self.kernel else "C core",
            "toolchain": self.toolchain,
            "warnings": list(self.warnings),
            "rom_bytes": len(self.image.binary),
            "rom_budget": rom_budget(self.board, self.spread),
            "rom_parts": self.image.parts,
            "cell_ram_bytes": self.image.cell_ram,
            "cell_ram_budget": self.board.budget.cell_ram,
            "static_ram_bytes": self.image.static_ram,
            "stack_bytes": self.stack,
            "image_sha256": self.sha256,
            **({} if self.spread is None else {"genome_version": self.spread.version, "code_bytes": self.image.code}),
        }


def rom_budget(board: Board, spread: Spread | None) -> int:
    """Bytes that an image may take: an image that takes new genomes has all of the flash, to the boot section at its end."""
    return board.budget.rom if spread is None else board.memory.flash


def build(genome: Genome, board: Board, toolchain: str = PINNED, spread: Spread | None = None) -> Build:
    """Render, compile and link; nothing is written. The same genome and board give the same bytes on every machine.

    Of the family's kernels the first, which is the fastest, is taken that keeps the image within the board's budgets.

    Args:
        toolchain: "pinned", or "gcc" for a second opinion: its bytes are those of the GCC that is there, and a budget of ROM that it misses
            is a warning.
        spread: of an image that takes new genomes; None for one that holds its own for good.
    Raises:
        LimitMissed: the image is over a budget; says by how many bytes.
        ToolMissing: the compiler is not installed.
        NcaHwError: the family has no second compiler.
    """
    chips = family(board.family)
    compile_and_link = chips.compile_and_link if toolchain == PINNED else chips.second_opinion
    if compile_and_link is None:
        raise NcaHwError(f"the family {chips.name!r} has one compiler only", cure="Leave --toolchain out.")
    if spread is not None:
        check(genome, board, {name: one.hears for name, one in FAMILIES.items() if one.spread_sources})
    limits = {**project.limits(board), "rom": rom_budget(board, spread)}
    refused: list[tuple[int, str]] = []  # bytes of ROM over the budget, and what to say
    for kernel in able(genome, () if spread else chips.kernels):
        texts, compiled = render.sources(genome, board, kernel, spread)
        with tempfile.TemporaryDirectory(prefix="nca-hw-") as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text)
            compile_and_link(Path(folder), compiled, f"{NAME}.elf")
            image = read_image(chips.seal((Path(folder) / f"{NAME}.elf").read_bytes()), chips.flash)
        stack = chips.stack(image.binary, image.symbols) if chips.stack else None
        rom, memory = budget.over_rom(image, limits), budget.over_memory(image, stack, limits)
        over = memory if toolchain == GCC else [*rom, *memory]
        if not over:
            break
        parts = ", ".join(f"{part} {size}" for part, size in image.parts.items())
        told = f"the smallest image does not fit, with {kernel.name if kernel else 'the C core'}: {'; '.join(over)} (ROM: {parts})"
        refused.append((len(image.binary) - limits["rom"], told))
    else:
        excess, told = min(refused)
        raise LimitMissed(told, where=board.name, cure=_cure(genome, excess))
    made = Build(board, image, stack, {}, toolchain, tuple(rom), kernel, genome.cell_hash, genome.channels, spread)
    files = {
        f"{NAME}.elf": image.elf,
        f"{NAME}.bin": image.binary,
        **chips.containers(image.binary),
        f"{NAME}.map": _map(image).encode(),
        "size.json": render.size_json(made.sizes()).encode(),
        **({} if spread else project.files(project.Made(genome, board, texts, compiled, compile_and_link, image.binary, made.sizes()))),
    }
    return replace(made, files=files)


def write(made: Build, folder: Path) -> list[Path]:
    """Write a build's files; gives their paths. An image holds its key: where that is a secret, only the owner can read the files.

    Raises:
        NcaHwError: the folder can't be written; the image has no project, and would lie in that of another, which PlatformIO would build.
    """
    if project.FACTS not in made.files and (folder / project.FACTS).is_file():
        told = "holds the PlatformIO project of another image; one that takes new genomes has none, and 'pio run' would build the other"
        raise NcaHwError(told, where=folder, cure=f"Choose another folder: -o {folder}-spread. Or delete this one first.")
    make_folder(folder)
    mode = FOR_THE_OWNER if made.spread is not None and made.spread.is_secret else FOR_ALL
    paths = []
    for name, data in made.files.items():
        make_folder((folder / name).parent)
        write_whole(folder / name, data, mode)
        paths.append(folder / name)
    return paths


def _cure(genome: Genome, excess: int) -> str:
    """What makes an image fit that is over its budget of ROM by so many bytes."""
    if excess <= 0:
        return "Its RAM or flash is what is short: take another chip, or correct the board file."
    bytes_a_unit = genome.perception + genome.channels + 2  # its weights, and b1
    narrower = (genome.hidden - -(-excess // bytes_a_unit)) // UNITS * UNITS
    if narrower < UNITS:
        return "Take a board with more room, or raise the budget in a board file of your own."
    narrow = f"nca-hw train PICTURE --from GENOME --hidden {narrower}"
    return f"Make the cell narrower: {narrow}. Or raise the budget in a board file of your own."


def _map(image: Image) -> str:
    lines = [f"{'address':>10s} {'bytes':>6s}  symbol"]
    lines += [f"{s.address:#010x} {s.size:6d}  {s.name}" for s in image.symbols]
    return "\n".join(lines) + "\n"
