"""An STM32G031 as far as the firmware uses it: one core from its vectors on, and the registers of blocks that have been given a clock.

Source of registers, resets and clocks: RM0444, by sections as in firmware_templates/stm32g031/board.c.j2.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from typing import Any

import unicorn
from unicorn import arm_const

from nca_hw.core.frames import BAUD
from nca_hw.emulate.armv6m import CortexM0Plus
from nca_hw.emulate.chip import PAGE
from nca_hw.firmware.families.stm32g031 import FLASH
from nca_hw.formats.boards import Board

RAM, RAM_BYTES = 0x20000000, 8192
CLOCK_HZ = 16_000_000

RCC, GPIO, TIM2, TIM16, SPI1, USART2, IWDG = 0x40021000, 0x50000000, 0x40000000, 0x40014400, 0x40013000, 0x40004400, 0x40003000
GPIOA, GPIOB = GPIO, GPIO + 0x400
IOPENR, APBENR1, APBENR2 = RCC + 0x34, RCC + 0x3C, RCC + 0x40
FLASH_CONTROL, SCB = 0x40022000, 0xE000ED00
BLOCKS = (RCC, GPIO, TIM2, TIM16 & ~0xFFF, SPI1, USART2 & ~0xFFF, IWDG, FLASH_CONTROL, SCB & ~0xFFF)
PORT = 0x400  # bytes of a port's registers
GATES = {GPIOA: (IOPENR, 0), GPIOB: (IOPENR, 1), TIM2: (APBENR1, 0), USART2: (APBENR1, 17), SPI1: (APBENR2, 12), TIM16: (APBENR2, 17)}
WRITABLE = {
    RCC: (0x34, 0x3C, 0x40), GPIOA: (0, 4, 0xC, 0x18, 0x20), GPIOB: (0, 4, 0xC, 0x18), TIM2: (0, 0x14, 0x28), TIM16: (0, 0x18, 0x20, 0x68),
    SPI1: (0, 4, 0xC),
    USART2: (0, 8, 0xC, 0x28), IWDG: (0, 4), FLASH_CONTROL: (8, 0x10, 0x14, 0x18),
    SCB: (8, 0xC),
}  # fmt: skip
RESET = {GPIOA: 0xEBFFFFFF, GPIOB: 0xFFFFFFFF, GPIOA + 0xC: 0x24000000}
KEYS = (0x45670123, 0xCDEF89AB)  # section 3.3.6
LOCK, STRT, PG, PER = 1 << 31, 1 << 16, 1, 2
ERASED = 2048  # bytes that are erased at a time: section 3.3.1
RESET_REQUEST = 0x05FA0004  # ARMv6-M Architecture Reference Manual, section B3.2.6
ANALOG, OUTPUT, FUNCTION, INPUT = 3, 1, 2, 0


class Stm32g031(CortexM0Plus):
    """One chip. Its LED hears five bits of the SPI a bit.

    Attributes:
        hears: bytes on their way into the service port. restarted: the firmware has asked for a reset, which ended the run.
        on_flash: called with address and size before a page of flash is erased or a double word written.
    """

    flash_at, ram_at, ram_bytes, stack_top, blocks = FLASH, RAM, RAM_BYTES, RAM + RAM_BYTES, BLOCKS
    light_bits, light_symbols = 10, {"10000": "0", "11100": "1"}

    def __init__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        super().__init__(flash, board, is_seed=is_seed, noise=noise)
        self._wire_pins = [pin - 16 for pin in self._wire_pins]  # of port B
        self._out = 0  # GPIOB's ODR
        self._registers |= RESET
        self._unlocked = False
        self.hears: deque[int] = deque()
        self.restarted = False
        self.on_flash: Callable[[int, int], None] = lambda address, size: None
        self._keys: list[int] = []
        size = -(-len(flash) // PAGE) * PAGE
        self._mu.mem_protect(FLASH, size, unicorn.UC_PROT_ALL)
        self._mu.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._program, begin=FLASH, end=FLASH + size - 1)

    def reset(self, stack_fill: int = 0xA5) -> None:
        """Power on: stack pointer and first instruction from the vectors."""
        self.write(RAM, bytes([stack_fill]) * RAM_BYTES)
        stack, entry = struct.unpack_from("<II", self.flash)
        self._mu.reg_write(arm_const.UC_ARM_REG_SP, stack)
        self._pc = entry & ~1

    def pulls(self, edge: int) -> int:
        """See Chip: outputs that are low."""
        outputs = sum(1 << pin for pin in range(16) if self._mode(GPIOB, pin) == OUTPUT)
        return self.pulled(outputs & ~self._out, edge)

    def wrong_setup(self) -> list[str]:
        """See Chip: baud rate, modes, functions and pulls of pins, the microsecond, the watchdog."""
        wrong, board = [], self._board
        baud = CLOCK_HZ / max(self._registers.get(USART2 + 0xC, 0), 1)
        if abs(baud / BAUD - 1) > 0.01:
            wrong.append(f"the service port runs at {baud:.0f} baud, not {BAUD}")
        for pin in (pin - 16 for pin in board.wires()):
            open_drain, pull = self._registers.get(GPIOB + 4, 0) >> pin & 1, self._registers.get(GPIOB + 0xC, 0) >> 2 * pin & 3
            if (self._mode(GPIOB, pin), open_drain, pull) != (OUTPUT, 1, 1):
                wrong.append(f"the wire at PB{pin} is no open-drain output with a pull-up")
        for pin, function in ((board.pin(board.led.pin), 0), (board.pin(board.service.pin), 1)):
            if self._mode(GPIOA, pin) != FUNCTION or self._registers.get(GPIOA + 0x20, 0) >> 4 * pin & 15 != function:
                wrong.append(f"pin PA{pin} is not in function {function}")
        strap = board.pin(board.seed.pin)
        if (self._mode(GPIOA, strap), self._registers[GPIOA + 0xC] >> 2 * strap & 3) != (INPUT, 2):
            wrong.append("the strap is no input that is pulled down")
        pulls = self._registers[GPIOA + 0xC]
        if any((self._mode(GPIOA, pin), pulls >> 2 * pin & 3) != (FUNCTION, pull) for pin, pull in ((13, 1), (14, 2))):
            wrong.append("the debugger's pins are not as reset leaves them")
        if self._registers.get(TIM2 + 0x28, 0) + 1 != CLOCK_HZ // 1_000_000:
            wrong.append("the timer does not count microseconds")
        if self._registers.get(IWDG + 4) != 3:
            wrong.append("the watchdog is off, or not of 4.1 s")
        return wrong

    def _control(self, value: int) -> None:
        """FLASH_CR: section 3.7.5."""
        if self._registers.get(FLASH_CONTROL + 0x14, LOCK) & LOCK:
            self._unknown("writes without a key", FLASH_CONTROL + 0x14)
            return
        self._registers[FLASH_CONTROL + 0x14] = value & ~STRT
        if value & LOCK:
            self._keys = []
        if value & STRT and value & PER:
            page = FLASH + (value >> 3 & 0x7F) * ERASED
            self.on_flash(page, ERASED)
            self.write(page, b"\xff" * ERASED)

    def _program(self, mu: Any, access: int, address: int, size: int, value: int, data: Any) -> None:
        """A write into flash: words of double words that are erased, with PG set; section 3.3.8."""
        control = self._registers.get(FLASH_CONTROL + 0x14, LOCK)
        if control & LOCK or not control & PG or size != 4 or self.memory(address, 4) != b"\xff" * 4:
            self._fault = self._fault or f"the image writes {address:#010x}, flash that is locked or not erased"
            mu.emu_stop()
        elif address % 8 == 4:
            self.on_flash(address - 4, 8)

    def _mode(self, port: int, pin: int) -> int:
        return self._registers[port] >> 2 * pin & 3

    def _block(self, address: int) -> int:
        """Base of the block that an address is of; 0 if it is of none, or of one without a clock."""
        base = next((base for base in WRITABLE if base <= address < base + PORT), 0)
        register, bit = GATES.get(base, (0, 0))
        return base if register == 0 or self._registers.get(register, 0) >> bit & 1 else 0

    def _read(self, mu: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        if self._block(address) == 0:
            return self._unknown("reads", address)
        if address == GPIOB + 0x10:
            return self.levels()
        if address == GPIOA + 0x10:
            return self._seed
        if address == TIM2 + 0x24:
            return self.look_at_time() & 0xFFFFFFFF
        if address == USART2 + 0x1C:
            heard = 1 << 5 if self.hears and self._registers.get(USART2, 0) & 5 == 5 else 0
            return heard | (1 << 7 if self._registers.get(USART2, 0) & 9 == 9 else 0)  # sending is instantaneous
        if address == USART2 + 0x24:
            return self.hears.popleft() if self.hears else 0
        if address == FLASH_CONTROL + 0x10:
            return 0  # whatever is told to the flash is done at once
        if address == FLASH_CONTROL + 0x14:
            return self._registers.get(address, LOCK)
        if address == SPI1 + 8:
            return 2 if self._registers.get(SPI1, 0) & 1 << 6 else 0
        if address == TIM16 + 0x10:
            captures = [self._registers.get(TIM16 + register, 0) & 1 for register in (0, 0x18, 0x20, 0x68)]
            return 2 if all(captures) and self._registers.get(IWDG + 4) is not None else 0  # the watchdog has started the LSI
        if address == TIM16 + 0x34:
            return self._noise() & 1
        return self._unknown("reads", address)

    def _write(self, mu: Any, offset: int, size: int, value: int, base: int) -> None:
        address = base + offset
        block = self._block(address)
        if block == 0 or address - block not in WRITABLE[block]:
            self._unknown("writes", address)
        elif address == GPIOB + 0x18:  # BSRR: where both are told, set wins
            self._out = self._out & ~(value >> 16) | value & 0xFFFF
        elif address == SPI1 + 0xC:
            if size != 2 or self._registers.get(SPI1 + 4) != 9 << 8:
                self._unknown(f"writes {size} bytes to", address)
            self.on_light(value & 0x3FF)
        elif address == USART2 + 0x28:
            self.on_report(value & 0xFF)
        elif address == IWDG:
            if value not in (0xCCCC, 0x5555, 0xAAAA):
                self._unknown(f"writes {value:#x} to", address)
            self._unlocked = value == 0x5555
        elif address == FLASH_CONTROL + 8:
            self._keys = [*self._keys, value][-2:]
            if tuple(self._keys) == KEYS:
                self._registers[FLASH_CONTROL + 0x14] = 0
        elif address == FLASH_CONTROL + 0x14:
            self._control(value)
        elif address == SCB + 0xC:
            if value != RESET_REQUEST:
                self._unknown(f"writes {value:#x} to", address)
            self.restarted = True
            self.stop()
        elif address == IWDG + 4 and not self._unlocked:
            self._unknown("writes without a key", address)
        else:
            self._registers[address] = value
