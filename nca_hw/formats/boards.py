"""Board files: one TOML a board, checked against a schema; every mistake of a file is told at once, with its line."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nca_hw.errors import NcaHwError
from nca_hw.formats.words import did_you_mean

Pin = Annotated[int, Field(ge=0, le=29)]
# RP2040 datasheet, table 2: pins of UART0 (east) and UART1 (west), tx and rx, and of the SPI0 output that drives the LED.
UART_PINS = {"east": {(0, 1), (12, 13), (16, 17), (28, 29)}, "west": {(4, 5), (8, 9), (20, 21), (24, 25)}}
LED_PINS = (3, 7, 19, 23)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Memory(_Strict):
    """Bytes of the chip."""

    flash: Annotated[int, Field(ge=1024, le=1 << 28)]
    ram: Annotated[int, Field(ge=256, le=1 << 28)]


class Budget(_Strict):
    """Bytes that an image may take: the whole image, and a cell's own RAM."""

    rom: Annotated[int, Field(ge=1, le=1 << 28)]
    cell_ram: Annotated[int, Field(ge=1, le=1 << 20)]


class Led(_Strict):
    """The cell's light. `brightness` of 256 is the cap."""

    kind: Literal["ws2812"]
    pin: Pin
    brightness: Annotated[int, Field(ge=1, le=256)]


class Port(_Strict):
    """Pins of one link."""

    tx: Pin
    rx: Pin


class Links(_Strict):
    """The links of a cell: the two hardware UARTs run east and west."""

    baud: Annotated[int, Field(ge=9600, le=1_000_000)]
    east: Port
    west: Port


class Seed(_Strict):
    """The strap that makes a cell the seed: the pin, held low at power-on."""

    pin: Pin


class Board(_Strict):
    """A board of a known family."""

    name: str
    title: Annotated[str, Field(pattern=r"^[ -~]{1,80}$")]
    family: Literal["rp2040"]
    status: Literal["compiled", "emulated", "flashed"]
    interval_us: Annotated[int, Field(ge=10_000, le=1 << 20)]
    memory: Memory
    budget: Budget
    led: Led
    links: Links
    seed: Seed

    def pins(self) -> dict[str, int]:
        """What every pin is for: purpose to number."""
        links = {f"links.{side}": getattr(self.links, side) for side in ("east", "west")}
        used = {f"{where}.{end}": getattr(port, end) for where, port in links.items() for end in ("tx", "rx")}
        return {**used, "led.pin": self.led.pin, "seed.pin": self.seed.pin}


def bundled_boards() -> dict[str, Path]:
    """The boards that ship with the package: name to file."""
    folder = Path(str(resources.files("nca_hw.boards")))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_board(name_or_path: str | Path) -> Board:
    """A board by the name of a bundled one or by the path of a file.

    Raises:
        NcaHwError: no such board (the nearest is named), or a file with mistakes (all of them are told).
    """
    known = bundled_boards()
    path = known.get(str(name_or_path), Path(name_or_path))
    if str(name_or_path) not in known and path.suffix != ".toml":
        told = f"there is no board {str(name_or_path)!r}.{did_you_mean(str(name_or_path), known)}"
        raise NcaHwError(told, cure=f"Known: {', '.join(known)}; or name a .toml file of your own.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NcaHwError(f"can't be read ({error})", where=path, cure="Name a board file.") from None
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", path.stem):
        raise NcaHwError(
            f"the name {path.stem!r} travels into file names and scripts: allowed are up to 32 of a-z, 0-9, - and _", where=path
        )
    return parse(text, path.stem, path)


def parse(text: str, name: str, where: str | Path = "board") -> Board:
    """A board from the text of its file.

    Raises:
        NcaHwError: with every mistake, its line and the line itself.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NcaHwError(f"is not TOML: {error}", where=where) from None
    try:
        board = Board(name=name, **{key: value for key, value in data.items() if key != "name"})
    except ValidationError as error:
        told = [_told(text, [str(part) for part in e["loc"]], e["msg"], e["type"]) for e in error.errors()]
        raise NcaHwError(f"{len(told)} mistake{'s' * (len(told) > 1)}:\n" + "\n".join(told), where=where) from None
    mistakes = list(_clashes(text, board))
    if mistakes:
        raise NcaHwError(f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:\n" + "\n".join(mistakes), where=where)
    return board


def _clashes(text: str, board: Board) -> list[str]:
    told: list[str] = []
    owner: dict[int, str] = {}
    for purpose, pin in board.pins().items():
        if pin in owner:
            told.append(_told(text, purpose.split("."), f"pin {pin} is {owner[pin]} already", ""))
        owner.setdefault(pin, purpose)
    if board.led.pin not in LED_PINS:
        told.append(_told(text, ["led", "pin"], f"pin {board.led.pin} is no SPI0 output; those are {', '.join(map(str, LED_PINS))}", ""))
    for side, allowed in UART_PINS.items():
        port = getattr(board.links, side)
        if (port.tx, port.rx) not in allowed:
            pairs = ", ".join(f"{tx}/{rx}" for tx, rx in sorted(allowed))
            told.append(_told(text, ["links", side, "tx"], f"tx/rx are {port.tx}/{port.rx}; its UART is on {pairs}", ""))
    return told


def _told(text: str, location: list[str], message: str, kind: str) -> str:
    line = _line_of(text, location)
    if kind == "extra_forbidden":
        siblings: type[BaseModel] = Board
        for part in location[:-1]:
            inner = siblings.model_fields[part].annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                siblings = inner
        message = f"is not known here.{did_you_mean(location[-1], siblings.model_fields)}"
    place = f"  line {line}: " if line else "  "
    shown = f"\n    {text.splitlines()[line - 1].strip()}" if line else ""
    return f"{place}{'.'.join(location)}: {message}{shown}"


def _line_of(text: str, location: list[str]) -> int | None:
    """The line in which a key stands, or the header of the table that lacks it, 1-based."""
    table: list[str] = []
    header: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[([\w.]+)\]", line):
            table = match[1].split(".")
            if table == location:
                return number
            if table == location[:-1]:
                header = number
        elif (match := re.match(r"\s*([\w.]+)\s*=", line)) and table + match[1].split(".") == location:
            return number
    return header
