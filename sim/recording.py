"""What is kept of a run: every update in order (as a hash), states at even times, counters."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UPDATE = struct.Struct("<QI")


class Trajectory:
    """The hash of a trajectory: SHA-256 over every update in order, as time in ns (u64), cell (u32), new state (C codes)."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._pending = bytearray()

    def add(self, time: int, cell: int, state: bytes) -> None:
        """One update."""
        self._pending += _UPDATE.pack(time, cell) + state
        if len(self._pending) > 1 << 20:
            self._flush()

    def add_records(self, records: bytes) -> None:
        """Updates that are packed already."""
        self._flush()
        self._hash.update(records)

    def _flush(self) -> None:
        self._hash.update(self._pending)
        self._pending.clear()

    def hexdigest(self) -> str:
        """The hash so far."""
        self._flush()
        return self._hash.hexdigest()


@dataclass
class Counters:
    """What happened, summed over the array."""

    updates: int = 0
    evaluated_updates: int = 0
    messages_sent: int = 0
    messages_lost: int = 0


@dataclass
class Recording:
    """Samples of a run.

    Attributes:
        times: ns of every sample. states: one array [height, width, C] a sample. powered: which cells had power, bool [height, width].
    """

    times: list[int] = field(default_factory=list)
    states: list[NDArray[Any]] = field(default_factory=list)
    powered: list[NDArray[np.bool_]] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    trajectory: Trajectory = field(default_factory=Trajectory)
    updates_per_cell: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
