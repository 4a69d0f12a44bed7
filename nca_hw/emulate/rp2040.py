"""An RP2040 as far as the firmware uses it: the boot ROM's hand-over, one core, and the registers of the blocks it touches.

The unmodified image runs from reset on unicorn's Cortex-M0. Every access outside its memory and outside the registers modelled here is an
error. Time does not flow by itself: it advances whenever the firmware looks at the timer and has nothing left to receive.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import unicorn
from unicorn import arm_const

from nca_hw.errors import NcaHwError
from nca_hw.firmware.image import BOOT2, FLASH, boot_crc

RAM, RAM_BYTES = 0x20000000, 0x42000
BOOT2_RUNS_AT = 0x20041F00  # RP2040 datasheet, section 2.8.1.3: the second stage is copied to SRAM5
CRYSTAL_HZ = 12_000_000

SSI, RESETS, CLOCKS, XOSC = 0x18000000, 0x4000C000, 0x40008000, 0x40024000
IO_BANK0, SPI0, UART = 0x40014000, 0x4003C000, (0x40034000, 0x40038000)
ROSC_RANDOMBIT, WATCHDOG_TICK, TIMERAWL, GPIO_IN, VTOR = 0x4006001C, 0x4005802C, 0x40054028, 0xD0000004, 0xE000ED08
BLOCKS = (SSI, RESETS, CLOCKS, XOSC, IO_BANK0, SPI0, *UART, 0x40060000, 0x40058000, 0x40054000, 0xD0000000, 0xE000E000)
PAGE = 0x1000
NOWHERE = 0xFFFFFFFE
UARTFR_RXFE = 1 << 4

# Cycles of a Cortex-M0+ with single-cycle multiplier and single-cycle I/O (ARM DDI 0484C, table 3-1); no wait states of the flash cache.
LOAD_STORE, BRANCH_TAKEN, CALL = 2, 2, 3


class EmulationError(NcaHwError):
    """The image did something that the emulated chip does not know, or stopped."""


@dataclass(frozen=True)
class Call:
    """A call of a function, just before its first instruction: the registers as the caller left them (memory is not kept)."""

    function: int
    return_to: int
    registers: Any


class Rp2040:
    """One chip.

    Attributes:
        ports: what each UART has been given to receive; the harness appends bytes.
        on_send: called with (port, byte) for every byte sent. on_light: called with every SPI word. on_idle: called before time advances.
    """

    def __init__(self, flash: bytes, *, seed_pin: int, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        self.flash = flash
        self.ports: tuple[deque[int], deque[int]] = (deque(), deque())
        self.now = 0
        self.step = 1000  # us that pass at a look at the timer
        self.on_send: Callable[[int, int], None] = lambda port, byte: None
        self.on_light: Callable[[int], None] = lambda word: None
        self.on_idle: Callable[[], None] = lambda: None
        self._noise = noise
        self._gpio = (1 << seed_pin) if is_seed else 0
        self._registers: dict[int, int] = {}
        self._fault: str | None = None
        self._stop = False
        self._mu = mu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        mu.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
        mu.mem_map(FLASH, -(-len(flash) // PAGE) * PAGE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        mu.mem_write(FLASH, flash.ljust(-(-len(flash) // PAGE) * PAGE, b"\xff"))
        mu.mem_map(RAM, RAM_BYTES)
        for base in BLOCKS:
            mu.mmio_map(base, PAGE, self._read, base, self._write, base)
        mu.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)

    def reset(self, stack_fill: int = 0xA5) -> None:
        """What the boot ROM does: check the second stage and copy it to SRAM. SRAM holds `stack_fill` everywhere else."""
        block = self.flash[:BOOT2]
        if boot_crc(block[:-4]) != struct.unpack_from("<I", block, BOOT2 - 4)[0]:
            raise EmulationError("the boot ROM would refuse the second stage: its CRC is wrong")
        self._mu.mem_write(RAM, bytes([stack_fill]) * RAM_BYTES)
        self._mu.mem_write(BOOT2_RUNS_AT, block)
        self._pc = BOOT2_RUNS_AT

    def run(self, timeout_s: float = 600) -> None:
        """Run until `stop` is called from a callback.

        Raises:
            EmulationError: a fault, an access outside the memory map, or the time limit.
        """
        self._stop = False
        self._run_until(NOWHERE, timeout_s)
        if not self._stop:
            raise EmulationError(f"the image did not finish within {timeout_s:g} s")

    def run_to_call(self, function: int, timeout_s: float = 60) -> Call:
        """Run until a function is called for the first time; its first instruction is the next.

        Raises:
            EmulationError: as from `run`.
        """
        self._run_until(function, timeout_s)
        if self._pc != function:
            raise EmulationError(f"the image did not call {function:#010x} within {timeout_s:g} s")
        return Call(function, self._mu.reg_read(arm_const.UC_ARM_REG_LR) & ~1, self._mu.context_save())

    def repeat(self, call: Call, timeout_s: float = 0) -> None:
        """Run a call once more, with its registers and with memory as it is now, until it returns.

        Args:
            timeout_s: 0 for none; a limit costs more than a short call.
        Raises:
            EmulationError: as from `run`.
        """
        self._mu.context_restore(call.registers)
        self._pc = call.function
        self._run_until(call.return_to, timeout_s)
        if self._pc != call.return_to:
            raise EmulationError(f"the call of {call.function:#010x} did not return within {timeout_s:g} s")

    def stop(self) -> None:
        """End `run` at the next instruction; only from a callback."""
        self._stop = True
        self._mu.emu_stop()

    def _run_until(self, address: int, timeout_s: float) -> None:
        """Run until the instruction at `address` is the next, the time is over, or somebody stops the emulator."""
        try:
            self._mu.emu_start(self._pc | 1, address, timeout=round(timeout_s * 1e6))
        except unicorn.UcError as error:
            pc = self._mu.reg_read(arm_const.UC_ARM_REG_PC)
            raise EmulationError(self._fault or f"the image stopped at {pc:#010x}: {error}") from None
        self._pc = self._mu.reg_read(arm_const.UC_ARM_REG_PC)
        if self._fault is not None:
            raise EmulationError(self._fault)

    def memory(self, address: int, size: int) -> bytes:
        """RAM or flash as it is now."""
        return bytes(self._mu.mem_read(address, size))

    def stack_high_water(self, stack_top: int, floor: int, fill: int = 0xA5) -> int:
        """Bytes below `stack_top` that were ever written, down to `floor`."""
        below = self.memory(floor, stack_top - floor)
        untouched = len(below) - len(below.lstrip(bytes([fill])))
        return len(below) - untouched

    def write(self, address: int, data: bytes) -> None:
        """Write RAM."""
        self._mu.mem_write(address, data)

    def count_cycles(self, meter: CycleMeter) -> None:
        """Let a meter see every instruction from now on (slow)."""
        self._mu.hook_add(unicorn.UC_HOOK_CODE, meter.step)

    def _read(self, mu: Any, offset: int, size: int, base: int) -> int:
        address = base + offset
        if address == TIMERAWL:
            if not any(self.ports):
                self.on_idle()
                if not any(self.ports):
                    self.now += self.step
            return self.now & 0xFFFFFFFF
        if base in UART:
            port = UART.index(base)
            if offset == 0x18:
                return 0 if self.ports[port] else UARTFR_RXFE  # sending is instantaneous: TXFF is never set
            if offset == 0:
                return self.ports[port].popleft() if self.ports[port] else 0
        if address == ROSC_RANDOMBIT:
            return self._noise() & 1
        if address == GPIO_IN:
            return self._gpio
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
        if base in UART:
            if offset == 0:
                self.on_send(UART.index(base), value & 0xFF)
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
        elif address not in (XOSC, CLOCKS + 0x30, CLOCKS + 0x48, RESETS, WATCHDOG_TICK, VTOR) and base != SSI:
            self._unknown("writes", address)

    def register(self, address: int) -> int | None:
        """What the firmware has written to a register, None if it never did."""
        return self._registers.get(address)

    def _unknown(self, verb: str, address: int) -> int:
        if self._fault is None:
            self._fault = f"the image {verb} {address:#010x}, a register that it has no business with"
        self._mu.emu_stop()
        return 0

    def _invalid(self, mu: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        pc = mu.reg_read(arm_const.UC_ARM_REG_PC)
        self._fault = f"the image at {pc:#010x} accesses {address:#010x}, which is outside its memory map"
        return False


class CycleMeter:
    """Counts cycles of a Cortex-M0+ between entry to a function and return from it."""

    def __init__(self, flash: bytes, function: int) -> None:
        self._flash = flash
        self._function = function
        self._costs: dict[int, tuple[int, int]] = {}
        self._return_to: int | None = None
        self._last: int | None = None
        self.cycles: list[int] = []
        self.instructions: list[int] = []

    def step(self, mu: Any, address: int, size: int, data: Any) -> None:
        """One instruction is about to run."""
        if address == self._function:
            self._return_to = mu.reg_read(arm_const.UC_ARM_REG_LR) & ~1
            self.cycles.append(0)
            self.instructions.append(0)
            self._last = None
        elif address == self._return_to:
            self._settle(address)
            self._return_to = self._last = None
        if self._return_to is None:
            return
        self._settle(address)
        self._last = address
        self.instructions[-1] += 1

    def _settle(self, following: int) -> None:
        if self._last is None:
            return
        if self._last not in self._costs:
            self._costs[self._last] = self._cost(self._last)
        cost, size = self._costs[self._last]
        taken = following != self._last + size
        self.cycles[-1] += cost + (BRANCH_TAKEN - 1 if taken and cost == 1 else 0)

    def _cost(self, address: int) -> tuple[int, int]:
        half = struct.unpack_from("<H", self._flash, address - FLASH)[0]
        if half >> 11 == 0b11110:
            return CALL, 4
        if half & 0xF600 == 0xB400:  # push, pop: 1 + registers, and the refill of a pop into pc
            return 1 + (half & 0xFF).bit_count() + (2 + 1 if half & 0xFF00 == 0xBD00 else half >> 8 & 1), 2
        if half & 0xF000 == 0xC000:  # ldmia, stmia
            return 1 + (half & 0xFF).bit_count(), 2
        if half & 0xF800 == 0x4800 or 0x5000 <= half < 0xA000:
            return LOAD_STORE, 2
        if half & 0xFF00 == 0x4700:  # bx, blx
            return 2, 2
        return 1, 2
