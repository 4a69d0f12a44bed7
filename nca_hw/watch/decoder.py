"""Service-port bytes to frames, as they come, in any pieces; whatever else is on the line is counted and left behind.

The rule: a start byte, 80h, always begins a frame, wherever it comes. A frame is sound if none of the bytes behind it, as many as a frame
has, is another start, and its CRC is right. So nothing that was on the line before can lose a sound frame that follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames
from nca_hw.core.reference import Codes

_POLYNOMIAL = 0x1021  # CRC-16/XMODEM, docs/protocol.md


@dataclass(frozen=True)
class Frames:
    """Sound frames of the service port, in order.

    Attributes:
        heads: uint8 [n]. codes: int8 [n, C].
        positions: of their start bytes, counted from the first byte that the decoder was ever given, int64 [n].
    """

    heads: NDArray[np.uint8]
    codes: Codes
    positions: NDArray[np.int64]


@dataclass
class LineCounts:
    """What a line has carried.

    Attributes:
        bytes: all of them. sound: sound frames of the service port.
        damaged: starts that no sound frame followed; a frame whose start itself was damaged is not among them.
        others: sound frames with other heads. stray: bytes that belong to no frame begun.
    """

    bytes: int = 0
    sound: int = 0
    damaged: int = 0
    others: int = 0
    stray: int = 0


class Decoder:
    """The frames of one line.

    Attributes:
        counts: so far. A frame whose end has not come is in none of them but `bytes`.
    """

    def __init__(self, channels: int) -> None:
        """Of cells with so many channels."""
        self.counts = LineCounts()
        self.frame_bytes = frames.frame_bytes(channels)
        self._channels = channels
        self._rest = b""  # from a start on whose frame has not all come
        self._tables = _tables(1 + channels)
        self._offsets = np.arange(1, self.frame_bytes)
        self._columns = np.arange(1 + channels)

    def feed(self, data: bytes) -> Frames:
        """The frames that these bytes end."""
        whole = self._rest + data
        before = self.counts.bytes - len(self._rest)  # position of whole[0]
        self.counts.bytes += len(data)
        line = np.frombuffer(whole, np.uint8)
        starts = np.flatnonzero(line == frames.START)
        if not len(starts):
            self._rest = b""
            self.counts.stray += len(whole)
            return self._none()
        ends = np.append(starts[1:], len(line))
        room = ends - starts
        is_open = int(room[-1]) < self.frame_bytes
        self._rest = whole[int(starts[-1]) :] if is_open else b""
        judged = starts[:-1] if is_open else starts
        full = judged[room[: len(judged)] >= self.frame_bytes]
        body = line[full[:, None] + self._offsets]
        sound = self._is_sound(body)
        full, body = full[sound], body[sound]
        told = body[:, 0] & frames.KIND == frames.REPORT_STATE
        counts = self.counts
        counts.sound += int(told.sum())
        counts.others += len(told) - int(told.sum())
        counts.damaged += len(judged) - len(full)
        counts.stray += int(starts[0]) + int(np.maximum(room[: len(judged)] - self.frame_bytes, 0).sum())
        codes = np.ascontiguousarray(body[told, 1 : 1 + self._channels]).view(np.int8)
        return Frames(body[told, 0].copy(), codes, full[told].astype(np.int64) + before)

    def cut(self) -> None:
        """The line was interrupted: what comes next continues nothing."""
        self.counts.damaged += bool(self._rest)
        self._rest = b""

    def _is_sound(self, body: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Of frames without their starts, uint8 [n, length], which have the right CRC, split as frames split it."""
        crc = np.bitwise_xor.reduce(self._tables[self._columns, body[:, : len(self._columns)]], axis=1)
        low, middle, high = (body[:, n] for n in (-3, -2, -1))
        sound: NDArray[np.bool_] = (crc & 0x7F == low) & (crc >> 7 & 0x7F == middle) & (crc >> 14 == high)
        return sound

    def _none(self) -> Frames:
        return Frames(np.zeros(0, np.uint8), np.zeros((0, self._channels), np.int8), np.zeros(0, np.int64))


def _tables(length: int) -> NDArray[np.uint16]:
    """What a byte at each place of a message of so many bytes adds to its CRC, uint16 [length, 256]: from 0, a CRC is linear."""
    step = np.zeros(256, np.uint16)
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ _POLYNOMIAL if crc & 0x8000 else crc << 1) & 0xFFFF
        step[byte] = crc
    tables = np.zeros((length, 256), np.uint16)
    tables[-1] = step
    for place in range(length - 2, -1, -1):  # a byte more behind it
        after = tables[place + 1]
        tables[place] = (after << 8) ^ step[after >> 8]
    return tables
