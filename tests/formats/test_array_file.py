"""array.json: what is wrong with it is told all at once, and what was written can be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nca_hw.errors import NcaHwError
from nca_hw.formats.array_file import BoardEntry, load_array, write_array

FLASHED: dict[str, Any] = {
    "number": 1, "place": "usb 1-1.3", "serial": None, "board": "rp2040", "status": "flashed", "verified": "no", "reason": None,
    "error": None, "note": None, "image_sha256": "a" * 64, "genome_hash": "b" * 64, "time": "2026-01-31T12:00:00+00:00", "attempts": 1,
}  # fmt: skip
FAILED = FLASHED | {"number": 2, "status": "failed", "reason": "gone", "error": "the volume went away"}


def written(path: Path, *boards: dict[str, Any], schema: str = "nca-hw/array/1") -> Path:
    path.write_text(json.dumps({"schema": schema, "boards": boards}))
    return path


def refused(path: Path) -> str:
    with pytest.raises(NcaHwError) as told:
        load_array(path)
    assert told.value.where == str(path) and told.value.cure
    return str(told.value)


def test_what_is_written_is_read_again_in_order_of_numbers(tmp_path: Path) -> None:
    entries = {entry["number"]: BoardEntry.model_validate(entry) for entry in (FAILED, FLASHED)}
    write_array(tmp_path / "array.json", entries)
    assert load_array(tmp_path / "array.json").boards == (entries[1], entries[2])
    assert json.loads((tmp_path / "array.json").read_text()) == {"schema": "nca-hw/array/1", "boards": [FLASHED, FAILED]}


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    bad = [
        FLASHED | {"number": "1"}, FLASHED | {"status": "flashy"}, FLASHED | {"image_sha256": "A" * 64}, FLASHED | {"time": "yesterday"},
        FLASHED | {"time": "2026-01-31T12:00:00"}, FLASHED | {"sreial": "x"}, FLASHED | {"error": "but it worked"},
        FAILED | {"error": None}, FLASHED | {"status": "skipped"}, {name: value for name, value in FLASHED.items() if name != "place"},
    ]  # fmt: skip
    told = refused(written(tmp_path / "array.json", *bad))
    assert told.count("boards[") == len(bad) and "10 mistakes" in told
    for n, part in enumerate(["number", "status", "image_sha256", "time", "offset", "Did you mean 'serial'?", "belong to a failed",
                              "belong to a failed", "self-test", "place: Field required"]):  # fmt: skip
        assert part in next(line for line in told.splitlines() if f"boards[{n}]" in line)


def test_a_number_that_is_given_twice_is_told(tmp_path: Path) -> None:
    assert "given twice: 2" in refused(written(tmp_path / "array.json", FAILED, FLASHED, FAILED | {"place": "usb 1-1.4"}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "nca-hw/array/2", "boards": []}', '{"boards": []}', "[" * 100_000])
def test_what_is_no_such_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "array.json").write_text(text)
    assert "JSON" in (told := refused(tmp_path / "array.json")) or "schema" in told


def test_bytes_that_are_no_text_and_a_file_that_is_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "array.json").write_bytes(b"\xff\xfe{}")
    assert "JSON" in refused(tmp_path / "array.json")
    assert "can't be read" in refused(tmp_path / "none.json")
