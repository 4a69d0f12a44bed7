"""Whoever hands a genome to a tile over its service port: what to say, given what the tile has said. Knows no port and no clock."""

from __future__ import annotations

from nca_hw.core import frames, slot, spread

FRAME = frames.frame_bytes(slot.CHANNELS)
OFFER_NS = 2_000_000  # a frame takes 1.8 ms at 115,200 baud
BURST_NS = 20_000_000
QUIET_NS = 400_000_000  # after a request the tile is at work; if it asks for no more, it is offered the genome anew


class Feeder:
    """Offers a packed slot until the tile asks for it, and answers what it asks.

    Attributes:
        running: name of the genome that the tile runs, as it told last; None while it has told none.
        pages: that were asked for, each counted once. done: the tile runs the genome that was to be handed in.
    """

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        self.name = spread.name(packed)
        self.running: bytes | None = None
        self.pages: set[int] = set()
        self._heard = b""
        self._answers = b""
        self._offered_until = 0
        self._asked_at: int | None = None

    @property
    def done(self) -> bool:
        """The tile has told that it runs the genome."""
        return self.running == self.name

    def hear(self, now_ns: int, data: bytes) -> None:
        """Bytes that the tile said."""
        self._heard += data
        for head, codes in frames.decode_spread(self._heard, slot.CHANNELS):
            if head == frames.OFFER:
                self.running = codes.tobytes()[: spread.NAME_CODES]
            elif head == frames.WANT:
                asked = spread.want(codes)
                if asked.wanted == self.name[: spread.WANTED_CODES] and asked.page * slot.PAGE < len(self.packed):
                    self.pages.add(asked.page)
                    self._asked_at = now_ns
                    self._answers += b"".join(spread.part(self.packed, asked.page, part) for part in asked.parts)
        at = self._heard.rfind(bytes([frames.START]))
        whole = at < 0 or len(self._heard) - at >= FRAME
        self._heard = b"" if whole else self._heard[at:]

    def say(self, now_ns: int) -> bytes:
        """What to say now; to be asked every few milliseconds."""
        if self._answers:
            said, self._answers = self._answers, b""
            return said
        if self.done or (self._asked_at is not None and now_ns - self._asked_at < QUIET_NS):
            return b""
        begin = max(self._offered_until, now_ns)
        count = max(0, (now_ns + BURST_NS - begin) // OFFER_NS)
        self._offered_until = begin + count * OFFER_NS
        return spread.offer(self.name) * count
