"""What is known of a live array: every cell's last told state, how often it reports, and what its line and its tile have been through."""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames
from nca_hw.core.genome import Genome, bundled, load
from nca_hw.core.model import ALIVE_THRESHOLD, ALPHA
from nca_hw.core.reference import Codes
from nca_hw.formats.boards import Board
from nca_hw.sim import metrics
from nca_hw.sim.rules import codes_to_rgba
from nca_hw.watch.decoder import Decoder, Frames, LineCounts
from nca_hw.watch.places import Places

RATE_SECONDS = 10.0  # over which rates are taken
CLOCK_TOLERANCE = 1.05  # of the chips' clocks; RC oscillators are within it
ON_THE_WAY = 0.1  # s: a report's time in adapters and drivers, at the most
SILENT_PAUSES = 3  # longest pauses after which a tile is called silent
CRC_BITS = 16

Listener = Callable[[float, int, Codes], None]  # time, cell, state


def longest_pause(board: Board) -> float:
    """Seconds between two reports of a cell, at the most: waits are at most 1.5 intervals, updates of a chip's cells come on top."""
    power = board.power
    updates = 4 * board.tile.cells * power.cycles_evaluated / power.clock_hz  # the dearest updates take nearly three times the mean
    return 1.5 * board.interval_us / 1e6 * CLOCK_TOLERANCE + updates + ON_THE_WAY


def mean_rate(board: Board) -> float:
    """Reports a second of a cell that evaluates, as its board has it: an interval and an update apart."""
    power = board.power
    return 1 / (board.interval_us / 1e6 + power.cycles_evaluated / power.clock_hz)


@dataclass(frozen=True)
class SelfTest:
    """What a tile has told after its power-on: version of the spec, CRC of its image, first bits of its genome's hash (hex)."""

    spec: int
    image_crc: int
    genome: str


def self_test_of(codes: Codes) -> SelfTest:
    """From the codes of a frame 19h, as many as there are. Source: docs/protocol.md, Self-test."""
    given = [int(code) & 0x7F for code in codes]
    crc = sum(code << 7 * n for n, code in enumerate(given[1:4]))
    bits = sum(code << 7 * n for n, code in enumerate(given[4:]))
    digits = min(frames.HASH_BITS, 7 * len(given[4:])) // 4
    return SelfTest(given[0], crc & (1 << CRC_BITS) - 1, f"{bits:0{digits}x}" if digits else "")


def matches(test: SelfTest, genome: Genome) -> bool:
    """Whether a tile that tells this has the genome."""
    own = self_test_of(np.array(frames.about(genome.cell_hash, genome.channels), np.int8))
    return test.genome == own.genome and test.spec == own.spec


@lru_cache
def known_genome(test: SelfTest) -> str | None:
    """The name of the bundled genome that a tile tells of, None if it is none."""
    return next((name for name in bundled() if matches(test, load(name))), None)


class LiveArray:
    """All cells of a grid, and the lines that tell of them.

    Attributes:
        states: int8 [cells, C]; 0 for a cell that has told nothing since its tile began. told: whether it has, bool [cells].
        told_at: when it last did, s, NaN: never. counts: reports of each cell. pauses: between two reports of a cell,
            longer than the firmware ever waits.
        self_tests: of every tile the last one; tests: how many there were. restarts: those of a tile that had told something before.
        unplaced: reports of cells that nobody named. held_up: how often the watch itself came late to its ports.
        listeners: are told of every report of a cell. on_restart: of every self-test: time, tile.
    """

    def __init__(self, genome: Genome, board: Board, places: Places, image_crc: int | None = None) -> None:
        """Of nothing known yet.

        Args:
            image_crc: of the image that all tiles should have; None: that which most of them tell.
        """
        self.genome, self.board, self.places, self.image_crc = genome, board, places, image_crc
        cells, tiles = places.width * places.height, places.columns * places.rows
        self.states: Codes = np.zeros((cells, genome.channels), np.int8)
        self.told = np.zeros(cells, np.bool_)
        self.told_at = np.full(cells, np.nan)
        self._first_at = np.full(cells, np.nan)
        self.counts = np.zeros(cells, np.int64)
        self.pauses = np.zeros(cells, np.int64)
        self.tile_told_at = np.full(tiles, np.nan)
        self.tests, self.restarts = np.zeros(tiles, np.int64), np.zeros(tiles, np.int64)
        self.self_tests: dict[int, SelfTest] = {}
        self.unplaced = 0
        self.listeners: list[Listener] = []
        self.on_restart: list[Callable[[float, int], None]] = []
        self.began: float | None = None
        self.now = 0.0
        self.held_up = 0  # how often
        self._held_up_at, self._held_up_for = -np.inf, 0.0
        self.decoders = [Decoder(genome.channels) for _ in places.ports]
        self.hubs = [False for _ in places.ports]
        self._carried: list[Frames | None] = [None for _ in places.ports]
        self._pause = longest_pause(board)
        numbers = [[places.cell(tile, n) for n in range(board.tile.cells)] for tile in range(tiles)]
        self.cells_of = np.array(numbers, np.int64)  # [tiles, cells of a tile]
        self._past: deque[tuple[float, NDArray[np.int64]]] = deque()

    def feed(self, now: float, port: int, data: bytes) -> None:
        """Bytes that have come from a port, at a time in seconds."""
        self.tick(now)
        self._take(now, port, self.decoders[port].feed(data))

    def cut(self, port: int) -> None:
        """A port has vanished."""
        self.decoders[port].cut()
        self._carried[port] = None

    def late(self, now: float, seconds: float) -> None:
        """Nothing was read for so long, until now: what comes is as much older than it seems."""
        self.tick(now)
        self.held_up += 1
        self._held_up_at, self._held_up_for = now, seconds

    def pause_limit(self, now: float) -> float:
        """Seconds between two reports of a cell, read one after the other, beyond which something is amiss."""
        return self._pause + (self._held_up_for if now - self._held_up_at < 2 * self._pause else 0.0)

    def tick(self, now: float) -> None:
        """Time passes."""
        if self.began is None:
            self.began = now
        self.now = max(self.now, now)
        if not self._past or now - self._past[-1][0] >= 1:
            self._past.append((now, self.counts.copy()))
            while len(self._past) > 1 and now - self._past[1][0] >= RATE_SECONDS:
                self._past.popleft()

    def _take(self, now: float, port: int, found: Frames) -> None:
        if not len(found.heads):
            return
        size = self.decoders[port].frame_bytes
        carried = self._carried[port]
        heads, codes, positions = found.heads, found.codes, found.positions
        if carried is not None:
            heads = np.concatenate([carried.heads, heads])
            codes = np.concatenate([carried.codes, codes])
            positions = np.concatenate([carried.positions, positions])
        new = len(heads) - len(found.heads)  # the frames from here on are new
        self._carried[port] = Frames(heads[-2:], codes[-2:], positions[-2:])
        if not self.hubs[port] and (heads == frames.REPORT_TILE).any():
            self.hubs[port] = True
        first = self.places.tiles[port]
        at = np.arange(new, len(heads))
        # What a report is about is said by the frames right before it: a hub's tile, then a tile's cell. With a byte between nobody knows.
        cells_named = self.board.tile.cells > 1
        named, number = self._named(heads, codes, positions, at, 1, frames.REPORT_CELL, size)
        is_state = heads[at] == frames.REPORT_STATE
        is_test = heads[at] == frames.REPORT_SELF_TEST
        tile = np.full(len(at), first)
        known = is_state | is_test
        if cells_named:
            known &= named & (number < self.board.tile.cells) | is_test
        else:
            number = np.zeros(len(at), np.int64)
        if self.hubs[port]:
            back = np.where(is_state & cells_named, 2, 1)
            tile_named, tile = self._named(heads, codes, positions, at, back, frames.REPORT_TILE, size)
            known &= tile_named & (tile < len(self.cells_of))
        self.unplaced += int(((is_state | is_test) & ~known).sum())
        tests = at[known & is_test]
        bounds = [*tests.tolist(), len(heads)]
        reports = at[known & is_state]
        where = np.where(known & is_state, tile, 0)
        cells = self.cells_of[where, np.where(known & is_state, number, 0)]
        begin = 0
        for bound in bounds:  # a self-test wipes what was told before it, and not what comes after
            part = reports[(reports >= begin) & (reports < bound)]
            if len(part):
                self._reports(now, cells[part - new], tile[part - new], codes[part])
            if bound < len(heads):
                self._self_test(now, int(tile[bound - new]), codes[bound])
            begin = bound

    @staticmethod
    def _named(
        heads: NDArray[np.uint8], codes: Codes, positions: NDArray[np.int64], at: NDArray[np.int64], back: int | NDArray[np.int64],
        head: int, size: int,
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:  # fmt: skip
        """Whether the frame so many before each frame is of a head, with nothing between, and the number it tells."""
        before = at - back
        clear = (before >= 0) & (heads[before] == head) & (positions[at] - positions[before] == back * size)
        told = codes[before].astype(np.int64)
        number = told[:, 0] + (told[:, 1] * 128 if told.shape[1] > 1 and head == frames.REPORT_TILE else 0)
        clear &= (number >= 0) & (told[:, 0] >= 0)
        return clear, np.where(clear, number, 0)

    def _reports(self, now: float, cells: NDArray[np.int64], tiles: NDArray[np.int64], codes: Codes) -> None:
        once = np.unique(cells)
        self.pauses[once] += now - self.told_at[once] > self.pause_limit(now)  # false for NaN
        self.states[cells] = codes  # of several the last one stays
        self.told[cells] = True
        self._first_at[once] = np.fmin(self._first_at[once], now)  # NaN is no number
        self.told_at[cells] = now
        self.tile_told_at[tiles] = now
        np.add.at(self.counts, cells, 1)
        for listener in self.listeners:
            for cell, state in zip(cells.tolist(), codes, strict=True):
                listener(now, cell, state)

    def _self_test(self, now: float, tile: int, codes: Codes) -> None:
        cells = self.cells_of[tile]
        self.states[cells], self.told[cells], self.told_at[cells] = 0, False, np.nan
        self.self_tests[tile] = self_test_of(codes)
        self.tests[tile] += 1
        self.restarts[tile] += not np.isnan(self.tile_told_at[tile])
        self.tile_told_at[tile] = now
        for listener in self.on_restart:
            listener(now, tile)

    # What can be told.

    @property
    def watched(self) -> NDArray[np.bool_]:
        """Tiles that a port tells of, or a hub has told of, bool [tiles]."""
        seen: NDArray[np.bool_] = ~np.isnan(self.tile_told_at)
        for tile, hub in zip(self.places.tiles, self.hubs, strict=True):
            if not hub:
                seen[tile] = True
        return seen

    @property
    def watched_cells(self) -> NDArray[np.bool_]:
        """Their cells, bool [cells]."""
        out = np.zeros(len(self.told), np.bool_)
        out[self.cells_of[self.watched].ravel()] = True
        return out

    def rates(self) -> NDArray[np.float64]:
        """Reports a second of every cell over the last ten seconds, or since its first one, [cells]; NaN in the first second."""
        if not self._past or self.now - self._past[0][0] < 1:
            return np.full(len(self.counts), np.nan)
        then, counts = self._past[0]
        seconds: NDArray[np.float64] = np.maximum(self.now - np.fmax(self._first_at, then), 1)
        return (self.counts - counts) / seconds

    def silent(self) -> list[int]:
        """Watched tiles that have told nothing for longer than they ever should."""
        limit = SILENT_PAUSES * self._pause
        since = self.now - np.where(np.isnan(self.tile_told_at), self.began or 0.0, self.tile_told_at)
        return np.flatnonzero(self.watched & (since > limit)).tolist()

    def rgba(self) -> NDArray[np.float32]:
        """Premultiplied RGBA of the told states, float32 [height, width, 4]."""
        return codes_to_rgba(self.genome, self.states.reshape(self.places.height, self.places.width, -1))

    def alive(self) -> int:
        """Told cells that look alive."""
        return int((self.rgba()[..., ALPHA].ravel()[self.told] > ALIVE_THRESHOLD).sum())

    def loss(self, target: NDArray[np.float32]) -> float | None:
        """Pattern loss of the cells that are watched against the target in the middle of the grid; None before all of them have told."""
        watched = self.watched_cells
        if not watched.any() or not self.told[watched].all():
            return None
        on_grid = metrics.place(target, self.places.height, self.places.width)
        seen = watched.reshape(self.places.height, self.places.width)
        return metrics.pattern_loss(self.rgba()[seen], on_grid[seen])

    def usual_crc(self) -> int | None:
        """The CRC that images should have: as was said, or that of most tiles."""
        if self.image_crc is not None or not self.self_tests:
            return self.image_crc
        crcs = [test.image_crc for test in self.self_tests.values()]
        return max(sorted(set(crcs)), key=crcs.count)

    def other_images(self) -> list[int]:
        """Tiles whose image is another one."""
        usual = self.usual_crc()
        return sorted(tile for tile, test in self.self_tests.items() if test.image_crc != usual)

    def other_genomes(self) -> list[int]:
        """Tiles whose genome is not the one that is shown."""
        return sorted(tile for tile, test in self.self_tests.items() if not matches(test, self.genome))

    def line_counts(self) -> LineCounts:
        """Of all lines together."""
        total = LineCounts()
        for decoder in self.decoders:
            for name, value in asdict(decoder.counts).items():
                setattr(total, name, getattr(total, name) + value)
        return total


def crc_of(image: bytes) -> int:
    """The CRC that a self-test tells of an image."""
    return binascii.crc_hqx(image, 0)
