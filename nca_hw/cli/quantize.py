"""`nca-hw quantize`: float model to genome, float and int8 loss side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.sim.rules import Rule

PADDING = 24


@click.command(cls=common.Command, short_help="A float model to an int8 genome, float and int8 loss side by side.")
@click.argument("source", type=common.FILE, metavar="MODEL")
@click.option("-o", "--output", type=common.FILE, required=True, help="The genome to write.")
@click.option("--target", type=common.FILE, help="The picture it grows, with transparency: shipped in the genome, and measured against.")
@click.option("--name", help="Name on the genome's card.  [default: the output's name]")
@click.option("--source-note", default="", help="Where the weights come from, for the card.")
@click.option("--licence", default="", help="Their licence, for the card.")
@click.option("--layout", type=click.Choice(["auto", "blocked", "interleaved"]), default="auto", show_default=True, help="As for import.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of calibration and measurement.")
@click.option("--measure/--no-measure", default=True, show_default=True, help=f"Grow float and int8 for {common.MEASURED_AT} mean updates.")
@common.json_option
def command(
    source: Path, output: Path, target: Path | None, name: str | None, source_note: str, licence: str, layout: str, seed: int,
    measure: bool, as_json: bool,
) -> None:  # fmt: skip
    """Quantize a float model (.npz, or any format that import reads) into a genome."""
    from dataclasses import replace

    from nca_hw.core.genome import Provenance
    from nca_hw.core.layout import find_layout, to_model
    from nca_hw.core.quantize import quantize
    from nca_hw.errors import NcaHwError
    from nca_hw.formats import weights
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import load_picture, to_png_bytes
    from nca_hw.sim.rules import FloatRule, IntegerRule
    from nca_hw.sim.run import simulate
    from nca_hw.sim.scenario import Scenario

    raw = weights.read(source)
    picture = None if target is None else load_picture(target)
    height, width = (48, 48) if picture is None else picture.shape[:2]
    canvas = (height + PADDING, width + PADDING)
    provenance = Provenance(
        name=name or output.stem, source=source_note or f"{raw.format} {source.name}", licence=licence, command=common.replay(),
        hashes={"weights": raw.sha256},
    )  # fmt: skip
    make_folder(output.parent)
    try:
        found, _ = find_layout(raw, layout)
        model = to_model(raw, found)
        png = b"" if picture is None else to_png_bytes(picture)
        genome = quantize(model, target_png=png, canvas=canvas, provenance=provenance, seed=seed)
    except NcaHwError as error:
        raise NcaHwError(error.what, where=source, cure=error.cure) from None

    losses: dict[str, float] = {}
    if picture is not None and measure:
        rules: list[tuple[str, Rule]] = [("float", FloatRule(model)), ("int8", IntegerRule(genome))]
        for kind, rule in rules:
            scenario = Scenario(canvas[1], canvas[0], seed=seed)
            scenario = replace(scenario, duration=common.MEASURED_AT * scenario.interval)
            with common.progress(f"growing {kind}", scenario.duration) as advance:
                loss = simulate(scenario, rule, picture, advance).loss
            assert loss is not None
            losses[f"{kind}_loss_at_{common.MEASURED_AT}"] = loss
    genome.with_quality(**losses).save(output)
    document = {"source": str(source), "layout": found, "output": str(output), "genome_hash": genome.cell_hash, "s1": genome.s1,
                "s2": genome.s2, **losses}  # fmt: skip
    if as_json:
        common.emit("quantize", document)
    else:
        common.table([(key.replace("_", " "), value) for key, value in document.items()])
