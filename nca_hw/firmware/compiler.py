"""A compiler, and how it makes an ELF of a folder of sources: so that neither the folder nor the day enters the ELF.

Imports are relative, because a built project holds this module too: project.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from ..errors import NcaHwError, ToolMissing

PYTHON = "{python}"  # as the first word of a program that is a module of Python: this one
FOLDER = "{folder}"  # in a flag: the folder in which it is compiled
TEMPORARY = "temporary"  # a folder in it, for the compiler's temporary files, whose names GCC writes into the symbols
ONLY_OWNER = 0o077  # umask: ziglang keeps what it has compiled in a cache, and a source may hold a wall's key
RANDOM_NAME = re.compile(rb"(?<=[\0/]cc)[0-9A-Za-z]{6}(?=\.o\0)")  # old linkers write the folder before it


@dataclass(frozen=True)
class Compiler:
    """A compiler and how it is called for a target. Called, it compiles and links.

    Attributes:
        program: words that start it. flags: before the sources. libraries: after them.
        module: a module of Python that must be there; None: the program itself must be on the path.
        name: what a reader calls it. cure: the line that installs it.
    """

    program: Sequence[str]
    flags: Sequence[str]
    name: str
    cure: str
    module: str | None = None
    libraries: Sequence[str] = ()

    def command(self, folder: Path, compiled: Sequence[str], elf: str) -> list[str]:
        """The command line, in the folder of the sources. By their bare names sources leave no path in the image."""
        program = [sys.executable if word == PYTHON else word for word in self.program]
        flags = [flag.replace(FOLDER, str(folder.resolve())) for flag in self.flags]
        return [*program, *flags, "-o", elf, *compiled, *self.libraries]

    def __call__(self, folder: Path, compiled: Sequence[str], elf: str) -> None:
        """Compile and link.

        Args:
            folder: with all sources. compiled: of these, what to compile. elf: the name to write there.
        Raises:
            ToolMissing: it is not installed.
            NcaHwError: it refuses the sources.
        """
        if (importlib.util.find_spec(self.module) if self.module else shutil.which(self.program[0])) is None:
            cure = f"{sys.executable} -m {self.cure}" if self.module else self.cure
            raise ToolMissing(f"the compiler ({self.name}) is not installed", cure=cure)
        made = folder / elf
        (folder / TEMPORARY).mkdir(exist_ok=True)
        environment = {**os.environ, "TMPDIR": TEMPORARY}
        command = self.command(folder, compiled, elf)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, umask=ONLY_OWNER)
        if done.returncode != 0 or not made.is_file():
            said = (done.stderr or done.stdout).strip()
            raise NcaHwError(f"the compiler failed:\n{said[-4000:]}", cure="Run 'nca-hw doctor', and report this with the text above.")
        made.write_bytes(_without_random_names(made.read_bytes()))


def _without_random_names(program: bytes) -> bytes:
    """An ELF in whose table of names all temporary files are called alike; what is no ELF, unchanged."""
    names = ELFFile(io.BytesIO(program)).get_section_by_name(".strtab") if program[:4] == b"\x7fELF" else None
    if names is None:
        return program
    begin, end = names["sh_offset"], names["sh_offset"] + names["sh_size"]
    return program[:begin] + RANDOM_NAME.sub(b"000000", program[begin:end]) + program[end:]
