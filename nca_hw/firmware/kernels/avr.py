"""The AVR kernel: which genomes it computes, and their data as it reads them. The code is firmware_templates/kernels/avr.S."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import CODE_MAX, DEFAULT_KERNELS, Genome
from nca_hw.core.taps import QUARTER

UNITS, OUTPUTS, CHANNELS = 8, 8, 16  # hidden units of a pass, outputs of a pass
PLACES = {"NE": 1, "E": 2, "SE": 3, "S": 4}
ABSENT = 255  # above every code
FINE_STEPS, FINE_WIDTH, COARSE_WIDTH = 16, 16, 256

@dataclass(frozen=True)
class AvrKernel:
    """See Kernel."""

    name: str = "avr"
    sources: tuple[str, ...] = ("avr.h", "avr.S")
    header: str = "avr.h"
    links: tuple[str, ...] = ()
    wake: str = "nca_cell_wake"
    state_at: int = 0

    def supports(self, genome: Genome) -> bool:
        """See Kernel.

        Its sums: the inputs' lower bytes give at most 48 * 127 * 255 < 2^20.6, and bias and rounding fit 16 bits; sums >> 8 plus those of
        the upper bytes, 48 * 127 * 16, are below 2^17; both fit 24 bits. An output is at most 128 * 127 * 255 + 2^15 < 2^22, and with its
        factor, >> 16, below 2^21; 16 times the value of a code adds 2^16.
        """
        bias = _bias(genome)
        return (
            genome.channels == CHANNELS and genome.kernels == DEFAULT_KERNELS and genome.turn % QUARTER == 0
            and genome.hidden % UNITS == 0 and genome.hidden <= 128
            and 8 <= genome.s1 <= 12 and 17 <= genome.s2 <= 23
            and bool(bias.min() >= -(1 << 15) and bias.max() < 1 << 15)
        )  # fmt: skip

    def data(self, genome: Genome) -> dict[str, str]:
        """See Kernel: kernel.h, constants; kernel_data.S, tables in flash."""
        return {"kernel.h": _constants(genome), "kernel_data.S": _tables(genome)}


AVR = AvrKernel()


def stream(genome: Genome) -> bytes:
    """Biases and weights in the order in which they are read, eight hidden units after the other: 8 biases (4 b1 + 2^(S1-1), 16 bits);
    of every input, the last one first, 8 weights; of every eight outputs, of every unit, 8 weights."""
    w1, w2, bias = genome.w1[::-1], genome.w2, _bias(genome).astype("<i2")
    blocks = []
    for first in range(0, genome.hidden, UNITS):
        units = slice(first, first + UNITS)
        blocks += [bias[units].tobytes(), w1[:, units].tobytes()]
        blocks += [w2[units, c : c + OUTPUTS].tobytes() for c in range(0, CHANNELS, OUTPUTS)]
    return b"".join(blocks)


def page(genome: Genome) -> bytes:
    """What is looked up: lower bytes of the values of codes 0 to 128; fine steps, for every 16 the first code whose value is not below it,
    at least 1; coarse steps, for every 256 the first code whose value is not below it, and an end above every code."""
    values = np.append(genome.decode, genome.decode[-1]).astype(np.int32)
    fine = np.clip(np.searchsorted(genome.decode, np.arange(FINE_STEPS) * FINE_WIDTH), 1, CODE_MAX)
    return (values & 255).astype(np.uint8).tobytes() + fine.astype(np.uint8).tobytes() + bytes(_coarse(genome))


def outputs(genome: Genome) -> bytes:
    """Of every output b2 and M2, 16 bits each."""
    return np.stack([genome.b2, genome.m2], axis=1).astype("<i2").tobytes()


def _bias(genome: Genome) -> NDArray[np.int32]:
    return 4 * genome.b1.astype(np.int32) + (1 << (genome.s1 - 1))


def _coarse(genome: Genome) -> list[int]:
    last = int(genome.decode[-1]) // COARSE_WIDTH
    return [*np.searchsorted(genome.decode, np.arange(1, last + 1) * COARSE_WIDTH).tolist(), ABSENT]


def _constants(genome: Genome) -> str:
    quarters = genome.turn // QUARTER
    numbers = {
        "ALPHA": genome.alpha, "ALIVE": genome.alive, "S1": genome.s1, "S2": genome.s2,
        **{f"PLACE_{name}": 16 * ((place + 2 * quarters) % 8) for name, place in PLACES.items()},
        "FINE": CODE_MAX + 2, "COARSE": CODE_MAX + 2 + FINE_STEPS, "FIRST_UPPER": _coarse(genome)[0],
        "LAST_BOUNDARY": int(genome.decode[-2]) + int(genome.decode[-1]),
    }  # fmt: skip
    return "".join(f"#define {name} {number}\n" for name, number in numbers.items())


def _tables(genome: Genome) -> str:
    return (
        _table("nca_page", page(genome)) + _table("nca_outputs", outputs(genome))
        + _table("nca_stream", stream(genome)) + "    .global nca_stream_end\nnca_stream_end:\n"
    )  # fmt: skip


def _table(name: str, values: bytes) -> str:
    rows = (values[i : i + 16] for i in range(0, len(values), 16))
    head = f'    .section .progmem.{name}, "a", @progbits\n    .global {name}\n    .type {name}, @object\n{name}:\n'
    return head + "".join(f"    .byte {_joined(row)}\n" for row in rows) + f"    .size {name}, . - {name}\n"


def _joined(row: Iterable[int]) -> str:
    return ", ".join(map(str, row))
