"""The neighbour's end of an edge: gives and takes bytes over two open-drain wires, as in docs/protocol.md.

It is written from the protocol and not from firmware_templates/core/wire.c. It acts whenever the chip looks at its wires.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator

WIRES = 3
PATIENCE = 1000  # looks of the chip before a session is given up
BROKEN_OFF = 2000  # looks for which who breaks a frame off is silent: longer than the chip's own patience
ASKS = (1, 2, 2, 1)  # wire with which the neighbour at the chip's N, E, S, W asks: the chip is to its S, W, N, E


class WireEnd:
    """One end.

    Attributes:
        edge: of the chip, 0 to 3, north to west. pull: wires that this end pulls low, as a mask.
        given: sessions whose bytes were all taken. refused: sessions that the chip gave up.
    """

    def __init__(self, edge: int, frame_bytes: int, on_take: Callable[[int, bytes], None]) -> None:
        """Prepare an idle end.

        Args:
            frame_bytes: of a frame: a session that the chip begins has so many. on_take: called with (edge, bytes) after each.
        """
        self.edge = edge
        self.pull = 0
        self.given = self.refused = self._begun = 0
        self._ask = ASKS[edge]
        self._frame_bytes = frame_bytes
        self._on_take = on_take
        self._queue: deque[bytes] = deque()
        self._levels = WIRES
        self._working = False
        self._life = self._live()
        next(self._life)

    def give(self, data: bytes) -> None:
        """Queue a session: so many bytes, whether they are a sound frame or not."""
        self._queue.append(data)
        self._begun += 1

    @property
    def waiting(self) -> int:
        """Sessions that are neither given nor refused yet."""
        return self._begun - self.given - self.refused

    @property
    def busy(self) -> bool:
        """A session is going on or waiting."""
        return self._working or bool(self._queue)

    def look(self, chip_pulls: int) -> int:
        """The chip looks: this end acts on what it sees, and what the chip sees is returned: levels of wire 0 and 1 as bits."""
        if chip_pulls or self._working or self._queue:
            self._levels = WIRES & ~(chip_pulls | self.pull)
            next(self._life)
        return WIRES & ~(chip_pulls | self.pull)

    def _live(self) -> Generator[None, None, None]:
        while True:
            self._working = False
            yield
            self._working = True
            if self._levels != WIRES:
                wire = yield from self._take_bit()
                taken = bytearray()
                while wire and len(taken) < self._frame_bytes:
                    byte = 0
                    for bit in range(8):
                        wire = yield from self._take_bit()
                        byte |= (wire >> 1) << bit
                    if wire:
                        taken.append(byte)
                if taken:
                    self._on_take(self.edge, bytes(taken))
            elif self._queue:
                yield from self._give_session()

    def _give_session(self) -> Generator[None, None, None]:
        self.pull = self._ask
        while self._levels & (self._ask ^ WIRES):  # until the chip consents; it may take its time
            yield
        self.pull = 0
        while self._levels != WIRES:
            yield
        data = self._queue.popleft()
        for byte in data:
            for bit in range(8):
                wire = 2 if byte >> bit & 1 else 1
                self.pull = wire
                taken = yield from self._see(wire ^ WIRES, 0)
                self.pull = 0
                released = yield from self._see(WIRES, WIRES)
                if not (taken and released):
                    self.refused += 1
                    return
        self.given += 1
        if len(data) < self._frame_bytes:
            for _ in range(BROKEN_OFF):
                yield

    def _take_bit(self) -> Generator[None, None, int]:
        if not (yield from self._see(WIRES, WIRES, equal=False)):
            return 0
        wire = self._levels ^ WIRES
        self.pull = wire ^ WIRES
        released = yield from self._see(wire, wire)
        self.pull = 0
        yield
        return wire if released else 0

    def _see(self, mask: int, levels: int, equal: bool = True) -> Generator[None, None, bool]:
        for _ in range(PATIENCE):
            if (self._levels & mask == levels) == equal:
                return True
            yield
        return False
