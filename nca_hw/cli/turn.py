"""`nca-hw turn`: a genome that grows its pattern turned, with its picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.core.genome import Genome
    from nca_hw.formats.picture import Picture

SIDE = 40  # cells of the grid that is measured on, at least
WORTH_TELLING = 0.001  # of the picture's area


@click.command(cls=common.Command, short_help="A genome that grows its pattern turned by an angle: the same weights, other axes.")
@click.argument("genome")
@click.option("--by", "degrees", type=click.IntRange(-359, 359), required=True, help="Degrees, clockwise as seen on the array.")
@click.option("-o", "--output", type=common.FILE, required=True, help="The genome to write.")
@click.option("--name", help="Name on the genome's card.  [default: the output's name]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of the measurement.")
@click.option("--measure/--no-measure", default=True, show_default=True, help=f"Grow both for {common.MEASURED_AT} mean updates.")
@common.json_option
def command(genome: str, degrees: int, output: Path, name: str | None, seed: int, measure: bool, as_json: bool) -> None:
    """Turn GENOME, a file or the name of a bundled genome, and its picture with it.

    A multiple of 90 degrees grows the same pattern turned, to the bit. Any other angle changes what the cells perceive a little, and the
    pattern with it: the loss tells how much.
    """
    from dataclasses import replace

    from nca_hw.core.taps import FULL_TURN, QUARTER
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import from_png_bytes, to_png_bytes, turned

    before = common.load_genome(genome)
    p = before.provenance
    quality = p.quality
    if degrees % QUARTER:  # figures of another cell
        quality = {f"before_turning_{key.removeprefix('before_turning_')}": value for key, value in quality.items()}
    after = replace(
        before, turn=(before.turn + degrees) % FULL_TURN,
        provenance=replace(p, name=name or output.stem, command=" && ".join(line for line in (p.command, common.replay()) if line),
                           hashes={**p.hashes, "turned_from": before.cell_hash}, quality=quality),
    )  # fmt: skip
    document: dict[str, object] = {"source": genome, "output": str(output), "genome_hash": after.cell_hash, "turn": after.turn}
    make_folder(output.parent)
    if before.target:
        picture = from_png_bytes(before.target, where=genome)
        there, lost = turned(picture, degrees)
        after = replace(after, target=to_png_bytes(there))
        document["outside_canvas"] = round(lost, 4)
        if lost > WORTH_TELLING:
            common.say(f"{lost:.1%} of the picture lies outside its canvas of {there.shape[1]}x{there.shape[0]} cells once it is turned")
        if measure:
            document["loss_before"] = _loss(before, picture, seed)
            document["loss"] = loss = _loss(after, from_png_bytes(after.target), seed)
            after = after.with_quality(**{f"int8_loss_at_{common.MEASURED_AT}": loss})
    after.save(output)
    if as_json:
        common.emit("turn", document)
    else:
        common.table([(key.replace("_", " "), value) for key, value in document.items()])


def _loss(genome: Genome, picture: Picture, seed: int) -> float:
    from dataclasses import replace

    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.run import simulate
    from nca_hw.sim.scenario import Scenario

    height, width = (max(SIDE, side) for side in picture.shape[:2])
    scenario = Scenario(width, height, seed=seed)
    scenario = replace(scenario, duration=common.MEASURED_AT * scenario.interval)
    with common.progress(f"growing at {genome.turn} degrees", scenario.duration) as advance:
        loss = simulate(scenario, IntegerRule(genome), picture, advance).loss
    assert loss is not None
    return loss
