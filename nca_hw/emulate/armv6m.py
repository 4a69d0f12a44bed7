"""Cycles of a Cortex-M0+ with single-cycle multiplier and single-cycle I/O (ARM DDI 0484C, table 3-1); flash has no wait states."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import unicorn
from unicorn import arm_const

from nca_hw.emulate import ws2812
from nca_hw.emulate.chip import PAGE, Chip
from nca_hw.emulate.wire import WIRES
from nca_hw.formats.boards import Board

LOAD_STORE, BRANCH_TAKEN, CALL = 2, 2, 3


class CortexM0Plus(Chip):
    """A chip with this processor, before its reset: flash from `flash_at` on, RAM from `ram_at` on."""

    pc_register, return_register, thumb = arm_const.UC_ARM_REG_PC, arm_const.UC_ARM_REG_LR, 1
    flash_at: int
    ram_at: int
    ram_bytes: int
    blocks: Sequence[int]  # of registers, each of a page
    light_bits: int = 16  # ws2812.colours
    light_symbols: Mapping[str, str] = ws2812.FOUR_BITS

    def __init__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        self.flash = flash
        self._board = board
        self._noise = noise
        self._wire_pins = board.wires()[::2]
        self._seed = (1 << board.pin(board.seed.pin)) if is_seed else 0
        mu = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        mu.ctl_set_cpu_model(arm_const.UC_CPU_ARM_CORTEX_M0)
        pages = -(-len(flash) // PAGE) * PAGE
        mu.mem_map(self.flash_at, pages, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        mu.mem_write(self.flash_at, flash.ljust(pages, b"\xff"))
        mu.mem_map(self.ram_at, self.ram_bytes)
        super().__init__(mu, self.blocks)

    def light(self, words: Sequence[int]) -> list[int]:
        """See Chip."""
        return ws2812.colours(words, self.light_bits, self.light_symbols)

    def meter(self, function: int) -> CycleMeter:
        """See Chip."""
        meter = CycleMeter(self.flash, self.flash_at, function)
        self.on_every_instruction(meter.step)
        return meter

    def levels(self) -> int:
        """Levels of all wires, as bits by pin."""
        return sum(self.look_at_wires(edge) << pin for edge, pin in enumerate(self._wire_pins))

    def pulled(self, pulled_pins: int, edge: int) -> int:
        """Wires of an edge among pins that are pulled low, as a mask."""
        return pulled_pins >> self._wire_pins[edge] & WIRES


class CycleMeter:
    """Counts cycles between entry to a function and return from it.

    Multiplier and I/O take a single cycle (ARM DDI 0484C, table 3-1); flash and its cache have no wait states.
    """

    def __init__(self, flash: bytes, base: int, function: int) -> None:
        self._flash = flash
        self._base = base
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
        half = struct.unpack_from("<H", self._flash, address - self._base)[0]
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
