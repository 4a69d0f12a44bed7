"""Which port is which tile: from PORT arguments, a grid and a board to a place for every port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nca_hw.errors import NcaHwError
from nca_hw.formats.boards import Board
from nca_hw.sim.scenario import CELLS_MAX
from nca_hw.watch.ports import Tap

TILES_MAX = 1 << 14  # a hub's frame 1Bh has 14 bits for them


@dataclass(frozen=True)
class Places:
    """The tiles of an array, and the ports that are told of.

    Attributes:
        columns, rows: tiles. tile_width, tile_height: cells of one. ports: their names.
        tiles: of every port the number of its tile, row by row from the north-west.
    """

    columns: int
    rows: int
    tile_width: int
    tile_height: int
    ports: tuple[str, ...]
    tiles: tuple[int, ...]

    @property
    def width(self) -> int:
        """Cells from west to east."""
        return self.columns * self.tile_width

    @property
    def height(self) -> int:
        """Cells from north to south."""
        return self.rows * self.tile_height

    @property
    def tile(self) -> tuple[int, int]:
        """Width and height of a tile, in cells."""
        return self.tile_width, self.tile_height

    def cell(self, tile: int, number: int) -> int:
        """The number of a cell in the grid, row by row, from its number in a tile."""
        row, column = divmod(number, self.tile_width)
        down, across = divmod(tile, self.columns)
        return (down * self.tile_height + row) * self.width + across * self.tile_width + column


def place(taps: Sequence[Tap], board: Board, grid: tuple[int, int] | None) -> Places:
    """Places for all ports.

    Ports that say no place take those that are free, row by row. Without a grid it is as large as the places named need; and a
    row of tiles, where none is.

    Args:
        grid: width and height in cells.
    Raises:
        NcaHwError: a grid that is not of whole tiles, or too small; two ports in one place.
    """
    wide, high = board.tile.width, board.tile.height
    if grid is None:
        named = [tap.tile for tap in taps if tap.tile is not None]
        columns = max((x + 1 for x, _ in named), default=len(taps))
        rows = max((y + 1 for _, y in named), default=1)
    elif grid[0] % wide or grid[1] % high:
        raise NcaHwError(f"{grid[0]}x{grid[1]} cells are not whole tiles of {wide}x{high}", where="--grid", cure="Take a multiple of them.")
    else:
        columns, rows = grid[0] // wide, grid[1] // high
    if columns * rows * wide * high > CELLS_MAX or columns * rows > TILES_MAX:
        raise NcaHwError(f"{columns}x{rows} tiles are too many to watch, at most {TILES_MAX:,}", where="--grid")
    owners: dict[int, str] = {}
    for tap in taps:
        if tap.tile is None:
            continue
        x, y = tap.tile
        if x >= columns or y >= rows:
            cure = f"Columns are 0 to {columns - 1}, rows 0 to {rows - 1}, counted in tiles."
            raise NcaHwError(f"there is no tile at {x},{y} in a grid of {columns}x{rows} tiles", where=tap.port, cure=cure)
        tile = y * columns + x
        if tile in owners:
            raise NcaHwError(f"is at {x},{y}, where {owners[tile]} is already", where=tap.port, cure="Give each port a place of its own.")
        owners[tile] = tap.port
    free = iter([tile for tile in range(columns * rows) if tile not in owners])
    tiles = []
    for tap in taps:
        tile = next(free, -1) if tap.tile is None else tap.tile[1] * columns + tap.tile[0]
        if tile < 0:
            told = f"{len(taps)} ports, but a grid of {columns}x{rows} tiles"
            raise NcaHwError(told, where="--grid", cure="Name a larger grid, in cells, or fewer ports.")
        tiles.append(tile)
    return Places(columns, rows, wide, high, tuple(tap.port for tap in taps), tuple(tiles))
