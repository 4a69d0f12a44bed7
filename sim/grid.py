"""The grid of cells, the chips they live on, and the wires between chips.

A chip holds a tile of cells. Cells of one chip read each other's states in its memory; between chips, states travel in frames over links:
one link to each of eight neighbouring chips, or one over each edge, where the northern and southern link also carry what a corner
cell has heard from the east and the west (so that diagonals arrive, relayed). Source: docs/protocol.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import NE, NW, SE, SW, E, N, S, W

Wiring = Literal["eight", "edges"]
OFFSETS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # row, column; clockwise from the north
INSIDE = 8  # in place of a frame's number: read in the chip's own memory
OWN = 255  # a frame that carries the sender's own state

# Frames of four-edge wiring: the link each takes, and whose state it carries (the sender's own, or what it has heard from E or W).
EDGE_LINK = (N, N, E, S, S, S, W, N)
EDGE_CARRIES = (OWN, E, OWN, E, OWN, W, OWN, W)


@dataclass(frozen=True)
class Frame:
    """One of up to eight frames that a cell sends after a wake.

    Attributes:
        number: 0..7, the order of sending. link: direction of the chip's link. carries: OWN, or the neighbour whose state is passed on.
        receivers: (cell, slot): whose memory of which neighbour it fills.
    """

    number: int
    link: int
    carries: int
    receivers: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Grid:
    """Cells row by row, cell i in row i // width, column i % width; chips of tile_width x tile_height cells likewise."""

    width: int
    height: int
    tile_width: int = 1
    tile_height: int = 1
    wiring: Wiring = "eight"

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.width * self.height

    @property
    def chips_across(self) -> int:
        """Chips in a row."""
        return self.width // self.tile_width

    @property
    def chips_down(self) -> int:
        """Chips in a column."""
        return self.height // self.tile_height

    @property
    def chips(self) -> int:
        """Number of chips."""
        return self.chips_across * self.chips_down

    @property
    def seed_cell(self) -> int:
        """The cell that is the seed: the middle one (below and right of the centre for even sizes)."""
        return (self.height // 2) * self.width + self.width // 2

    @cached_property
    def chip_of(self) -> NDArray[np.int64]:
        """The chip of every cell, int64 [cells]."""
        rows, columns = np.divmod(np.arange(self.cells), self.width)
        return np.asarray(rows // self.tile_height * self.chips_across + columns // self.tile_width)

    def cells_of_chip(self, chip: int) -> list[int]:
        """The cells of one chip, ascending."""
        down, across = divmod(chip, self.chips_across)
        rows = range(down * self.tile_height, (down + 1) * self.tile_height)
        first = across * self.tile_width
        return [row * self.width + column for row in rows for column in range(first, first + self.tile_width)]

    def neighbour(self, cell: int, direction: int) -> int | None:
        """The cell next to another, or None beyond the grid."""
        row, column = divmod(cell, self.width)
        y, x = row + OFFSETS[direction][0], column + OFFSETS[direction][1]
        return y * self.width + x if 0 <= y < self.height and 0 <= x < self.width else None

    def _across(self, cell: int, direction: int) -> tuple[int, int]:
        """Chips crossed, down and to the right, by going from a cell to its neighbour (which may lie beyond the grid)."""
        row, column = divmod(cell, self.width)
        y, x = row + OFFSETS[direction][0], column + OFFSETS[direction][1]
        return y // self.tile_height - row // self.tile_height, x // self.tile_width - column // self.tile_width

    def source(self, cell: int, direction: int) -> tuple[int, int]:
        """How a cell hears its neighbour: (sending cell, its frame's number), or (neighbour, INSIDE).

        Raises:
            ValueError: the neighbour lies beyond the grid.
        """
        neighbour = self.neighbour(cell, direction)
        if neighbour is None:
            raise ValueError(f"cell {cell} has no neighbour {direction}")
        crossed = self._across(cell, direction)
        if crossed == (0, 0):
            return neighbour, INSIDE
        link = OFFSETS.index((-crossed[0], -crossed[1]))  # of the sender
        if self.wiring == "eight" or link % 2 == 0:
            return neighbour, link
        relay = self.neighbour(cell, N if OFFSETS[direction][0] < 0 else S)
        assert relay is not None
        return relay, {NE: SE, SE: NE, SW: NW, NW: SW}[direction]  # the relay's frame to the other side that carries E or W

    def carries(self, frame: int) -> int:
        """Whose state a frame carries."""
        return OWN if self.wiring == "eight" else EDGE_CARRIES[frame]

    def link(self, frame: int) -> int:
        """The link that a frame takes."""
        return frame if self.wiring == "eight" else EDGE_LINK[frame]

    def place(self, frame: int) -> int:
        """Where its receiver sees the owner of the state that a frame carries: the place in the frame's second byte."""
        return (frame + 4) % 8 if self.wiring == "eight" or frame % 2 == 0 else (12 - frame) % 8

    def _heard_by(self, cell: int) -> list[tuple[int, int, int]]:
        """Everybody who hears from a cell: (receiver, slot, frame)."""
        heard = []
        row, column = divmod(cell, self.width)
        for y in range(max(row - 1, 0), min(row + 2, self.height)):
            for x in range(max(column - 1, 0), min(column + 2, self.width)):
                receiver = y * self.width + x
                for slot in range(NEIGHBOURS):
                    if self.neighbour(receiver, slot) is not None:
                        sender, frame = self.source(receiver, slot)
                        if sender == cell:
                            heard.append((receiver, slot, frame))
        return heard

    def frames(self, cell: int) -> list[Frame]:
        """The frames that a cell sends, in order."""
        heard = self._heard_by(cell)
        return [
            Frame(number, self.link(number), self.carries(number), tuple((r, slot) for r, slot, frame in heard if frame == number))
            for number in sorted({frame for _, _, frame in heard if frame != INSIDE})
        ]

    def inside(self, cell: int) -> list[tuple[int, int]]:
        """Cells of the same chip that read this one: (cell, slot)."""
        return [(receiver, slot) for receiver, slot, frame in self._heard_by(cell) if frame == INSIDE]

    @cached_property
    def frame_masks(self) -> NDArray[np.uint8]:
        """Which frames every cell sends, a bit for each, uint8 [cells]."""
        rows, columns = np.divmod(np.arange(self.cells), self.width)
        y, x = rows % self.tile_height, columns % self.tile_width
        north, south = (y == 0) & (rows > 0), (y == self.tile_height - 1) & (rows < self.height - 1)
        west, east = (x == 0) & (columns > 0), (x == self.tile_width - 1) & (columns < self.width - 1)
        exists = {N: north, NE: north & east, E: east, SE: south & east, S: south, SW: south & west, W: west, NW: north & west}
        masks: Any = sum((exists[frame].astype(np.uint8) << np.uint8(frame) for frame in exists), np.zeros(self.cells, np.uint8))
        return np.asarray(masks, np.uint8)
