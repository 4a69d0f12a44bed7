"""STM32G031: a Cortex-M0+ with 64 KB of flash and 8 KB of RAM, clocked by its own oscillator."""

from __future__ import annotations

from nca_hw.firmware import toolchain
from nca_hw.firmware.armv6m import stack_bound
from nca_hw.firmware.families.base import Family
from nca_hw.firmware.kernels.cortex_m0plus import CORTEX_M0PLUS
from nca_hw.formats.boards import Board

FLASH = 0x08000000


def holes(board: Board) -> dict[str, int | list[int]]:
    """Pins by number: 16 a port."""
    return {
        "wires": board.wires(), "led_pin": board.pin(board.led.pin), "service_pin": board.pin(board.service.pin),
        "seed_pin": board.pin(board.seed.pin), "flash": board.memory.flash, "ram": board.memory.ram,
    }  # fmt: skip


STM32G031 = Family(
    name="stm32g031", flash=FLASH, ticks_per_second=1_000_000, sources=("armv6m/start.c", "board.c.j2", "wires.inc.j2"),
    linker_script="image.ld.j2",
    holes=holes, compile_and_link=toolchain.clang("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
    second_opinion=toolchain.gcc("arm-none-eabi-gcc", "gcc-arm-none-eabi", "-mcpu=cortex-m0plus", "-mthumb", *toolchain.GCC),
    stack=lambda binary, symbols: stack_bound(binary, FLASH, symbols, "reset"), containers=lambda image: {}, kernels=(CORTEX_M0PLUS,),
)  # fmt: skip
