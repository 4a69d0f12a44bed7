"""What an image may take, and by how many bytes it takes more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nca_hw.firmware.image import Image


def over(image: Image, stack: int | None, limits: Mapping[str, int]) -> list[str]:
    """Every limit that an image is over, in words.

    Args:
        stack: the worst case, bytes; None where it is not known.
        limits: bytes of `rom` and `cell_ram` (budgets), and of `flash` and `ram` (the chip).
    """
    return over_rom(image, limits) + over_memory(image, stack, limits)


def over_rom(image: Image, limits: Mapping[str, int]) -> list[str]:
    """The budget of ROM, if an image is over it."""
    return _over("ROM", len(image.binary), limits["rom"])


def over_memory(image: Image, stack: int | None, limits: Mapping[str, int]) -> list[str]:
    """All other limits that an image is over."""
    return [
        *_over("cell RAM", image.cell_ram, limits["cell_ram"]), *_over("flash", len(image.binary), limits["flash"]),
        *_over("static RAM and stack", image.static_ram + (stack or 0), limits["ram"]),
    ]  # fmt: skip


def _over(what: str, used: int, limit: int) -> list[str]:
    return [f"{what} {used} B, {used - limit} B over the budget of {limit} B"] if used > limit else []
