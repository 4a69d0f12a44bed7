"""A chip on unicorn, whatever its instruction set: memory, runs, calls that are repeated, and what a harness may look at.

Every access outside its memory and outside the registers that a family models is an error. Time does not flow by itself: it advances
whenever the firmware looks at the time and nothing is going on at its wires.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import unicorn

from nca_hw.emulate.wire import WIRES, WireEnd
from nca_hw.errors import LimitMissed

PAGE = 0x1000
NOWHERE = 0xFFFFFFFE
EDGES = 4


class EmulationError(LimitMissed):
    """The image did something that the emulated chip does not know, told something wrong, or stopped: it is not what it should be."""


@dataclass(frozen=True)
class Call:
    """A call of a function, just before its first instruction: the registers as the caller left them (memory is not kept)."""

    function: int
    return_to: int
    registers: Any


class Meter(Protocol):
    """Counts calls of a function: instructions, and cycles of the real processor."""

    cycles: list[int]
    instructions: list[int]


class Chip:
    """One chip. A family derives from it and models its registers in `_read` and `_write`.

    Attributes:
        now: ticks of the firmware's time. step: ticks that pass at a look at the time.
        ends: what is at the other ends of the wires, north to west; None is nothing.
        on_report: called with every byte out of the service port. on_light: called with every word to the LED. on_idle: called before
            time advances.
    """

    stack_top: int
    pc_register: int
    return_register: int
    thumb = 0  # 1 where addresses of code are odd

    def __init__(self, mu: Any, blocks: Sequence[int]) -> None:
        self.now = 0
        self.step = 1000
        self.ends: list[WireEnd | None] = [None] * EDGES
        self.on_report: Callable[[int], None] = lambda byte: None
        self.on_light: Callable[[int], None] = lambda word: None
        self.on_idle: Callable[[], None] = lambda: None
        self._registers: dict[int, int] = {}
        self._fault: str | None = None
        self._stop = False
        self._pc = 0
        self._mu = mu
        for base in blocks:
            mu.mmio_map(base, PAGE, self._read, base, self._write, base)
        if mu is not None:
            mu.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._invalid)

    def reset(self, stack_fill: int = 0xA5) -> None:
        """Power on. RAM holds `stack_fill` everywhere."""
        raise NotImplementedError

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
        return Call(function, self._mu.reg_read(self.return_register) & ~self.thumb, self._mu.context_save())

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

    def memory(self, address: int, size: int) -> bytes:
        """RAM or flash as it is now."""
        return bytes(self._mu.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Write RAM."""
        self._mu.mem_write(address, data)

    def stack_high_water(self, stack_top: int, floor: int, fill: int = 0xA5) -> int:
        """Bytes below `stack_top` that were ever written, down to `floor`."""
        below = self.memory(floor, stack_top - floor)
        untouched = len(below) - len(below.lstrip(bytes([fill])))
        return len(below) - untouched

    def on_every_instruction(self, step: Callable[[Any, int, int, Any], None]) -> None:
        """Let somebody see every instruction, with (unicorn, address, size, None): slow.

        Only before the first run: unicorn keeps what it has translated.
        """
        self._mu.hook_add(unicorn.UC_HOOK_CODE, step)

    def register(self, address: int) -> int | None:
        """What the firmware has written to a register, None if it never did."""
        return self._registers.get(address)

    def look_at_time(self) -> int:
        """The time, for a family's timer: it goes on while nothing goes on at the wires."""
        if not self._is_at_wires():
            try:
                self.on_idle()
            except EmulationError as error:  # raised once the emulator has stopped: it may not pass through it
                self._fault = str(error)
                self._mu.emu_stop()
            if not self._is_at_wires():
                self.now += self.step
        return self.now

    def look_at_wires(self, edge: int) -> int:
        """Levels of an edge's wires as the chip sees them, for a family's ports."""
        end, pulls = self.ends[edge], self.pulls(edge)
        return WIRES & ~pulls if end is None else end.look(pulls)

    def pulls(self, edge: int) -> int:
        """Wires of an edge that the chip pulls low, as a mask."""
        raise NotImplementedError

    def wrong_setup(self) -> list[str]:
        """What the firmware should have written into registers and did not, in words."""
        raise NotImplementedError

    def light(self, words: Sequence[int]) -> list[int]:
        """The three colours that words to the LED stand for, 0 to 255, in the LED's order; -1 for a colour that is none."""
        raise NotImplementedError

    def meter(self, function: int) -> Meter:
        """Counts instructions and cycles of a function; to be asked for before the first run."""
        raise NotImplementedError

    def _is_at_wires(self) -> bool:
        return any(end is not None and (end.busy or self.pulls(edge)) for edge, end in enumerate(self.ends))

    def _run_until(self, address: int, timeout_s: float) -> None:
        """Run until the instruction at `address` is the next, the time is over, or somebody stops the emulator."""
        try:
            self._mu.emu_start(self._pc | self.thumb, address, timeout=round(timeout_s * 1e6))
        except unicorn.UcError as error:
            pc = self._mu.reg_read(self.pc_register)
            raise EmulationError(self._fault or f"the image stopped at {pc:#010x}: {error}") from None
        self._pc = self._mu.reg_read(self.pc_register)
        if self._fault is not None:
            raise EmulationError(self._fault)

    def _read(self, mu: Any, offset: int, size: int, base: int) -> int:
        raise NotImplementedError

    def _write(self, mu: Any, offset: int, size: int, value: int, base: int) -> None:
        raise NotImplementedError

    def _unknown(self, verb: str, address: int) -> int:
        if self._fault is None:
            self._fault = f"the image {verb} {address:#010x}, a register that it has no business with"
        self._mu.emu_stop()
        return 0

    def _invalid(self, mu: Any, access: int, address: int, size: int, value: int, data: Any) -> bool:
        pc = mu.reg_read(self.pc_register)
        self._fault = f"the image at {pc:#010x} accesses {address:#010x}, which is outside its memory map"
        return False
