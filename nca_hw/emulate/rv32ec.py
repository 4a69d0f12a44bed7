"""Instructions of an RV32EC processor, counted. The CH32V003's maker tells no cycles of its instructions: cycles are instructions here."""

from __future__ import annotations

from typing import Any

from unicorn import riscv_const


class InstructionMeter:
    """Counts instructions between entry to a function and return from it."""

    def __init__(self, function: int) -> None:
        self._function = function
        self._return_to: int | None = None
        self.instructions: list[int] = []
        self.cycles = self.instructions

    def step(self, mu: Any, address: int, size: int, data: Any) -> None:
        """One instruction is about to run."""
        if address == self._function:
            self._return_to = mu.reg_read(riscv_const.UC_RISCV_REG_RA)
            self.instructions.append(0)
        elif address == self._return_to:
            self._return_to = None
        if self._return_to is not None:
            self.instructions[-1] += 1
