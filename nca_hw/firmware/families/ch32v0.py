"""CH32V003: a RISC-V core with compressed instructions, 16 registers and no multiplier, and flash that is seen at address 0."""

from __future__ import annotations

from typing import Any

from nca_hw.firmware import toolchain
from nca_hw.firmware.families.base import Family, divided
from nca_hw.firmware.kernels.rv32ec import DIGITS, LOOKUP, LOOPS
from nca_hw.formats.boards import Board

FLASH = 0  # as the processor sees it from reset on; programmers write it at 0800_0000h: reference manual, chapter 1

GPIO, PORT = 0x40010800, 0x400  # of port A, and from port to port: reference manual, chapter 7
FLOATING, PULLED, PERIPHERAL = 4, 8, 9  # modes of a pin; a peripheral's output is push-pull, 10 MHz


def holes(board: Board) -> dict[str, Any]:
    """Pins by number, and of every port that is used its address, modes of all pins, and pins that are pulled up."""
    wires = [wire for first in board.wires()[::2] for wire in (first, first + 1)]
    modes = dict.fromkeys((*wires, board.pin(board.seed.pin)), PULLED)
    modes |= dict.fromkeys((board.pin(board.led.pin), board.pin(board.service.pin)), PERIPHERAL)
    ports = []
    for port in sorted({pin >> 4 for pin in modes}):
        word = sum(modes.get(16 * port + bit, FLOATING) << 4 * bit for bit in range(8))
        high = sum(1 << (wire & 15) for wire in wires if wire >> 4 == port)
        ports.append({"address": f"{GPIO + PORT * port:#x}", "modes": f"{word:#x}", "high": f"{high:#x}"})
    return {
        "wires": board.wires(), "seed_pin": board.pin(board.seed.pin), "ports": ports, "ram": board.memory.ram,
    }  # fmt: skip


CH32V0 = Family(
    name="ch32v0", flash=FLASH, ticks_per_second=1_000_000, sources=("start.S", "multiply.S", "board.c.j2"),
    linker_script="image.ld.j2", holes=holes,
    compile_and_link=toolchain.clang("-target", "riscv32-freestanding", "-mcpu=generic_rv32+e+c+relax", "-mabi=ilp32e", "-mrelax"),
    second_opinion=toolchain.gcc("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf", "-march=rv32ec", "-mabi=ilp32e", *toolchain.GCC),
    baud=lambda clock_hz: divided(clock_hz, 1),  # USART_BRR, in 1/16 of clock / (16 baud): reference manual, chapter 12
    frame_us=2_100,  # docs/protocol.md: a look every 2 us, which is assumed
    containers=lambda image: {}, kernels=(LOOKUP, DIGITS, LOOPS),
)  # fmt: skip
