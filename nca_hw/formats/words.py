"""Words that users write, on the command line and in files: times, fractions, grids; and the nearest valid word to a misspelt one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

_UNITS = {"": 1_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
TIME_MAX = 1 << 60


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest known word, or nothing where none is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True)
class Time:
    """A time: so many ns, or so many mean updates of a cell."""

    amount: float
    updates: bool

    def ns(self, interval: int) -> int:
        """Nanoseconds, where the mean interval between a cell's updates is `interval` ns."""
        return round(self.amount * interval) if self.updates else round(self.amount)


def time(word: object) -> Time:
    """`20` or `20s`, `5ms`, `100us`, `50ns`, or `200u` (mean updates); numbers are seconds.

    Raises:
        ValueError: with the cure.
    """
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,12})?)(u|s|ms|us|ns|)", _text(word), re.ASCII)
    if match is None or float(match[1]) * _UNITS.get(match[2], 1) > TIME_MAX:
        raise ValueError(f"{word!r} is no time. Write seconds (20, 20s, 5ms) or mean updates (200u).")
    return Time(float(match[1]) * _UNITS.get(match[2], 1), match[2] == "u")


def told(ns: int) -> str:
    """Nanoseconds in the largest unit of which there is at least one."""
    unit = next((unit for unit in ("s", "ms", "us") if ns >= _UNITS[unit]), "ns")
    return f"{ns / _UNITS[unit]:.12g} {unit}"


def fraction(word: object) -> float:
    """`30%`, `0.3` or `50ppm`: 0..1.

    Raises:
        ValueError: with the cure.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,15})?(?:e-\d{1,2})?)(%|ppm|)", _text(word), re.ASCII)
    value = float(match[1]) / {"%": 100, "ppm": 1e6, "": 1}[match[2]] if match else 2.0
    if value > 1:
        raise ValueError(f"{word!r} is no fraction. Allowed are 0% to 100%, 0 to 1, or ppm.")
    return value


def grid(word: object) -> tuple[int, int]:
    """`40x30`: width and height.

    Raises:
        ValueError: with the cure.
    """
    match = re.fullmatch(r"(\d{1,7})x(\d{1,7})", _text(word), re.ASCII)
    if match is None:
        raise ValueError(f"{word!r} is no grid. Write WIDTHxHEIGHT in cells, 40x40 for example.")
    return int(match[1]), int(match[2])


def _text(word: object) -> str:
    if isinstance(word, bool) or not isinstance(word, str | int | float):
        return ""
    return word if isinstance(word, str) else repr(word)
