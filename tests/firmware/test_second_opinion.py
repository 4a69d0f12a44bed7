"""The same sources by a compiler of other makers, GCC: other machine code, the same bits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest
from tools import missing

from nca_hw.core.genome import Genome, load
from nca_hw.emulate.verify import verify
from nca_hw.errors import NcaHwError
from nca_hw.firmware import families
from nca_hw.firmware.build import GCC, build
from nca_hw.firmware.families import FAMILIES
from nca_hw.formats.boards import Board, bundled_boards, load_board

SECOND = {name: board for name in bundled_boards() if FAMILIES[(board := load_board(name)).family].second_opinion is not None}
COMPILERS = {"rp2040": "arm-none-eabi-gcc", "stm32g031": "arm-none-eabi-gcc", "ch32v0": "riscv64-unknown-elf-gcc"}


@pytest.fixture(params=SECOND)
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    board = SECOND[request.param]
    compiler = COMPILERS.get(board.family)
    if compiler is not None and shutil.which(compiler) is None:
        missing(f"{compiler} is not here: docs/firmware.md, A second opinion")
    yield board


@pytest.fixture(scope="module")
def lizard() -> Genome:
    return load("lizard")


def test_an_image_by_gcc_is_another_one_and_computes_the_same(lizard: Genome, board: Board) -> None:
    made = build(lizard, board, GCC)
    assert made.sha256 != build(lizard, board).sha256
    proved = verify(lizard, made, updates=200)
    assert proved.equal, proved.mismatch
    assert made.stack is None or proved.stack_bytes <= made.stack


def test_a_rom_budget_that_gcc_misses_is_a_warning_and_one_of_ram_an_error(lizard: Genome, board: Board) -> None:
    tight = board.model_copy(update={"budget": board.budget.model_copy(update={"rom": 9_000})})
    warnings = build(lizard, tight, GCC).warnings
    assert len(warnings) == 1
    assert "B over the budget of 9000 B" in warnings[0]
    with pytest.raises(NcaHwError, match="over the budget of 9000 B"):
        build(lizard, tight)
    with pytest.raises(NcaHwError, match="cell RAM"):
        build(lizard, board.model_copy(update={"budget": board.budget.model_copy(update={"cell_ram": 100})}), GCC)


def test_a_family_with_one_compiler_says_so(lizard: Genome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "rp2040", replace(FAMILIES["rp2040"], second_opinion=None))
    with pytest.raises(NcaHwError, match="'rp2040' has one compiler only"):
        build(lizard, load_board("rp2040"), GCC)
