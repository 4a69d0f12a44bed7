"""What a family of chips declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nca_hw.core import frames
from nca_hw.firmware.compiler import Compiler
from nca_hw.firmware.image import Symbol
from nca_hw.firmware.kernels import Kernel
from nca_hw.formats.boards import Board


def no_pin(board: Board) -> str:
    """No pin."""
    return ""


def untouched(elf: bytes) -> bytes:
    """An ELF as the linker left it."""
    return elf


def divided(clock_hz: int, steps: int) -> float:
    """Baud of a UART whose divider counts in `steps` a bit's clock and is rounded to the nearest, for the service port's speed."""
    return steps * clock_hz / ((steps * clock_hz + frames.BAUD // 2) // frames.BAUD)


def numbered(board: Board) -> dict[str, int | list[int]]:
    """Pins by the family's numbers, and memory: the holes that most templates have."""
    return {
        "wires": board.wires(), "led_pin": board.pin(board.led.pin), "service_pin": board.pin(board.service.pin),
        "seed_pin": board.pin(board.seed.pin), "flash": board.memory.flash, "ram": board.memory.ram,
    }  # fmt: skip


@dataclass(frozen=True)
class Family:
    """A family of chips.

    Attributes:
        name: also of its folder in firmware_templates.
        flash: address of the image's first byte.
        ticks_per_second: of the board's alarm.
        sources: files of its folder, or with a folder of another, compiled as they are or, with .j2, rendered; NAME.S replaces the
            core's NAME.c. linker_script: one more. tile_sources: more for tiles.
        holes: what its templates are rendered with.
        compile_and_link: the compiler of what ships.
        second_opinion: the same by a compiler of other makers, a GCC of the system; its images are compared, not shipped.
        seal: the last touch on an ELF, a checksum for example.
        stack: the worst case, bytes, bound from the image alone; None where only a watermark is known.
        containers: files for flashing, name to bytes, from the image. kernels: from fast to small.
        rom: the compiler's word for what lies in flash, where flash has addresses of its own.
        baud: the service port's real speed, bits a second, at a clock in Hz. frame_us: of a frame of 16 channels on a wire, us.
        number_at: address at which a board finds its number in an array; None where its image does not look for one.
        spread_sources: more for an image that takes new genomes; a family without has no such image. spread_holes: of its slots in
            assembly. boot_at: address of what must lie above the slots. erased: bytes that are erased at a time. hears: pin of the
            service port's input in such an image. spread_interval_us: the least mean wait of it, whose cell is the C core.
    """

    name: str
    flash: int
    ticks_per_second: int
    sources: tuple[str, ...]
    linker_script: str
    holes: Callable[[Board], Mapping[str, Any]]
    compile_and_link: Compiler
    containers: Callable[[bytes], Mapping[str, bytes]]
    baud: Callable[[int], float]
    frame_us: float
    tile_sources: tuple[str, ...] = ()
    seal: Callable[[bytes], bytes] = untouched
    stack: Callable[[bytes, list[Symbol]], int] | None = None
    second_opinion: Compiler | None = None
    kernels: tuple[Kernel, ...] = ()
    rom: str = ""
    number_at: Callable[[Board], int] | None = None
    spread_sources: tuple[str, ...] = ()
    spread_holes: Mapping[str, str] = field(default_factory=dict)
    boot_at: int = 0
    erased: int = 128
    hears: Callable[[Board], str] = no_pin
    spread_interval_us: int = 0
