"""Cycles of a Cortex-M0+ with single-cycle multiplier and single-cycle I/O (ARM DDI 0484C, table 3-1); flash has no wait states."""

from __future__ import annotations

import struct
from typing import Any

from unicorn import arm_const

LOAD_STORE, BRANCH_TAKEN, CALL = 2, 2, 3


class CycleMeter:
    """Counts cycles of a Cortex-M0+ between entry to a function and return from it."""

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
