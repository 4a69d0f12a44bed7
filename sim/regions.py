"""Which cells a fault strikes: a count, a fraction, or a rectangle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from nca_hw.errors import NcaHwError
from nca_hw.sim.streams import Domain, sample

CURE = "Write a count (480), a percentage (30%) or a region WxH@X,Y (20x40@0,0)."


class Struck(Protocol):
    """A choice of cells of a grid."""

    def cells(self, width: int, height: int, seed: int, event: int) -> list[int]:
        """The struck cells, ascending, for the run's seed and the number of the fault."""


@dataclass(frozen=True)
class RandomCount:
    """So many cells anywhere."""

    count: int

    def cells(self, width: int, height: int, seed: int, event: int) -> list[int]:
        """See Struck."""
        if self.count > width * height:
            raise NcaHwError(f"can't strike {self.count} of {width * height} cells", where="kill", cure=CURE)
        return sample(seed, Domain.FAULT, event, width * height, self.count)


@dataclass(frozen=True)
class RandomFraction:
    """A fraction, 0..1, of the cells, anywhere."""

    fraction: float

    def cells(self, width: int, height: int, seed: int, event: int) -> list[int]:
        """See Struck."""
        return sample(seed, Domain.FAULT, event, width * height, round(self.fraction * width * height))


@dataclass(frozen=True)
class Rectangle:
    """All cells of a rectangle, its upper left corner at column x, row y."""

    width: int
    height: int
    x: int
    y: int

    def cells(self, width: int, height: int, seed: int, event: int) -> list[int]:
        """See Struck."""
        if self.x + self.width > width or self.y + self.height > height:
            raise NcaHwError(
                f"region {self.width}x{self.height}@{self.x},{self.y} does not lie within the {width}x{height} grid",
                where="kill",
                cure=CURE,
            )
        return [row * width + column for row in range(self.y, self.y + self.height) for column in range(self.x, self.x + self.width)]


def parse(text: str) -> Struck:
    """A choice of cells in words: `480`, `30%` or `20x40@0,0`.

    Raises:
        NcaHwError: anything else, or a percentage outside 0..100.
    """
    if match := re.fullmatch(r"(\d+(?:\.\d+)?)%", text):
        percent = float(match[1])
        if percent > 100:
            raise NcaHwError(f"{text} is more than all cells, allowed are 0% to 100%", where="kill", cure=CURE)
        return RandomFraction(percent / 100)
    if re.fullmatch(r"\d{1,9}", text):
        return RandomCount(int(text))
    if match := re.fullmatch(r"(\d{1,9})x(\d{1,9})@(\d{1,9}),(\d{1,9})", text):
        width, height, x, y = (int(group) for group in match.groups())
        if width == 0 or height == 0:
            raise NcaHwError(f"region {text} holds no cell", where="kill", cure=CURE)
        return Rectangle(width, height, x, y)
    raise NcaHwError(f"{text!r} names no cells", where="kill", cure=CURE)
