"""Compilers. The default is the clang that comes with pip (ziglang): the same sources give the same bytes on every machine."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nca_hw.errors import NcaHwError, ToolMissing

Compile = Callable[[Path, tuple[str, ...], str], None]  # folder with all sources, what to compile, the ELF to write

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
COMMON = (
    "-std=c99", "-ffreestanding", "-fno-builtin", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections", "-flto", "-g1",
    "-fdebug-compilation-dir=.",  # symbols, and no path
)  # fmt: skip
CLANG = (
    *COMMON, "-Oz", "-Xclang", "-Oz", "-fno-stack-protector", "-fno-sanitize=all", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
)  # fmt: skip
GCC = (
    "-std=c99", "-ffreestanding", "-fno-builtin", "-fomit-frame-pointer", "-ffunction-sections", "-fdata-sections", "-flto", "-g1",
    "-Os",  # with -O2 and -flto, GCC 12.2.1 for ARM stores twice what is volatile: after a loop that sends bytes, two are sent again
    "-fno-jump-tables", "-fno-partial-inlining", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-nostartfiles",
)  # fmt: skip
AVR = (
    "-std=gnu99", "-ffreestanding", "-fno-builtin", "-ffunction-sections", "-fdata-sections", "-flto", "-mmcu=atmega328p", "-Os", "-mrelax",
    "-fno-split-wide-types", "-fira-region=all", "-fno-tree-loop-ivcanon", "-fno-tree-loop-im",  # by trial: they spare 50 bytes
    *(f"-ffixed-r{n}" for n in range(2, 12)),  # those of the family's assembly
)  # fmt: skip
LINK = ("-nostdlib", "-Wl,-T,image.ld", "-Wl,--gc-sections", "-Wl,--build-id=none")


def clang(*target: str) -> Compile:
    """The compiler inside ziglang, for a target.

    Raises (when it compiles):
        ToolMissing: ziglang is not installed.
        NcaHwError: the compiler refuses the sources.
    """

    def compile_and_link(folder: Path, compiled: tuple[str, ...], elf: str) -> None:
        if importlib.util.find_spec("ziglang") is None:
            raise ToolMissing("the compiler (ziglang) is not installed", cure="pip install ziglang==0.17.1")
        _run([sys.executable, "-m", "ziglang", "cc", *target, *CLANG, *WARNINGS, *LINK, "-o", elf, *compiled], folder, elf)

    return compile_and_link


def gcc(program: str, package: str, *flags: str, libraries: tuple[str, ...] = ()) -> Compile:
    """A GCC of the system, for a target. By their bare names sources leave no path in the image.

    Raises (when it compiles):
        ToolMissing: it is not installed.
        NcaHwError: the compiler refuses the sources.
    """

    def compile_and_link(folder: Path, compiled: tuple[str, ...], elf: str) -> None:
        if shutil.which(program) is None:
            raise ToolMissing(f"the compiler ({program}) is not installed", cure=f"apt-get install --no-install-recommends {package}")
        _run([program, *flags, *WARNINGS, *LINK, "-o", elf, *compiled, *libraries], folder, elf)

    return compile_and_link


def _run(command: Sequence[str], folder: Path, elf: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / elf).is_file():
        said = (done.stderr or done.stdout).strip()
        raise NcaHwError(f"the compiler failed:\n{said[-4000:]}", cure="Run 'nca-hw doctor', and report this with the text above.")
