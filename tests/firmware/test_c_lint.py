"""C that is rendered for every board, and the core in it, before cppcheck and under warnings that the build does not ask for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tools import missing

from nca_hw.core.genome import load
from nca_hw.firmware import render
from nca_hw.firmware.families import family
from nca_hw.firmware.kernels import Kernel, able
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import bundled_boards, load_board

CHECKS = (
    "--std=c99", "--enable=warning,style,performance,portability", "--inconclusive", "--inline-suppr", "--quiet", "--error-exitcode=1",
)  # fmt: skip
SUPPRESSED = (
    "comparePointers",  # ends of memory, named by the linker
    "unusedStructMember",  # scratch of kernels in assembly
    "shiftNegativeLHS",  # docs/spec.md wants arithmetic shifts, and every compiler in use shifts so: the vectors would tell
)  # fmt: skip
WARNINGS = (
    "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wcast-qual",
    "-Wundef", "-Werror",
)  # fmt: skip
BOARDS = tuple(bundled_boards())


def kernel(board: str) -> Kernel | None:
    """The fastest of a board's kernels."""
    return able(load("lizard"), family(load_board(board).family).kernels)[0]


def portable(spread: Spread | None = None) -> list[str]:
    """Sources in C in which no chip has a part: what the native board has but its own."""
    return sorted({*render.sources(load("lizard"), load_board("native"), None, spread)[1]} - {"board.c", "array.c", "slots.S"})


def rendered(board: str, folder: Path, spread: Spread | None = None) -> Path:
    texts, _ = render.sources(load("lizard"), load_board(board), None if spread else kernel(board), spread)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return folder


def cppcheck(folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("cppcheck")
    if program is None:
        missing("cppcheck is not here: apt-get install --no-install-recommends cppcheck")
    command = [program, *CHECKS, *(f"--suppress={what}" for what in SUPPRESSED), "-I", ".", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("board", BOARDS)
def test_cppcheck_finds_nothing_in_what_is_rendered(board: str, tmp_path: Path) -> None:
    done = cppcheck(rendered(board, tmp_path))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", ["native", "atmega328p"])
def test_cppcheck_finds_nothing_in_what_takes_new_genomes(board: str, tmp_path: Path) -> None:
    done = cppcheck(rendered(board, tmp_path, Spread()))
    assert done.returncode == 0, done.stderr


def test_cppcheck_finds_an_index_out_of_bounds(tmp_path: Path) -> None:
    main = rendered("native", tmp_path) / "main.c"
    text = main.read_text()
    assert "owed[EDGES] = {" in text
    main.write_text(text.replace("static void plant(void)\n{", "static void plant(void)\n{\n    asking = owed[EDGES];"))
    done = cppcheck(tmp_path)
    assert done.returncode == 1
    assert "out of bounds" in done.stderr


@pytest.mark.parametrize("spread", [None, Spread()], ids=["plain", "spread"])
def test_what_no_chip_has_a_part_in_compiles_without_warnings(spread: Spread | None, tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler here")
    command = [compiler, "-std=c99", "-ffreestanding", "-O2", *WARNINGS, "-c", *portable(spread)]
    done = subprocess.run(command, cwd=rendered("native", tmp_path, spread), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
