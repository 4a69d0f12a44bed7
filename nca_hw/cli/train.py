"""`nca-hw train`: a picture to a genome."""

from __future__ import annotations

import hashlib
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.core.genome import Genome
    from nca_hw.core.model import Float, FloatModel
    from nca_hw.sim.survival import Outcome
    from nca_hw.train import Progress

DARK_SHARE = 0.15  # of the visible cells: more is worth a word
POOL_SHOWN = 32
VIEW_COLUMNS = 4  # of the grids of a batch
RGBA = 4
TUNING_STEPS = 3000
# From weights: a float model is turned with care into an integer cell; a genome, which is one already, can learn to heal by larger steps.
FROM_ANY: dict[str, Any] = {"integer_from": 0.0, "damage_from": 0.0, "judge_from": 0.5}
FROM_MODEL: dict[str, Any] = {**FROM_ANY, "rate_start": 1.5e-4, "rate_end": 1e-5}
FROM_GENOME: dict[str, Any] = {**FROM_ANY, "rate_start": 6e-4, "rate_end": 3e-5, "judge_seeds": 12}


@click.command(cls=common.Command, short_help="A picture to an int8 genome that grows it, keeps it and heals it.")
@click.argument("picture", type=common.FILE, metavar="PICTURE|emoji:NAME")
@click.option("-o", "--output", type=common.FILE, required=True, help="The genome to write.")
@click.option("--size", type=common.GRID, help="Cells; a picture of another size is fitted in.  [default: 40x40]")
@click.option("--pad", type=click.IntRange(0, 128), help="Instead of --size: the picture as it is, with so many empty cells around.")
@click.option("--background", default="alpha", show_default=True, help="What is no pattern: alpha, auto (what the edge shows), or #rrggbb.")
@click.option(
    "--regime", type=click.Choice(["grow", "persist", "regenerate"]), default="regenerate", show_default=True,
    help="What is learned: to grow, to stay as well, to heal as well.",
)  # fmt: skip
@click.option("--from", "start", type=common.FILE, help="Start from these weights: a genome, or a float model (nca-hw import).")
@click.option("--steps", type=click.IntRange(1, 10_000_000), help="Gradient steps.  [default: 8000, 3000 with --from]")
@click.option(
    "--hidden", type=click.IntRange(1, 128),
    help="Hidden units; 128 are the article's.  [default: 104, for which every board has room, or as many as --from has]",
)  # fmt: skip
@click.option("--until-survived", is_flag=True, help="End as soon as the simulator finds that every trial is survived, in 20 of 20 runs.")
@click.option(
    "--turn", type=click.IntRange(-359, 359),
    help="Degrees, clockwise, by which the cells' perception axes are turned.  [default: 0, or that of the genome of --from]",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of all random choices.")
@click.option("--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", show_default=True, help="auto: a GPU if there is one.")
@click.option("--threads", type=click.IntRange(0, 1024), default=0, help="Of the CPU; no result depends on it.  [default: all]")
@click.option("--checkpoint", type=common.FILE, help="Folder for checkpoints, pool.png, losses.csv.  [default: OUTPUT without its suffix]")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--view", is_flag=True, help="Show the batch that is learned from in the terminal.")
@click.option("--name", help="Name on the genome's card.  [default: the output's name]")
@click.option("--licence", default="", help="The picture's licence, for the card.")
@click.option("--source-note", default="", help="Where the picture comes from, for the card.")
@common.json_option
def command(
    picture: Path, output: Path, size: tuple[int, int] | None, pad: int | None, background: str, regime: str, start: Path | None,
    steps: int | None, hidden: int | None, until_survived: bool, turn: int | None, seed: int, device: str, threads: int,
    checkpoint: Path | None, resume: bool, view: bool, name: str | None, licence: str, source_note: str, as_json: bool,
) -> None:  # fmt: skip
    """Train the integer cell to grow PICTURE from one seed, to keep it and to regrow it after damage.

    A GPU needs PyTorch (pip install 'nca-hw[train]'), a CPU nothing. Ctrl-C saves a checkpoint; --resume goes on from it. From the last
    third on the simulator judges the genome, and the one that survives most is written.
    """
    import contextlib
    import time

    from nca_hw.core.genome import Provenance
    from nca_hw.core.model import HIDDEN
    from nca_hw.core.taps import FULL_TURN
    from nca_hw.errors import ExitCode, NcaHwError
    from nca_hw.formats.files import make_folder, write_whole
    from nca_hw.formats.picture import locate, to_png_bytes
    from nca_hw.report import led
    from nca_hw.report.live import LiveView, tiled
    from nca_hw.train import TrainSettings, train

    if size is not None and pad is not None:
        raise click.UsageError("--size fits the picture into a grid, --pad leaves it as it is: take one of them.")
    target = _target(picture, size, pad, background)
    model, before, axes, recipe = (None, "", 0, {}) if start is None else _model(start)
    make_folder(output.parent)
    folder = _place_for_checkpoints(output, checkpoint)
    write_whole(folder / "preview.png", led.contact_sheet([("the picture as light", target)], pixels=8))
    settings = TrainSettings(
        regime=regime, steps=steps or (TrainSettings.steps if model is None else TUNING_STEPS), seed=seed, device=device,
        threads=threads, hidden=hidden or (TrainSettings.hidden if model is None else min(model.b1.size, HIDDEN)),
        until_survived=until_survived, turn=(axes if turn is None else turn) % FULL_TURN, **recipe,
    )  # fmt: skip
    judged = ""
    height, width = target.shape[:2]
    with contextlib.ExitStack() as stack:
        if view:
            rows = -(-settings.batch // VIEW_COLUMNS)
            live = LiveView(VIEW_COLUMNS * (width + 1) - 1, rows * (height + 1) - 1, title=f"training {output.stem}: a batch as it ended")
            shown = stack.enter_context(live)
        else:
            advance = stack.enter_context(common.progress(f"training {output.stem}", settings.steps))

        def tell(progress: Progress) -> None:
            nonlocal judged
            if progress.verdict is not None:
                judged = f" survived {progress.verdict.survived} of {progress.verdict.runs}"
            words = f"{progress.phase} loss {progress.loss:.5f} {progress.steps_per_second:.1f} steps/s{judged}"
            if not view:
                advance(progress.step, words)
            elif shown.is_due():
                left = f"step {progress.step} of {progress.steps}, {progress.eta / 60:.0f} minutes to go"
                shown.show(tiled(progress.grids[..., :RGBA], VIEW_COLUMNS), f"{left}, {words}")

        def look(pool: Float) -> None:
            write_whole(folder / "pool.png", led.contact_sheet([("", grid) for grid in pool[:POOL_SHOWN]], columns=8, pixels=2))

        began = time.monotonic()
        trained = train(target, settings, start=model, folder=folder, resume=resume, progress=tell, look=look)
        seconds = time.monotonic() - began
    if trained.interrupted:
        told = f"stopped after {trained.steps} of {settings.steps} steps; the checkpoint is saved"
        again = common.replay() + ("" if resume else " --resume")
        raise NcaHwError(told, where=folder, cure=f"Go on with: {again}", exit_code=ExitCode.INTERRUPTED)
    provenance = Provenance(
        name=name or output.stem, source=source_note or picture.name, licence=licence, command=before + common.replay(),
        hashes={"picture": hashlib.sha256(locate(picture).read_bytes()).hexdigest()},
    )  # fmt: skip
    genome = trained.genome(target_png=to_png_bytes(target), provenance=provenance)
    outcomes = _measure(genome, target, output.stem, regime)
    growth = statistics.median(outcomes[0].values)
    survived, runs = sum(o.survived for o in outcomes), sum(len(o.values) for o in outcomes)
    quality = {f"int8_loss_at_{common.MEASURED_AT}": growth, "survived_runs": survived, "survival_runs": runs}
    genome.with_quality(**quality, training_minutes=round(seconds / 60, 1)).save(output)
    document = {"picture": str(picture), "output": str(output), "checkpoint": str(folder), "regime": regime, "steps": trained.steps,
                "seed": seed, "turn": trained.turn, "training_loss": trained.losses[-1] if trained.losses else None,
                "judged_best_at": trained.steps if trained.judged_at is None else trained.judged_at,
                "training_minutes": round(seconds / 60, 1), **quality,
                "trials": {o.trial.name: {"survived": o.survived, "worst": o.worst, "limit": o.trial.limit} for o in outcomes},
                "genome_hash": genome.cell_hash}  # fmt: skip
    if as_json:
        common.emit("train", document)
        return
    common.table([(key.replace("_", " "), value) for key, value in document.items() if key != "trials"])
    for o in outcomes:
        click.echo(f"  {o.trial.name:34s}{o.survived:4d} of {len(o.values)}   worst {o.worst:.5f}, at most {o.trial.limit:g}")


def _place_for_checkpoints(output: Path, checkpoint: Path | None) -> Path:
    """The folder of checkpoints; that the genome can be written in the end is made sure before hours are spent."""
    from nca_hw.errors import NcaHwError
    from nca_hw.formats.files import make_folder

    cure = "Name a file, lizard.genome for example."
    if not output.name or output.is_dir():
        raise NcaHwError("is a folder: the genome can't be written there", where=output, cure=cure)
    folder = checkpoint or output.with_suffix("")
    if folder.resolve() == output.resolve():
        raise NcaHwError("can't be both the genome and the folder of checkpoints", where=output, cure=cure)
    return make_folder(folder)


def _target(path: Path, size: tuple[int, int] | None, pad: int | None, background: str) -> Float:
    """The picture on its grid; says so if much of it is too dark for an array of lights."""
    import numpy as np

    from nca_hw.formats.picture import dark_share, load_picture

    if pad is None:
        width, height = size or (40, 40)
        target = load_picture(path, (height, width), background)
    else:
        target = np.pad(load_picture(path, None, background), ((pad, pad), (pad, pad), (0, 0)))
    if (share := dark_share(target)) > DARK_SHARE:
        common.say(f"{share:.0%} of the visible cells are too dark to be seen as light: they will look like holes.")
    return target


def _model(path: Path) -> tuple[FloatModel, str, int, dict[str, Any]]:
    """Weights to start from, the command that made them, to stand before this one, the turn of their axes, and their recipe."""
    from dataclasses import replace

    from nca_hw.core.dequantize import dequantize
    from nca_hw.core.genome import MAGIC, bundled, load
    from nca_hw.core.layout import to_model
    from nca_hw.errors import NcaHwError
    from nca_hw.formats import weights

    try:
        is_genome = str(path) in bundled() or path.read_bytes()[: len(MAGIC)] == MAGIC
    except OSError as error:
        told = f"can't be read ({error.strerror or error})"
        raise NcaHwError(told, where=path, cure="Name a genome, or a float model made by 'nca-hw import'.") from None
    if is_genome:
        genome = load(path)
        command = f"{genome.provenance.command} && " if genome.provenance.command else ""
        return dequantize(replace(genome, turn=0)), command, genome.turn, FROM_GENOME
    raw = weights.read(path)
    if raw.layout is None:
        raise NcaHwError("does not say the order of its perception values", where=path, cure="Import it first: nca-hw import.")
    return to_model(raw, raw.layout), "", 0, FROM_MODEL


def _measure(genome: Genome, target: Float, name: str, regime: str) -> list[Outcome]:
    """The trials of a finished genome, twenty runs each."""
    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.survival import survive
    from nca_hw.train.judge import TAUGHT

    height, width = target.shape[:2]
    with common.progress(f"measuring {name}", 1) as advance:
        return survive(IntegerRule(genome), target, width, height, range(1, 21), kinds=TAUGHT[regime], progress=advance)
