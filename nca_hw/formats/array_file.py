"""array.json: what happened to each board of an array, as `flash --all` writes it; all mistakes of a file are told at once."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nca_hw.errors import NcaHwError
from nca_hw.formats.files import write_whole
from nca_hw.formats.toml_file import Strict
from nca_hw.formats.words import did_you_mean

SCHEMA = "nca-hw/array/1"
BYTES_MAX = 1 << 24
BOARDS_MAX = 100_000

Reason = Literal["gone", "wrong-chip", "mismatch", "no-answer", "read-only", "tool", "port"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1, max_length=4000)]


class BoardEntry(Strict):
    """One board.

    Attributes:
        number: its own, from 1 on. place: where it was: a USB path, a port, or a folder. serial: its unique number, where it tells one.
        board: the kind of board that the image is for. status: what happened to it last.
        verified: how it was seen to hold the image: by its self-test, by the writer's reading back, or not at all.
        error, reason: of a failed one, in words and in one word. note: what else is to be known.
        image_sha256, genome_hash: what was to be written; genome_hash is null where the image came without it.
        time: of the last change, ISO 8601 with its offset. attempts: of writing, in the run that changed it last.
    """

    number: Annotated[int, Field(ge=1, le=BOARDS_MAX)]
    place: Text
    serial: Text | None
    board: Text
    status: Literal["flashed", "skipped", "failed"]
    verified: Literal["self-test", "read-back", "no"]
    reason: Reason | None
    error: Text | None
    note: Text | None
    image_sha256: Sha256
    genome_hash: Sha256 | None
    time: str
    attempts: Annotated[int, Field(ge=0, le=1000)]

    @field_validator("time")
    @classmethod
    def _is_a_time(cls, told: str) -> str:
        try:
            if datetime.fromisoformat(told).tzinfo is not None:
                return told
        except ValueError:
            pass
        raise ValueError(f"{told!r} is no time with its offset, as 2026-01-31T12:00:00+00:00 is")

    @model_validator(mode="after")
    def _fits_its_status(self) -> BoardEntry:
        failed = self.status == "failed"
        if failed != (self.error is not None) or failed != (self.reason is not None):
            raise ValueError(f"error and reason belong to a failed board, and to no other; this one is {self.status}")
        if failed and self.verified == "self-test":
            raise ValueError("a failed board can't be verified by its self-test")
        if self.status == "skipped" and self.verified != "self-test":
            raise ValueError("a board is skipped because its self-test tells the image: verified must be 'self-test'")
        return self

    @property
    def done(self) -> bool:
        """Whether it holds its image, as far as is known."""
        return self.status != "failed"


class ArrayFile(Strict):
    """The boards of an array, by number."""

    schema_: Literal["nca-hw/array/1"] = Field(alias="schema")
    boards: Annotated[tuple[BoardEntry, ...], Field(strict=False, max_length=BOARDS_MAX)]

    @model_validator(mode="after")
    def _is_one_each(self) -> ArrayFile:
        numbers = [entry.number for entry in self.boards]
        twice = sorted({number for number in numbers if numbers.count(number) > 1}) if len(set(numbers)) < len(numbers) else []
        if twice:
            raise ValueError(f"numbers are given twice: {', '.join(map(str, twice))}")
        return self


def load_array(path: Path) -> ArrayFile:
    """An array's file.

    Raises:
        NcaHwError: it can't be read, is no such file, or has mistakes; all of them are told.
    """
    path = Path(path)
    cure = "Name an array.json that 'nca-hw flash --all' wrote; or move it away, and boards are counted from 1 again."
    try:
        raw = path.read_bytes()
        if len(raw) > BYTES_MAX:
            raise NcaHwError(f"has {len(raw):,} bytes, allowed are {BYTES_MAX:,}", where=path, cure=cure)
        document = json.loads(raw)
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror})", where=path, cure=cure) from None
    except (ValueError, RecursionError) as error:
        raise NcaHwError(f"is not JSON ({error})", where=path, cure=cure) from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        told = document.get("schema") if isinstance(document, dict) else None
        raise NcaHwError(f"has the schema {told!r}, not {SCHEMA!r}", where=path, cure=cure)
    try:
        return ArrayFile.model_validate(document)
    except ValidationError as error:
        mistakes = [_told(one) for one in error.errors()]
        told = f"{len(mistakes)} mistake{'s' * (len(mistakes) > 1)}:\n" + "\n".join(mistakes)
        raise NcaHwError(told, where=path, cure=cure) from None


def write_array(path: Path, entries: dict[int, BoardEntry]) -> None:
    """Write the file, whole or not at all; boards by number.

    Raises:
        NcaHwError: the folder can't be written.
    """
    boards = [entries[number].model_dump() for number in sorted(entries)]
    write_whole(path, (json.dumps({"schema": SCHEMA, "boards": boards}, indent=1, ensure_ascii=False) + "\n").encode())


def _told(error: Any) -> str:
    place = [part for part in error["loc"] if part != "schema_"]
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = BoardEntry.model_fields if len(place) > 1 else ("schema", "boards")
        message = f"is not known here.{did_you_mean(str(place[-1]), known)}"
    dotted = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"  {dotted}: {message}" if dotted else f"  {message}"
