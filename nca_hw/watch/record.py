"""The record of a watch: what came from which port and when, byte by byte, so that it can be seen again, and decoded again.

A line of text, one of JSON, then pieces: time in ns (u64), number of the port (u32), length (u32), little-endian, and the bytes. A piece
of no bytes says that the port has vanished; one of a port behind the last, that nothing was read for so many seconds, a hexadecimal
floating-point number in ASCII. It is written as it comes, and handed over once a second: whatever ends the program, all but
its last second can be read.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from nca_hw.errors import NcaHwError
from nca_hw.watch.places import TILES_MAX, Places

SCHEMA = "nca-hw/watch-record/1"
MAGIC = b"nca-hw watch record\n"
HEADER_LIMIT = 1 << 22
PIECE_LIMIT = 1 << 20
FLUSH_SECONDS = 1.0
CURE = "Name a file that 'nca-hw watch --record' has written."
_LATE = re.compile(rb"0x[01]\.[0-9a-f]{1,13}p[+-]\d{1,2}")
_PIECE = struct.Struct("<QII")


@dataclass(frozen=True)
class About:
    """What a record says of itself: names of genome and board as they were given, the genome's hash, the array, Unix time of its begin."""

    genome: str
    genome_hash: str
    board: str
    places: Places
    began: float


@dataclass(frozen=True)
class Piece:
    """Bytes of a port, at a time in s since the beginning; none: the port vanished."""

    time: float
    port: int
    data: bytes


class Recorder:
    """A record that is being written; a context, which closes it."""

    def __init__(self, path: Path, about: About) -> None:
        """Begin the file.

        Raises:
            NcaHwError: it can't be written.
        """
        self.path = Path(path)
        self._flushed = 0.0
        p = about.places
        text = {
            "schema": SCHEMA, "genome": about.genome, "genome_hash": about.genome_hash, "board": about.board, "began": about.began,
            "columns": p.columns, "rows": p.rows, "tile": [p.tile_width, p.tile_height], "ports": list(p.ports), "tiles": list(p.tiles),
        }  # fmt: skip
        try:
            self._file: BinaryIO = self.path.open("wb")
            self._file.write(MAGIC + json.dumps(text, sort_keys=True).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._unwritable(error) from None

    def add(self, piece: Piece) -> None:
        """One more piece.

        Raises:
            NcaHwError: it can't be written.
        """
        try:
            self._file.write(_PIECE.pack(round(piece.time * 1e9), piece.port, len(piece.data)) + piece.data)
            if piece.time - self._flushed >= FLUSH_SECONDS:
                self._file.flush()
                self._flushed = piece.time
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> NcaHwError:
        return NcaHwError(f"can't be written ({error.strerror or error})", where=self.path, cure="Choose another place (--record).")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


class Record:
    """A record, read.

    Attributes:
        about: its header. is_cut_off: its last piece is not whole; known once all pieces have been read.
    """

    def __init__(self, path: Path) -> None:
        """Read the header; pieces are read as they are asked for.

        Raises:
            NcaHwError: no record, or a damaged one.
        """
        self.path = Path(path)
        self.is_cut_off = False
        try:
            with self.path.open("rb") as file:
                magic, line = file.read(len(MAGIC)), file.readline(HEADER_LIMIT)
        except OSError as error:
            raise NcaHwError(f"can't be read ({error.strerror or error})", where=path, cure=CURE) from None
        if magic != MAGIC or not line.endswith(b"\n"):
            raise NcaHwError("is no record of a watch", where=path, cure=CURE)
        self._begin = len(MAGIC) + len(line)
        self.about = self._checked(line)

    def _checked(self, line: bytes) -> About:
        try:
            told: Any = json.loads(line)
            known = told["schema"] == SCHEMA
            ports, tiles = tuple(map(str, told["ports"])), tuple(told["tiles"])
            numbers = [told["columns"], told["rows"], *told["tile"], *tiles]
            columns, rows, wide, high = numbers[:4]
            known &= all(type(n) is int and n >= 0 for n in numbers) and len(told["tile"]) == 2 and len(ports) == len(tiles) > 0
            known &= 1 <= columns * rows <= TILES_MAX and 1 <= wide <= 6 and 1 <= high <= 6 and all(n < columns * rows for n in tiles)
            about = About(
                str(told["genome"]), str(told["genome_hash"]), str(told["board"]), Places(columns, rows, wide, high, ports, tiles),
                float(told["began"]),
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            known = False
        if not known:
            raise NcaHwError("has lost what it says of itself, or is of another version", where=self.path, cure=CURE)
        return about

    def pieces(self) -> Iterator[Piece]:
        """All pieces, in order.

        Raises:
            NcaHwError: it is damaged.
        """
        last = 0
        with self.path.open("rb") as file:
            file.seek(self._begin)
            while head := file.read(_PIECE.size):
                if len(head) < _PIECE.size:
                    self.is_cut_off = True
                    return
                time, port, length = _PIECE.unpack(head)
                if length > PIECE_LIMIT or port > len(self.about.places.ports) or time < last:
                    raise NcaHwError(f"is damaged at byte {file.tell() - _PIECE.size:,}", where=self.path, cure=CURE)
                data = file.read(length)
                if len(data) < length:
                    self.is_cut_off = True
                    return
                last = time
                if port == len(self.about.places.ports) and not _LATE.fullmatch(data):
                    raise NcaHwError(f"is damaged at byte {file.tell() - length:,}", where=self.path, cure=CURE)
                yield Piece(time / 1e9, port, data)
