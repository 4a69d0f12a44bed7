"""Whether what cells tell could be: every told state computed anew by the integer cell from the states that its neighbours have told.

Reports do not say what a cell had heard when it updated; its links take time, and frames may be replaced by newer ones. So of each
neighbour the last states that it has told are tried, the likeliest together first. A state that comes out of some of them, byte for byte,
follows; how old those were, in updates of their owners, is what can be known of the links without a wire to them.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.ccore import FastCell
from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import Codes
from nca_hw.sim.grid import OFFSETS
from nca_hw.watch.array import ON_THE_WAY, LiveArray, longest_pause

DEPTH = 5  # told states of a neighbour that are tried, and
LATER = DEPTH  # the next one: who is read a little later may have updated a little earlier;
NOTHING, SEED = DEPTH + 1, DEPTH + 2  # while a tile is new: it has heard nothing yet, or was heard to be a seed, which it does not report
CANDIDATES = DEPTH + 3
SKEW = 0.05  # s by which the order of reports of different tiles is not known: adapters and drivers keep them that long
KEPT = 32  # told states: a second and a half at the least
TOO_LATE = 0.8  # s after which a state is not checked any more
AT_ONCE = 0.02  # s of checking at a time: ports are waiting
BLOCK = 4096  # combinations that are tried at once, at the most
SHARE = 0.25  # of the time, at the most
FORGIVEN_PAUSES = 4  # longest pauses that a damaged line leaves doubt: neighbours know its tile's states for as long
NEW_PAUSES = 3  # longest pauses after which neighbours have heard of a tile; a seed is quiet for two wakes
# What it costs to assume a candidate: minus four times the logarithm of its share, roughly. Shares of ages are those of 49 native cells
# wired edge to edge, whose links are as slow as in docs/protocol.md: a neighbour's newest state 91%, the one before 9%; of a diagonal
# neighbour, which is relayed, 41%, 53%, 5%.
COSTS = np.array([[0, 9, 20, 30, 36, 9, 4, 4], [1, 0, 9, 22, 30, 9, 4, 4]], np.int32)  # of direct, diagonal neighbours
LEVELS = (1, 128, 4096, 32768)  # combinations that are tried, until one does


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

    def __init__(self, array: LiveArray, *, patient: bool = False, clock: Callable[[], float] = time.perf_counter) -> None:
        """Of an array whose every cell should be watched.

        Args:
            patient: check everything, however long it takes; otherwise checks take a share of the clock's time, and what waits for too
                long is left out.
        """
        self.array, self.done = array, Followed()
        self._clock, self._patient = clock, patient
        self._cell = FastCell(array.genome)
        self._pause = longest_pause(array.board)
        self._suspects: deque[tuple[float, Unlike]] = deque()
        self._under_way: Iterator[None] | None = None
        self._blurred: deque[tuple[float, float]] = deque(maxlen=KEPT)
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
        pause = self.array.pause_limit(now)
        if history.states and now - history.states[-1].time <= pause and now >= history.doubtful_until:
            before = [history.states[-1].state, self.array.genome.seed]  # the command 20h makes it the seed at any time
        elif not history.states and history.begun_at > -np.inf:
            before = [np.zeros_like(state), self.array.genome.seed]
        elif history.states and now - history.states[-1].time > pause:
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

    def late(self, now: float, seconds: float) -> None:
        """Nothing was read for so long: of what was told meanwhile the order is not known."""
        self._blurred.append((now - seconds - SKEW, now + SKEW))

    def settle(self, now: float, *, all_of_it: bool = False) -> None:
        """Check what has come until a little while ago, or all that there is."""
        for port, decoder in enumerate(self.array.decoders):
            lost = decoder.counts.damaged + decoder.counts.stray
            if lost != self._damaged[port] and self.array.began is not None and now - self.array.began > ON_THE_WAY:
                self.doubt(port, now)
            self._damaged[port] = lost
        began = started = self._clock()
        patient = all_of_it or self._patient
        while patient or (started - began < AT_ONCE and self._used < SHARE * (started - self._began + 1)):
            if self._under_way is None:
                if not self._pending or not (all_of_it or self._pending[0][0] + 2 * SKEW <= now):
                    break
                update = self._pending.popleft()
                if not patient and now - update[0] > TOO_LATE:
                    self.done.skipped += 1
                    continue
                self._under_way = self._check(*update)
            if next(self._under_way, self) is self:  # it has ended
                self._under_way = None
            ended = self._clock()
            self._used, started = self._used + ended - started, ended
        while self._suspects and (all_of_it or self._suspects[0][0] <= now):
            self._decide(self._suspects.popleft()[1])

    def _check(self, now: float, cell: int, state: Codes, before: list[Codes] | None) -> Iterator[None]:
        """Check an update, a block of combinations at a time."""
        done = self.done
        found = None if before is None else self._candidates(now, cell)
        if before is None or found is None:
            done.unknown += 1
            return
        candidates, possible = found
        for own in before:
            for rows, heard in self._combinations(candidates, possible):
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
                yield
        newest = candidates[:, 0]
        expected = self._cell.wake(before[0][None], newest[None])[0][0]
        unlike = Unlike(now, cell, tuple(expected.tolist()), tuple(state.tolist()))
        self._suspects.append((now + self._pause + 2 * SKEW, unlike))  # a report that is missing shows by then

    def _decide(self, unlike: Unlike) -> None:
        """Whether a state does not follow, or something is not known of the cell and its neighbours at that time."""
        at, done = unlike.time, self.done
        if any(begin <= at <= end for begin, end in self._blurred):
            done.unknown += 1
            return
        for other in (unlike.cell, *(one for one in self._neighbours[unlike.cell] if one is not None)):
            history = self._histories[other]
            times = [one.time for one in history.states]
            before, after = [time for time in times if time <= at], [time for time in times if time > at]
            gap = after[0] - (before[-1] if before else history.begun_at) if after else np.inf
            known_from = max(history.begun_at + NEW_PAUSES * self._pause, history.doubtful_until)
            if gap > self.array.pause_limit(at) or at <= known_from:
                done.unknown += 1
                return
        done.unlike += 1
        done.first = done.first or unlike

    def _candidates(self, now: float, cell: int) -> tuple[Codes, NDArray[np.bool_]] | None:
        """What each neighbour may have been heard to be, int8 [8, CANDIDATES, C], which of them are; None: one has told nothing."""
        genome, histories, neighbours = self.array.genome, self._histories, self._neighbours[cell]
        states = np.zeros((NEIGHBOURS, CANDIDATES, genome.channels), np.int8)
        possible = np.zeros((NEIGHBOURS, CANDIDATES), np.bool_)
        states[:, SEED] = genome.seed
        new = now - NEW_PAUSES * self._pause
        relays_are_new = any(histories[other].begun_at > new for other in (cell, *(o for o in neighbours if o is not None)))
        for place, other in enumerate(neighbours):
            if other is None:
                possible[place, 0] = True
                continue
            history = histories[other]
            told = [one.state for one in reversed(history.states) if one.time <= now][:DEPTH]
            later = next((one.state for one in history.states if now < one.time <= now + SKEW), None)
            if not told and history.begun_at == -np.inf:
                return None
            possible[place, : len(told) or 1] = True  # who has told nothing since it began is nothing, or a seed
            possible[place, NOTHING] = relays_are_new and bool(told)
            possible[place, SEED] = history.begun_at > new
            for age, state in enumerate(told):
                states[place, age] = state
            if later is not None:
                states[place, LATER], possible[place, LATER] = later, True
        for age in range(1, CANDIDATES):  # the same as one that is likelier: tried with that
            alike = (states[:, :age] == states[:, age : age + 1]).all(-1) & possible[:, :age]
            possible[:, age] &= ~alike.any(1)
        return states, possible

    @staticmethod
    def _combinations(states: Codes, possible: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.int8], Codes]]:
        """Combinations, the cheapest first: which candidate of each neighbour, int8 [n, 8], and the states, int8 [n, 8, C]."""
        places, begin = np.arange(NEIGHBOURS), 0
        for most in LEVELS:
            rows = cheapest(possible, most)
            for at in range(begin, len(rows), BLOCK):
                yield rows[at : at + BLOCK], states[places, rows[at : at + BLOCK]]
            if len(rows) < most:
                return
            begin = most


def cheapest(possible: NDArray[np.bool_], most: int) -> NDArray[np.int8]:
    """The cheapest combinations, at most so many, int8 [n, 8], in the order of their cost, equal ones in that of their numbers.

    Args:
        possible: bool [8, CANDIDATES].
    """
    rows, costs = np.zeros((1, 0), np.int8), np.zeros(1, np.int32)
    for place in range(NEIGHBOURS):
        options = np.flatnonzero(possible[place]).astype(np.int8)
        own = COSTS[place % 2, options]
        costs = (costs[:, None] + own).ravel()
        rows = np.concatenate([np.repeat(rows, len(options), 0), np.tile(options, len(rows))[:, None]], 1)
        if len(costs) > most:  # a cheap combination begins with a cheap one
            kept = np.sort(np.argsort(costs, kind="stable")[:most])
            rows, costs = rows[kept], costs[kept]
    return np.ascontiguousarray(rows[np.argsort(costs, kind="stable")])
