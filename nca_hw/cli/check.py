"""`nca-hw check`: whether an array can work at all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.check.finding import Finding


@click.command(cls=common.Command, short_help="Whether board, genome and grid can work at all: pins, sizes, times, power.")
@common.genome_argument
@click.option("--board", default="rp2040", show_default=True, help="Name of a board, or a board file of your own.")
@click.option("--grid", type=common.GRID, default="40x40", show_default=True, help="Cells of the array.")
@click.option("--supply", type=common.FiniteRange(min=0, min_open=True), metavar="AMPERES", help="What the supply can give.")
@click.option("--array", type=common.FILE, help="array.json of 'nca-hw flash --all': whether its boards hold this genome, and are enough.")
@common.json_option
def command(genome: str, board: str, grid: tuple[int, int], supply: float | None, array: Path | None, as_json: bool) -> None:
    """Check GENOME on an array of a board's tiles before anything is flashed or wired.

    Pins used twice are found in the board file; the image is built and held against its budgets and the chip; what a chip does in an
    interval, the service port's speed at the chip's clock, and the worst current are computed. Exit code 1 if a limit fails.
    """
    from nca_hw.check.checks import examine
    from nca_hw.errors import LimitMissed, NcaHwError
    from nca_hw.formats.array_file import load_array
    from nca_hw.formats.boards import load_board
    from nca_hw.sim.scenario import CELLS_MAX

    if not 1 <= grid[0] * grid[1] <= CELLS_MAX:
        raise NcaHwError(f"{grid[0]}x{grid[1]} cells are no array: from 1 to {CELLS_MAX:,}", where="--grid")
    loaded, target = common.load_genome(genome), load_board(board)
    findings = examine(loaded, target, grid, supply, None if array is None else load_array(array))
    failed = [finding.check for finding in findings if finding.verdict == "fails"]
    if as_json:
        common.emit("check", {
            "genome": genome, "genome_hash": loaded.cell_hash, "board": target.name, "grid": f"{grid[0]}x{grid[1]}", "ok": not failed,
            "checks": [asdict(finding) for finding in findings], "versions": common.versions(),
        })  # fmt: skip
    else:
        _print(findings)
    if failed:
        raise LimitMissed(f"limits fail: {', '.join(failed)}", where=target.name)


def _print(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    looks = {"ok": "green", "warning": "yellow", "fails": "bold red", "not checked": "dim"}
    for finding in findings:
        table.add_row(Text(finding.verdict, looks[finding.verdict]), finding.check, Text(finding.told))
        if finding.cure:
            table.add_row("", "", Text(finding.cure, "dim"))
    Console(soft_wrap=False).print(table)
