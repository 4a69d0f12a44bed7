"""What spreads: names of genomes, offers, requests and parts, in Python; an independent reading of docs/spreading.md.

A transfer goes page by page: whoever has an older genome asks for the parts of a page that it lacks, whoever has the newer one gives them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nca_hw.core import frames, slot
from nca_hw.core.reference import Codes

VERSION_CODES, NAME_CODES, WANTED_CODES = 5, 14, 13
PART_BYTES = 13
PARTS = -(-slot.PAGE // PART_BYTES)
TELL = 1  # in an offer: tell me yours


def name(packed: bytes) -> bytes:
    """What an offer tells of a packed slot: its version, five times 7 bits, the highest first, and 7 bits of each of 9 bytes of its tag."""
    version = slot.version_of(packed)
    tag = packed[slot.PAGE - slot.TAG : slot.PAGE]
    codes = [version >> 7 * k for k in reversed(range(VERSION_CODES))] + list(tag[: NAME_CODES - VERSION_CODES])
    return bytes(code & 0x7F for code in codes)


def version_of(told: bytes) -> int:
    """The version in a name."""
    version = 0
    for code in told[:VERSION_CODES]:
        version = version << 7 | code
    return version


def offer(told: bytes, *, tell: bool = False) -> bytes:
    """The frame that offers a genome by its name."""
    return _frame(frames.OFFER, told + bytes([TELL if tell else 0, 0]))


@dataclass(frozen=True)
class Want:
    """A request: which parts of which page, of the genome whose name begins with `wanted`."""

    page: int
    parts: tuple[int, ...]
    wanted: bytes


def want(codes: Codes) -> Want:
    """What the codes of a request say."""
    told = codes.astype(np.uint8).tobytes()
    missing = told[1] | told[2] << 7
    return Want(told[0], tuple(part for part in range(PARTS) if missing >> part & 1), told[3 : 3 + WANTED_CODES])


def part(packed: bytes, page: int, number: int) -> bytes:
    """The frame with a part of a page. Its bytes are XORed with the smallest mask that makes none of them the start of a frame."""
    begin = page * slot.PAGE + number * PART_BYTES
    data = packed[begin : min(begin + PART_BYTES, (page + 1) * slot.PAGE)].ljust(PART_BYTES, b"\0")
    mask = next(mask for mask in range(PART_BYTES + 1) if frames.START ^ mask not in data)
    return _frame(frames.PART, bytes([page, number, mask]) + bytes(byte ^ mask for byte in data))


def _frame(head: int, codes: bytes) -> bytes:
    return frames.frame(head, np.frombuffer(codes, np.int8))
