"""ATmega328P: an 8-bit AVR with a multiplier, 2 KB of RAM and 32 KB of flash; its pull-ups, timer and UART are all that a cell needs."""

from __future__ import annotations

from typing import Any

from nca_hw.firmware import toolchain
from nca_hw.firmware.families.base import Family
from nca_hw.firmware.kernels.avr import AVR
from nca_hw.formats.boards import Board
from nca_hw.formats.intel_hex import to_hex

CLOCK_HZ = 16_000_000
TICK_CYCLES = 1024
SPREAD_INTERVAL_US = 200_000  # the C core takes 50 ms and more an update
BOOT_AT = 0x7E00  # the smallest boot section, which every other one contains: data sheet, table 27-7
UBRR = 16  # board.S.j2; the nearest: 117,647 baud
PORTS = 3  # B, C, D
UNTOUCHED = {0: 0b11000000, 1: 0b11000000}  # the crystal's pins; the reset's and one that does not exist


def holes(board: Board) -> dict[str, Any]:
    """Pins by port and bit; of every port what it is set up with."""
    outputs = (board.pin(board.led.pin), board.pin(board.service.pin))
    ports = []
    for port in range(PORTS):
        driven = _mask(port, outputs)
        ports.append({
            "number": port, "offset": 3 * port, "outputs": driven, "wires": _mask(port, board.wires()),
            "pulled_up": 0xFF & ~driven & ~UNTOUCHED.get(port, 0),  # nothing floats
        })  # fmt: skip
    return {
        "ports": ports, "wires": [_place(pin) for pin in board.wires()[::2]], "led": _place(board.pin(board.led.pin)),
        "seed": _place(board.pin(board.seed.pin)), "flash": board.memory.flash, "ram": board.memory.ram,
    }  # fmt: skip


def _place(pin: int) -> dict[str, int]:
    return {"offset": 3 * (pin // 8), "bit": pin % 8}


def _mask(port: int, pins: tuple[int, ...] | list[int]) -> int:
    return sum(1 << pin % 8 for pin in pins if pin // 8 == port)


ATMEGA = Family(
    name="atmega", flash=0, ticks_per_second=CLOCK_HZ // TICK_CYCLES, sources=("board.S.j2", "wire.S", "link.S", "random.S"),
    linker_script="image.ld.j2", holes=holes,
    compile_and_link=toolchain.gcc("avr-gcc", "gcc-avr", *toolchain.AVR, libraries=("-lgcc",)),
    containers=lambda image: {"nca-hw.hex": to_hex(image)},
    baud=lambda clock_hz: clock_hz / (8 * (UBRR + 1)),  # data sheet, table 20-1, with U2X
    frame_us=168 * 10,  # docs/atmega.md: 5 to 10 us a bit
    kernels=(AVR,), rom="__flash", spread_sources=("flash.S", "rounds.S"), spread_holes={"writable": "", "at": "@"},
    boot_at=BOOT_AT, hears=lambda board: "PD0", spread_interval_us=SPREAD_INTERVAL_US,
)  # fmt: skip
