"""Compiles the C of engine/ when it is first needed, with the compiler that is there, into the user's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from nca_hw.errors import ToolMissing
from nca_hw.formats.files import make_folder

INSTALL = "apt-get install libsimavr-dev libelf-dev"
HEADER = "simavr/sim_avr.h"
LIBRARY = "simavr"
FLAGS = ("-std=gnu99", "-O2", "-shared", "-fPIC", "-Wall", "-Wextra")


def sources() -> Path:
    """The folder of the C files."""
    return Path(str(resources.files("nca_hw.emulate.engine")))


def cache_folder() -> Path:
    """Where compiled code is kept: `nca-hw` in $XDG_CACHE_HOME, or in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nca-hw"


def compiler() -> list[str] | None:
    """The C compiler of this machine: $CC, cc, gcc or clang, else the one that comes with pip."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return [found]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc", "-I/usr/include", f"-L/usr/lib/{os.uname().machine}-linux-gnu"]
    return None


def compiled(folder: Path | None = None) -> Path:
    """The shared library, compiled if it is not in the cache yet.

    Args:
        folder: the cache. [the user's]
    Raises:
        ToolMissing: there is no compiler, or no libsimavr.
        NcaHwError: the cache can't be written.
    """
    command = compiler()
    if command is None:
        raise ToolMissing("there is no C compiler (cc)", cure="apt-get install gcc")
    digest = hashlib.sha256("\n".join([*command, *FLAGS]).encode())
    for file in sorted([*sources().glob("*.h"), *sources().glob("*.c")]):
        digest.update(file.read_bytes())
    library = (cache_folder() if folder is None else folder) / f"simavr_array-{digest.hexdigest()[:16]}.so"
    if not library.is_file():
        _compile(command, library)
    return library


def _compile(command: Sequence[str], library: Path) -> None:
    make_folder(library.parent)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        done = subprocess.run(
            [*command, *FLAGS, "-o", str(made), *map(str, sorted(sources().glob("*.c"))), f"-l{LIBRARY}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stderr.strip()
            if HEADER in said or f"-l{LIBRARY}" in said or f"'{LIBRARY}'" in said:
                raise ToolMissing("libsimavr, the emulator of AVR chips, is not installed", cure=f"{INSTALL}  (Debian, Ubuntu)")
            raise ToolMissing(f"the C compiler failed:\n{said[-3000:]}", cure=f"Is simavr 1.6 there?  {INSTALL}")
        made.replace(library)  # whole or not at all, also where two do this at once
