"""STM32G031: a Cortex-M0+ with 64 KB of flash and 8 KB of RAM, clocked by its own oscillator."""

from __future__ import annotations

from nca_hw.firmware import toolchain
from nca_hw.firmware.armv6m import stack_bound
from nca_hw.firmware.families.base import Family, divided, numbered
from nca_hw.firmware.kernels.cortex_m0plus import CORTEX_M0PLUS

FLASH, FLASH_BYTES = 0x08000000, 65_536


STM32G031 = Family(
    name="stm32g031", flash=FLASH, ticks_per_second=1_000_000, sources=("armv6m/start.c", "board.c.j2", "wires.inc.j2"),
    linker_script="image.ld.j2",
    holes=numbered, compile_and_link=toolchain.clang("-target", "thumb-freestanding-eabi", "-mcpu=cortex_m0plus"),
    second_opinion=toolchain.gcc("arm-none-eabi-gcc", "gcc-arm-none-eabi", "-mcpu=cortex-m0plus", "-mthumb", *toolchain.GCC),
    stack=lambda binary, symbols: stack_bound(binary, FLASH, symbols, "reset"), containers=lambda image: {}, kernels=(CORTEX_M0PLUS,),
    baud=lambda clock_hz: divided(clock_hz, 1),  # USART_BRR, oversampled by 16: reference manual RM0444, section 33.5.7
    frame_us=2_300 * 12 / 16,  # the RP2040's code at another clock
    spread_sources=("flash.c",), spread_holes={"writable": "", "at": "%"}, boot_at=FLASH + FLASH_BYTES, erased=2048,
    hears=lambda board: "PA3",
)  # fmt: skip
