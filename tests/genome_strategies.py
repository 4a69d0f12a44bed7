"""Hypothesis strategies: any legal genome, any states, extremes included."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from nca_hw.core.genome import Genome, Kernel, companded_table

KERNEL_SETS = st.lists(st.sampled_from(list(Kernel)), min_size=1, max_size=4, unique=True).map(tuple)


def _integers(rng: np.random.Generator, low: int, high: int, shape: tuple[int, ...], dtype: type, style: str) -> np.ndarray:
    if style == "extreme":
        return rng.choice([low, high], shape).astype(dtype)
    if style == "sparse":
        return (rng.integers(low, high + 1, shape) * (rng.random(shape) < 0.2)).astype(dtype)
    return rng.integers(low, high + 1, shape).astype(dtype)


STYLES = st.sampled_from(["uniform", "extreme", "sparse"])


@st.composite
def genomes(draw: st.DrawFn) -> Genome:
    """Any legal genome: sizes, kernels, tables, shifts and weights up to their limits."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels, hidden = draw(st.integers(1, 16)), draw(st.integers(1, 256))
    kernels, style = draw(KERNEL_SETS), draw(STYLES)
    if draw(st.booleans()):
        decode = companded_table(draw(st.floats(1, 40)))
    else:
        decode = np.concatenate([[0], np.sort(rng.choice(4096, 127, replace=False) + 1)]).astype(np.int16)
    return Genome(
        w1=_integers(rng, -127, 127, (len(kernels) * channels, hidden), np.int8, style),
        b1=_integers(rng, -32768, 32767, (hidden,), np.int16, style),
        w2=_integers(rng, -127, 127, (hidden, channels), np.int8, style),
        b2=_integers(rng, -32768, 32767, (channels,), np.int16, style),
        m2=_integers(rng, 0, 32767, (channels,), np.int16, style),
        decode=decode,
        seed=_integers(rng, -127, 127, (channels,), np.int8, style),
        s1=draw(st.integers(1, 24)),
        s2=draw(st.integers(12, 30)),
        kernels=kernels,
        alpha=draw(st.integers(0, channels - 1)),
        alive=draw(st.sampled_from([0, 1, 7, 127])),
        turn=draw(st.sampled_from([0, 90, 180, 270]) | st.integers(0, 359)),
    )


def shipped_size_genome(draw: int = 0, **changes: object) -> Genome:
    """A random genome of the shipped sizes in which about half of the hidden units are active."""
    rng = np.random.default_rng(draw)
    fields: dict[str, object] = {
        "w1": rng.integers(-127, 128, (48, 128)).astype(np.int8), "b1": rng.integers(-9000, 9000, 128).astype(np.int16),
        "w2": rng.integers(-127, 128, (128, 16)).astype(np.int8), "b2": rng.integers(-7000, 7000, 16).astype(np.int16),
        "m2": rng.integers(0, 32767, 16).astype(np.int16), "decode": companded_table(),
        "seed": np.array([0] * 3 + [44] * 13, np.int8), "s1": 12, "s2": 17,
    }  # fmt: skip
    return Genome(**{**fields, **changes})  # type: ignore[arg-type]


def random_codes(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Codes with many extremes, -128 included."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, shape)
    extremes = rng.choice([-128, -127, -1, 0, 1, 6, 7, 127], shape)
    return np.where(rng.random(shape) < 0.5, codes, extremes).astype(np.int8)
