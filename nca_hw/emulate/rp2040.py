"""An RP2040 as far as the firmware uses it: the boot ROM's hand-over, one core, and the registers of the blocks it touches.

The unmodified image runs from reset on unicorn's Cortex-M0.
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
from nca_hw.emulate.chip import PAGE, EmulationError
from nca_hw.firmware.families.rp2040 import FLASH, SECTOR, number_at
from nca_hw.formats.boards import Board
from nca_hw.formats.boot2 import BOOT2, boot_crc

RAM, RAM_BYTES = 0x20000000, 0x42000
STACK_TOP = RAM + 0x40000
BOOT2_RUNS_AT = 0x20041F00  # RP2040 datasheet, section 2.8.1.3: the second stage is copied to SRAM5
CRYSTAL_HZ = 12_000_000

SSI, RESETS, CLOCKS, XOSC, PADS_BANK0 = 0x18000000, 0x4000C000, 0x40008000, 0x40024000, 0x4001C000
IO_BANK0, SPI0, UART0, SIO, WATCHDOG = 0x40014000, 0x4003C000, 0x40034000, 0xD0000000, 0x40058000
ROSC_RANDOMBIT, WATCHDOG_TICK, TIMERAWL, VTOR = 0x4006001C, 0x4005802C, 0x40054028, 0xE000ED08
PSM_WDSEL = 0x40010008
RESET_ALL = 0x1FFFC  # section 2.13.5: all that the watchdog can reset, but for the two oscillators. Out of reset it is 0: nothing
BLOCKS = (SSI, PSM_WDSEL & ~0xFFF, RESETS, CLOCKS, XOSC, PADS_BANK0, IO_BANK0, SPI0, UART0, WATCHDOG,
          0x40060000, 0x40054000, SIO, 0xE000E000)
NEEDED = 1 << 5 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 16 | 1 << 21 | 1 << 22  # IO, pads (the flash's too), SPI0, timer, UART0
TRIGGER = 1 << 31
PLAIN = (PSM_WDSEL, XOSC, CLOCKS + 0x30, CLOCKS + 0x48, RESETS, WATCHDOG, WATCHDOG + 4, WATCHDOG_TICK, VTOR)  # that may be written

# The boot ROM (section 2.8.3), as far as it is called: places of our choice. It writes the flash chip, which can't be read until the SSI is
# set up anew.
ROM, ROM_BYTES, ROM_TABLE, ROM_LOOKUP, ROM_FUNCTIONS = 0, 0x4000, 0x100, 0x200, 0x300
NAMES = ("IF", "EX", "RE", "RP", "FC")
RETURN = struct.pack("<H", 0x4770)  # bx lr
SERIAL_READ = {0x14: 4, 0x00: 31 << 16 | 3 << 8, 0x04: 0, 0xF4: 0x03 << 24 | 2 << 8 | 6 << 2}  # SSI: command 03h, section 4.10
FLASH_PAGE = 256


class Rp2040(CortexM0Plus):
    """One chip. Its LED hears four bits of the SPI a bit.

    Attributes:
        hears: bytes on their way into the service port. restarted: the firmware has asked for a reset, which ended the run.
        on_flash: called with address and size before a sector of flash is erased or a page written.
    """

    flash_at, ram_at, ram_bytes, stack_top, blocks = FLASH, RAM, RAM_BYTES, STACK_TOP, BLOCKS

    def __init__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        self._output_enabled = 0
        self.hears: deque[int] = deque()
        self.restarted = False
        self.on_flash: Callable[[int, int], None] = lambda address, size: None
        self._readable = True
        super().__init__(flash, board, is_seed=is_seed, noise=noise)
        number = number_at(board)
        mu = self._mu
        if number >= FLASH + -(-len(flash) // SECTOR) * SECTOR:
            mu.mem_map(number, SECTOR, unicorn.UC_PROT_READ)
            mu.mem_write(number, b"\xff" * SECTOR)
        mu.mem_map(ROM, ROM_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        mu.mem_write(ROM + 0x14, struct.pack("<HHH", ROM_TABLE, 0, ROM_LOOKUP | 1))
        for number in range(len(NAMES)):
            mu.mem_write(ROM_FUNCTIONS + 16 * number, RETURN)
        mu.mem_write(ROM_LOOKUP, RETURN)
        mu.hook_add(unicorn.UC_HOOK_CODE, self._rom, begin=ROM, end=ROM + ROM_BYTES - 1)

    def _rom(self, mu: Any, address: int, size: int, data: Any) -> None:
        """A function of the boot ROM is called."""
        r0, r1, r2, r3 = (mu.reg_read(register) for register in range(arm_const.UC_ARM_REG_R0, arm_const.UC_ARM_REG_R0 + 4))
        if address == ROM_LOOKUP:
            name = chr(r1 & 0xFF) + chr(r1 >> 8)
            found = ROM_FUNCTIONS + 16 * NAMES.index(name) | 1 if r0 == ROM_TABLE and name in NAMES else 0
            mu.reg_write(arm_const.UC_ARM_REG_R0, found)
            return
        name = NAMES[(address - ROM_FUNCTIONS) // 16] if address >= ROM_FUNCTIONS and address % 16 == 0 else ""
        if name == "EX":
            self._readable = False
            mu.mem_protect(FLASH, self._flash_bytes, unicorn.UC_PROT_NONE)
        elif name == "RE" and not self._readable and (r0 % SECTOR, r1, r2, r3) == (0, SECTOR, SECTOR, 0x20):
            self.on_flash(FLASH + r0, SECTOR)
            self.write(FLASH + r0, b"\xff" * SECTOR)
        elif name == "RP" and not self._readable and (r0 % FLASH_PAGE, r2) == (0, FLASH_PAGE):
            self.on_flash(FLASH + r0, FLASH_PAGE)
            old, new = self.memory(FLASH + r0, FLASH_PAGE), self.memory(r1, FLASH_PAGE)
            self.write(FLASH + r0, bytes(a & b for a, b in zip(old, new, strict=True)))
        elif name not in ("IF", "FC"):
            self._unknown("calls", address)

    @property
    def _flash_bytes(self) -> int:
        return -(-len(self.flash) // PAGE) * PAGE

    def _set_up_ssi(self) -> None:
        """The SSI goes on: with what boot2.S tells it the flash can be read."""
        if not self._readable and all(self._registers.get(SSI + offset) == value for offset, value in SERIAL_READ.items()):
            self._readable = True
            self._mu.mem_protect(FLASH, self._flash_bytes, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)

    def reset(self, stack_fill: int = 0xA5) -> None:
        """What the boot ROM does: check the second stage and copy it to SRAM. SRAM holds `stack_fill` everywhere else."""
        block = self.flash[:BOOT2]
        if boot_crc(block[:-4]) != struct.unpack_from("<I", block, BOOT2 - 4)[0]:
            raise EmulationError("the boot ROM would refuse the second stage: its CRC is wrong")
        self.write(RAM, bytes([stack_fill]) * RAM_BYTES)
        self.write(BOOT2_RUNS_AT, block)
        self._pc = BOOT2_RUNS_AT

    def pulls(self, edge: int) -> int:
        """See Chip."""
        return self.pulled(self._output_enabled, edge)

    def wrong_setup(self) -> list[str]:
        """See Chip: baud rate, functions of pins and their pads, blocks out of reset, watchdog."""
        wrong, board = [], self._board
        divisor = (self.register(UART0 + 0x24) or 0) + (self.register(UART0 + 0x28) or 0) / 64
        baud = CRYSTAL_HZ / (16 * divisor) if divisor else 0
        if abs(baud / BAUD - 1) > 0.01:
            wrong.append(f"the service port runs at {baud:.0f} baud, not {BAUD}")
        functions = {**dict.fromkeys(board.wires(), 5), board.pin(board.service.pin): 2, board.pin(board.led.pin): 1}  # SIO, UART, SPI
        for pin, function in functions.items():
            found = self.register(IO_BANK0 + 4 + 8 * pin)
            if found != function:
                wrong.append(f"pin {pin} has function {found}, not {function}")
        for pin in board.wires():
            pad = self.register(PADS_BANK0 + 4 + 4 * pin)
            if pad is None or pad & 0xCC != 0x48:  # output not disabled, input enabled, pulled up and not down
                wrong.append(f"the pad of wire pin {pin} is no input with a pull-up: {pad}")
        if (self.register(RESETS) or 0) & NEEDED:
            wrong.append(f"blocks are held in reset: {(self.register(RESETS) or 0) & NEEDED:#x}")
        if self.register(WATCHDOG_TICK) != 1 << 9 | CRYSTAL_HZ // 1_000_000:
            wrong.append("the timer does not count microseconds")
        if not (self.register(WATCHDOG) or 0) & 1 << 30:
            wrong.append("the watchdog is off")
        if self.register(PSM_WDSEL) != RESET_ALL:
            wrong.append(f"the watchdog does not reset all but the oscillators: {self.register(PSM_WDSEL)}")
        return wrong

    def _read(self, mu: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        if address == SIO + 4:
            return self._seed | self.levels()
        if address == TIMERAWL:
            return self.look_at_time() & 0xFFFFFFFF
        if address == UART0 + 0x18:
            hears = self.hears and self._registers.get(UART0 + 0x30, 0) & 1 << 9
            return 0 if hears else 1 << 4  # RXFE; sending is instantaneous: TXFF is never set
        if address == UART0:
            return self.hears.popleft() if self.hears else 0
        if address == SPI0 + 0xC:
            return 2  # TNF: the LEDs take every word at once
        if address == ROSC_RANDOMBIT:
            return self._noise() & 1
        if address == XOSC + 4:
            return 1 << 31 if self._registers.get(XOSC, 0) == 0xFABAA0 else 0  # STABLE once it is enabled
        if address == CLOCKS + 0x38:
            return 1 << (self._registers.get(CLOCKS + 0x30, 0) & 3)
        if address == RESETS + 8:
            return ~self._registers.get(RESETS, 0x1FFFFFF) & 0x1FFFFFF
        return self._unknown("reads", address)

    def _write(self, mu: Any, offset: int, size: int, value: int, base: int) -> None:
        address = base + offset
        self._registers[address] = value
        if base == SIO:
            if offset == 0x24:
                self._output_enabled |= value
            elif offset == 0x28:
                self._output_enabled &= ~value
            else:
                self._unknown("writes", address)
        elif base == UART0:
            if offset == 0:
                self.on_report(value & 0xFF)
            elif offset not in (0x24, 0x28, 0x2C, 0x30):
                self._unknown("writes", address)
        elif base == SPI0:
            if offset == 8:
                self.on_light(value & 0xFFFF)
            elif offset not in (0, 4, 0x10):
                self._unknown("writes", address)
        elif base == IO_BANK0:
            if offset % 8 != 4:
                self._unknown("writes", address)
        elif base == PADS_BANK0:
            if not 4 <= offset < 4 + 4 * 30:
                self._unknown("writes", address)
        elif address == WATCHDOG and value & TRIGGER:
            self.restarted = True
            self.stop()
        elif address == SSI + 8 and value == 1:
            self._set_up_ssi()
        elif address not in PLAIN and base != SSI:
            self._unknown("writes", address)
