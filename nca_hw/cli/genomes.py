"""`nca-hw genomes`: the gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="The bundled genomes, and what they survive.")
@click.option("--picture", type=common.FILE, help="Also grow all of them on simulated arrays, and draw them: a PNG.")
@common.json_option
def command(picture: Path | None, as_json: bool) -> None:
    """List the bundled genomes: their grids, pattern losses, and how many of the simulator's trials they survive."""
    from nca_hw.core.genome import bundled, load
    from nca_hw.formats.files import write_whole
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.report.gallery import gallery

    genomes = {name: load(name) for name in bundled()}
    targets = {name: from_png_bytes(genome.target, where=name) for name, genome in genomes.items()}
    rows: list[dict[str, Any]] = [
        {"name": name, "grid": f"{targets[name].shape[1]}x{targets[name].shape[0]}", "licence": genome.provenance.licence,
         "quality": genome.provenance.quality, "genome_hash": genome.cell_hash}
        for name, genome in genomes.items()
    ]  # fmt: skip
    if picture is not None:
        with common.progress("growing", len(genomes)) as advance:
            write_whole(picture, gallery(genomes, targets, advance))
    if as_json:
        common.emit("genomes", {"genomes": rows, "picture": None if picture is None else str(picture)})
        return
    for row in rows:
        quality = row["quality"]
        survived = f"{quality['survived_runs']:.0f} of {quality['survival_runs']:.0f}" if "survival_runs" in quality else "-"
        loss = quality.get(f"int8_loss_at_{common.MEASURED_AT}")
        told = "-" if loss is None else f"{loss:.5f}"
        click.echo(f"{row['name']:12s}{row['grid']:>8s}   loss {told:8s}   survived {survived}")
