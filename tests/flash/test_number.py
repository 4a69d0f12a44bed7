"""A board's number in its array: written beside the image, shown with its light on the emulated chip."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest
import uf2_reader
from stand_ins import Rp2040Volumes, Run, built, self_test

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.errors import NcaHwError
from nca_hw.flash.payload import payload
from nca_hw.formats.boards import Board, load_board

FIFTH_US = 200_000


def shown(flash: bytes, board: Board, until_us: int) -> list[tuple[int, tuple[int, ...]]]:
    """What the lights show after power-on, and for how many fifths of a second: colours of the whole chain, LED by LED."""
    chip = Rp2040(flash, board)
    chip.step = 1000
    words_a_chain = 6 * board.tile.cells
    chains: list[tuple[int, tuple[int, ...]]] = []
    words: list[int] = []

    def word(value: int) -> None:
        words.append(value)
        if len(words) == words_a_chain:
            chains.append((chip.now, tuple(chip.light(words))))
            words.clear()

    def idle() -> None:
        if chip.now >= until_us:
            chip.stop()

    chip.on_light, chip.on_idle = word, idle
    chip.reset()
    chip.run()
    ends = [*(at for at, _ in chains[1:]), until_us][: len(chains)]
    return [(round((end - at) / FIFTH_US), colours) for (at, colours), end in zip(chains, ends, strict=True)]


def with_number(folder: Path, number: int) -> bytes:
    return uf2_reader.flash(payload(str(folder), None).uf2(number))


@pytest.mark.parametrize(("number", "flashes"), [(7, [7]), (42, [4, 2]), (305, [3, 10, 5]), (9999, [9, 9, 9, 9])])
def test_a_cell_flashes_the_digits_of_its_number(rp2040: Path, number: int, flashes: list[int]) -> None:
    board = load_board("rp2040")
    seen = shown(with_number(rp2040, number), board, FIFTH_US * sum(2 * n + 4 for n in flashes))
    value = 64 * 255 >> 8  # the board's cap of brightness
    assert [colours for _, colours in seen] == [(value,) * 3, (0,) * 3] * sum(flashes)
    dark = [fifths for fifths, colours in seen if not any(colours)]
    assert {fifths for fifths, colours in seen if any(colours)} == {1}
    runs = [len(list(group)) for key, group in groupby(dark, key=lambda fifths: fifths == 1) if key]
    assert [n for n in dark if n != 1] == [5] * len(flashes)  # the last flash's own dark, and four
    assert runs == [n - 1 for n in flashes]


def test_a_tile_draws_the_digits_of_its_number(tmp_path: Path) -> None:
    board = load_board("rp2040-matrix")
    folder = built(tmp_path / "matrix", "rp2040-matrix")
    seen = shown(with_number(folder, 47), board, 10 * FIFTH_US)
    assert [fifths for fifths, _ in seen] == [4, 1, 4, 1]
    pictures = [
        ["".join(".#"[any(colours[3 * (5 * y + x) :][:3])] for x in range(5)) for y in range(5)] for _, colours in seen
    ]  # fmt: skip
    nothing = ["....."] * 5
    assert pictures == [
        [".#.#.", ".#.#.", ".###.", "...#.", "...#."], nothing,
        [".###.", "...#.", "..#..", "..#..", "..#.."], nothing,
    ]  # fmt: skip


def test_without_a_number_nothing_is_shown_and_with_one_the_image_is_the_same(rp2040: Path) -> None:
    image = (rp2040 / "nca-hw.bin").read_bytes()
    assert shown(image, load_board("rp2040"), FIFTH_US // 4) == []
    flash = with_number(rp2040, 64)
    assert flash[: len(image)] == image and flash[0x1FF000:0x1FF002] == b"\x64\xff" and len(flash) == 0x1FF100
    assert self_test(flash) == frames.self_test(image, load("lizard").cell_hash, 16)


def test_flash_all_tells_every_board_its_number(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    for name in ("a", "b", "c"):
        volumes.plug_in(name)
    run("flash", rp2040, "--all", "--number", "--volumes", volumes.folder)
    assert {name: flash[0x1FF000:0x1FF002] for name, flash in volumes.flashed.items()} == {
        "a": b"\xf1\xff", "b": b"\xf2\xff", "c": b"\xf3\xff"
    }  # fmt: skip
    assert "not shown by atmega328p" in run("flash", "--board", "atmega328p", "--all", "--number", code=2).stderr


def test_a_number_of_more_than_four_digits_is_refused(rp2040: Path) -> None:
    with pytest.raises(NcaHwError, match="more than four digits"):
        payload(str(rp2040), None).uf2(10_000)
