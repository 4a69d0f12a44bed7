"""RP2040: a Cortex-M0+ that runs in place from a flash chip, behind a boot block of 256 bytes that the boot ROM checks."""

from __future__ import annotations

from nca_hw.firmware import toolchain
from nca_hw.firmware.armv6m import stack_bound
from nca_hw.firmware.families.base import Family, divided, numbered
from nca_hw.firmware.kernels.cortex_m0plus import CORTEX_M0PLUS
from nca_hw.formats.boards import Board
from nca_hw.formats.boot2 import seal
from nca_hw.formats.uf2 import to_uf2

FLASH = 0x10000000
SECTOR = 4096  # what a flash chip erases at once
NO_DOT = 15
DIGITS = (
    "####.##.##.####", ".#.##..#..#.###", "###..#####..###", "###..####..####", "#.##.####..#..#", "####..###..####", "####..####.####",
    "###..#.#..#..#.", "####.#####.####", "####.####..####",
)  # fmt: skip


def number_at(board: Board) -> int:
    """Address of the board's number in its array: the last sector of the flash."""
    return FLASH + board.memory.flash - SECTOR


def holes(board: Board) -> dict[str, int | list[int]]:
    """Pins by number. The boot block is filled up for one cell a chip, whose whole image is short of room."""
    return {
        **numbered(board), "cells": board.tile.cells, "number_at": number_at(board), "number_light": board.led.brightness * 255 >> 8,
        "digits": [sum(1 << i for i, dot in enumerate(digit) if dot == "#") for digit in DIGITS], "dots": _dots(board),
    }  # fmt: skip


def _dots(board: Board) -> list[int]:
    """Of every LED of a tile's chain the dot of a digit that it shows, in the tile's middle, row by row; NO_DOT for none."""
    left, top = (board.tile.width - 3) // 2, (board.tile.height - 5) // 2
    places = [(cell % board.tile.width - left, cell // board.tile.width - top) for cell in board.chain()]
    return [3 * y + x if 0 <= x < 3 and 0 <= y < 5 else NO_DOT for x, y in places]


RP2040 = Family(
    name="rp2040", flash=FLASH, ticks_per_second=1_000_000,
    sources=("boot2.S", "armv6m/start.c", "board.c.j2", "number.c.j2", "wires.inc.j2"),
    tile_sources=("chain.c",), linker_script="image.ld.j2",
    holes=holes, compile_and_link=toolchain.clang("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"), seal=seal,
    second_opinion=toolchain.gcc("arm-none-eabi-gcc", "gcc-arm-none-eabi", "-mcpu=cortex-m0plus", "-mthumb", *toolchain.GCC),
    stack=lambda binary, symbols: stack_bound(binary, FLASH, symbols, "reset"),
    containers=lambda image: {"nca-hw.uf2": to_uf2(image, FLASH)},
    baud=lambda clock_hz: divided(clock_hz, 4),  # clock / (16 baud) in 1/64: RP2040 datasheet, section 4.2.7.1
    frame_us=2_300,  # docs/firmware.md, Tiles
    kernels=(CORTEX_M0PLUS,),
    number_at=number_at,
    spread_sources=("in_ram.S", "flash.c.j2"), spread_holes={"writable": "", "at": "%"}, boot_at=FLASH + 0x10000, erased=4096,
    hears=lambda board: f"GP{board.pin(board.service.pin) + 1}",  # UART0's input stands beside its output: table 2
)  # fmt: skip
