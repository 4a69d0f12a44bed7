"""The proof of a tile: its image on an emulated chip, and what its cells do, in the order in which they report it, replayed beside it.

Neighbours tell the four edges states of their cells, damaged frames and strange ones among them. Whatever the chip tells, over its edges,
to its LEDs and out of its service port, must be what the replay holds at that moment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.core.light import led_told
from nca_hw.core.reference import Codes
from nca_hw.emulate.chip import EDGES, Chip, EmulationError
from nca_hw.emulate.emulators import emulated
from nca_hw.emulate.stimulus import check_self_test, codes, damaged
from nca_hw.emulate.wire import WireEnd
from nca_hw.firmware.build import Build
from nca_hw.firmware.render import grid_places
from nca_hw.formats.boards import Board

NORTH, EAST, SOUTH, WEST = range(EDGES)
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # clockwise from the north: rows, columns
TIME_STEP_US = 5_000
PATIENCE = 4  # idle looks at the time within which a tile has begun to give what it owes


class Replay:
    """A tile's states as they must be.

    Attributes:
        states: int8 [H + 2, W + 2, C], the tile's own and around them the halo, what has been told over the edges.
        owed: frames that neighbours are owed, (edge, index).
    """

    def __init__(self, board: Board, channels: int) -> None:
        self.width, self.height = board.tile.width, board.tile.height
        self.states = np.zeros((self.height + 2, self.width + 2, channels), np.int8)
        self.owed: set[tuple[int, int]] = set()

    def place(self, cell: int) -> tuple[int, int]:
        """Row and column in `states` of a cell by its number."""
        return cell // self.width + 1, cell % self.width + 1

    def indices(self, edge: int) -> range:
        """The indices that an edge carries. Source: docs/protocol.md, Tiles."""
        return range(self.width + 2) if edge in (NORTH, SOUTH) else range(1, self.height + 1)

    def line(self, edge: int, *, halo: bool) -> Codes:
        """The tile's own line along an edge, or the line beyond it, by index; writing to it writes to the states."""
        nearest = {NORTH: 1, WEST: 1, SOUTH: self.height, EAST: self.width}[edge]
        at = nearest + (0 if not halo else -1 if edge in (NORTH, WEST) else 1)
        return self.states[at] if edge in (NORTH, SOUTH) else self.states[:, at]

    def neighbours(self, cell: int) -> Codes:
        """Neighbours of a cell, int8 [8, C], clockwise from the north."""
        row, column = self.place(cell)
        return np.stack([self.states[row + down, column + right] for down, right in AROUND])

    def update(self, cell: int, state: Codes) -> None:
        """A cell has a new state: whoever sees it is owed it, and with a corner the state that the tile passes on beside it."""
        row, column = self.place(cell)
        self.states[row, column] = state
        across = {column} | ({0} if column == 1 else set()) | ({self.width + 1} if column == self.width else set())
        self.owed |= {(NORTH, i) for i in across if row == 1} | {(SOUTH, i) for i in across if row == self.height}
        self.owed |= {(WEST, row)} if column == 1 else set()
        self.owed |= {(EAST, row)} if column == self.width else set()

    def lights(self, genome: Genome, board: Board) -> NDArray[np.int64]:
        """What the chain of LEDs is told: green, red and blue of each, in its order."""
        shown = self.states[1:-1, 1:-1].reshape(board.tile.cells, -1)[board.chain()]
        return led_told(genome, shown, board.led.brightness).ravel()


@dataclass
class TileRun:
    """Whole updates as the chip made them: the cell's state, what was around it, the state that it reported.

    Attributes:
        rejected: frames that the chip had to ignore.
    """

    before: list[Codes] = field(default_factory=list)
    heard: list[Codes] = field(default_factory=list)
    sent: list[Codes] = field(default_factory=list)
    rejected: int = 0


def run_tile(
    genome: Genome, made: Build, rng: np.random.Generator, updates: int, progress: Callable[[int], None] | None
) -> tuple[Chip, TileRun]:
    """Run a chip with the image for so many whole updates of its cells.

    Raises:
        EmulationError: it tells something else than the replay, or stops.
    """
    noise = np.random.default_rng(1)
    chip = emulated(made, noise=lambda: int(noise.integers(2)))
    harness = _Harness(genome, made, rng, updates, progress, chip)
    chip.reset()
    chip.run()
    if harness.wrong is not None:
        raise EmulationError(harness.wrong)
    return chip, harness.run


class _Harness:
    """What is around the chip. Time stands still while something goes on at the wires: a frame is taken before the next wait ends."""

    def __init__(
        self, genome: Genome, made: Build, rng: np.random.Generator, updates: int, progress: Callable[[int], None] | None, chip: Chip
    ) -> None:
        self.run = TileRun()
        self.wrong: str | None = None
        self._genome, self._made, self._rng, self._updates, self._progress, self._chip = genome, made, rng, updates, progress, chip
        self._replay = Replay(made.board, genome.channels)
        self._grid_at = next(s.address for s in made.image.symbols if s.name == "grid")
        self._frame_bytes = len(frames.encode(0, genome.seed))
        self._ends = [WireEnd(edge, self._frame_bytes, self._on_take) for edge in range(EDGES)]
        self._told: list[deque[tuple[int, Codes] | None]] = [deque() for _ in self._ends]  # frames on their way; None: to be ignored
        self._reported = bytearray()
        self._light: list[int] = []
        self._started, self._stimulated, self._idle = False, -1, 0
        chip.step, chip.ends = TIME_STEP_US, list(self._ends)
        chip.on_idle, chip.on_report, chip.on_light = self._on_idle, self._on_report, self._light.append

    def _fail(self, told: str) -> None:
        if self.wrong is None:
            self.wrong = f"update {len(self.run.sent)}: {told}"
        self._chip.stop()

    def _on_idle(self) -> None:
        self._hear()
        if not self._started:
            if not self._light:
                return
            self._start()
        self._idle += 1
        owed = self._replay.owed
        if owed and self._idle > PATIENCE:
            raise EmulationError(f"update {len(self.run.sent)}: nobody is told edge and index {sorted(owed)}")
        if len(self.run.sent) >= self._updates:
            if not owed:
                self._chip.stop()
        elif len(self.run.sent) > self._stimulated:
            self._stimulated = len(self.run.sent)
            self._stimulate()

    def _start(self) -> None:
        """The chip has reported its self-test and shown a black chain. From here on its cells have random states."""
        check_self_test(self._made, self._genome, bytes(self._reported))
        if wrong := self._chip.wrong_setup():
            raise EmulationError("the image sets the chip up wrongly: " + "; ".join(wrong))
        if self._chip.light(self._light) != [0] * (3 * self._made.board.tile.cells):
            raise EmulationError(f"the first chain is not black: {self._chip.light(self._light)}")
        self._started = True
        self._reported.clear()
        self._light.clear()
        for cell in range(self._made.board.tile.cells):
            self._put(cell)

    def _put(self, cell: int) -> None:
        """A random state into the chip's RAM."""
        state = codes(self._rng, (self._genome.channels,))
        self._replay.states[self._replay.place(cell)] = state
        self._chip.write(self._grid_at + grid_places(self._made.board)[cell] * self._genome.channels, state.tobytes())

    def _stimulate(self) -> None:
        rng = self._rng
        if rng.random() < 0.5:
            self._put(int(rng.integers(self._made.board.tile.cells)))
        for _ in range(rng.integers(0, 5)):
            edge, state, chance = int(rng.integers(EDGES)), codes(rng, (self._genome.channels,)), rng.random()
            index = int(rng.choice(self._replay.indices(edge)))
            frame = frames.frame(frames.EDGE | index, state)
            if chance < 0.3:
                frame = damaged(rng, frame) if chance < 0.15 else self._strange(edge, index, state)
                self.run.rejected += 1
            self._ends[edge].give(frame)
            self._told[edge].append((index, state) if chance >= 0.3 else None)

    def _strange(self, edge: int, index: int, state: Codes) -> bytes:
        """A sound frame that is none of this edge: of a single cell, of another version, or with an index that it does not carry."""
        beyond = [i for i in range(8) if i not in self._replay.indices(edge)]
        heads = [frames.STATE | index, 0x40 | frames.EDGE | index, *(frames.EDGE | i for i in 2 * beyond)]
        return frames.frame(int(self._rng.choice(heads)), state)

    def _hear(self) -> None:
        """What neighbours have told since the last call is in the halo."""
        for edge, (end, told) in enumerate(zip(self._ends, self._told, strict=True)):
            while len(told) > end.waiting:
                frame = told.popleft()
                if frame is not None:
                    self._replay.line(edge, halo=True)[frame[0]] = frame[1]

    def _on_take(self, edge: int, data: bytes) -> None:
        self._hear()
        self._idle = 0
        found = frames.decode_edges(data, self._genome.channels)
        if len(found) != 1 or (edge, found[0][0]) not in self._replay.owed:
            self._fail(f"edge {edge} was told {data.hex()}, which it is not owed")
            return
        index, state = found[0]
        expected = self._replay.line(edge, halo=False)[index]
        if not np.array_equal(state, expected):
            self._fail(f"edge {edge} was told of index {index} {state.tolist()}, not {expected.tolist()}")
        self._replay.owed.discard((edge, index))

    def _on_report(self, byte: int) -> None:
        self._reported.append(byte)
        if not self._started or len(self._reported) < 2 * self._frame_bytes:
            return
        self._hear()
        self._idle = 0
        reports = frames.decode_reports(bytes(self._reported), self._genome.channels)
        told, lights = bytes(self._reported).hex(), self._chip.light(self._light)
        self._reported.clear()
        self._light.clear()
        if [head for head, _ in reports] != [frames.REPORT_CELL, frames.REPORT_STATE]:
            self._fail(f"the service port tells {told}, which is no report of a cell and its state")
            return
        (cell, *rest), state = reports[0][1].tolist(), reports[1][1]
        if any(rest) or not 0 <= cell < self._made.board.tile.cells:
            self._fail(f"the service port tells {told}; there is no such cell")
            return
        self.run.before.append(self._replay.states[self._replay.place(cell)].copy())
        self.run.heard.append(self._replay.neighbours(cell))
        self.run.sent.append(state.copy())
        self._replay.update(cell, state)
        wanted = self._replay.lights(self._genome, self._made.board).tolist()
        if lights != wanted:
            self._fail(f"the LEDs were told {lights}, not {wanted}")
        if self._progress is not None:
            self._progress(min(len(self.run.sent), self._updates))
