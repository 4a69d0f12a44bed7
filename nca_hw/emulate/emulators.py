"""The emulated chips, by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nca_hw.emulate.ch32v003 import Ch32v003
from nca_hw.emulate.chip import Chip
from nca_hw.emulate.native import NativeChip
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.emulate.stm32g031 import Stm32g031
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import Build
from nca_hw.formats.boards import Board, bundled_boards, load_board


class Emulator(Protocol):
    """Makes a chip with an image in its flash."""

    def __call__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> Chip:
        """A chip before its reset. `is_seed`: its strap is set. `noise`: its source of random bits."""
        ...


EMULATORS: dict[str, Emulator] = {"rp2040": Rp2040, "stm32g031": Stm32g031, "ch32v0": Ch32v003, "native": NativeChip}


def check(board: Board) -> None:
    """Whether there is an emulator of one chip of a board that a harness can call.

    Raises:
        NcaHwError: there is none.
    """
    if board.family not in EMULATORS:
        known = [name for name in bundled_boards() if load_board(name).family in EMULATORS]
        cure = f"There are some of: {', '.join(known)}."
        raise NcaHwError(f"there is no emulator whose cell can be called for {board.name!r}", where="--board", cure=cure)


def emulated(made: Build, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> Chip:
    """A chip of the board's family that holds the image.

    Raises:
        NcaHwError: there is no such emulator for the board.
    """
    check(made.board)
    family = made.board.family
    flash = made.image.elf if family == "native" else made.image.binary  # the host loads files, not memory
    return EMULATORS[family](flash, made.board, is_seed=is_seed, noise=noise)
