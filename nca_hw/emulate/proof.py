"""The proof of an image of any family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nca_hw.core.genome import Genome
from nca_hw.emulate import atmega, verify
from nca_hw.emulate.verify import Mismatch, Verification
from nca_hw.firmware.build import Build

ON_SIMAVR = "atmega"


def prove(genome: Genome, made: Build, updates: int, seed: int, progress: Callable[[int], None] | None = None) -> Verification:
    """Prove an image on an emulated chip of its family: see `verify.verify` and `atmega.verify`."""
    proof = atmega.verify if made.board.family == ON_SIMAVR else verify.verify
    return proof(genome, made, updates, seed, progress)


def write_replay(path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int) -> None:
    """Write the stimulus of the first mismatch of such a proof, .npz: state [C], neighbours [8, C], expected [C], got [C]."""
    write = atmega.write_replay if made.board.family == ON_SIMAVR else verify.write_replay
    write(path, genome, made, updates, mismatch, seed)
