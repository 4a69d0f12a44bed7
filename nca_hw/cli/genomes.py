"""`nca-hw genomes`: the gallery."""

from __future__ import annotations

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="The bundled genomes, and what they survive.")
@common.json_option
def command(as_json: bool) -> None:
    """List the bundled genomes: their grids, pattern losses, and how many of the simulator's trials they survive."""
    from nca_hw.core.genome import bundled, load
    from nca_hw.formats.picture import from_png_bytes

    rows = []
    for name in bundled():
        genome = load(name)
        height, width = from_png_bytes(genome.target, where=name).shape[:2]
        rows.append({"name": name, "grid": f"{width}x{height}", "quality": genome.provenance.quality, "genome_hash": genome.cell_hash})
    if as_json:
        common.emit("genomes", {"genomes": rows})
        return
    for row in rows:
        quality = row["quality"]
        assert isinstance(quality, dict)
        survived = f"{quality['survived_runs']:.0f} of {quality['survival_runs']:.0f}" if "survival_runs" in quality else "-"
        loss = quality.get(f"int8_loss_at_{common.MEASURED_AT}")
        told = "-" if loss is None else f"{loss:.5f}"
        click.echo(f"{row['name']:12s}{row['grid']:>8s}   loss {told:8s}   survived {survived}")
