"""Compilers. The default is the clang that comes with pip (ziglang): the same sources give the same bytes on every machine."""

from __future__ import annotations

from nca_hw.firmware.compiler import FOLDER, PYTHON, Compiler

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


def clang(*target: str) -> Compiler:
    """The compiler inside ziglang, for a target."""
    return _ziglang(*target, *CLANG, *WARNINGS, *LINK)


def host(*flags: str) -> Compiler:
    """The compiler inside ziglang, for programs of this computer."""
    return _ziglang(*flags, *WARNINGS)


def _ziglang(*flags: str) -> Compiler:
    return Compiler((PYTHON, "-m", "ziglang", "cc"), flags, "ziglang", "pip install ziglang==0.17.1", module="ziglang")


def gcc(program: str, package: str, *flags: str, libraries: tuple[str, ...] = ()) -> Compiler:
    """A GCC of the system, for a target."""
    cure = f"apt-get install --no-install-recommends {package}"
    return Compiler((program,), (*flags, f"-fdebug-prefix-map={FOLDER}=.", *WARNINGS, *LINK), program, cure, libraries=libraries)
