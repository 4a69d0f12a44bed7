"""The steps of `pio run` in a built project, from sources to what is flashed, as `build` takes them; project.json says with what.

Imports are relative, because this module and those it imports are copied into the project, unchanged: project.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import LimitMissed, NcaHwError, ToolMissing
from ..formats import boot2, intel_hex, uf2
from . import armv6m, budget
from .compiler import Compiler
from .image import Image, read_image

ELF, BIN = "firmware.elf", "firmware.bin"
LINKED = "nca-hw.elf"  # as `build` calls it


class Project:
    """What project.json says, done."""

    def __init__(self, path: Path) -> None:
        self.facts: dict[str, Any] = json.loads(path.read_text())

    @property
    def outputs(self) -> list[str]:
        """The files of an image, the ELF first and what is flashed last."""
        container = self.facts["container"]
        return [ELF, BIN, *([f"firmware.{container}"] if container else [])]

    def flash_words(self, folder: Path, out: Path, port: str) -> list[str]:
        """What `nca-hw` is called with to flash the image in `out`.

        Args:
            folder: of the project. An image that is still that of `build` is flashed from there, where size.json tells more of it, unless
                another build has been written over it.
            port: as PlatformIO was told; "" for none.
        """
        is_built = self._is_built((out / BIN).read_bytes()) and _sha256_told(folder / "size.json") == self.facts["image_sha256"]
        image = [str(folder)] if is_built else [str(out / BIN), "--board", self.facts["board"]]
        return ["flash", *image, *(["--port", port] if port else [])]

    def command_line(self, of: Mapping[str, Any], name: str) -> str:
        """How a compiler is called, for people; `of` is what it compiles, `name` what it makes."""
        return shlex.join(Compiler(**of["compiler"]).command(Path(), of["sources"], name))

    def compile_image(self, src: Path, out: Path) -> str:
        """Compile, link, seal: the ELF, the image and its container into `out`. Tells whether it is the image of `build`.

        Raises:
            ToolMissing: the compiler is not installed.
            NcaHwError: it refuses the sources.
        """
        elf = self._compile(self.facts["compiler"], [src], self.facts["sources"], out, LINKED)
        address: int = self.facts["address"]
        sealed = boot2.seal(elf) if self.facts["boot2"] else elf
        binary = read_image(sealed, address).binary
        made = {ELF: sealed, BIN: binary}
        if self.facts["container"] == "uf2":
            made["firmware.uf2"] = uf2.to_uf2(binary, address)
        elif self.facts["container"] == "hex":
            made["firmware.hex"] = intel_hex.to_hex(binary)
        for name, data in made.items():
            (out / name).write_bytes(data)
        if self._is_built(binary):
            return "The image is that of 'nca-hw build', byte for byte"
        return "The image is not that of 'nca-hw build': sources or compiler are not the same"

    def compile_self_test(self, src: Path, tests: Path, program: Path) -> None:
        """Compile the cell's self-test for this computer; a source that is in `src` is taken from there.

        Raises:
            ToolMissing: the compiler is not installed.
            NcaHwError: it refuses the sources.
        """
        host = self.facts["self_test"]
        program.write_bytes(self._compile(host["compiler"], [tests / host["folder"], src], host["sources"], program.parent, program.name))
        program.chmod(0o755)

    def check(self, elf: Path, limits: Mapping[str, int]) -> None:
        """That an image keeps every limit.

        Raises:
            LimitMissed: it is over one; says by how many bytes.
        """
        made, stack = self._read(elf)
        over = budget.over(made, stack, limits)
        if over:
            raise LimitMissed(
                f"the image does not fit: {'; '.join(over)}", where=self.facts["board"],
                cure="Take away what was added, or raise the budget in the board file that 'nca-hw build' is told.",
            )  # fmt: skip

    def sizes(self, elf: Path) -> list[str]:
        """Bytes of an image by what they are, a line each."""
        made, stack = self._read(elf)
        rows = [("ROM", len(made.binary)), *((f"  {part}", size) for part, size in made.parts.items())]
        rows += [("static RAM", made.static_ram), ("  cell RAM", made.cell_ram)]
        rows += [("worst-case stack", stack)] if stack is not None else []
        return [f"{name:32s}{size:8d}" for name, size in rows]

    def _is_built(self, binary: bytes) -> bool:
        """Whether an image is that of `build`."""
        return bool(hashlib.sha256(binary).hexdigest() == self.facts["image_sha256"])

    def _read(self, elf: Path) -> tuple[Image, int | None]:
        """An image, and the bound of its stack where there is one."""
        address, entry = self.facts["address"], self.facts["stack_from"]
        made = read_image(elf.read_bytes(), address)
        return made, armv6m.stack_bound(made.binary, address, made.symbols, entry) if entry else None

    def _compile(self, compiler: Mapping[str, Any], folders: list[Path], sources: list[str], out: Path, name: str) -> bytes:
        """What comes of sources: in a folder of their own, as `build` does it."""
        with tempfile.TemporaryDirectory(dir=out, prefix="compile-") as folder:
            for source in (path for sources_folder in folders for path in sources_folder.iterdir() if path.is_file()):
                shutil.copyfile(source, Path(folder) / source.name)
            try:
                Compiler(**compiler)(Path(folder), sources, name)
            except ToolMissing:
                raise
            except NcaHwError as error:
                raise NcaHwError(error.what, cure="Correct the sources, or have 'nca-hw build' write all of them anew.") from None
            return (Path(folder) / name).read_bytes()


def _sha256_told(sizes: Path) -> str | None:
    """Of the image beside a size.json, as that has it; None where it tells none."""
    try:
        told = json.loads(sizes.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    sha256 = told.get("image_sha256") if isinstance(told, dict) else None
    return sha256 if isinstance(sha256, str) else None
