"""TOML files against a schema: every mistake of a file is told at once, with its line and the line itself."""

from __future__ import annotations

import re
import tomllib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nca_hw.errors import NcaHwError
from nca_hw.formats.words import did_you_mean

BYTES_MAX = 1 << 20
Place = Sequence[str | int]  # keys, and numbers in an array of tables
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A table of known keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        NcaHwError: it can't be read, is no text, or far too long.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise NcaHwError(f"can't be read ({error})", where=path, cure="Name a .toml file.") from None
    if len(raw) > BYTES_MAX:
        raise NcaHwError(f"has {len(raw):,} bytes, allowed are {BYTES_MAX:,}", where=path, cure="Name a .toml file.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NcaHwError(f"line {line} is not UTF-8 text", where=path, cure="Save it as UTF-8.") from None


def load(text: str, where: str | Path) -> dict[str, Any]:
    """The tables of a TOML text.

    Raises:
        NcaHwError: it is not TOML; the line is told.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = re.sub(r"\(at end of document\)", f"(at line {text.count(chr(10)) + 1}, the end)", str(error))
        raise NcaHwError(f"is not TOML: {told}", where=where) from None
    except (ValueError, OverflowError) as error:  # numbers of thousands of digits
        raise NcaHwError(f"line {_longest_line(text)} holds a value that is too long ({error})", where=where) from None
    except RecursionError:
        raise NcaHwError(f"line {_longest_line(text)} is nested too deeply", where=where) from None


def check(data: dict[str, Any], model: type[Model], text: str, where: str | Path) -> Model:
    """The data as a model.

    Raises:
        NcaHwError: with every mistake, its line and the line itself.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        refuse([_of_pydantic(text, e, model) for e in error.errors()], where)
    raise AssertionError


def refuse(mistakes: Sequence[str], where: str | Path, cure: str | None = None) -> None:
    """Raise all mistakes as one error; nothing if there are none."""
    if mistakes:
        raise NcaHwError(f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:\n" + "\n".join(mistakes), where=where, cure=cure)


def mistake(text: str, place: Place, message: str) -> str:
    """A mistake with its line."""
    line = line_of(text, place)
    shown = (text.splitlines() or [""])[line - 1].strip()[:120]
    return f"  line {line}: {'.'.join(str(part) for part in place)}: {message}\n    {shown}"


def _of_pydantic(text: str, error: Any, model: type[BaseModel]) -> str:
    place = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("kind:"))]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = f"is not known here.{did_you_mean(str(place[-1]), _siblings(model, error['loc'][:-1]))}"
    return mistake(text, place, message)


def _siblings(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys that the table at a place may have."""
    at: Any = model
    for part in place:
        if isinstance(part, str) and part.startswith("kind:"):
            at = next((one for one in _models(at) if str(one.model_fields["kind"].default) == part[5:]), None)
        elif isinstance(part, str):
            found = [one for one in _models(at) if part in one.model_fields]
            at = found[0].model_fields[part].annotation if found else None
    return sorted({name for one in _models(at) for name in one.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _longest_line(text: str) -> int:
    lines = text.splitlines() or [""]
    return max(range(len(lines)), key=lambda n: len(lines[n])) + 1


_KEY = r"""\s*((?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)\s*"""


def _parts(key: str) -> list[str | int]:
    return [part.strip().strip("\"'") for part in key.split(".")]


def line_of(text: str, place: Place) -> int:
    """The line in which a key stands, or the header of the table that lacks it, 1-based; 1 where neither is there."""
    table: list[str | int] = []
    seen: dict[str, int] = {}
    agree, nearest = 0, 1
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(rf"\s*\[\[{_KEY}\]\]", line):
            seen[match[1]] = seen.get(match[1], -1) + 1
            here = table = [*_parts(match[1]), seen[match[1]]]
        elif match := re.match(rf"\s*\[{_KEY}\]", line):
            here = table = _parts(match[1])
        elif match := re.match(rf"{_KEY}=", line):
            here = [*table, *_parts(match[1])]
        else:
            continue
        if here == list(place[: len(here)]) and len(here) > agree:
            agree, nearest = len(here), number
    return nearest
