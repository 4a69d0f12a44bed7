"""The Cortex-M0+ kernel, firmware_templates/kernels/cortex_m0plus.S: which genomes it computes, and their data as it reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome
from nca_hw.core.genome import Kernel as Taps

CHANNELS = 16
INPUTS = 48
UNITS_A_PASS = 8


@dataclass(frozen=True)
class CortexM0plusKernel:
    """See Kernel."""

    name: str = "cortex_m0plus"
    sources: tuple[str, ...] = ("cortex_m0plus.h", "cortex_m0plus.S")
    header: str = "cortex_m0plus.h"
    links: tuple[str, ...] = ("cortex_m0plus_links.S",)
    wake: str = "nca_kernel_wake"
    state_at: int = 2 * CHANNELS

    def supports(self, genome: Genome) -> bool:
        """See Kernel."""
        return (
            genome.channels == CHANNELS and set(genome.kernels) == {Taps.IDENTITY, Taps.SOBEL_X, Taps.SOBEL_Y} and genome.turn % 90 == 0
            and genome.hidden % UNITS_A_PASS == 0 and genome.hidden <= 128  # sums of bytes of 255 times 255 stay below 2^23
            and genome.s1 >= 3 and int(genome.b1.max()) + (1 << max(genome.s1 - 3, 0)) <= np.iinfo(np.int16).max
        )  # fmt: skip

    def data(self, genome: Genome) -> dict[str, str]:
        """See Kernel."""
        head = '    .section .rodata.nca_units, "a", %progbits\n    .balign 16\n'
        return {"kernel_data.S": head + "".join(_table(*table) for table in _tables(genome))}


CORTEX_M0PLUS = CortexM0plusKernel()


def unturned(genome: Genome) -> NDArray[np.int16]:
    """W1 in the order Sobel x, Sobel y, state, as if its axes were not turned: int16 [48, H].

    A quarter of a turn makes x of y, and y of -x: docs/spec.md section 3. compress is odd, so weights can turn instead of neighbours.
    """
    rows = {taps: genome.w1[CHANNELS * k : CHANNELS * (k + 1)].astype(np.int16) for k, taps in enumerate(genome.kernels)}
    x, y = rows[Taps.SOBEL_X], rows[Taps.SOBEL_Y]
    for _ in range(genome.turn // 90):
        x, y = -y, x
    return np.concatenate([x, y, rows[Taps.IDENTITY]])


def _tables(genome: Genome) -> list[tuple[str, str, list[int]]]:
    """Symbol, directive and elements of every table, one after the other without a gap.

    Weights, offset by 128: a pass is eight units' weights of every input, from the last input to the first, and their rows of W2. A word a
    channel: b2 in its lower and M2 in its upper half. b1 with the rounding of S1. The decode table.
    """
    passes = genome.hidden // UNITS_A_PASS
    w1 = unturned(genome)[::-1].T.reshape(passes, UNITS_A_PASS, INPUTS).swapaxes(1, 2)
    units = np.concatenate([w1.reshape(passes, -1), genome.w2.reshape(passes, -1)], axis=1) + 128
    outputs = genome.b2.astype(np.int64) % (1 << 16) + (genome.m2.astype(np.int64) << 16)
    return [
        ("nca_units", ".byte", units.ravel().tolist()), ("nca_outputs", ".word", outputs.tolist()),
        ("nca_seed", ".byte", genome.seed.astype(int).tolist()),
        ("nca_b1", ".hword", (genome.b1.astype(int) + (1 << (genome.s1 - 3))).tolist()),
        ("nca_decode", ".hword", [*genome.decode.tolist(), int(genome.decode[-1])]),
    ]  # fmt: skip


def _table(name: str, directive: str, values: Sequence[int]) -> str:
    rows = "".join(f"    {directive} {', '.join(map(str, values[i : i + 16]))}\n" for i in range(0, len(values), 16))
    return f"    .global {name}\n    .type {name}, %object\n{name}:\n{rows}    .size {name}, . - {name}\n"
