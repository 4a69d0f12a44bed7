"""`nca-hw boards`: what can be built for."""

from __future__ import annotations

import json

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="The boards that firmware can be built for.")
@click.option("--schema", "as_schema", is_flag=True, help="Instead: the JSON Schema of board files, for editors.")
@common.json_option
def command(as_schema: bool, as_json: bool) -> None:
    """List the known boards and how far each was proved: compiled, emulated, or flashed."""
    from nca_hw.formats.boards import bundled_boards, load_board, schema

    if as_schema:
        click.echo(json.dumps(schema(), indent=1))
        return
    boards = [load_board(name) for name in bundled_boards()]
    if as_json:
        common.emit("boards", {"boards": [board.model_dump() for board in boards]})
        return
    for board in boards:
        pins = ", ".join(f"{purpose.removesuffix('.pin')} {pin}" for purpose, pin in board.pins().items())
        click.echo(f"{board.name:14s}{board.status:10s}{board.title}")
        cells = "1 cell" if board.tile.cells == 1 else f"{board.tile.cells} cells ({board.tile.width}x{board.tile.height})"
        click.echo(f"{'':24s}{cells} a chip; flash {board.memory.flash:,d} B, RAM {board.memory.ram:,d} B; pins: {pins}")
