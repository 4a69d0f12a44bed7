"""What an image is tried with: codes of all magnitudes, frames that are damaged; and the self-test that it must report first."""

from __future__ import annotations

import numpy as np

from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.core.reference import Codes
from nca_hw.emulate.chip import EmulationError
from nca_hw.firmware.build import Build


def codes(rng: np.random.Generator, shape: tuple[int, ...]) -> Codes:
    """Codes of all magnitudes, small ones and extremes often."""
    scale = rng.choice([3, 20, 60, 127])
    drawn = rng.integers(-scale, scale + 1, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([-127, 0, 127], shape), drawn).astype(np.int8)


def damaged(rng: np.random.Generator, frame: bytes) -> bytes:
    """The frame with one byte changed, cut short, or with a byte lost."""
    kind, at = rng.integers(3), int(rng.integers(len(frame)))
    if kind == 0:
        return frame[:at] + bytes([frame[at] ^ int(rng.integers(1, 256))]) + frame[at + 1 :]
    return frame[:at] if kind == 1 else frame[:at] + frame[at + 1 :]


def check_self_test(made: Build, genome: Genome, reported: bytes) -> None:
    """The first thing that a chip reports: spec version, CRC of the image it finds in its flash, and the genome's hash.

    Raises:
        EmulationError: it reports something else.
    """
    wanted = frames.self_test(made.told, genome.cell_hash, genome.channels)
    if reported != wanted:
        raise EmulationError(f"the self-test tells {reported.hex()}, not {wanted.hex()}")
