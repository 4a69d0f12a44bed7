"""Whether what cells tell could be: every told state computed anew by the integer cell from the states that its neighbours have told.

Reports do not say what a cell had heard when it updated; its links take time, and frames may be replaced by newer ones. So of each neighbour
the last states that it has told are tried, the likeliest together first. A state that comes out of some of them, byte for byte, follows; how
old those were, in updates of their owners, is what can be known of the links without a wire to them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.ccore import CCell
from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import Codes
from nca_hw.sim.grid import OFFSETS
from nca_hw.watch.array import ON_THE_WAY, LiveArray, longest_pause

DEPTH = 4  # told states of a neighbour that are tried
KEPT = 3 * DEPTH
BLOCKS = (1, 256, 4096, DEPTH**NEIGHBOURS)  # combinations that are tried at once
SHARE = 0.25  # of the time, at the most
FORGIVEN_PAUSES = 8  # longest pauses that a restart or a damaged line leaves doubt
# How likely a neighbour's state is the newest told, or one, two, three updates older: roughly, to try the likeliest first.
DIRECT, DIAGONAL = (0.7, 0.25, 0.04, 0.01), (0.35, 0.4, 0.2, 0.05)


@dataclass(frozen=True)
class Unlike:
    """A state that does not follow: when it came (s), of which cell, and what the newest told states would have made of it."""

    time: float
    cell: int
    expected: tuple[int, ...]
    got: tuple[int, ...]


@dataclass
class Followed:
    """What came of it, counted in updates.

    Attributes:
        checked: of them `follow` do, and `dead` of those are of dead cells among dead ones. unlike: those that do not; first: of them.
        unknown: could not be checked: what was before, or what a neighbour was, is not known. skipped: there was no time to.
        newest, older: neighbours' states that living cells which follow have used: the newest told, or an older one. At least so many
            were older: of alike explanations the newest is taken.
    """

    follow: int = 0
    dead: int = 0
    unlike: int = 0
    unknown: int = 0
    skipped: int = 0
    newest: int = 0
    older: int = 0
    first: Unlike | None = None

    @property
    def checked(self) -> int:
        """Follow or do not."""
        return self.follow + self.unlike


@dataclass
class _Told:
    """A told state: when, and whether what was told before it was the state before it."""

    time: float
    state: Codes


@dataclass
class _History:
    states: deque[_Told] = field(default_factory=lambda: deque(maxlen=KEPT))
    doubtful_until: float = -np.inf
    begun_at: float = -np.inf  # of its tile, watched


class Follower:
    """Listens to a live array; `settle` checks what is old enough that all that was told before it has come."""

    def __init__(self, array: LiveArray, clock: Callable[[], float] = time.perf_counter, share: float = SHARE) -> None:
        """Of an array whose every cell should be watched.

        Args:
            share: of the clock's time that checks may take.
        """
        self.array, self.done = array, Followed()
        self._clock, self._share = clock, share
        self._cell = CCell(array.genome)
        self._pause = longest_pause(array.board)
        self._histories = [_History() for _ in range(len(array.told))]
        self._pending: deque[tuple[float, int, Codes, list[Codes] | None]] = deque()
        self._damaged = [0] * len(array.decoders)
        self._began, self._used = clock(), 0.0
        width, height = array.places.width, array.places.height
        self._neighbours = [
            [
                (y + down) * width + x + right if 0 <= y + down < height and 0 <= x + right < width else None
                for down, right in OFFSETS
            ]
            for y in range(height) for x in range(width)
        ]  # fmt: skip
        array.listeners.append(self._told)
        array.on_restart.append(self._restarted)

    def _told(self, now: float, cell: int, state: Codes) -> None:
        history = self._histories[cell]
        before: list[Codes] | None = None
        if history.states and now - history.states[-1].time <= self._pause and now >= history.doubtful_until:
            before = [history.states[-1].state, self.array.genome.seed]  # the command 20h makes it the seed at any time
        elif not history.states and history.begun_at > -np.inf:
            before = [np.zeros_like(state), self.array.genome.seed]
        elif history.states and now - history.states[-1].time > self._pause:
            history.doubtful_until = now + FORGIVEN_PAUSES * self._pause
        history.states.append(_Told(now, state))
        self._pending.append((now, cell, state, before))

    def _restarted(self, now: float, tile: int) -> None:
        for cell in self.array.cells_of[tile].tolist():
            history = self._histories[cell]
            history.states.clear()
            history.begun_at = now

    def doubt(self, port: int, now: float) -> None:
        """A line has carried damaged frames, or was gone: reports are missing."""
        tiles = [self.array.places.tiles[port]] if not self.array.hubs[port] else range(len(self.array.cells_of))
        for tile in tiles:
            for cell in self.array.cells_of[tile].tolist():
                self._histories[cell].doubtful_until = now + FORGIVEN_PAUSES * self._pause

    def settle(self, now: float, *, all_of_it: bool = False) -> None:
        """Check what has come until a little while ago, or all that there is."""
        for port, decoder in enumerate(self.array.decoders):
            lost = decoder.counts.damaged + decoder.counts.stray
            if lost != self._damaged[port] and self.array.began is not None and now - self.array.began > ON_THE_WAY:
                self.doubt(port, now)
            self._damaged[port] = lost
        while self._pending and (all_of_it or self._pending[0][0] + 2 * ON_THE_WAY <= now):
            time_, cell, state, before = self._pending.popleft()
            started = self._clock()
            if not all_of_it and self._used > self._share * (started - self._began + 1):
                self.done.skipped += 1
                continue
            self._check(time_, cell, state, before)
            self._used += self._clock() - started

    def _check(self, now: float, cell: int, state: Codes, before: list[Codes] | None) -> None:
        done = self.done
        candidates = None if before is None else self._candidates(now, cell)
        if before is None or candidates is None:
            done.unknown += 1
            return
        for own in before:
            for rows, heard in self._combinations(candidates):
                new, evaluated = self._cell.wake(np.broadcast_to(own, (len(heard), len(own))), heard)
                hits = np.flatnonzero((new == state).all(-1))
                if len(hits):
                    done.follow += 1
                    if not evaluated[hits[0]]:
                        done.dead += 1
                        return
                    used = [int(rows[hits[0], n]) for n, there in enumerate(self._neighbours[cell]) if there is not None]
                    done.newest += sum(age == 0 for age in used)
                    done.older += sum(age > 0 for age in used)
                    return
        around = [cell, *(other for other in self._neighbours[cell] if other is not None)]
        if any(now <= self._histories[other].doubtful_until for other in around):
            done.unknown += 1
            return
        done.unlike += 1
        if done.first is None:
            newest = np.stack([states[0] for states in candidates])
            expected = self._cell.wake(before[0][None], newest[None])[0][0]
            done.first = Unlike(now, cell, tuple(expected.tolist()), tuple(state.tolist()))

    def _candidates(self, now: float, cell: int) -> list[list[Codes]] | None:
        """What each neighbour may have been heard to be, the newest first; None if one has told nothing yet."""
        nothing = np.zeros(self.array.genome.channels, np.int8)
        out: list[list[Codes]] = []
        around = [cell, *(other for other in self._neighbours[cell] if other is not None)]
        lately = now - FORGIVEN_PAUSES * self._pause
        is_new = any(self._histories[other].begun_at > lately for other in around)
        for other in self._neighbours[cell]:
            if other is None:
                out.append([nothing])
                continue
            history = self._histories[other]
            # Who was read a little later may have updated a little earlier.
            told = [one.state for one in reversed(history.states) if one.time <= now + ON_THE_WAY]
            later = sum(1 for one in history.states if now < one.time <= now + ON_THE_WAY)
            if later:  # the newest by then is the likeliest all the same
                told = [*told[later : later + DEPTH - 1], told[later - 1]]
            told = told[:DEPTH]
            if is_new:
                told = [*told[: DEPTH - 1], nothing]
            if not told:
                return None
            out.append(told)
        return out

    def _combinations(self, candidates: list[list[Codes]]) -> Iterator[tuple[NDArray[np.int8], Codes]]:
        """Blocks of combinations, the likeliest first: which candidate of each neighbour, int8 [n, 8], and the states, int8 [n, 8, C]."""
        room = np.array([len(states) for states in candidates])
        padded = np.stack([np.stack([*states, *[states[-1]] * (DEPTH - len(states))]) for states in candidates])  # [8, DEPTH, C]
        alike = np.zeros((NEIGHBOURS, DEPTH), np.bool_)  # the same as one that is newer: tried with that
        for age in range(1, DEPTH):
            alike[:, age] = (padded[:, :age] == padded[:, age : age + 1]).all(-1).any(1)
        alike |= np.arange(DEPTH) >= room[:, None]
        order, places = _order(), np.arange(NEIGHBOURS)
        begin = 0
        for end in BLOCKS:
            rows = order[begin:end]
            begin = end
            rows = rows[~alike[places, rows].any(1)]
            if len(rows):
                yield rows, padded[places, rows]


@lru_cache(1)
def _order() -> NDArray[np.int8]:
    """All combinations of ages, int8 [DEPTH^8, 8], the likeliest first."""
    rows = np.stack(np.meshgrid(*[np.arange(DEPTH, dtype=np.int8)] * NEIGHBOURS, indexing="ij"), -1).reshape(-1, NEIGHBOURS)
    likely = np.log(np.array([DIRECT if n % 2 == 0 else DIAGONAL for n in range(NEIGHBOURS)]))
    weights = likely[np.arange(NEIGHBOURS), rows].sum(1)
    newest_first = np.argsort(-weights, kind="stable")
    newest = np.flatnonzero(~rows[newest_first].any(1))
    return np.ascontiguousarray(np.concatenate([rows[newest_first[newest]], np.delete(rows[newest_first], newest, 0)]))
