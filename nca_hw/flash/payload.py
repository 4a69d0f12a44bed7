"""What is to be written: an image, the kind of board it is for, and what the board's self-test must tell once it runs."""

from __future__ import annotations

import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import NAME, build
from nca_hw.firmware.families import family
from nca_hw.formats.boards import Board, load_board
from nca_hw.formats.boot2 import BOOT2, boot_crc
from nca_hw.formats.files import is_file, is_folder, is_there
from nca_hw.formats.uf2 import PAYLOAD, to_uf2

SIZES = "size.json"
NUMBER_MAX = 9999
FAMILIES = ("rp2040", "atmega", "stm32g031", "ch32v0")
CHANNELS = range(1, 17)  # of a genome: docs/spec.md
ADDRESSES = range(1 << 32)
NO_NUMBER = "null or a number of 32 bits"


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", value) is not None


def _is_hash(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_number(value: object, allowed: range) -> bool:
    return type(value) is int and value in allowed


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value, ADDRESSES)


ENTRIES: dict[str, tuple[Callable[[object], bool], str]] = {  # of size.json: what is sound, and that in words
    "board": (_is_name, "the name of a board"),
    "family": (_is_name, "the name of a family of chips"),
    "genome_hash": (_is_hash, "64 hex digits"),
    "channels": (lambda value: _is_number(value, CHANNELS), f"{CHANNELS[0]} to {CHANNELS[-1]}"),
    "image_sha256": (_is_hash, "64 hex digits"),
    "number_at": (_is_number_or_none, NO_NUMBER),
    "code_bytes": (_is_number_or_none, NO_NUMBER),
}


@dataclass(frozen=True)
class Payload:
    """An image.

    Attributes:
        told: where it came from. board: the kind of board, family: of its chip. image: flash from its first byte on.
        genome_hash, channels: of the genome in it; None and 0 where the image came without its size.json.
        number_at: address at which the board looks for its number in an array; None where the image does not.
        code: bytes that the self-test's CRC covers, of an image that takes new genomes; None where that is all of it.
    """

    told: str
    board: str
    family: str
    image: bytes
    genome_hash: str | None
    channels: int
    number_at: int | None = None
    code: int | None = None

    @property
    def crc(self) -> int:
        """What the self-test tells of the image."""
        return binascii.crc_hqx(self.image[: self.code], 0)

    @property
    def sha256(self) -> str:
        """SHA-256 of the image, hex."""
        return hashlib.sha256(self.image).hexdigest()

    @property
    def flash(self) -> int:
        """Address of the image's first byte, as programmers know it."""
        return 0x08000000 if self.family == "ch32v0" else family(self.family).flash  # its flash is seen twice: families/ch32v0.py

    def uf2(self, number: int | None = None) -> bytes:
        """The file for the boot volume of an RP2040, with the board's number in an array, if it has one.

        Raises:
            NcaHwError: the image does not look for a number, or it has more than four digits.
        """
        if number is None:
            return to_uf2(self.image, self.flash)
        if self.number_at is None or number > NUMBER_MAX:
            told = f"has more than four digits: {number}" if self.number_at else f"is not shown by {self.board}"
            raise NcaHwError(f"a number {told}", where="--number", cure="Leave --number out.")
        digits = int(f"{number:F>4d}", 16)  # four bits each, Fh for none: rp2040/number.c.j2
        return to_uf2(self.image, self.flash, more=(self.number_at, digits.to_bytes(2, "little").ljust(PAYLOAD, b"\xff")))

    def containers(self) -> dict[str, bytes]:
        """Files for programs that flash: name to bytes."""
        return {f"{NAME}.bin": self.image, **family(self.family).containers(self.image)}

    def is_told_by(self, answer: frames.SelfTest) -> bool:
        """Whether a self-test tells this image and this genome."""
        genome = self.genome_hash is None or answer.genome == frames.hash_told(self.genome_hash, self.channels)
        return answer.spec_version == frames.SPEC_VERSION and answer.image_crc == self.crc and genome

    def difference(self, answer: frames.SelfTest) -> str:
        """What of a self-test is not this image's, in words."""
        crc, genome = self.crc, self.genome_hash and frames.hash_told(self.genome_hash, self.channels)
        told = [f"spec version {answer.spec_version}, not {frames.SPEC_VERSION}"] if answer.spec_version != frames.SPEC_VERSION else []
        told += [f"CRC {answer.image_crc:04x}, not {crc:04x}"] if answer.image_crc != crc else []
        told += ["another genome"] if genome and answer.genome != genome else []
        return ", ".join(told)


def payload(what: str, board: str | None) -> Payload:
    """The image of a folder that `nca-hw build` wrote or of a file in it, of a .bin with its board named, or of a genome that is built now.

    Args:
        board: the kind of board; None is that of the folder, and rp2040 for a genome.
    Raises:
        NcaHwError: nothing of the kind is there, its files are not of one build, or they are for another board.
    """
    path = Path(what)
    folder = path if is_folder(path) else path.parent
    if path.suffix in (".bin", ".uf2", ".hex", ".elf") or is_folder(path):
        if not is_there(path):
            raise NcaHwError("there is no such file or folder", where=path, cure="Name a folder that 'nca-hw build' wrote, or a genome.")
        if is_file(folder / SIZES) and (is_folder(path) or path.stem == NAME):
            return _of_folder(folder, board)
        return _of_file(path, board)
    target = load_board("rp2040" if board is None else board)
    _flashable(target.family, target.name)
    genome = load(what)
    made = build(genome, target)
    return Payload(
        f"{what}, built for {target.name}",
        target.name,
        target.family,
        made.image.binary,
        genome.cell_hash,
        genome.channels,
        _number_at(target),
    )


def _of_folder(folder: Path, board: str | None) -> Payload:
    again = f"Build it again: nca-hw build --board NAME -o {folder}"
    try:
        image = (folder / f"{NAME}.bin").read_bytes()
        sizes: Any = json.loads((folder / SIZES).read_bytes())
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror})", where=error.filename, cure=again) from None
    except (ValueError, RecursionError) as error:
        raise NcaHwError(f"is not JSON ({error})", where=folder / SIZES, cure=again) from None
    if not isinstance(sizes, dict):
        raise NcaHwError("is no JSON object", where=folder / SIZES, cure=again)
    told = {"code_bytes": None, **sizes}
    for name, (is_sound, kind) in ENTRIES.items():
        if name not in told:
            raise NcaHwError(f"has no entry {name!r}, which this version of nca-hw writes", where=folder / SIZES, cure=again)
        if not is_sound(told[name]):
            raise NcaHwError(f"{name} is {str(told[name])[:80]!r}, not {kind}", where=folder / SIZES, cure=again)
    if hashlib.sha256(image).hexdigest() != told["image_sha256"]:
        raise NcaHwError(f"{NAME}.bin and {SIZES} are not of one build", where=folder, cure=again)
    _flashable(told["family"], told["board"])
    if board is not None and load_board(board).name != told["board"]:
        cure = f"Leave --board out, or build for it: nca-hw build --board {board} -o FOLDER"
        raise NcaHwError(f"the image is for {told['board']} ({told['family']}), and --board says {board}", where=folder, cure=cure)
    names = ("genome_hash", "channels", "number_at", "code_bytes")
    return Payload(str(folder), told["board"], told["family"], image, *(told[name] for name in names))


def _of_file(path: Path, board: str | None) -> Payload:
    if path.suffix != ".bin" or board is None:
        cure = "Name the folder, or a .bin and its board: nca-hw flash IMAGE.bin --board NAME"
        place = "in" if is_folder(path) else "beside"
        raise NcaHwError(f"there is no {SIZES} {place} it that tells for which board it is", where=path, cure=cure)
    target = load_board(board)
    _flashable(target.family, target.name)
    try:
        image = path.read_bytes()
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror})", where=path, cure="Name the file of an image.") from None
    if not 0 < len(image) <= target.memory.flash:
        raise NcaHwError(f"has {len(image):,} bytes; {target.name} has {target.memory.flash:,} of flash", where=path)
    if (target.family == "rp2040") != _boots_rp2040(image):
        of_what = "no image for an RP2040: its boot block's CRC is wrong" if target.family == "rp2040" else "an image for an RP2040"
        raise NcaHwError(f"is {of_what}, and --board says {board}", where=path, cure="Name the image and the board that belong together.")
    return Payload(str(path), target.name, target.family, image, None, 0, _number_at(target))


def _number_at(board: Board) -> int | None:
    place = family(board.family).number_at
    return None if place is None else place(board)


def _boots_rp2040(image: bytes) -> bool:
    return len(image) >= BOOT2 and boot_crc(image[: BOOT2 - 4]) == int.from_bytes(image[BOOT2 - 4 : BOOT2], "little")


def _flashable(family_name: str, board: str) -> None:
    if family_name not in FAMILIES:
        raise NcaHwError(f"there is nothing to flash on {board!r}", cure=f"Boards of these families can be flashed: {', '.join(FAMILIES)}.")
