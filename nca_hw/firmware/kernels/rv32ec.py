"""The RV32EC kernels: which genomes they compute, and their data as they read them. The code is firmware_templates/kernels/rv32ec.S."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import DEFAULT_KERNELS, Genome
from nca_hw.core.taps import QUARTER

CHANNELS, UNITS, OUTPUTS = 16, 8, 8  # hidden units of a pass, outputs of a half of it
LOWEST_CODE = -128
M2_END = 1 << 15  # behind the last bit of a factor
LOWER = 128  # lower bytes of inputs are -128 to 127, and weights -127 to 127

# Places whose values are subtracted, first those that count twice; N is 0, clockwise. Source: spec.md, section 3.
SOBEL_X = ((2, 6), (1, 7), (3, 5))
SOBEL_Y = ((4, 0), (5, 7), (3, 1))


@dataclass(frozen=True)
class Rv32ecKernel:
    """A kind of the kernel.

    Attributes:
        name: of the kind. layers: what of firmware_templates/kernels makes its sums.
        unrolled: eight sums at a time, in registers. lookup: and products of lower bytes from a table.
    """

    name: str
    layers: str
    unrolled: bool = True
    lookup: bool = False
    header: None = None
    links: tuple[str, ...] = ()
    wake: str = "nca_cell_wake"
    state_at: int = 0

    @property
    def sources(self) -> tuple[str, ...]:
        """Its files in firmware_templates; they include kernel.h, and kernel_data.S goes with them."""
        return ("rv32ec.S", self.layers)

    def supports(self, genome: Genome) -> bool:
        """Whether the kernel computes a genome, to the bit and for every state.

        Its sums are those of spec.md, section 4, modulo 2^32; 2^(S2-1) with a product of o below it stays under 2^30.
        """
        return (
            genome.channels == CHANNELS and genome.kernels == DEFAULT_KERNELS and genome.turn % QUARTER == 0
            and (not self.unrolled or genome.hidden % UNITS == 0) and genome.s2 >= 15
            and (self.lookup or _small_biases_fit(genome))
        )  # fmt: skip

    def data(self, genome: Genome) -> dict[str, str]:
        """The generated files beside the code, name to text: kernel.h, constants; kernel_data.S, tables in flash."""
        return {"kernel.h": self._constants(genome), "kernel_data.S": self._tables(genome)}

    def stream(self, genome: Genome) -> bytes:
        """Biases and weights in the order in which they are read.

        Of every hidden unit, or of every eight: b1 with the rounding of S1, as b1 is and in 16 bits, or, with lookup, as the sums are and
        in 32 bits, less the triangles of the unit's weights; of every input the weights; of every eight outputs, or of all, of every unit
        the weights.
        """
        bias: NDArray[Any]
        if self.lookup:
            bias = 4 * genome.b1.astype(np.int64) + (1 << (genome.s1 - 1)) - triangle(genome.w1.astype(np.int64)).sum(axis=0)
            bias = bias.astype("<i4")
        else:
            bias = (genome.b1.astype(np.int32) + (1 << (genome.s1 - 3))).astype("<i2")
        blocks = []
        step, outputs = (UNITS, OUTPUTS) if self.unrolled else (1, CHANNELS)
        for first in range(0, genome.hidden, step):
            units = slice(first, first + step)
            blocks += [bias[units].tobytes(), genome.w1[:, units].tobytes()]
            blocks += [genome.w2[units, c : c + outputs].tobytes() for c in range(0, CHANNELS, outputs)]
        return b"".join(blocks)

    def _constants(self, genome: Genome) -> str:
        living = genome.alive if genome.alive else LOWEST_CODE  # without a mask every cell lives
        numbers = {
            "LAYERS": f'"{self.layers}"', "UNROLLED": int(self.unrolled), "LOOKUP": int(self.lookup),
            "ALPHA": genome.alpha, "LIVING": living, "S1": genome.s1, "S2": genome.s2,
        }  # fmt: skip
        return "".join(f"#define {name} {number}\n" for name, number in numbers.items())

    def _tables(self, genome: Genome) -> str:
        decode = np.append(genome.decode, genome.decode[-1])  # the code -128 reads as -127
        low = {
            "nca_decode": decode.astype("<i2").tobytes(), "nca_b2": genome.b2.astype("<i2").tobytes(),
            "nca_m2": (genome.m2.astype(np.int32) | M2_END).astype("<u2").tobytes(), "nca_pairs": pairs(genome),
        }  # fmt: skip
        texts = [_table(".low", name, values) for name, values in low.items()]
        if self.lookup:
            triangles = triangle(np.arange(-2 * LOWER, 2 * LOWER - 1)).astype("<i2").tobytes()
            texts.append(_table(".low", "nca_triangles", triangles))
        texts += [_table(".rodata", "nca_stream", self.stream(genome), align=4), "    .globl nca_stream_end\nnca_stream_end:\n"]
        return "".join(texts)


LOOPS = Rv32ecKernel("rv32ec-loops", "rv32ec_loops.inc", unrolled=False)
DIGITS = Rv32ecKernel("rv32ec-digits", "rv32ec_digits.inc")
LOOKUP = Rv32ecKernel("rv32ec-lookup", "rv32ec_digits.inc", lookup=True)


def triangle(n: NDArray[np.int64]) -> NDArray[np.int64]:
    """n (n - 1) / 2; a b = triangle(a + b) - triangle(a) - triangle(b)."""
    return n * (n - 1) // 2


def pairs(genome: Genome) -> bytes:
    """Offsets of the neighbours that the Sobel kernels subtract, as the code goes; a turn by quarters reads others in their place."""
    quarters = genome.turn // QUARTER
    return bytes(CHANNELS * ((place + 2 * quarters) % 8) for kernel in (SOBEL_X, SOBEL_Y) for pair in kernel for place in pair)


def _small_biases_fit(genome: Genome) -> bool:
    return genome.s1 >= 3 and int(genome.b1.max()) + (1 << (genome.s1 - 3)) < 1 << 15


def _table(section: str, name: str, values: bytes, align: int = 2) -> str:
    rows = (values[i : i + 16] for i in range(0, len(values), 16))
    head = f'    .section {section}.{name}, "a", @progbits\n    .balign {align}\n    .globl {name}\n    .type {name}, @object\n{name}:\n'
    return head + "".join(f"    .byte {', '.join(map(str, row))}\n" for row in rows) + f"    .size {name}, . - {name}\n"
