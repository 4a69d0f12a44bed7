"""The compiler that comes with pip: clang and lld inside ziglang. The same sources give the same bytes on every machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nca_hw.errors import NcaHwError, ToolMissing

FLAGS = {
    "rp2040": ("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
}
COMMON = (
    "-std=c99", "-Oz", "-Xclang", "-Oz", "-flto", "-g1", "-fdebug-compilation-dir=.",  # symbols, and no path
    "-ffreestanding", "-fno-builtin", "-fno-stack-protector", "-fno-sanitize=all", "-fomit-frame-pointer",
    "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections",
    "-Wall", "-Wextra", "-Wconversion", "-Werror",
)  # fmt: skip


def compile_and_link(folder: Path, compiled: Sequence[str], family: str, elf: str = "nca-hw.elf") -> None:
    """Compile the sources of a folder into one ELF, by their bare names, so that no path enters the image.

    Raises:
        ToolMissing: ziglang is not installed.
        NcaHwError: the compiler refuses the sources.
    """
    if importlib.util.find_spec("ziglang") is None:
        raise ToolMissing("the compiler (ziglang) is not installed", cure="pip install ziglang==0.17.1")
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS[family], *COMMON, "-nostdlib", "-Wl,-T,image.ld", "-Wl,--gc-sections",
               "-Wl,--build-id=none", "-o", elf, *compiled]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not (folder / elf).is_file():
        said = (done.stderr or done.stdout).strip()
        raise NcaHwError(f"the compiler failed:\n{said[-4000:]}", cure="Run 'nca-hw doctor', and report this with the text above.")
