"""Frames on links, in Python: an independent reading of docs/protocol.md, against which the C of firmware and host is held."""

from __future__ import annotations

import binascii

import numpy as np

from nca_hw.core.reference import Codes

START = 0x80
STATE = 0x10


def encode(place: int, state: Codes) -> bytes:
    """The frame that tells a receiver the state, int8 [C], of whom it sees at `place` (0..7, clockwise from the north)."""
    body = bytes([STATE | place]) + state.astype(np.int8).tobytes()
    crc = binascii.crc_hqx(body, 0)
    return bytes([START]) + body + bytes([crc & 0x7F, crc >> 7 & 0x7F, crc >> 14])


def decode_all(data: bytes, channels: int) -> list[tuple[int, Codes]]:
    """All sound frames of a byte stream, in order: (place, state)."""
    found = []
    length = 1 + channels + 3
    for piece in data.split(bytes([START]))[1:]:
        frame = piece[:length]
        if len(frame) < length or frame[0] & 0xF8 != STATE:
            continue
        place = frame[0] & 7
        state = np.frombuffer(frame[1 : 1 + channels], np.int8)
        if encode(place, state)[1:] == frame:
            found.append((place, state))
    return found
