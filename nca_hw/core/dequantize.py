"""The genome read as a float model: the same weights, with nothing rounded and nothing clipped on the way."""

from __future__ import annotations

import numpy as np

from nca_hw.core.genome import DEFAULT_KERNELS, Genome, Kernel
from nca_hw.core.model import ALPHA, CHANNELS, FloatModel
from nca_hw.core.quantize import BIAS1_UNIT, STATE_UNIT, UPDATE_UNIT, alive_code, seed_codes
from nca_hw.errors import NcaHwError


def dequantize(genome: Genome) -> FloatModel:
    """The float model that computes what the genome says in docs/spec.md section 4, in real numbers.

    A hidden unit keeps the genome's scale: its activity is h of the specification before rounding, and without the clip at 255.

    Raises:
        NcaHwError: the genome is no automaton of the article (16 channels, identity and two Sobels, alpha channel 3, mask and
            seed), or its axes are turned.
    """
    for what, found, expected in (
        ("number of channels", genome.channels, CHANNELS),
        ("order of kernels", _names(genome.kernels), _names(DEFAULT_KERNELS)),
        ("alpha channel", genome.alpha, ALPHA),
        ("turn", genome.turn, 0),
        ("alive code", genome.alive, alive_code(genome.decode)),
        ("seed", genome.seed.tolist(), seed_codes(genome.decode).tolist()),
    ):
        if found != expected:
            back = f", or turn it back: nca-hw turn GENOME --by -{genome.turn}" if what == "turn" else ""
            raise NcaHwError(
                f"the genome is not the article's automaton, only that has a float model here: its {what} is {found}, not {expected}",
                cure=f"Leave the float model out, for the integer cell and the firmware run any genome{back}.",
            )
    per_hidden = 2.0**-genome.s1
    per_output = genome.m2 * 2.0**-genome.s2 * UPDATE_UNIT
    return FloatModel(
        w1=(genome.w1 * (per_hidden / STATE_UNIT)).astype(np.float32),
        b1=(genome.b1 * (BIAS1_UNIT * per_hidden)).astype(np.float32),
        w2=(genome.w2 * per_output).astype(np.float32),
        b2=(genome.b2 * per_output).astype(np.float32),
    )


def _names(kernels: tuple[Kernel, ...]) -> str:
    return ", ".join(kernel.name.lower() for kernel in kernels)
