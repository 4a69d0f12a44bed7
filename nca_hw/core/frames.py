"""Frames on links, in Python: an independent reading of docs/protocol.md, against which the C of firmware and host is held."""

from __future__ import annotations

import binascii
from dataclasses import dataclass

import numpy as np

from nca_hw.core.reference import Codes

START = 0x80
STATE = 0x10
REPORT_STATE, REPORT_SELF_TEST, REPORT_CELL, REPORT_TILE = 0x18, 0x19, 0x1A, 0x1B
COMMAND_SEED = 0x20
EDGE = 0x28
SPREAD = 0x30
OFFER, WANT, PART = 0x30, 0x31, 0x32
KIND = 0xF8
SPEC_VERSION = 1
BAUD = 115_200  # of the service port, 8N1
HASH_BITS = 84


@dataclass(frozen=True)
class SelfTest:
    """What a cell tells after power-on: version of the spec, CRC-16 of the image as it finds it in its flash, bits of the genome's hash."""

    spec_version: int
    image_crc: int
    genome: tuple[int, ...]


def frame_bytes(channels: int) -> int:
    """Bytes of a frame that carries so many codes: start, head, codes, three of CRC."""
    return channels + 5


def encode(place: int, state: Codes) -> bytes:
    """The frame that tells a receiver the state, int8 [C], of whom it sees at `place` (0..7, clockwise from the north)."""
    return frame(STATE | place, state)


def frame(head: int, codes: Codes) -> bytes:
    """The frame with a head and codes, int8 [C], whatever they mean."""
    body = bytes([head]) + codes.astype(np.int8).tobytes()
    crc = binascii.crc_hqx(body, 0)
    return bytes([START]) + body + bytes([crc & 0x7F, crc >> 7 & 0x7F, crc >> 14])


def decode_all(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    """All sound frames of states in a byte stream, in order: (place, state)."""
    return [(head & ~KIND, codes) for head, codes in _sound(data, channels) if head & KIND == STATE]


def decode_edges(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    """All sound frames of a tile's edge in a byte stream, in order: (index along the edge, state)."""
    return [(head & ~KIND, codes) for head, codes in _sound(data, channels) if head & KIND == EDGE]


def decode_reports(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    """All sound reports in what a service port has sent, in order: (head, codes)."""
    return [(head, codes) for head, codes in _sound(data, channels) if head & KIND == REPORT_STATE]


def decode_spread(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    """All sound frames of spreading genomes in a byte stream, in order: (head, codes)."""
    return [(head, codes) for head, codes in _sound(data, channels) if head & KIND == SPREAD]


def about(cell_hash: str, channels: int) -> list[int]:
    """What a self-test holds beside the image's CRC, C bytes of 7 bits: spec version, 0, 0, 0, bits of the genome's hash, lowest first."""
    number = int(cell_hash, 16) >> (4 * len(cell_hash) - HASH_BITS)
    return [SPEC_VERSION, 0, 0, 0, *(number >> k & 0x7F for k in range(0, HASH_BITS, 7))][:channels]


def self_test(image: bytes, cell_hash: str, channels: int) -> bytes:
    """The frame with which a cell tells what it is after power-on."""
    codes, crc = about(cell_hash, channels), binascii.crc_hqx(image, 0)
    codes[1:4] = [crc & 0x7F, crc >> 7 & 0x7F, crc >> 14][: len(codes) - 1]
    return frame(REPORT_SELF_TEST, np.array(codes, np.int8))


def decode_self_tests(data: bytes, channels: int) -> list[SelfTest]:
    """All sound self-tests in what a service port has sent, in order."""
    found = []
    for head, codes in _sound(data, channels):
        if head == REPORT_SELF_TEST and channels > 4:
            values = [int(code) & 0x7F for code in codes]
            found.append(SelfTest(values[0], values[1] | values[2] << 7 | values[3] << 14, tuple(values[4 : 4 + HASH_BITS // 7])))
    return found


def hash_told(cell_hash: str, channels: int) -> tuple[int, ...]:
    """What a self-test tells of a genome's hash, 7 bits each."""
    return tuple(about(cell_hash, channels)[4:])


def _sound(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    found = []
    length = 1 + channels + 3
    for piece in data.split(bytes([START]))[1:]:
        whole = piece[:length]
        if len(whole) < length:
            continue
        codes = np.frombuffer(whole[1 : 1 + channels], np.int8)
        if frame(whole[0], codes)[1:] == whole:
            found.append((whole[0], codes))
    return found
