"""Images that take new genomes: what they are made of; and that all others know nothing of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nca_hw.core import slot, spread
from nca_hw.core.genome import Genome, load
from nca_hw.errors import NcaHwError
from nca_hw.firmware import render
from nca_hw.firmware.build import build, write
from nca_hw.firmware.families import family
from nca_hw.firmware.kernels import able
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import bundled_boards, load_board

SECRET = bytes.fromhex("9ab1c2d3e4f5061728394a5b6c7d8e9f")


@pytest.mark.parametrize("board", bundled_boards())
def test_other_images_hold_nothing_of_it(board: str) -> None:
    target, genome = load_board(board), load("lizard")
    for kernel in able(genome, family(target.family).kernels):
        texts, _ = render.sources(genome, target, kernel)
        assert not any("nca_spread" in text or "nca_slot" in text for text in texts.values())


@pytest.mark.parametrize("name", ["lizard", "blossom"])
@pytest.mark.parametrize(("board", "end", "erased"), [("atmega328p", 0x7E00, 128), ("stm32g031", 0x10000, 2048), ("rp2040", 0x10000, 4096)])
def test_two_genomes_fit_the_flash_beside_the_code(engine: None, board: str, end: int, erased: int, name: str) -> None:
    genome, target = load(name), load_board(board)
    made = build(genome, target, spread=Spread(version=7))
    size = slot.shape_of(genome).slot_bytes
    slots_at = end - 2 * -(-size // erased) * erased
    binary = made.image.binary
    assert len(made.told) < 8192 <= slots_at
    assert binary[slots_at : slots_at + size] == slot.pack(genome, 7)
    assert set(binary[slots_at + size : end]) == {0xFF} and len(binary) <= target.memory.flash
    assert made.image.cell_ram <= target.budget.cell_ram


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)  # new files are for all to read
    yield
    os.umask(before)


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("usual_umask")
def test_only_the_owner_can_read_an_image_that_holds_a_secret_key(tmp_path: Path) -> None:
    target = load_board("rp2040")
    write(build(load("lizard"), target, spread=Spread()), tmp_path)
    assert modes(tmp_path) == {0o644}
    paths = write(build(load("lizard"), target, spread=Spread(key=SECRET)), tmp_path)
    assert {path.suffix for path in paths if SECRET in path.read_bytes()} == {".bin", ".elf", ".uf2"}
    assert modes(tmp_path) == {0o600}


@pytest.mark.usefixtures("usual_umask")
def test_nor_what_the_compiler_has_kept_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(tmp_path))
    build(load("lizard"), load_board("rp2040"), spread=Spread(key=SECRET))
    assert list(tmp_path.rglob("spread.o")) and modes(tmp_path) == {0o600}


def test_a_key_is_not_told_where_a_build_is_shown() -> None:
    made = build(load("lizard"), load_board("stm32g031"), spread=Spread(key=SECRET))
    assert SECRET in made.image.binary
    for shown in (repr(made), repr(made.image), repr(made.spread), str(made.sizes())):
        assert repr(SECRET)[2:-1] not in shown and SECRET.hex() not in shown


def test_a_family_that_can_not_is_named_with_those_that_can() -> None:
    for board in ("ch32v003", "ch32v003-small", "rp2040-matrix", "native"):
        with pytest.raises(NcaHwError, match=board) as told:
            build(load("lizard"), load_board(board), spread=Spread())
        assert "atmega328p" in str(told.value)


@pytest.mark.parametrize(
    ("board", "old", "pin"), [("atmega328p", '"PD4"', '"PD0"'), ("stm32g031", '"PA0"', '"PA3"'), ("rp2040", '"GP22"', '"GP1"')]
)
def test_the_input_of_the_service_port_must_be_free(board: str, old: str, pin: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(bundled_boards()[board].read_text().replace(f"pin = {old}", f"pin = {pin}"))
    with pytest.raises(NcaHwError, match=r"seed\.pin"):
        build(load("lizard"), load_board(tmp_path / "mine.toml"), spread=Spread())


def test_a_genome_of_fewer_channels_can_not_spread() -> None:
    g = load("lizard")
    w1 = np.ascontiguousarray(g.w1.reshape(3, 16, -1)[:, :8].reshape(24, -1))
    small = replace(g, w1=w1, w2=np.ascontiguousarray(g.w2[:, :8]), b2=g.b2[:8].copy(), m2=g.m2[:8].copy(), seed=g.seed[:8].copy())
    with pytest.raises(NcaHwError, match="8 channels"):
        slot.shape_of(small)


@pytest.mark.parametrize("version", [0, -1, 1 << 32])
def test_versions_have_32_bits_and_are_not_0(version: int) -> None:
    with pytest.raises(NcaHwError, match="version"):
        slot.pack(load("lizard"), version)


def test_names_tell_versions_in_their_order() -> None:
    genome: Genome = load("lizard")
    versions = [1, 2, 127, 128, 16_383, 16_384, 70_000, (1 << 32) - 1]
    names = [spread.name(slot.pack(genome, version)) for version in versions]
    assert [spread.version_of(name) for name in names] == versions
    assert names == sorted(names) and all(code < 0x80 for name in names for code in name)


def test_parts_of_a_page_hold_no_start_and_all_of_the_page() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        packed = bytes(rng.choice([0x80, 0x81, 0x00, 0x7F, 0xFF], slot.PAGE).astype(np.uint8))
        got = bytearray()
        for number in range(spread.PARTS):
            frame = spread.part(packed, 0, number)
            assert frame.count(0x80) == 1 and frame[0] == 0x80
            got += bytes(byte ^ frame[4] for byte in frame[5:18])
        assert bytes(got[: slot.PAGE]) == packed
