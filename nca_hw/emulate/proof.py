"""The proof of an image, by the emulator of its family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from nca_hw.core.genome import Genome
from nca_hw.emulate import atmega, verify
from nca_hw.emulate.verification import Mismatch, Verification
from nca_hw.firmware.build import Build


class Proof(Protocol):
    """A module that proves images."""

    def verify(
        self, genome: Genome, made: Build, updates: int = ..., seed: int = ..., progress: Callable[[int], None] | None = ...
    ) -> Verification:
        """Prove an image."""
        ...

    def write_replay(self, path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int = ...) -> None:
        """Write the stimulus of the first mismatch."""
        ...


PROOFS: dict[str, Proof] = {"atmega": atmega}  # of families with a proof of their own; all others have a chip of emulators.py


def prove(genome: Genome, made: Build, updates: int, seed: int, progress: Callable[[int], None] | None = None) -> Verification:
    """Prove an image on an emulated chip of its family: see `verify.verify` and `atmega.verify`."""
    return PROOFS.get(made.board.family, verify).verify(genome, made, updates, seed, progress)


def write_replay(path: Path, genome: Genome, made: Build, updates: int, mismatch: Mismatch, seed: int) -> None:
    """Write the stimulus of the first mismatch of such a proof: see `verification.save_stimulus`."""
    PROOFS.get(made.board.family, verify).write_replay(path, genome, made, updates, mismatch, seed)
