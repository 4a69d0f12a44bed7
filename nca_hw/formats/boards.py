"""Board files: one TOML a board, checked against a schema; every mistake of a file is told at once, with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from nca_hw.errors import NcaHwError
from nca_hw.formats import toml_file
from nca_hw.formats.chips import CHIPS, Chip
from nca_hw.formats.toml_file import Strict, TomlFile
from nca_hw.formats.words import did_you_mean

Pin = Annotated[str, Field(pattern=r"^[A-Z]{2}[0-9]{1,2}$")]
Pair = Annotated[tuple[Pin, Pin], Field(strict=False)]
SIDES = ("north", "east", "south", "west")


class Memory(Strict):
    """Bytes of the chip."""

    flash: Annotated[int, Field(ge=1024, le=1 << 28)]
    ram: Annotated[int, Field(ge=256, le=1 << 28)]


class Budget(Strict):
    """Bytes that an image may take: the whole image, and a cell's own RAM."""

    rom: Annotated[int, Field(ge=1, le=1 << 28)]
    cell_ram: Annotated[int, Field(ge=1, le=1 << 20)]


class Tile(Strict):
    """The cells of one chip, west to east and north to south. An index of protocol.md has three bits, and counts the corners too."""

    width: Annotated[int, Field(ge=1, le=6)] = 1
    height: Annotated[int, Field(ge=1, le=6)] = 1

    @property
    def cells(self) -> int:
        """How many there are."""
        return self.width * self.height


class Led(Strict):
    """The cell's light. `brightness` of 256 is the cap.

    A tile's lights are one chain, row by row from the north-west, each row west to east; `serpentine`: every second row east to west.
    """

    kind: Literal["ws2812"]
    pin: Pin
    brightness: Annotated[int, Field(ge=1, le=256)]
    serpentine: bool = False


class Edges(Strict):
    """The two wires of every edge, wire 0 first; a neighbour's wires are connected number to number."""

    north: Pair
    east: Pair
    south: Pair
    west: Pair


class Service(Strict):
    """The service port: an output of 115,200 baud, 8N1, that tells how the cell is."""

    pin: Pin


class Seed(Strict):
    """The strap that makes a cell the seed at power-on: docs/firmware.md tells for each family to what level the pin is held."""

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
    family: Annotated[str, Field(pattern=r"^[a-z0-9]{1,16}$")]
    status: Literal["compiled", "emulated", "flashed"]
    interval_us: Annotated[int, Field(ge=10_000, le=1 << 20)]
    tile: Tile = Tile()
    memory: Memory
    budget: Budget
    led: Led
    edges: Edges
    service: Service
    seed: Seed
    power: Power

    @property
    def chip(self) -> Chip:
        """The family's pins and peripherals."""
        return CHIPS[self.family]

    def pins(self) -> dict[str, str]:
        """What every pin is for: purpose to name."""
        wires = {f"edges.{side}.{n}": pin for side in SIDES for n, pin in enumerate(getattr(self.edges, side))}
        return {**wires, "led.pin": self.led.pin, "service.pin": self.service.pin, "seed.pin": self.seed.pin}

    def wires(self) -> list[int]:
        """Pin numbers of all wires, north to west, wire 0 first."""
        return [self.chip.pins[pin] for side in SIDES for pin in getattr(self.edges, side)]

    def chain(self) -> list[int]:
        """The LEDs of a tile in the order of their chain, each as the number of its cell, row by row."""
        rows = [list(range(y * self.tile.width, (y + 1) * self.tile.width)) for y in range(self.tile.height)]
        return [cell for y, row in enumerate(rows) for cell in (row[::-1] if self.led.serpentine and y % 2 else row)]

    def pin(self, name: str) -> int:
        """The firmware's number of a pin."""
        return self.chip.pins[name]


def schema() -> dict[str, Any]:
    """The JSON Schema of a board file, for editors. Which pins a chip has, and what each can be, is checked only on loading."""
    document = Board.model_json_schema()
    del document["properties"]["name"]  # the file's
    document["required"].remove("name")
    document["properties"]["family"] = {"enum": list(CHIPS), "title": "Family", "type": "string"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document, "title": "Board of nca-hw"}


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
    if board.family not in CHIPS:
        yield file.mistake(("family",), f"there is no family {board.family!r}. Known: {', '.join(CHIPS)}")
        return
    chip = board.chip
    owner: dict[str, str] = {}
    for purpose, pin in board.pins().items():
        place = tuple(purpose.split(".")[:2])
        if pin not in chip.pins:
            yield file.mistake(place, f"the chip has no pin {pin}")
        elif pin in owner:
            yield file.mistake(place, f"pin {pin} is {owner[pin]} already")
        owner.setdefault(pin, purpose)
    for place, pin, allowed, why in (
        (("led", "pin"), board.led.pin, chip.led, chip.led_why), (("service", "pin"), board.service.pin, chip.service, chip.service_why),
    ):  # fmt: skip
        if pin in chip.pins and pin not in allowed:
            yield file.mistake(place, f"pin {pin} is no {why}; those are {', '.join(sorted(allowed, key=chip.pins.__getitem__))}")
    for place, pin, only, why in (
        *((("edges", side), pin, chip.wires, chip.wires_why) for side in SIDES for pin in getattr(board.edges, side)),
        (("seed", "pin"), board.seed.pin, chip.seed, chip.seed_why),
    ):  # fmt: skip
        if only is not None and pin in chip.pins and pin not in only:
            yield file.mistake(place, f"pin {pin} is none {why}; those are {', '.join(sorted(only, key=chip.pins.__getitem__))}")
    for side in SIDES:
        pair = [chip.pins.get(pin) for pin in getattr(board.edges, side)]
        if chip.neighbouring_wires and None not in pair and pair[1] != pair[0] + 1:  # type: ignore[operator]
            yield file.mistake(("edges", side), "the two wires must be neighbouring pins, the lower one first")
    power = board.power
    if power.clock_hz != chip.clock_hz:
        yield file.mistake(("power", "clock_hz"), f"is {power.clock_hz}; the firmware runs at {chip.clock_hz}")
    if board.tile.cells > 1 and not chip.tiles:
        yield file.mistake(("tile",), f"the firmware of the family {board.family} is one cell a chip")
    needed = 2 * board.tile.cells * power.cycles_evaluated * 1_000_000 // power.clock_hz
    if board.tile.cells > 1 and board.interval_us < needed:
        told = f"is {board.interval_us}; {board.tile.cells} cells compute half of the time at {needed}, the rest is for links and reports"
        yield file.mistake(("interval_us",), told)
    if power.chip_waiting_ma > power.chip_computing_ma:
        yield file.mistake(("power", "chip_waiting_ma"), "is more than chip_computing_ma; waiting takes no more than computing")
    if power.cycles_skipped > power.cycles_evaluated:
        yield file.mistake(("power", "cycles_skipped"), "is more than cycles_evaluated, which do all of that and more")
