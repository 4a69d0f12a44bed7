"""`nca-hw train`: a picture to a genome."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.train import Progress


@click.command(cls=common.Command, short_help="A picture to an int8 genome that grows it, keeps it and heals it.")
@click.argument("picture", type=common.FILE)
@click.option("-o", "--output", type=common.FILE, required=True, help="The genome to write.")
@click.option("--size", type=common.GRID, default="40x40", show_default=True, help="Cells; a picture of another size is fitted in.")
@click.option("--steps", type=click.IntRange(1, 10_000_000), default=6000, show_default=True, help="Gradient steps.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of all random choices.")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True, help="auto: a GPU if there is one.")
@click.option("--threads", type=click.IntRange(0, 1024), default=0, help="Of the CPU; no result depends on it.  [default: all]")
@click.option("--checkpoint", type=common.FILE, help="Folder for checkpoints and losses.csv.  [default: OUTPUT without its suffix]")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--name", help="Name on the genome's card.  [default: the output's name]")
@click.option("--licence", default="", help="The picture's licence, for the card.")
@click.option("--source-note", default="", help="Where the picture comes from, for the card.")
@common.json_option
def command(
    picture: Path, output: Path, size: tuple[int, int], steps: int, seed: int, device: str, threads: int, checkpoint: Path | None,
    resume: bool, name: str | None, licence: str, source_note: str, as_json: bool,
) -> None:  # fmt: skip
    """Train the integer cell to grow PICTURE, an image with transparency, from one seed, to keep it and to regrow it after damage.

    A GPU needs PyTorch (pip install 'nca-hw[train]'), a CPU nothing. Ctrl-C saves a checkpoint; --resume goes on from it.
    """
    from nca_hw.core.genome import Provenance
    from nca_hw.errors import ExitCode, NcaHwError
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import load_picture, to_png_bytes
    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.run import simulate
    from nca_hw.sim.scenario import Scenario
    from nca_hw.train import TrainSettings, train

    width, height = size
    target = load_picture(picture, (height, width))
    make_folder(output.parent)
    folder = checkpoint or output.with_suffix("")
    with common.progress(f"training {output.stem}", steps) as advance:

        def tell(progress: Progress) -> None:
            advance(progress.step, f"{progress.phase} loss {progress.loss:.5f} {progress.steps_per_second:.1f} steps/s")

        settings = TrainSettings(steps=steps, seed=seed, device=device, threads=threads)
        trained = train(target, settings, folder=folder, resume=resume, progress=tell)
    if trained.interrupted:
        told = f"stopped after {trained.steps} of {steps} steps; the checkpoint is saved"
        raise NcaHwError(told, where=folder, cure=f"Go on with: {common.replay()} --resume", exit_code=ExitCode.INTERRUPTED)
    provenance = Provenance(
        name=name or output.stem, source=source_note or picture.name, licence=licence, command=common.replay(),
        hashes={"picture": hashlib.sha256(picture.read_bytes()).hexdigest()},
    )  # fmt: skip
    genome = trained.genome(target_png=to_png_bytes(target), provenance=provenance)
    unit = Scenario(width, height).interval
    with common.progress("growing it", common.MEASURED_AT * unit) as grown:
        loss = simulate(Scenario(width, height, seed=1, duration=common.MEASURED_AT * unit), IntegerRule(genome), target, grown).loss
    assert loss is not None
    genome.with_quality(**{f"int8_loss_at_{common.MEASURED_AT}": loss}).save(output)
    document = {"picture": str(picture), "output": str(output), "checkpoint": str(folder), "steps": trained.steps, "seed": seed,
                "training_loss": trained.losses[-1] if trained.losses else None, f"int8_loss_at_{common.MEASURED_AT}": loss,
                "genome_hash": genome.cell_hash}  # fmt: skip
    if as_json:
        common.emit("train", document)
    else:
        common.table([(key.replace("_", " "), value) for key, value in document.items()])
