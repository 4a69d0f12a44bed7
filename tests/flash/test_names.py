"""Names that no file can have, and names that are no text."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from stand_ins import Rp2040Volumes, Run, document

from nca_hw.formats.array_file import load_array

LONG = "x" * 300  # the system's own limit is 255 bytes: to look whether there is such a file is an error
NO_TEXT = os.fsdecode(b"pico-\xff")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["flash", LONG], 2), (["flash", f"{LONG}.bin", "--board", "rp2040"], 2), (["show", LONG], 2), (["flash", "--volumes", LONG], 2),
        (["flash", "--port", LONG], 4), (["flash", "--all", "--port", LONG], 5), (["flash", "--all", "--dry-run", "--array", LONG], 4),
    ],
)  # fmt: skip
def test_a_name_that_is_too_long_is_that_of_nothing(run: Run, words: list[str], code: int) -> None:
    said = run(*words, code=code)
    assert LONG in said.stdout + said.stderr or "is connected" in said.stderr


def test_a_folder_that_is_called_like_an_image_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "d.bin").mkdir()
    assert "d.bin: can't be read (Is a directory)" in run("flash", "d.bin", "--board", "rp2040", code=2).stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_volume_whose_name_is_no_text_is_recorded_with_its_bytes(run: Run, rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    volumes.plug_in(NO_TEXT, board_id="RP2350")
    words = ("flash", rp2040, "--all", "--volumes", volumes.folder)
    assert "Board-ID is RP2350" in run(*words, code=5).stdout
    volumes.plug_in(NO_TEXT)
    ((place, steps),) = document(run(*words, "--dry-run", "--json"))["steps"].items()
    assert place == f"{volumes.folder}/pico-\\udcff" and f"to {place}, and" in steps[0]
    assert place in run(*words[:2], "--dry-run", *words[3:]).stdout
    (board,) = document(run(*words, "--json"))["boards"]
    assert (board["number"], board["place"], board["now"]) == (1, place, "flashed")
    assert [entry.place for entry in load_array(tmp_path / "array.json").boards] == [place]
    assert list(volumes.writes.values()) == [1]
