"""A CH32V003 as far as the firmware uses it: one core, its memory, and the registers of the blocks it touches.

The unmodified image runs from reset on unicorn's RISC-V. That one knows more instructions and registers than
this core has: what must not be in an image, nca_hw.firmware.rv32ec finds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import unicorn
from unicorn import riscv_const

from nca_hw.core.frames import BAUD
from nca_hw.emulate import ws2812
from nca_hw.emulate.chip import EDGES, PAGE, Chip
from nca_hw.emulate.rv32ec import InstructionMeter
from nca_hw.firmware.families.ch32v0 import FLASH, FLOATING, GPIO, PERIPHERAL, PORT, PULLED
from nca_hw.formats.boards import Board

FLASH_BYTES, RAM, RAM_BYTES = 0x4000, 0x20000000, 0x800
RCC, ADC1, SPI1, USART1, IWDG, SYSTICK, ESIG = (
    0x40021000, 0x40012400, 0x40013000, 0x40013800, 0x40003000, 0xE000F000, 0x1FFFF7E8)  # fmt: skip
PORTS = (0, 2, 3)  # A, C, D
PAGES = sorted({address & -PAGE for address in (RCC, *(GPIO + PORT * port for port in PORTS), ADC1, SPI1, USART1, IWDG, SYSTICK, ESIG)})
HSI_HZ, TICKS_US = 24_000_000, 3
LOW = 6  # mode of a pin that is an output, open drain: reference manual, chapter 7
CLOCKED = 1 << 2 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 12 | 1 << 14  # ports, ADC1, SPI1, USART1
UNIQUE = 0x5A17C3E9
CONVERSION = 0x180  # of the internal reference: about 1.2 V of 3.3 V in ten bits; noise is in the lowest
WRITABLE = {
    RCC + 4, RCC + 0x18, ADC1 + 8, ADC1 + 0x34, SPI1, SPI1 + 0xC, USART1 + 4, USART1 + 8, USART1 + 0xC, IWDG, IWDG + 4, SYSTICK,
}  # fmt: skip


class Ch32v003(Chip):
    """One chip.

    Attributes:
        fed: when the watchdog was fed.
    """

    stack_top = RAM + RAM_BYTES
    pc_register, return_register = riscv_const.UC_RISCV_REG_PC, riscv_const.UC_RISCV_REG_RA

    def __init__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        self.flash = flash
        self._board = board
        self._noise = noise
        self._wire_pins = board.wires()[::2]
        self._seed = board.pin(board.seed.pin) if is_seed else None
        self._outputs = dict.fromkeys(PORTS, 0)
        self.fed: list[int] = []
        self._watched = False
        self._looks = 0  # at the time: they fall on each count of a microsecond in turn
        mu = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        mu.mem_map(FLASH, FLASH_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        mu.mem_write(FLASH, flash.ljust(FLASH_BYTES, b"\xff"))
        mu.mem_map(RAM, PAGE)
        mu.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, self._beyond, None, RAM + RAM_BYTES, RAM + PAGE - 1)
        super().__init__(mu, PAGES)

    def reset(self, stack_fill: int = 0xA5) -> None:
        """See Chip."""
        self.write(RAM, bytes([stack_fill]) * RAM_BYTES)
        self._pc = FLASH

    def pulls(self, edge: int) -> int:
        """See Chip: pins that are outputs, and low."""
        pulled = 0
        for wire in (0, 1):
            port, bit = divmod(self._wire_pins[edge] + wire, 16)
            if self._mode(self._wire_pins[edge] + wire) == LOW and not self._outputs[port] >> bit & 1:
                pulled |= 1 << wire
        return pulled

    def light(self, words: Sequence[int]) -> list[int]:
        """See Chip."""
        return ws2812.colours(words)

    def meter(self, function: int) -> InstructionMeter:
        """See Chip."""
        meter = InstructionMeter(function)
        self.on_every_instruction(meter.step)
        return meter

    def wrong_setup(self) -> list[str]:
        """See Chip: clocks, baud rate, modes of pins, SPI, time, watchdog."""
        wrong, board = [], self._board
        if self.register(RCC + 4) != 0:
            wrong.append("the clock is not the undivided internal oscillator")
        if (self.register(RCC + 0x18) or 0) & CLOCKED != CLOCKED:
            wrong.append("blocks have no clock")
        divisor = self.register(USART1 + 8)
        if not divisor or abs(HSI_HZ / divisor / BAUD - 1) > 0.01:
            wrong.append(f"the service port divides by {divisor}")
        if (self.register(USART1 + 0xC) or 0) & 0x200C != 0x2008:
            wrong.append("the service port does not send")
        if self.register(SPI1) != 0xB54:  # DFF, SSM, SSI, SPE, / 8, MSTR
            wrong.append("the SPI is no master of 16 bits at 3 MHz")
        outputs = (board.led.pin, board.service.pin)
        wrong += [f"pin {name} is no peripheral's output" for name in outputs if self._mode(board.pin(name)) != PERIPHERAL]
        if self._mode(board.pin(board.seed.pin)) != PULLED or self._output(board.pin(board.seed.pin)):
            wrong.append("the seed's pin is not pulled down")
        states = {pin: (self._mode(pin), self._output(pin)) for pin in board.wires()}
        wrong += [f"wire pin {pin} is neither pulled up nor low" for pin, is_so in states.items() if is_so not in ((PULLED, 1), (LOW, 0))]
        if self.register(SYSTICK) != 1:
            wrong.append("the time does not run")
        if self.register(IWDG + 4) != 6 or not self._watched:
            wrong.append("the watchdog is off, or too quick")
        return wrong

    def _beyond(self, mu: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        """An access to that half of a page in which there is no RAM."""
        self._invalid(mu, access, address, size, value, data)
        mu.emu_stop()

    def _mode(self, pin: int) -> int:
        port, bit = divmod(pin, 16)
        return self._modes(port) >> 4 * bit & 15

    def _output(self, pin: int) -> int:
        port, bit = divmod(pin, 16)
        return self._outputs[port] >> bit & 1

    def _modes(self, port: int) -> int:
        return self._registers.get(GPIO + PORT * port, FLOATING * 0x11111111)

    def _levels(self, port: int) -> int:
        levels = 0
        for edge in range(EDGES):
            at, bit = divmod(self._wire_pins[edge], 16)
            if at == port:
                levels |= self.look_at_wires(edge) << bit
        if self._seed is not None and self._seed >> 4 == port:
            levels |= 1 << (self._seed & 15)
        return levels

    def _read(self, mu: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        port, register = divmod(address - GPIO, PORT)
        if port in PORTS and register == 0:
            return self._modes(port)
        if port in PORTS and register == 8:
            return self._levels(port)
        if address == SYSTICK + 8:
            self._looks += 1
            return self.look_at_time() * TICKS_US + self._looks % TICKS_US & 0xFFFFFFFF
        if address == USART1:
            return 1 << 7  # sending is instantaneous: TXE
        if address == SPI1 + 8:
            return 2  # the same
        if address == ADC1:
            return 2 if (self.register(ADC1 + 8) or 0) & 1 << 22 else 0  # EOC
        if address == ADC1 + 0x4C:
            return CONVERSION | self._noise() & 1
        if address in (ESIG, ESIG + 4):
            return UNIQUE if address == ESIG else 0
        return self._unknown("reads", address)

    def _write(self, mu: Any, offset: int, size: int, value: int, base: int) -> None:
        address = base + offset
        port, register = divmod(address - GPIO, PORT)
        if port in PORTS and register == 0x10:
            self._outputs[port] = (self._outputs[port] & ~(value >> 16) | value) & 0xFFFF
        elif (port in PORTS and register == 0) or address in WRITABLE:
            self._registers[address] = value
        else:
            self._unknown("writes", address)
        if address == USART1 + 4:
            self.on_report(value & 0xFF)
        elif address == SPI1 + 0xC:
            self.on_light(value & 0xFFFF)
        elif address == IWDG and value == 0xCCCC:
            self._watched = True
        elif address == IWDG and value == 0xAAAA:
            self.fed.append(self.now)
