"""A watch: lines are read, their bytes recorded and taken in, until time is over; or a record is, instead of lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from nca_hw.watch.array import LiveArray
from nca_hw.watch.follow import Follower
from nca_hw.watch.ports import SerialLine
from nca_hw.watch.record import Piece, Record, Recorder

IDLE_SECONDS = 0.005  # a line at 115,200 baud has sent 58 bytes by then; drivers keep some thousands
LATE_SECONDS = 0.1  # between two looks at a line, after which what comes was there before
Pieces = Iterator[Piece | float]  # what has come, or only that it is so late


def from_lines(lines: Sequence[SerialLine], clock: Callable[[], float] = time.monotonic) -> Pieces:
    """What lines tell, without end. They are open already; one that vanishes is opened again when it comes back.

    Nothing waits here but for 5 ms when nobody has told anything. If whoever takes the pieces was at something else for too long, a piece
    says so: that of a port which is not there, with the seconds.
    """
    began = clock()
    looked = 0.0
    while True:
        got = False
        now = clock() - began
        if now - looked > LATE_SECONDS:
            yield Piece(now, len(lines), (now - looked).hex().encode())
        looked = now
        for number, line in enumerate(lines):
            was_open = line.is_open
            data = line.read()
            now = clock() - began
            if data:
                got = True
                yield Piece(now, number, data)
            if was_open and not line.is_open:
                yield Piece(now, number, b"")
        yield clock() - began
        if not got:
            time.sleep(IDLE_SECONDS)


def from_record(record: Record, speed: float, clock: Callable[[], float] = time.monotonic) -> Pieces:
    """What a record tells, so many times as fast as it was; 0: as fast as it can be read."""
    began = clock()
    for piece in record.pieces():
        while speed and (ahead := piece.time / speed - (clock() - began)) > 0:
            time.sleep(min(ahead, 0.05))
            yield min(piece.time, (clock() - began) * speed)
        yield piece
        yield piece.time


def follow_pieces(
    pieces: Pieces, array: LiveArray, *, follower: Follower | None = None, recorder: Recorder | None = None, seconds: float | None = None,
    each: Callable[[], None] = lambda: None,
) -> None:  # fmt: skip
    """Take all pieces in.

    Args:
        seconds: at which it is over; None: with the last piece.
        each: called after everything that has come at a time.
    """
    for piece in pieces:
        now = piece if isinstance(piece, float) else piece.time
        if seconds is not None and now >= seconds:
            array.tick(now)
            break
        if isinstance(piece, float):
            array.tick(now)
            if follower is not None:
                follower.settle(now)
            each()
            continue
        if recorder is not None:
            recorder.add(piece)
        if piece.port == len(array.places.ports):
            array.late(now, seconds_late := float.fromhex(piece.data.decode()))
            if follower is not None:
                follower.late(now, seconds_late)
        elif piece.data:
            array.feed(now, piece.port, piece.data)
        else:
            array.tick(now)
            array.cut(piece.port)
            if follower is not None:
                follower.doubt(piece.port, now)
    if follower is not None:
        follower.settle(array.now, all_of_it=True)
