"""Images: they fit, they are the same everywhere, and what is over budget is refused with the number of bytes."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from tools import missing

from nca_hw.core.genome import load
from nca_hw.errors import ExitCode, LimitMissed
from nca_hw.firmware.build import Build, build, write
from nca_hw.formats.boards import load_board


@pytest.fixture(scope="module")
def made() -> Build:
    return build(load("lizard"), load_board("rp2040"))


def test_the_lizard_fits_the_article(made: Build) -> None:
    sizes = made.sizes()
    assert sizes["rom_bytes"] == len(made.files["nca-hw.bin"]) <= 10_240
    assert sizes["cell_ram_bytes"] <= sizes["static_ram_bytes"] <= 256
    assert sum(sizes["rom_parts"].values()) == sizes["rom_bytes"]
    assert all(size >= 0 for size in sizes["rom_parts"].values())


def test_the_genome_stands_in_the_image(made: Build) -> None:
    """Weights, offset by 128: of every input those of eight units side by side, of every unit those of all outputs; the decode table."""
    genome = load("lizard")
    for eight in range(0, genome.hidden, 8):
        for weights in (*genome.w1[:, eight : eight + 8], *genome.w2[eight : eight + 8]):
            assert (weights.astype(np.int16) + 128).astype(np.uint8).tobytes() in made.image.binary
    assert genome.decode.astype("<i2").tobytes() in made.image.binary


def test_the_boot_block_has_the_crc_that_the_boot_rom_computes(made: Build) -> None:
    """CRC-32/MPEG-2, computed bit by bit over a polynomial division, unlike the build's table-free byte loop."""
    block = made.image.binary[:252]
    message = int.from_bytes(block, "big") << 32
    message ^= 0xFFFFFFFF << (252 * 8)
    for bit in range(252 * 8 + 31, 31, -1):
        if message >> bit & 1:
            message ^= 0x104C11DB7 << (bit - 32)
    assert struct.unpack_from("<I", made.image.binary, 252)[0] == message
    stack, reset = struct.unpack_from("<II", made.image.binary, 256)
    assert stack == 0x20040000
    assert reset & 1
    assert 0x10000100 < reset < 0x10000000 + len(made.image.binary)


def test_the_uf2_holds_the_image(made: Build) -> None:
    """Read back by the container's specification."""
    data, image = made.files["nca-hw.uf2"], bytearray()
    assert len(data) % 512 == 0
    for number in range(len(data) // 512):
        block = data[512 * number : 512 * number + 512]
        start0, start1, flags, address, size, index, count, family = struct.unpack_from("<8I", block)
        assert (start0, start1, struct.unpack_from("<I", block, 508)[0]) == (0x0A324655, 0x9E5D5157, 0x0AB16F30)
        assert (flags, family, index, count) == (0x2000, 0xE48BFF56, number, len(data) // 512)
        assert address == 0x10000000 + len(image)
        image += block[32 : 32 + size]
    assert bytes(image).rstrip(b"\0") == made.image.binary.rstrip(b"\0")


def test_two_builds_in_different_places_by_different_users_are_the_same_bytes(made: Build, tmp_path: Path) -> None:
    other = tmp_path / "somewhere else"
    other.mkdir()
    program = (
        "from nca_hw.core.genome import load; from nca_hw.formats.boards import load_board; from nca_hw.firmware.build import build, write;"
        "from pathlib import Path; write(build(load('lizard'), load_board('rp2040')), Path('out'))"
    )
    environment = {**os.environ, "HOME": str(other), "USER": "somebody", "TMPDIR": str(other), "ZIG_GLOBAL_CACHE_DIR": str(other / "cache")}
    subprocess.run([sys.executable, "-c", program], cwd=other, env=environment, check=True)
    for name, data in made.files.items():
        assert (other / "out" / name).read_bytes() == data, name


def test_no_path_and_no_date_enters_an_image(made: Build) -> None:
    for name in ("nca-hw.elf", "nca-hw.bin", "nca-hw.map"):
        assert b"/home" not in made.files[name]
        assert b"/tmp" not in made.files[name]


def test_an_image_over_budget_is_refused_with_the_number_of_bytes() -> None:
    rng = np.random.default_rng(0)
    big = shipped_size_genome(
        w1=rng.integers(-127, 128, (48, 200)).astype(np.int8), b1=np.zeros(200, np.int16),
        w2=rng.integers(-127, 128, (200, 16)).astype(np.int8),
    )  # fmt: skip
    with pytest.raises(LimitMissed, match=r"ROM 1\d{4} B, \d+ B over the budget of 11264 B") as caught:
        build(big, load_board("rp2040"))
    assert caught.value.exit_code == ExitCode.LIMIT_MISSED


def test_writing_gives_every_file(made: Build, tmp_path: Path) -> None:
    paths = write(made, tmp_path / "out")
    names = {str(path.relative_to(tmp_path / "out")) for path in paths}
    assert {"nca-hw.elf", "nca-hw.bin", "nca-hw.uf2", "nca-hw.map", "size.json"} <= names
    assert {"README.md", "platformio.ini", "platforms/nca-hw/platform.json", "src/main.c", "src/cell.h"} <= names
    assert json.loads((tmp_path / "out" / "size.json").read_text())["image_sha256"] == made.sha256
    core = Path(__file__).parents[2] / "firmware_templates" / "core"
    if core.is_dir():
        for name in ("cell.h", "link.h"):
            assert (tmp_path / "out" / "src" / name).read_bytes() == (core / name).read_bytes()


@pytest.mark.parametrize(("board", "toolchain", "program"), [
    ("atmega328p", "pinned", "avr-gcc"), ("native", "pinned", "cc"), ("stm32g031", "gcc", "arm-none-eabi-gcc"),
])  # fmt: skip
def test_the_elf_of_a_gcc_is_the_same_every_time(board: str, toolchain: str, program: str) -> None:
    """With its table of names, into which GCC writes temporary files, and with what debuggers are told of the folder."""
    if shutil.which(program) is None:
        missing(f"{program} is not installed")
    first, again = (build(load("lizard"), load_board(board), toolchain).image.elf for _ in range(2))
    assert first == again
    assert tempfile.gettempdir().encode() not in first
