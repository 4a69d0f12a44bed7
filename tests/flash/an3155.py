"""The serial boot loader of an STM32G031 by STMicroelectronics AN3155 and AN2606, for tests: the board's end of a pseudo-terminal."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from functools import reduce

from stand_ins import first_frame

from nca_hw.emulate.stm32g031 import Stm32g031
from nca_hw.formats.boards import load_board

ACK, NACK = b"\x79", b"\x1f"
GET, VERSION, ID, READ, GO, WRITE, ERASE = 0x00, 0x01, 0x02, 0x11, 0x21, 0x31, 0x44
COMMANDS = bytes([GET, VERSION, ID, READ, GO, WRITE, ERASE])
PRODUCT = 0x466  # STM32G03x, G04x
FLASH, SIZE = 0x08000000, 64 * 1024


class Gone(Exception):
    """The test is over."""


class Stm32:
    """A board with BOOT0 up. `sticks`: an address in flash that keeps what it holds. `silent_image`: nothing is heard of the program."""

    def __init__(self, terminal: int, *, product: int = PRODUCT, sticks: int | None = None, silent_image: bool = False) -> None:
        self.flash = bytearray(b"\xff" * SIZE)
        self.started: list[int] = []
        self._terminal, self._product, self._sticks, self._silent = terminal, product, sticks, silent_image
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _take(self, count: int) -> bytes:
        taken = b""
        while len(taken) < count:
            if self._end.is_set():
                raise Gone
            if select.select([self._terminal], [], [], 0.05)[0]:
                taken += os.read(self._terminal, count - len(taken))
        return taken

    def _give(self, data: bytes) -> None:
        os.write(self._terminal, data)

    def _serve(self) -> None:
        does: dict[int, Callable[[], None]] = {
            GET: lambda: self._give(bytes([len(COMMANDS), 0x31]) + COMMANDS + ACK), VERSION: lambda: self._give(b"\x31\0\0" + ACK),
            ID: lambda: self._give(bytes([1, self._product >> 8, self._product & 0xFF]) + ACK),
            READ: self._read, GO: self._go, WRITE: self._write, ERASE: self._erase,
        }  # fmt: skip
        try:
            while self._take(1) != b"\x7f":
                pass
            self._give(ACK)
            while not self.started:
                command, complement = self._take(1)[0], self._take(1)[0]
                if command ^ complement != 0xFF or command not in does:
                    self._give(NACK)
                    continue
                self._give(ACK)
                does[command]()
        except Gone:
            return

    def _checked(self, data: bytes) -> bool:
        sound = reduce(lambda a, b: a ^ b, data) == self._take(1)[0]
        self._give(ACK if sound else NACK)
        return sound

    def _address(self) -> int | None:
        told = self._take(4)
        return int.from_bytes(told, "big") - FLASH if self._checked(told) else None

    def _read(self) -> None:
        at = self._address()
        count = self._take(2)[0] + 1  # and its complement
        assert at is not None
        self._give(ACK)
        self._give(bytes(self.flash[at : at + count]) if 0 <= at < SIZE else bytes(count))

    def _write(self) -> None:
        at = self._address()
        count = self._take(1)
        data = self._take(count[0] + 1)
        assert at is not None and 0 <= at < SIZE and at % 8 == 0, "the flash takes double words"
        if self._sticks is None:
            assert set(self.flash[at : at + len(data)]) <= {0xFF}, "what is not erased can't be written"
        kept = self.flash[self._sticks] if self._sticks is not None else 0
        self.flash[at : at + len(data)] = data
        if self._sticks is not None:
            self.flash[self._sticks] = kept
        self._checked(count + data)

    def _erase(self) -> None:
        told = self._take(2)
        pages = int.from_bytes(told, "big")
        if pages < 0xFFF0:
            told += self._take(2 * (pages + 1))
            for n in range(pages + 1):
                page = int.from_bytes(told[2 + 2 * n : 4 + 2 * n], "big")
                self.flash[2048 * page : 2048 * (page + 1)] = b"\xff" * 2048
        else:
            self.flash[:] = b"\xff" * SIZE
        self._checked(told)

    def _go(self) -> None:
        at = self._address()
        assert at is not None
        self.started.append(at)
        if not self._silent:
            self._give(program_says(bytes(self.flash)))


def program_says(flash: bytes) -> bytes:
    """The first frame out of the service port of an emulated STM32G031 with this flash."""
    return first_frame(Stm32g031(flash, load_board("stm32g031")))
