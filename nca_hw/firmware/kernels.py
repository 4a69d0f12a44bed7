"""Kernels: assembly that replaces the C core's cell on one instruction set, and the genome's tables in the order in which it reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome
from nca_hw.core.genome import Kernel as Taps

CHANNELS = 16
INPUTS = 48
UNITS_A_PASS = 8


@dataclass(frozen=True)
class Table:
    """A table of a kernel: symbol, assembler directive of its elements, elements."""

    name: str
    directive: str
    values: list[int]


@dataclass(frozen=True)
class Kernel:
    """A kernel.

    Attributes:
        name: of its .h in firmware_templates/kernels. sources: its other files there, compiled as they are.
        wake: the symbol of the update. state_at: where in the cell's RAM the state is, bytes; the perception is before the neighbours.
        supports: whether it can compute a genome. tables: of a genome, one after the other without a gap.
    """

    name: str
    sources: tuple[str, ...]
    wake: str
    state_at: int
    supports: Callable[[Genome], bool]
    tables: Callable[[Genome], Sequence[Table]]


def kernel_for(genome: Genome, kernels: Sequence[Kernel]) -> Kernel | None:
    """The first of a family's kernels that can compute the genome; None for the C core."""
    return next((kernel for kernel in kernels if kernel.supports(genome)), None)


def unturned(genome: Genome) -> NDArray[np.int16]:
    """W1 in the order Sobel x, Sobel y, state, as if its axes were not turned: int16 [48, H].

    A quarter of a turn makes x of y, and y of -x: docs/spec.md section 3. compress is odd, so weights can turn instead of neighbours.
    """
    rows = {taps: genome.w1[CHANNELS * k : CHANNELS * (k + 1)].astype(np.int16) for k, taps in enumerate(genome.kernels)}
    x, y = rows[Taps.SOBEL_X], rows[Taps.SOBEL_Y]
    for _ in range(genome.turn // 90):
        x, y = -y, x
    return np.concatenate([x, y, rows[Taps.IDENTITY]])


def _cortex_m0plus_supports(genome: Genome) -> bool:
    return (
        genome.channels == CHANNELS and set(genome.kernels) == {Taps.IDENTITY, Taps.SOBEL_X, Taps.SOBEL_Y} and genome.turn % 90 == 0
        and genome.hidden % UNITS_A_PASS == 0 and genome.hidden <= 128  # sums of bytes of 255 times 255 stay below 2^23
        and genome.s1 >= 3 and int(genome.b1.max()) + (1 << max(genome.s1 - 3, 0)) <= np.iinfo(np.int16).max
    )  # fmt: skip


def _cortex_m0plus_tables(genome: Genome) -> list[Table]:
    """Weights, offset by 128: a pass is eight units' weights of every input, from the last input to the first, and their rows of W2. A word a
    channel: b2 in its lower and M2 in its upper half. b1 with the rounding of S1. The decode table."""
    passes = genome.hidden // UNITS_A_PASS
    w1 = unturned(genome)[::-1].T.reshape(passes, UNITS_A_PASS, INPUTS).swapaxes(1, 2)
    units = np.concatenate([w1.reshape(passes, -1), genome.w2.reshape(passes, -1)], axis=1) + 128
    outputs = genome.b2.astype(np.int64) % (1 << 16) + (genome.m2.astype(np.int64) << 16)
    return [
        Table("nca_units", ".byte", units.ravel().tolist()), Table("nca_outputs", ".word", outputs.tolist()),
        Table("nca_b1", ".hword", (genome.b1.astype(int) + (1 << (genome.s1 - 3))).tolist()),
        Table("nca_decode", ".hword", [*genome.decode.tolist(), int(genome.decode[-1])]),
    ]  # fmt: skip


CORTEX_M0PLUS = Kernel(
    name="cortex_m0plus", sources=("cortex_m0plus.S",), wake="nca_kernel_wake", state_at=2 * CHANNELS, supports=_cortex_m0plus_supports,
    tables=_cortex_m0plus_tables,
)  # fmt: skip
