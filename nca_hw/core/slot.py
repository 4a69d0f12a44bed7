"""A genome as it lies in the flash of a cell that takes new ones, and as it spreads from cell to cell: docs/spreading.md has every byte."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nca_hw.core import chaskey, frames
from nca_hw.core.genome import Genome
from nca_hw.core.taps import Kernel
from nca_hw.errors import NcaHwError

MAGIC = b"NCG1"
FORMAT = 1
PAGE = 128
CHANNELS = 16  # of every genome that spreads: a part of it fills the codes of a frame
KERNELS_MAX = 4
TAG = 16
HEAD = "<4sIHHBBBBBBbB16s16s36s8x16s"
MERGED = 0x80  # in the shape's byte of kernels: the state is its own perception
PUBLIC_KEY = b"nca-hw anybody's"  # of cells without a key of their own: the tag is then a checksum that anybody can make
VERSION_MAX = (1 << 32) - 1


@dataclass(frozen=True)
class Shape:
    """What an image fixes of the genomes that it takes. kernels: how many, with MERGED where the state is its own perception."""

    hidden: int
    kernels: int

    @property
    def pages(self) -> int:
        """Of a slot."""
        perception = (self.kernels & ~MERGED) * CHANNELS
        body = 2 * 130 + 2 * 2 * CHANNELS + self.hidden * (2 + perception + CHANNELS)
        return 1 + -(-body // PAGE)

    @property
    def slot_bytes(self) -> int:
        """Of flash."""
        return self.pages * PAGE


def shape_of(genome: Genome) -> Shape:
    """The shape of a genome.

    Raises:
        NcaHwError: a genome that can't spread.
    """
    if genome.channels != CHANNELS:
        raise NcaHwError(f"a genome of {genome.channels} channels can't spread; one of {CHANNELS} can", cure="Train it with 16 channels.")
    return Shape(genome.hidden, len(genome.kernels) | (MERGED if merged(genome) else 0))


def merged(genome: Genome) -> bool:
    """Whether the state is its own perception: the identity comes first, and no other kernel looks at the cell itself."""
    return genome.kernels[0] is Kernel.IDENTITY and Kernel.LAPLACIAN not in genome.kernels


def pack(genome: Genome, version: int, key: bytes = PUBLIC_KEY) -> bytes:
    """A whole slot.

    Args:
        version: 1 to VERSION_MAX; a cell takes a genome of a higher version than its own. key: 16 bytes.
    Raises:
        NcaHwError: no such version, or a genome that can't spread.
    """
    if not 1 <= version <= VERSION_MAX:
        raise NcaHwError(f"version {version} of a genome, allowed are 1 to {VERSION_MAX}")
    shape = shape_of(genome)
    decode = np.append(genome.decode, [genome.decode[-1], 0]).astype("<i2")
    arrays = (decode, genome.b2.astype("<i2"), genome.m2.astype("<i2"), genome.units)
    body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
    body += b"\xff" * (shape.slot_bytes - PAGE - len(body))
    about = np.array(frames.about(genome.cell_hash, CHANNELS), np.int8).tobytes()
    taps = genome.taps.tobytes()
    head = struct.pack(
        HEAD, MAGIC, version, shape.hidden, shape.pages, FORMAT, CHANNELS, shape.kernels, genome.s1, genome.s2, genome.alpha, genome.alive,
        genome.tap_shift, about, genome.seed.tobytes(), taps, chaskey.tag(key, body),
    )  # fmt: skip
    return head + chaskey.tag(key, head) + body


def version_of(slot: bytes) -> int:
    """The version that a packed slot tells."""
    return int.from_bytes(slot[4:8], "little")


def read_key(path: Path | None) -> bytes:
    """The key in a file, 32 hex digits; the public one without a file.

    Raises:
        NcaHwError: it can't be read, or holds something else.
    """
    if path is None:
        return PUBLIC_KEY
    cure = "A key is 16 bytes, 32 hex digits: openssl rand -hex 16 > wall.key"
    try:
        text = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NcaHwError(f"can't be read as a key ({getattr(error, 'strerror', None) or error})", where=path, cure=cure) from None
    if not re.fullmatch(r"[0-9a-fA-F]{32}", text):
        raise NcaHwError("holds no key", where=path, cure=cure)
    return bytes.fromhex(text)
