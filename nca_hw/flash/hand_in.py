"""Hands a genome to a tile over its service port, from where it spreads: the host's end of docs/spreading.md."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nca_hw.core import frames, slot, spread
from nca_hw.core.feeder import Feeder
from nca_hw.core.genome import Genome
from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.formats.serial_errors import SERIAL_ERRORS, reason

READ_S = 0.005
LISTEN_S = 8.0  # a tile tells what it runs every 16 wakes: 3.2 s on average
REFUSED_S = 15.0  # without a request for a new page
RESTART_S = 10.0  # after the last page: all are proved, the tile starts anew


class Line(Protocol):
    """A serial port that is open: bytes that have come within READ_S, bytes to send."""

    def read(self, size: int = ...) -> bytes: ...  # noqa: D102
    def write(self, data: bytes, /) -> int | None: ...  # noqa: D102


@dataclass(frozen=True)
class HandedIn:
    """What was handed in: its version, what the tile ran before, pages that the tile asked for, and how long it took, seconds."""

    version: int
    version_before: int
    pages: int
    seconds: float


def open_line(port: str) -> Line:
    """A serial port as the firmware has its service port.

    Raises:
        NcaHwError: it can't be opened.
    """
    import serial

    line = serial.Serial(baudrate=frames.BAUD, timeout=READ_S)
    line.dtr = False  # on many boards this line resets the chip
    line.port = port
    try:
        line.open()
    except SERIAL_ERRORS as error:
        cure = "Is the tile plugged in, and the port free? Its output and its input must be connected: docs/spreading.md."
        raise NcaHwError(f"can't be opened ({reason(error)})", where=port, cure=cure, exit_code=ExitCode.PORT_OR_BOARD) from None
    return line


def hand_in(
    line: Line, genome: Genome, version: int | None = None, key: bytes = slot.PUBLIC_KEY, progress: Callable[[int], None] | None = None,
    where: str = "port",
) -> HandedIn:  # fmt: skip
    """Offer a genome to the tile at a port until it runs it.

    Args:
        version: of the genome; None is one above what the tile runs. key: 16 bytes. progress: called with the pages that were asked for.
        where: the port's name, for errors.
    Raises:
        NcaHwError: no tile that takes genomes; a version that is not newer; the tile refused the genome.
    """
    began = time.monotonic_ns()
    running = _running(line, where)
    before = spread.version_of(running)
    version = before + 1 if version is None else version
    if version <= before:
        cure = f"Cells take newer genomes only: --version {before + 1}, or leave it out."
        raise NcaHwError(f"version {version} is not newer than {before}, which the tile runs", where="--version", cure=cure)
    feeder = Feeder(slot.pack(genome, version, key))
    pages, since = 0, time.monotonic()
    total = len(feeder.packed) // slot.PAGE
    while not feeder.done:
        _exchange(line, feeder, where)
        if len(feeder.pages) > pages:
            pages, since = len(feeder.pages), time.monotonic()
            if progress is not None:
                progress(pages)
        if time.monotonic() - since > (RESTART_S if pages == total else REFUSED_S):
            _refused(pages, total, where)
    return HandedIn(version, before, pages, (time.monotonic_ns() - began) / 1e9)


def _running(line: Line, where: str) -> bytes:
    """The name of what the tile runs, as it tells now and then."""
    listener = Feeder(b"")
    end = time.monotonic() + LISTEN_S
    while listener.running is None:
        if time.monotonic() > end:
            cure = "Is it flashed with an image of 'nca-hw build --spread', and does it have power?"
            told = f"no tile that takes new genomes was heard within {LISTEN_S:g} s"
            raise NcaHwError(told, where=where, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)
        listener.hear(time.monotonic_ns(), _read(line, where))
    return listener.running


def _exchange(line: Line, feeder: Feeder, where: str) -> None:
    feeder.hear(time.monotonic_ns(), _read(line, where))
    said = feeder.say(time.monotonic_ns())
    if said:
        try:
            line.write(said)
        except SERIAL_ERRORS as error:
            raise _lost(error, where) from None


def _read(line: Line, where: str) -> bytes:
    try:
        return line.read(4096)
    except (*SERIAL_ERRORS, TypeError) as error:  # TypeError: pyserial, where the port vanishes while it reads
        raise _lost(error, where) from None


def _lost(error: Exception, where: str) -> NcaHwError:
    cure = "The tile runs its old genome still, or the new one if it was complete. Plug it in and repeat the command."
    return NcaHwError(f"the port is gone ({reason(error)})", where=where, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)


def _refused(pages: int, total: int, where: str) -> None:
    if pages == 0:
        told, cure = "the tile does not ask for the genome", "Is its input connected to this port's output?"
    elif pages == 1:
        told = "the tile refuses the genome"
        cure = "Its key is another (--key), or its cells have another shape: channels, kernels, hidden units."
    elif pages < total:
        told, cure = f"the tile has stopped asking after {pages} of {total} pages", "Repeat the command; nothing was changed."
    else:
        told, cure = "the tile found the genome damaged", "Repeat the command; it runs its old genome still."
    raise NcaHwError(told, where=where, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)
