"""Board files: one TOML a board, checked against a schema; every mistake of a file is told at once, with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from nca_hw.errors import NcaHwError
from nca_hw.formats import toml_file
from nca_hw.formats.toml_file import Strict, TomlFile
from nca_hw.formats.words import did_you_mean

Pin = Annotated[int, Field(ge=0, le=29)]
# RP2040 datasheet, table 2: pins of UART0 (east) and UART1 (west), tx and rx, and of the SPI0 output that drives the LED.
UART_PINS = {"east": {(0, 1), (12, 13), (16, 17), (28, 29)}, "west": {(4, 5), (8, 9), (20, 21), (24, 25)}}
LED_PINS = (3, 7, 19, 23)
CRYSTAL_HZ = 12_000_000  # the firmware of the family runs from the crystal, no PLL


class Memory(Strict):
    """Bytes of the chip."""

    flash: Annotated[int, Field(ge=1024, le=1 << 28)]
    ram: Annotated[int, Field(ge=256, le=1 << 28)]


class Budget(Strict):
    """Bytes that an image may take: the whole image, and a cell's own RAM."""

    rom: Annotated[int, Field(ge=1, le=1 << 28)]
    cell_ram: Annotated[int, Field(ge=1, le=1 << 20)]


class Led(Strict):
    """The cell's light. `brightness` of 256 is the cap."""

    kind: Literal["ws2812"]
    pin: Pin
    brightness: Annotated[int, Field(ge=1, le=256)]


class Port(Strict):
    """Pins of one link."""

    tx: Pin
    rx: Pin


class Links(Strict):
    """The links of a cell: the two hardware UARTs run east and west."""

    baud: Annotated[int, Field(ge=9600, le=1_000_000)]
    east: Port
    west: Port


class Seed(Strict):
    """The strap that makes a cell the seed: the pin, held low at power-on."""

    pin: Pin


Milliamperes = Annotated[float, Field(ge=0, le=1000)]
Cycles = Annotated[int, Field(ge=1, le=1 << 32)]


class Power(Strict):
    """What a cell takes from the supply, for estimates of energy.

    Attributes:
        supply_volts: of LED and board; all currents are those drawn from it.
        chip_computing_ma, chip_waiting_ma: of the chip and what is around it on its board, without the LED.
        led_quiescent_ma: of the LED's controller, dark or lit. led_colour_ma: of one of its three colours at full duty.
        clock_hz: of the processor. cycles_evaluated: of an update that runs the network. cycles_skipped: of one that does not.
    """

    supply_volts: Annotated[float, Field(ge=1, le=60)]
    chip_computing_ma: Milliamperes
    chip_waiting_ma: Milliamperes
    led_quiescent_ma: Milliamperes
    led_colour_ma: Milliamperes
    clock_hz: Annotated[int, Field(ge=1000, le=1_000_000_000)]
    cycles_evaluated: Cycles
    cycles_skipped: Cycles


class Board(Strict):
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
    power: Power

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
    file = toml_file.read(path)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", path.stem):
        raise NcaHwError(
            f"the name {path.stem!r} travels into file names and scripts: allowed are up to 32 of a-z, 0-9, - and _", where=path
        )
    return parse(file, path.stem)


def parse(file: TomlFile, name: str) -> Board:
    """A board from its file.

    Raises:
        NcaHwError: with every mistake, its line and the line itself.
    """
    board = file.check({**file.tables(), "name": name}, Board)
    file.refuse(list(_clashes(file, board)))
    return board


def _clashes(file: TomlFile, board: Board) -> Iterator[str]:
    owner: dict[int, str] = {}
    for purpose, pin in board.pins().items():
        if pin in owner:
            yield file.mistake(tuple(purpose.split(".")), f"pin {pin} is {owner[pin]} already")
        owner.setdefault(pin, purpose)
    if board.led.pin not in LED_PINS:
        yield file.mistake(("led", "pin"), f"pin {board.led.pin} is no SPI0 output; those are {', '.join(map(str, LED_PINS))}")
    power = board.power
    if power.clock_hz != CRYSTAL_HZ:
        yield file.mistake(("power", "clock_hz"), f"is {power.clock_hz}; the firmware runs from the crystal, at {CRYSTAL_HZ}")
    if power.chip_waiting_ma > power.chip_computing_ma:
        yield file.mistake(("power", "chip_waiting_ma"), "is more than chip_computing_ma; waiting takes no more than computing")
    if power.cycles_skipped > power.cycles_evaluated:
        yield file.mistake(("power", "cycles_skipped"), "is more than cycles_evaluated, which do all of that and more")
    for side, allowed in UART_PINS.items():
        port = getattr(board.links, side)
        if (port.tx, port.rx) not in allowed:
            pairs = ", ".join(f"{tx}/{rx}" for tx, rx in sorted(allowed))
            yield file.mistake(("links", side, "tx"), f"tx/rx are {port.tx}/{port.rx}; its UART is on {pairs}")
