"""`nca-hw spread`: a new genome for a wall that runs, through one tile."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="Hand a new genome to one tile, from which it spreads over the wall.")
@common.genome_argument
@click.option("--port", help="Serial port of the tile's service port, output and input: /dev/ttyUSB0 for example.")
@click.option("--version", "number", type=click.IntRange(1, 2**32 - 1), help="Of the genome.  [default: one above what the tile runs]")
@click.option("--key", type=common.FILE, help="File with the wall's key, 32 hex digits.")
@click.option("--simulate", "as_model", is_flag=True, help="Instead: how long a wall would take.")
@click.option("--grid", type=common.GRID, default="8x8", show_default=True, help="Of the simulated wall; its north-western corner is fed.")
@click.option("--loss", default="0%", show_default=True, metavar="PERCENT", help="Frames of the simulated wall that are damaged.")
@click.option("--kill", default="0%", show_default=True, metavar="PERCENT", help="Cells of it that lose power for good meanwhile.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of the simulation.")
@common.json_option
def command(
    genome: str, port: str | None, number: int | None, key: Path | None, as_model: bool, grid: tuple[int, int], loss: str, kill: str,
    seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Hand GENOME to a tile that was flashed with an image of 'nca-hw build --spread'.

    The tile proves the genome, starts anew with it, and gives it to its neighbours, which do the same. Cells go on living meanwhile, and
    power may fail at any time. A wall that was built with --key takes genomes with the same key only.
    """
    if as_model == (port is not None):
        raise click.UsageError("Say where the tile is (--port), or ask for a simulation (--simulate).")
    if as_model:
        _simulate(genome, grid, loss, kill, seed, as_json)
    else:
        _hand_in(genome, str(port), number, key, as_json)


def _hand_in(genome: str, port: str, number: int | None, key: Path | None, as_json: bool) -> None:
    from nca_hw.core import slot
    from nca_hw.flash import hand_in

    loaded, secret = common.load_genome(genome), slot.read_key(key)
    pages = slot.shape_of(loaded).pages
    line = hand_in.open_line(port)
    with common.progress("handing in", pages) as advance:
        done = hand_in.hand_in(line, loaded, number, secret, advance, port)
    if as_json:
        document = {"genome": genome, "genome_hash": loaded.cell_hash, "port": port, "version": done.version}
        common.emit("spread", {**document, "version_before": done.version_before, "pages": done.pages, "seconds": done.seconds})
        return
    common.table([
        ("genome", f"{genome} ({loaded.cell_hash[:16]})"),
        ("version", f"{done.version}; the tile ran {done.version_before} before"),
        ("handed in", f"{done.pages} pages in {done.seconds:.1f} s; the tile runs it, and gives it to its neighbours"),
    ])  # fmt: skip


def _simulate(genome: str, grid: tuple[int, int], loss: str, kill: str, seed: int, as_json: bool) -> None:
    from nca_hw.core import slot
    from nca_hw.formats import words
    from nca_hw.sim.spread import Spreading, simulate

    try:
        lost, killed = words.fraction(loss), words.fraction(kill)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    pages = slot.shape_of(common.load_genome(genome)).pages
    with common.progress("spreading", grid[0] * grid[1]) as advance:
        asked = Spreading(*grid, pages=pages, loss=lost, killed=killed, seed=seed)
        told = simulate(asked, advance)
    figures = told.figures()
    if as_json:
        common.emit("spread", {
            "simulated": True, "grid": list(grid), "pages": pages, "loss": lost, "killed": killed, "seed": seed, **figures,
            "replay": common.replay(), "versions": common.versions(),
        })  # fmt: skip
        return
    common.table([
        ("wall", f"{grid[0]}x{grid[1]} cells, {figures['dead']} of them dead; {pages} pages of 128 B"),
        ("first cell", f"{figures['first_seconds']:8.1f} s"),
        ("half of the cells", f"{figures['half_seconds']:8.1f} s"),
        ("last cell", f"{figures['seconds']:8.1f} s"),
        ("never reached", f"{figures['cut_off']} living cells, cut off by dead ones"),
        ("frames", f"{told.frames:,}; another neighbour was asked {told.resumed:,} times"),
    ])  # fmt: skip
