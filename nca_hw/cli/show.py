"""`nca-hw show`: the genome's card."""

from __future__ import annotations

import os
import sys

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="The genome's card: picture, sizes, scales, provenance, quality.")
@common.genome_argument
@common.json_option
def command(genome: str, as_json: bool) -> None:
    """Show the card of GENOME, a file or the name of a bundled genome."""
    from nca_hw.core.genome import to_bytes
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.report.led import half_blocks

    g = common.load_genome(genome)
    picture = from_png_bytes(g.target, where=genome) if g.target else None
    p = g.provenance
    document = {
        "name": p.name,
        "genome_hash": g.cell_hash,
        "file_bytes": len(to_bytes(g)),
        "channels": g.channels,
        "hidden": g.hidden,
        "kernels": [kernel.name.lower() for kernel in g.kernels],
        "weights_bytes": g.w1.size + g.w2.size,
        "value_range": float(g.decode[-1]) / 256,
        "s1": g.s1,
        "s2": g.s2,
        "alive_code": g.alive,
        "turn": g.turn,
        "target": None if picture is None else f"{picture.shape[1]}x{picture.shape[0]}",
        "source": p.source,
        "licence": p.licence,
        "command": p.command,
        "hashes": p.hashes,
        "quality": p.quality,
    }
    if as_json:
        common.emit("show", document)
        return
    colour = (sys.stdout.isatty() or "FORCE_COLOR" in os.environ) and "NO_COLOR" not in os.environ
    if picture is not None and colour:
        click.echo(half_blocks(picture), color=True)
    rows: list[tuple[str, object]] = []
    for key, value in document.items():
        if isinstance(value, dict):
            rows += [(f"{key}: {inner.replace('_', ' ')}", figure) for inner, figure in value.items()]
        elif isinstance(value, list):
            rows.append((key, ", ".join(map(str, value))))
        elif value not in (None, ""):
            rows.append((key.replace("_", " "), value))
    common.table(rows)
