"""Little firmwares, compiled as the tests need them."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from nca_hw.emulate.simavr import Firmware

CHIPS = Path(__file__).parent / "chips"


@pytest.fixture
def firmware(engine: None, tmp_path: Path) -> Callable[..., Firmware]:
    """Compiles a file of chips/."""

    def compile_one(name: str, *, state_bytes: int = 0, frame_bytes: int = 1) -> Firmware:
        elf = tmp_path / f"{name}.elf"
        flags = ["-mmcu=atmega328p", "-DF_CPU=16000000UL", "-Os", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["avr-gcc", *flags, "-o", str(elf), str(CHIPS / f"{name}.c")], check=True)
        subprocess.run(["avr-objcopy", "-O", "binary", str(elf), str(elf.with_suffix(".bin"))], check=True)
        symbols = {s.name: s["st_value"] for s in ELFFile(io.BytesIO(elf.read_bytes())).get_section_by_name(".symtab").iter_symbols()}
        state = symbols.get("state", 0) & 0xFFFF  # RAM lies at 0x800000 in an AVR's ELF
        flash = elf.with_suffix(".bin").read_bytes()
        return Firmware(flash, symbols.get("nca_cell_wake", 0), state, state_bytes, frame_bytes)

    return compile_one
