"""What is promised of every board: the default genome in 10 KB, room for the article's width; and constants that stand in two languages."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import pytest
from tools import missing

from nca_hw.core.genome import bundled, load
from nca_hw.emulate.emulators import EMULATORS
from nca_hw.emulate.proof import PROOFS
from nca_hw.errors import LimitMissed
from nca_hw.firmware.build import build
from nca_hw.firmware.families import FAMILIES
from nca_hw.firmware.image import PARTS
from nca_hw.firmware.kernels import Kernel
from nca_hw.formats.boards import bundled_boards, load_board
from nca_hw.formats.chips import CHIPS

CHIP_BOARDS = ("rp2040", "stm32g031", "atmega328p", "ch32v003")
TEN_KB = (*CHIP_BOARDS[:3], "ch32v003-small")
TEMPLATES = Path(str(resources.files("nca_hw.firmware_templates")))
KERNELS = [kernel for family in FAMILIES.values() for kernel in family.kernels]


def needs_its_compiler(board: str) -> None:
    if load_board(board).family == "atmega" and shutil.which("avr-gcc") is None:
        missing("avr-gcc is not installed")


@pytest.mark.parametrize("board", TEN_KB)
def test_the_default_genome_is_within_ten_kilobytes(board: str) -> None:
    needs_its_compiler(board)
    sizes = build(load(), load_board(board)).sizes()
    assert sizes["rom_bytes"] <= 10_240
    assert sizes["kernel"] != "C core"
    assert sizes["cell_ram_bytes"] <= 256


@pytest.mark.slow
@pytest.mark.parametrize("board", CHIP_BOARDS)
def test_every_bundled_genome_can_be_built(board: str) -> None:
    needs_its_compiler(board)
    for name in bundled():
        assert build(load(name), load_board(board)).kernel is not None, name


def test_a_genome_too_wide_is_told_how_narrow_it_must_be() -> None:
    wide = load("mushroom")
    assert wide.hidden == 128
    with pytest.raises(LimitMissed, match=r"^ch32v003-small: the smallest image does not fit.*over the budget of 10240 B") as caught:
        build(wide, load_board("ch32v003-small"))
    narrow = int(re.search(r"--hidden (\d+)", str(caught.value))[1])
    board = load_board("ch32v003-small")
    cut = type(wide)(**{**vars(wide), "w1": wide.w1[:, :narrow], "b1": wide.b1[:narrow], "w2": wide.w2[:narrow]})
    assert len(build(cut, board).image.binary) <= 10_240


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_table_of_a_kernel_belongs_to_a_part_of_the_image(kernel: Kernel) -> None:
    made = "".join(kernel.data(load()).values())
    tables = set(re.findall(r"\.type (\w+), [%@]object", made))
    assert tables
    assert tables <= {name for part in ("weights", "tables") for name in PARTS[part]}


def test_patience_is_one_number_wherever_looks_are_alike() -> None:
    """The Cortex-M0+ looks at its wires as core/wire.c does; the AVR counts looks of its own, as its file says."""
    in_c = (TEMPLATES / "core/wire.h").read_text()
    in_assembly = (TEMPLATES / "kernels/cortex_m0plus_links.S").read_text()
    for name in ("PATIENCE", "YIELD"):
        value = re.search(rf"#define NCA_WIRE_{name} (\d+)", in_c)[1]
        assert re.search(rf"#define {name} (\d+)", in_assembly)[1] == value


def test_every_family_is_known_to_board_files_to_the_build_and_to_a_proof() -> None:
    assert set(FAMILIES) == set(CHIPS) == set(EMULATORS) | set(PROOFS)
    assert {load_board(name).family for name in bundled_boards()} == set(FAMILIES)
