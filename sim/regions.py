"""Which cells a fault strikes: some anywhere, a rectangle, a disc, chips, or all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.sim.grid import Grid
from nca_hw.sim.streams import Domain, sample

CURE = (
    "Write a count (480), a percentage (30%), a region WxH@X,Y (20x40@0,0), a disc (disc 10@20,20), tiles (25% tiles, 3 tiles, tile 2,0), "
    "seed or all."
)


class Struck(Protocol):
    """A choice of cells of a grid. As text it is the words that `parse` reads."""

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """The struck cells, ascending, for the run's seed and the number of the fault.

        Raises:
            NcaHwError: the grid has no such cells.
        """


@dataclass(frozen=True)
class RandomCount:
    """So many cells anywhere."""

    count: int

    def __str__(self) -> str:
        return str(self.count)

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        _at_most(self.count, grid.cells, "cells")
        return sample(seed, Domain.FAULT, event, grid.cells, self.count)


@dataclass(frozen=True)
class RandomFraction:
    """A fraction, 0..1, of the cells, anywhere."""

    fraction: float

    def __str__(self) -> str:
        return f"{_number(100 * self.fraction)}%"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        return sample(seed, Domain.FAULT, event, grid.cells, round(self.fraction * grid.cells))


@dataclass(frozen=True)
class Rectangle:
    """All cells of a rectangle, its upper left corner at column x, row y."""

    width: int
    height: int
    x: int
    y: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}@{self.x},{self.y}"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        if self.x + self.width > grid.width or self.y + self.height > grid.height:
            raise NcaHwError(
                f"region {self.width}x{self.height}@{self.x},{self.y} does not lie within the {grid.width}x{grid.height} grid",
                where="struck cells",
                cure=CURE,
            )
        rows = range(self.y, self.y + self.height)
        return [row * grid.width + column for row in rows for column in range(self.x, self.x + self.width)]


@dataclass(frozen=True)
class Disc:
    """All cells less than a radius away from the cell in column x, row y, middle to middle; what would lie beyond the grid is left out."""

    radius: float
    x: int
    y: int

    def __str__(self) -> str:
        return f"disc {_number(self.radius)}@{self.x},{self.y}"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        if self.x >= grid.width or self.y >= grid.height:
            told = f"a disc around {self.x},{self.y} does not lie on the {grid.width}x{grid.height} grid"
            raise NcaHwError(told, where="struck cells", cure=CURE)
        rows, columns = np.divmod(np.arange(grid.cells), grid.width)
        within = (rows - self.y) ** 2 + (columns - self.x) ** 2 < self.radius**2
        return [int(cell) for cell in np.flatnonzero(within)]


@dataclass(frozen=True)
class RandomTiles:
    """All cells of some chips anywhere: so many, or a fraction 0..1 of them."""

    count: int | None
    fraction: float = 0.0

    def __str__(self) -> str:
        return f"{_number(100 * self.fraction)}% tiles" if self.count is None else f"{self.count} tiles"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        count = round(self.fraction * grid.chips) if self.count is None else self.count
        _at_most(count, grid.chips, "tiles")
        chips = sample(seed, Domain.FAULT, event, grid.chips, count)
        return sorted(cell for chip in chips for cell in grid.cells_of_chip(chip))


@dataclass(frozen=True)
class Tile:
    """All cells of the chip in column x, row y of the chips."""

    x: int
    y: int

    def __str__(self) -> str:
        return f"tile {self.x},{self.y}"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        if self.x >= grid.chips_across or self.y >= grid.chips_down:
            told = f"there is no tile {self.x},{self.y} among {grid.chips_across}x{grid.chips_down}"
            raise NcaHwError(told, where="struck cells", cure=CURE)
        return grid.cells_of_chip(self.y * grid.chips_across + self.x)


@dataclass(frozen=True)
class SeedCell:
    """The seed cell."""

    def __str__(self) -> str:
        return "seed"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        return [grid.seed_cell]


@dataclass(frozen=True)
class Everybody:
    """All cells."""

    def __str__(self) -> str:
        return "all"

    def cells(self, grid: Grid, seed: int, event: int) -> list[int]:
        """See Struck."""
        return list(range(grid.cells))


def _number(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")


def _at_most(count: int, there: int, what: str) -> None:
    if count > there:
        raise NcaHwError(f"can't strike {count} of {there} {what}", where="struck cells", cure=CURE)


def parse(text: str) -> Struck:
    """A choice of cells in words: `480`, `30%`, `20x40@0,0`, `disc 10@20,20`, `3 tiles`, `25% tiles`, `tile 2,0`,
    `seed` or `all`.

    Raises:
        NcaHwError: anything else, or a percentage outside 0..100.
    """
    if match := re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)%( tiles)?", text, re.ASCII):
        percent = float(match[1])
        if percent > 100:
            raise NcaHwError(f"{text} is more than all, allowed are 0% to 100%", where="struck cells", cure=CURE)
        return RandomTiles(None, percent / 100) if match[2] else RandomFraction(percent / 100)
    if match := re.fullmatch(r"(\d{1,9})( tiles)?", text, re.ASCII):
        return RandomTiles(int(match[1])) if match[2] else RandomCount(int(match[1]))
    if match := re.fullmatch(r"(\d{1,9})x(\d{1,9})@(\d{1,9}),(\d{1,9})", text, re.ASCII):
        width, height, x, y = (int(group) for group in match.groups())
        if width == 0 or height == 0:
            raise NcaHwError(f"region {text} holds no cell", where="struck cells", cure=CURE)
        return Rectangle(width, height, x, y)
    if match := re.fullmatch(r"disc (\d{1,9}(?:\.\d{1,9})?)@(\d{1,9}),(\d{1,9})", text, re.ASCII):
        return Disc(float(match[1]), int(match[2]), int(match[3]))
    if match := re.fullmatch(r"tile (\d{1,9}),(\d{1,9})", text, re.ASCII):
        return Tile(int(match[1]), int(match[2]))
    if text in ("seed", "all"):
        return SeedCell() if text == "seed" else Everybody()
    raise NcaHwError(f"{text!r} names no cells", where="struck cells", cure=CURE)
