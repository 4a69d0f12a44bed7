"""What is kept of a run: every update in order (as a hash), states at even times, counters, and what every fault did."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.sim.faults import Operation

_UPDATE = struct.Struct("<QI")


class Trajectory:
    """The hash of a trajectory: SHA-256 over every update in order, as time in ns (u64), cell (u32), new state (C codes).

    Attributes:
        listener: called with the bytes of every stretch of updates, in order.
    """

    def __init__(self) -> None:
        self.listener: Callable[[bytes], None] | None = None
        self._hash = hashlib.sha256()
        self._pending = bytearray()

    def add(self, time: int, cell: int, state: bytes) -> None:
        """One update."""
        self._pending += _UPDATE.pack(time, cell) + state
        if len(self._pending) > 1 << 20:
            self._flush()

    def add_records(self, records: Any) -> None:
        """Updates that are packed already."""
        self._flush()
        self._take(records)

    def _take(self, records: Any) -> None:
        self._hash.update(records)
        if self.listener is not None:
            self.listener(bytes(records))

    def _flush(self) -> None:
        if self._pending:
            self._take(self._pending)
            self._pending = bytearray()

    def hexdigest(self) -> str:
        """The hash so far."""
        self._flush()
        return self._hash.hexdigest()


@dataclass
class Counters:
    """What happened, summed over the array.

    Attributes:
        updates: wakes that updated. evaluated_updates: of them, those that ran the network.
        messages_sent: frames. messages_lost: never arrived. messages_dropped: found too many waiting before their link.
        messages_corrupted: arrived with flipped bits. messages_undetected: of them, those that the CRC let pass.
        heard: neighbours whose state an update used. age: ns since they had sent it, summed.
    """

    updates: int = 0
    evaluated_updates: int = 0
    messages_sent: int = 0
    messages_lost: int = 0
    messages_dropped: int = 0
    messages_corrupted: int = 0
    messages_undetected: int = 0
    heard: int = 0
    age: int = 0


@dataclass(frozen=True)
class Strike:
    """What a fault did when it struck: `changed` is the number of cells (or frames, of cut links) that it changed."""

    fault: int
    time: int
    changed: int


@dataclass
class Recording:
    """Samples of a run.

    Attributes:
        times: ns of every sample. states: one array [height, width, C] a sample. powered: which cells had power, bool [height, width].
        updates_per_cell, sendings_per_cell: int64 [height, width]; who is stuck, or a new seed, sends without an update.
        strikes: of all faults, in order.
    """

    times: list[int] = field(default_factory=list)
    states: list[NDArray[Any]] = field(default_factory=list)
    powered: list[NDArray[np.bool_]] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)
    trajectory: Trajectory = field(default_factory=Trajectory)
    updates_per_cell: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    sendings_per_cell: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    strikes: list[Strike] = field(default_factory=list)

    def add(self, time: int, states: NDArray[Any], powered: NDArray[np.bool_]) -> None:
        """One sample; the arrays are kept."""
        self.times.append(time)
        self.states.append(states)
        self.powered.append(powered)

    def note(self, operation: Operation, changed: int) -> None:
        """What an operation did."""
        if operation.strike and operation.fault is not None:
            self.strikes.append(Strike(operation.fault, operation.time, changed))
