"""What a proof of an image tells, whoever ran it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import reference
from nca_hw.core.genome import Genome
from nca_hw.core.reference import Codes
from nca_hw.formats.files import write_whole


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder of truth. `equal` tells whether it agrees with the first."""

    name: str
    hash: str
    equal: bool


@dataclass(frozen=True)
class Mismatch:
    """The first update at which the image differs."""

    update: int
    channel: int
    expected: int
    got: int


@dataclass(frozen=True)
class Verification:
    """What was proved.

    Attributes:
        updates_compared: in all. whole_updates: of these, those with wires, waits, LED and service port.
        cycles_per_update: mean over updates of a grown pattern that evaluate the network, by the processor's manual without wait states.
        instructions_per_update: likewise; None where nobody counts them.
        most_cycles: of the most expensive one found, among grown and random states.
        stack_bytes: high-water mark over all updates.
    """

    board: str
    image_sha256: str
    updates_compared: int
    whole_updates: int
    cycles_per_update: int
    instructions_per_update: int | None
    most_cycles: int
    stack_bytes: int
    frames_rejected: int
    rungs: tuple[Rung, ...]
    mismatch: Mismatch | None

    @property
    def equal(self) -> bool:
        """All rungs agree."""
        return all(rung.equal for rung in self.rungs)


def digest(states: NDArray[np.int8]) -> str:
    """SHA-256 of states, hex."""
    return hashlib.sha256(np.ascontiguousarray(states, np.int8).tobytes()).hexdigest()


def first_difference(expected: Codes, got: Codes) -> Mismatch | None:
    """The first update and channel at which states [n, C] differ."""
    where = np.argwhere(expected != got)
    if where.size == 0:
        return None
    update, channel = (int(i) for i in where[0])
    return Mismatch(update, channel, int(expected[update, channel]), int(got[update, channel]))


def save_stimulus(path: Path, genome: Genome, state: Codes, neighbours: Codes, got: Codes) -> None:
    """Write what an image got wrong, .npz: state [C], neighbours [8, C], expected [C], got [C]."""
    expected, _ = reference.wake(genome, state, neighbours)
    out = io.BytesIO()
    np.savez(out, state=state, neighbours=neighbours, expected=expected, got=got)
    write_whole(path, out.getvalue())
