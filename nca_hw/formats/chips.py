"""What a board file is checked against: the pins and peripherals of the chips that firmware is written for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A family of chips, as far as boards differ in it.

    Attributes:
        pins: names to numbers, as the firmware numbers them. led: pins that can drive the LED, and why only those.
        service: pins that can be the service port's output. clock_hz: the processor's clock in this firmware.
        neighbouring_wires: the two wires of an edge must be neighbouring pins, wire 0 the lower. wires: pins that can be wires, None for
            all, and why only those. seed: likewise of the strap. tiles: it can have several cells.
    """

    pins: Mapping[str, int]
    led: frozenset[str]
    led_why: str
    service: frozenset[str]
    service_why: str
    clock_hz: int
    neighbouring_wires: bool = True
    wires: frozenset[str] | None = None
    wires_why: str = ""
    seed: frozenset[str] | None = None
    seed_why: str = ""
    tiles: bool = False


def _named(form: str, numbers: range, first: int = 0, without: Collection[int] = ()) -> dict[str, int]:
    return {form.format(n): first + n for n in numbers if n not in without}


CHIPS: dict[str, Chip] = {
    "rp2040": Chip(
        pins=_named("GP{}", range(30)),
        led=frozenset({"GP3", "GP7", "GP19", "GP23"}), led_why="SPI0 output",  # RP2040 datasheet, table 2
        service=frozenset({"GP0", "GP12", "GP16", "GP28"}), service_why="UART0 output",  # the same
        clock_hz=12_000_000,  # the crystal, no PLL
        tiles=True,
    ),
    "atmega": Chip(  # 8 port + pin, port B being 0; ATmega328P data sheet, section 5. PB6 and PB7 are the crystal's, PC6 is the reset.
        pins={**_named("PB{}", range(6)), **_named("PC{}", range(6), 8), **_named("PD{}", range(8), 16)},
        led=frozenset(_named("PB{}", range(6)) | _named("PC{}", range(6)) | _named("PD{}", range(8))), led_why="output",
        service=frozenset({"PD1"}), service_why="USART0 output",
        clock_hz=16_000_000,  # the crystal
    ),
    "native": Chip(  # names only
        pins={name: n for n, name in enumerate(("NO0", "NO1", "EA0", "EA1", "SO0", "SO1", "WE0", "WE1", "LD0", "SV0", "SD0"))},
        led=frozenset({"LD0"}), led_why="light", service=frozenset({"SV0"}), service_why="service port", clock_hz=1_000_000,
    ),
    "stm32g031": Chip(
        pins={**_named("PA{}", range(16)), **{name: 16 + n for name, n in _named("PB{}", range(10)).items()}},
        led=frozenset({"PA7"}), led_why="SPI1 output",  # data sheet, alternate functions of port A
        service=frozenset({"PA2"}), service_why="USART2 output",  # the same
        clock_hz=16_000_000,  # HSI16, the clock after reset
        wires=frozenset(f"PB{n}" for n in range(10)), wires_why="of port B",
        seed=frozenset(f"PA{n}" for n in range(13)), seed_why="of port A, apart from the debugger's",
    ),
    "ch32v0": Chip(  # 16 port + pin, port A being 0; CH32V003 data sheet, table 2-1. PD1 is left to the debugger, PD7 to the reset.
        pins={**_named("PA{}", range(1, 3)), **_named("PC{}", range(8), 32), **_named("PD{}", range(7), 48, {1})},
        led=frozenset({"PC6"}), led_why="SPI1 output",
        service=frozenset({"PD5"}), service_why="USART1 output",
        clock_hz=24_000_000,  # the internal oscillator, no PLL
    ),
}  # fmt: skip
