"""TOML files against a schema: every mistake of a file is told at once, with its line and the line itself.

What the command line says instead of the file is checked with it, and told by the name of its option.
"""

from __future__ import annotations

import codecs
import re
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nca_hw.errors import NcaHwError
from nca_hw.formats.words import did_you_mean

BYTES_MAX = 1 << 20
TAG = "kind:"  # before the tag of a union's member, so that it is told from the keys of a place
Place = tuple[str | int, ...]  # keys, and numbers in an array of tables
Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A table of known keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


@dataclass(frozen=True)
class TomlFile:
    """A text and its name.

    Attributes:
        options: places that the command line filled, and the option that did.
    """

    where: str | Path
    text: str
    options: Mapping[Place, str] = field(default_factory=dict)

    def tables(self) -> dict[str, Any]:
        """What the text holds.

        Raises:
            NcaHwError: it is not TOML; the line is told.
        """
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            told = re.sub(r"\(at end of document\)", f"(at line {self.text.count(chr(10)) + 1}, the end)", str(error))
            raise NcaHwError(f"is not TOML: {told}", where=self.where) from None
        except (ValueError, OverflowError) as error:  # numbers of thousands of digits
            raise NcaHwError(f"line {self._longest_line()} holds a value that is too long ({error})", where=self.where) from None
        except RecursionError:
            raise NcaHwError(f"line {self._longest_line()} is nested too deeply", where=self.where) from None

    def check(self, tables: Mapping[str, Any], model: type[Model]) -> Model:
        """The tables as a model.

        Raises:
            NcaHwError: with every mistake, its line and the line itself.
        """
        try:
            return model.model_validate(tables)
        except ValidationError as error:
            told = [message for _, message in sorted(self._of_pydantic(one, model) for one in error.errors())]
        except RecursionError:
            told = [f"  line {self._longest_line()}: is nested too deeply"]
        self.refuse(told)
        raise AssertionError

    def refuse(self, mistakes: Sequence[str], cure: str | None = None) -> None:
        """Raise all mistakes as one error; nothing if there are none."""
        if mistakes:
            told = f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:\n" + "\n".join(mistakes)
            raise NcaHwError(told, where=self.where if self.text else None, cure=cure)

    def mistake(self, place: Place, message: str, *, names_value: bool = True) -> str:
        """A mistake with its option, or with its line; with its key, too, where an option fills several and the message names no value."""
        dotted = ".".join(str(part) for part in place)
        for length in range(len(place), 0, -1):
            if place[:length] in self.options:
                key = "" if names_value else "".join(f"{part}: " for part in place[length:])
                return f"  {self.options[place[:length]]}: {key}{message}"
        if not self.text:
            return f"  {dotted}: {message}"
        line = self.line_of(place)
        shown = (self.text.splitlines() or [""])[line - 1].strip()[:120]
        return f"  line {line}: {dotted}: {message}\n    {shown}"

    def line_of(self, place: Place) -> int:
        """The line in which a key stands, or the header of the table that lacks it, 1-based; 1 where neither is there."""
        table: Place = ()
        seen: dict[str, int] = {}
        agree, nearest = 0, 1
        for number, line in enumerate(self.text.splitlines(), 1):
            if match := re.match(rf"\s*\[\[{_KEY}\]\]", line):
                seen[match[1]] = seen.get(match[1], -1) + 1
                here = table = (*_parts(match[1]), seen[match[1]])
            elif match := re.match(rf"\s*\[{_KEY}\]", line):
                here = table = _parts(match[1])
            elif match := re.match(rf"{_KEY}=", line):
                here = (*table, *_parts(match[1]))
            else:
                continue
            if here == place[: len(here)] and len(here) > agree:
                agree, nearest = len(here), number
        return nearest

    def _of_pydantic(self, error: Any, model: type[BaseModel]) -> tuple[int, str]:
        """The line of a mistake, and its text."""
        place = tuple(part for part in error["loc"] if not (isinstance(part, str) and part.startswith(TAG)))
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = f"is not known here.{did_you_mean(str(place[-1]), _siblings(model, error['loc'][:-1]))}"
        elif error["type"] in ("union_tag_invalid", "union_tag_not_found"):
            known = re.findall(rf"'{TAG}(\w+)'", error.get("ctx", {}).get("expected_tags", ""))
            if not isinstance(error["input"], dict):
                message = f"{error['input']!r} is no table"
            elif "kind" in error["input"]:
                given = error["input"]["kind"]
                message = f"{given!r} is none of {', '.join(known)}.{did_you_mean(str(given), known)}"
                place += ("kind",)
            else:
                message = f"Field required, one of {', '.join(known)}"
                place += ("kind",)
        elif error["type"] == "list_type":
            message = f"must be a list of tables. Write [[{place[-1]}]]."
        elif error["type"] in ("model_type", "dict_type"):
            message = f"must be a table. Write [{place[-1]}]."
        return self.line_of(place), self.mistake(place, message, names_value=error["type"] == "value_error")

    def _longest_line(self) -> int:
        lines = self.text.splitlines() or [""]
        return max(range(len(lines)), key=lambda n: len(lines[n])) + 1


def read(path: Path) -> TomlFile:
    """A file.

    Raises:
        NcaHwError: it can't be read, is no text, or far too long.
    """
    try:
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise NcaHwError(f"can't be read ({error})", where=path, cure="Name a .toml file.") from None
    if len(raw) > BYTES_MAX:
        raise NcaHwError(f"has {len(raw):,} bytes, allowed are {BYTES_MAX:,}", where=path, cure="Name a .toml file.")
    if raw.startswith(codecs.BOM_UTF8):
        told = "line 1 begins with a byte order mark, which TOML does not allow"
        raise NcaHwError(told, where=path, cure="Save it as UTF-8 without BOM.")
    try:
        return TomlFile(path, raw.decode())
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NcaHwError(f"line {line} is not UTF-8 text", where=path, cure="Save it as UTF-8.") from None


_PART = r"""(?:[\w-]+|"[^"\n]*"|'[^'\n]*')"""
_KEY = rf"\s*({_PART}(?:\s*\.\s*{_PART})*)\s*"


def _parts(key: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in key.split("."))


def _siblings(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """The keys that the table at a place may have."""
    at: Any = model
    for part in place:
        if isinstance(part, str) and part.startswith(TAG):
            at = next((one for one in _models(at) if part.removeprefix(TAG) in typing.get_args(one.model_fields["kind"].annotation)), None)
        elif isinstance(part, str):
            found = [one for one in _models(at) if part in one.model_fields]
            at = found[0].model_fields[part].annotation if found else None
    return sorted({name for one in _models(at) for name in one.model_fields})


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]
