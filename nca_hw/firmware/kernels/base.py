"""What a kernel declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nca_hw.core.genome import Genome


class Kernel(Protocol):
    """Assembly that is the cell in an image.

    Attributes:
        name: of the kernel. sources: its files in firmware_templates/kernels, which are compiled unless they are headers (.h, .inc).
        header: of these or of `data`, the one that tells main.c where the state is in the cell's RAM, how many words of accumulators there
            are and how the kernel is called; None for a kernel that is called and works as nca_cell_wake of cell.h.
        links: files there that serve the wires instead of wire.c, link.c and what main.c makes of them, for families that have a wires.inc.
        wake: the symbol of the update. state_at: where in the cell's RAM the state is, bytes; perception and neighbours follow one another.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sources(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def header(self) -> str | None: ...  # noqa: D102
    @property
    def links(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def wake(self) -> str: ...  # noqa: D102
    @property
    def state_at(self) -> int: ...  # noqa: D102

    def supports(self, genome: Genome) -> bool:
        """Whether the kernel computes a genome, to the bit and for every state."""
        ...

    def data(self, genome: Genome) -> Mapping[str, str]:
        """The generated files beside the code, name to text: constants and tables."""
        ...


def able(genome: Genome, kernels: Sequence[Kernel]) -> list[Kernel | None]:
    """Those of a family's kernels that compute a genome, in their order, and None, the C core, which computes all."""
    return [*(kernel for kernel in kernels if kernel.supports(genome)), None]
