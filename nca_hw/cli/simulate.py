"""`nca-hw simulate`: one asynchronous array, with faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.sim.regions import Struck
    from nca_hw.sim.run import Engine

RECORDING_BYTES = 1 << 30
BYTES_A_SAMPLE = 32  # of a cell: its codes and its colour


@click.command(cls=common.Command, short_help="Grow, kill and regrow a pattern on a simulated array.")
@common.genome_argument
@click.option("--grid", type=common.GRID, default="40x40", show_default=True, help="Cells of the array.")
@click.option("--kill", type=common.STRUCK, help="Cells that lose power: 480, 30% or 20x40@0,0.")
@click.option("--kill-at", type=common.TIME, default="200u", show_default=True, help="When.")
@click.option("--restart-after", type=common.TIME, default="10u", show_default=True, help="How long they stay dead; they start from zero.")
@click.option("--no-restart", is_flag=True, help="They stay dead.")
@click.option("--duration", type=common.TIME, default="400u", show_default=True, help="Length of the run.")
@click.option("--interval", type=common.TIME, default="100ms", show_default=True, help="Mean wait between a cell's updates.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of all random numbers of the run.")
@click.option("--loss", type=common.FRACTION, default="0%", show_default=True, help="Messages that get lost.")
@click.option("--latency", type=common.TIME, default="2ms", show_default=True, help="From sending to having been received.")
@click.option("--clock-spread", type=common.FRACTION, default="1%", show_default=True, help="Clocks run within +- this of the true rate.")
@click.option(
    "--engine", type=click.Choice(["auto", "simpy", "fast"]), default="auto", show_default=True,
    help="Both give the same trajectory; simpy is the readable reference.",
)  # fmt: skip
@click.option("--fail-above", type=click.FloatRange(min=0), help="Exit with 1 if the pattern loss at the end is above this.")
@click.option("--report", type=common.FILE, help="Folder for pictures and run.json.  [default: out/GENOME-GRID-seedSEED]")
@common.json_option
def command(
    genome: str, grid: tuple[int, int], kill: Struck | None, kill_at: common.Time, restart_after: common.Time, no_restart: bool,
    duration: common.Time, interval: common.Time, seed: int, loss: float, latency: common.Time, clock_spread: float,
    engine: Engine, fail_above: float | None, report: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Simulate one array of independent cells.

    Every cell has its own clock and waits a random time between updates; states travel as messages with latency and loss. The seed in
    the middle grows the pattern of GENOME, a file or the name of a bundled genome.
    """
    from nca_hw.errors import LimitMissed
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.report.simulation import write_report
    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.run import simulate
    from nca_hw.sim.scenario import Kill, Scenario

    loaded = common.load_genome(genome)
    width, height = grid
    unit = interval(100_000_000)
    kills = () if kill is None else (Kill(kill, kill_at(unit), None if no_restart else restart_after(unit)),)
    scenario = Scenario(
        width, height, seed=seed, interval=unit, rate_spread=clock_spread, latency=max(1, latency(unit)), loss=loss,
        duration=duration(unit), sample_every=unit * _stride(width * height * duration(unit) // unit), faults=kills,
    )  # fmt: skip
    folder = report or Path("out") / f"{Path(genome).stem}-{width}x{height}-seed{seed}"
    make_folder(folder)
    target = from_png_bytes(loaded.target, where=genome) if loaded.target else None
    if target is not None and (target.shape[0] > height or target.shape[1] > width):
        common.say(f"The target has {target.shape[1]}x{target.shape[0]} cells: what lies outside the grid of {width}x{height} is cut off.")
    with common.progress("simulating", scenario.duration) as advance:
        result = simulate(scenario, IntegerRule(loaded), target, lambda time, _: advance(time), engine)

    counters, back = result.recording.counters, result.recovery
    document: dict[str, Any] = {
        "genome": genome,
        "genome_hash": loaded.cell_hash,
        "engine": engine,
        "seed": seed,
        "grid": f"{width}x{height}",
        "duration_updates": scenario.duration / unit,
        "loss_before": back.loss_before,
        "loss": result.loss,
        "recovered": back.recovered,
        "recovery_updates": None if back.after is None else back.after / unit,
        "updates": counters.updates,
        "evaluated_updates": counters.evaluated_updates,
        "messages_sent": counters.messages_sent,
        "messages_lost": counters.messages_lost,
        "trajectory_hash": result.recording.trajectory.hexdigest(),
        "report": str(folder),
        "replay": common.replay(),
        "versions": common.versions(),
    }
    files = write_report(result, folder, document)
    if as_json:
        common.emit("simulate", document)
    else:
        _print(document, files)
    if fail_above is not None and (result.loss is None or not result.loss <= fail_above):
        told = f"pattern loss at the end is {result.loss}, the stated limit is {fail_above:g}"
        raise LimitMissed(told, cure=f"Replay: {document['replay']}")


def _stride(cell_samples: int) -> int:
    """Mean updates between two recorded states, so that a long run of a large array still fits into memory."""
    return max(1, -(-cell_samples * BYTES_A_SAMPLE // RECORDING_BYTES))


def _print(document: dict[str, Any], files: list[str]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.5f}"

    rows: list[tuple[str, object]] = [("grid", f"{document['grid']} cells, seed {document['seed']}")]
    if document["loss_before"] is not None:
        back = document["recovery_updates"]
        rows += [
            ("loss before the fault", number(document["loss_before"])),
            ("loss at the end", number(document["loss"])),
            ("recovered", f"after {back:g} mean updates" if back is not None else "no"),
        ]
    else:
        rows += [("loss at the end", number(document["loss"]))]
    rows += [
        ("updates", f"{document['updates']:,} ({document['evaluated_updates']:,} evaluated)"),
        ("messages", f"{document['messages_sent']:,} ({document['messages_lost']:,} lost)"),
        ("trajectory", document["trajectory_hash"][:16]),
        ("report", f"{document['report']}/ ({', '.join(files)})"),
    ]
    common.table(rows)
