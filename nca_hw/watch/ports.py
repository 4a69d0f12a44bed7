"""Ports: what stands on the command line to lines that are read; a line that vanishes is looked for until it is there again."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import serial
from serial.tools import list_ports

from nca_hw.core import frames
from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.flash import connected
from nca_hw.formats.array_file import BoardEntry, load_array
from nca_hw.formats.boards import Board
from nca_hw.formats.files import is_folder
from nca_hw.formats.serial_errors import SERIAL_ERRORS, reason

try:
    import termios
except ImportError:  # not on Windows
    termios = None  # type: ignore[assignment]

READ_BYTES = 1 << 16
RETRY_SECONDS = 0.5
_PLACED = re.compile(r"(?P<port>.+)@(?P<x>\d{1,4}),(?P<y>\d{1,4})")
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Tap:
    """A port, and the tile whose service port it is: column and row, counted in tiles from the north-west; None: it was not said."""

    port: str
    tile: tuple[int, int] | None = None


def taps(words: Sequence[str]) -> list[Tap]:
    """What PORT arguments say: `PORT`, `PORT@X,Y`, or a pattern of files, whose ports come in the order of their numbers.

    Raises:
        NcaHwError: nothing is like a pattern, a pattern has a place, or a port is named twice.
    """
    found: list[Tap] = []
    for word in words:
        match = _PLACED.fullmatch(word)
        port = match["port"] if match else word
        if _PATTERN.search(port) and "://" not in port:
            names = sorted(_like(port), key=_natural)
            if not names:
                raise no_port(port, "there is no port like this")
            if match:
                told = "a pattern stands for several ports and can't have one place"
                raise NcaHwError(told, where=word, cure="Name each port with its own.")
            found += [Tap(name) for name in names]
        else:
            found.append(Tap(port, (int(match["x"]), int(match["y"])) if match else None))
    for n, tap in enumerate(found):
        if any(tap.port == other.port for other in found[:n]):
            raise NcaHwError("is named twice", where=tap.port, cure="Name each port once.")
    return found


def array_taps(path: Path, board: Board, grid: tuple[int, int], told: Callable[[str], None] = lambda line: None) -> list[Tap]:
    """The boards of an array.json that a port stands for: board number 1 is the north-western tile, and so on row by row.

    Args:
        grid: width and height in cells. told: called with the boards whose USB adapters are not plugged in, which are left out.
    Raises:
        NcaHwError: no sound file; no board in it is at a port (an RP2040's boot volume is none); a number beyond the grid; two boards
            that were written at the same port.
    """
    columns, tiles = grid[0] // board.tile.width, grid[0] * grid[1] // board.tile.cells
    entries = load_array(path).boards
    for entry in entries:
        if "://" in entry.place:  # pyserial would connect, or write, wherever that says
            raise NcaHwError(f"board {entry.number} stands at {entry.place!r}, which is no port of this computer", where=path)
    here = connected.ports() if board.family != "rp2040" else []  # the USB path of an RP2040 is that of its boot loader
    ports = [(entry, _port_of(entry, here)) for entry in entries if not is_folder(entry.place)]
    away = ", ".join(f"{entry.number} ({entry.place})" for entry, port in ports if port is None)
    found = [(entry, port) for entry, port in ports if port is not None]
    if not found:
        what = f"names no board at a serial port{f' that is here; away: {away}' if away else ''}"
        raise NcaHwError(what, where=path, cure="Plug them in, or name the tiles' ports: nca-hw watch PORT@X,Y ...")
    beyond = [entry.number for entry, _ in found if entry.number > tiles]
    if beyond:
        what = f"board {beyond[0]} has no tile in {grid[0]}x{grid[1]} cells, which are {tiles} tiles"
        raise NcaHwError(what, where=path, cure="Name a larger --grid.")
    owners: dict[str, int] = {}
    for entry, port in found:
        if owners.setdefault(port, entry.number) != entry.number:
            what = f"boards {owners[port]} and {entry.number} were both written at {entry.place}, and one can be there now"
            raise NcaHwError(what, where=path, cure="Name the tiles' ports: nca-hw watch PORT@X,Y ...")
    if away:
        told(f"at no serial port of this computer, and left out: {away}")
    return [Tap(port, ((entry.number - 1) % columns, (entry.number - 1) // columns)) for entry, port in found]


def _port_of(entry: BoardEntry, here: Sequence[connected.Port]) -> str | None:
    """Where a board is now: at the USB adapter of its number wherever that is plugged in, else of its USB path; other places are ports."""
    if not entry.place.startswith(connected.USB):
        return entry.place
    same = [port for port in here if entry.serial is not None and port.serial == entry.serial]
    same = same or [port for port in here if port.place == entry.place and not (entry.serial and port.serial)]
    return same[0].device if same else None


def _like(pattern: str) -> list[str]:
    path = Path(pattern)
    root = Path(path.anchor or ".")
    try:
        return [str(found) for found in root.glob(str(path.relative_to(path.anchor)))]
    except OSError:  # the name of a folder is too long, for example: nothing is like this
        return []


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def no_port(port: str, why: str) -> NcaHwError:
    """The error for a port that can't be opened, with the ports that are there."""
    there = sorted((found.device for found in list_ports.comports()), key=_natural)
    cure = f"Ports here: {', '.join(there)}." if there else "There is no serial port on this computer: is the tile plugged in?"
    return NcaHwError(why, where=port, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)


class SerialLine:
    """One port, read without waiting; it is opened by the first `read`, and again after it has vanished.

    Attributes:
        name: as pyserial knows it: a device, or an address such as socket://HOST:PORT. opened: how often it was. is_open: now.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.opened = 0
        self._clock = clock
        self._serial: Any = None
        self._retry_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether it is there."""
        return self._serial is not None

    def open(self) -> None:
        """Open it, now.

        Raises:
            NcaHwError: it is not there, or belongs to somebody else (exit code 4).
        """
        try:
            self._serial = serial.serial_for_url(self.name, baudrate=frames.BAUD, timeout=0, exclusive=True)
        except SERIAL_ERRORS as error:
            raise no_port(self.name, f"can't be opened ({reason(error)})") from None
        _keep_dtr(self._serial)
        self.opened += 1

    def read(self) -> bytes:
        """What has come since the last time; nothing from a port that is not there."""
        if self._serial is None:
            if self._clock() < self._retry_at:
                return b""
            try:
                self.open()
            except NcaHwError:
                self._retry_at = self._clock() + RETRY_SECONDS
                return b""
        try:
            return bytes(self._serial.read(READ_BYTES))
        except (*SERIAL_ERRORS, TypeError):  # TypeError: pyserial's own, where its port was closed under it
            self.close()
            self._retry_at = self._clock() + RETRY_SECONDS
            return b""

    def close(self) -> None:
        """Let it go."""
        if self._serial is not None:
            with contextlib.suppress(*SERIAL_ERRORS):
                self._serial.close()
            self._serial = None


def _keep_dtr(port: Any) -> None:
    """Leave the line DTR as it is when the port is closed: on an Arduino its next rise, that of the next opening, would be a reset."""
    if termios is None or not isinstance(getattr(port, "fd", None), int):
        return
    with contextlib.suppress(termios.error):
        attributes = termios.tcgetattr(port.fd)
        attributes[2] &= ~termios.HUPCL
        termios.tcsetattr(port.fd, termios.TCSANOW, attributes)
