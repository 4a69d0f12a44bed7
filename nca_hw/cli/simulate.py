"""`nca-hw simulate`: one asynchronous array, with faults."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.formats.toml_file import Place
    from nca_hw.scenario_file import Described

# Options that are words of a scenario file, and their places there.
PLACES: dict[str, Place] = {
    "grid": ("array", "grid"), "tile": ("array", "tile"), "wiring": ("array", "wiring"), "interval": ("clocks", "interval"),
    "waits": ("clocks", "waits"), "clock_spread": ("clocks", "spread"), "oscillator": ("clocks", "oscillator"),
    "clock_trace": ("clocks", "trace"), "stagger": ("clocks", "stagger"), "same_random": ("clocks", "same_random"),
    "latency": ("links", "latency"), "latency_jitter": ("links", "latency_jitter"), "baud": ("links", "baud"), "loss": ("links", "loss"),
    "bit_errors": ("links", "bit_errors"), "broken": ("links", "broken"), "duration": ("duration",), "seed": ("seed",),
    "sample_every": ("sample_every",), "fail_above": ("limits", "loss"),
}  # fmt: skip
KILL_AT, RESTART_AFTER = "200u", "10u"


@click.command(cls=common.Command, short_help="Grow, kill and regrow a pattern on a simulated array.")
@click.argument("genome", required=False)
@click.option("--scenario", type=common.FILE, help="TOML file of array, clocks, links and faults (docs/scenario.md); options come on top.")
@click.option("--grid", metavar="WIDTHxHEIGHT", help="Cells of the array.  [default: 40x40]")
@click.option("--tile", metavar="WIDTHxHEIGHT", help="Cells of a chip.  [default: 1x1]")
@click.option("--wiring", type=click.Choice(["eight", "edges"]), help="Links to eight neighbours, or over four edges, diagonals relayed.")
@click.option("--kill", metavar="CELLS", help="Cells that lose power: 480, 30%, 20x40@0,0, '3 tiles', 'tile 2,0', seed or all.")
@click.option("--kill-at", metavar="TIME", help=f"When.  [default: {KILL_AT}]")
@click.option("--restart-after", metavar="TIME", help=f"How long they stay dead; they start from zero.  [default: {RESTART_AFTER}]")
@click.option("--no-restart", is_flag=True, help="They stay dead.")
@click.option(
    "--fault", "faults", multiple=True, metavar="'KIND CELLS at=TIME ...'",
    help="Any fault: 'stuck 5% at=100u lasts=50u', 'cut 20x40@0,0 at=9s border=true'; may be given often.",
)  # fmt: skip
@click.option("--duration", metavar="TIME", help="Length of the run.  [default: 400u]")
@click.option("--interval", metavar="TIME", help="Mean wait between a cell's updates.  [default: 100ms]")
@click.option("--waits", type=click.Choice(["uniform", "exponential", "fixed"]), help="How waits are spread.  [default: uniform]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of all random numbers of the run.  [default: 1]")
@click.option("--clock-spread", metavar="PERCENT", help="Clocks run within +- this of the true rate.  [default: 1%]")
@click.option("--oscillator", type=click.Choice(["ideal", "crystal", "rc", "trace"]), help="What clocks are besides.  [default: ideal]")
@click.option("--clock-trace", metavar="PATH", help="Measured clocks: a file or a folder of them.")
@click.option("--stagger", metavar="TIME", help="Chips get power one by one within this time.")
@click.option("--same-random", is_flag=True, default=None, help="All cells start their random numbers alike.")
@click.option("--latency", metavar="TIME", help="From sending to having been received.  [default: 2ms]")
@click.option("--latency-jitter", metavar="TIME", help="Up to so much more, message by message.")
@click.option("--baud", type=int, help="Speed of links; 0: sending takes no time.  [default: 0]")
@click.option("--loss", metavar="PERCENT", help="Messages that get lost.  [default: 0%]")
@click.option("--bit-errors", metavar="PERCENT", help="Bits that flip on their way (10ppm, 0.01%).  [default: 0%]")
@click.option("--broken", metavar="PERCENT", help="Links that carry nothing, each direction for itself.  [default: 0%]")
@click.option("--sample-every", metavar="TIME", help="Between two recorded states.  [default: 1u, more for large arrays]")
@click.option(
    "--engine", type=click.Choice(["auto", "simpy", "fast"]), default="auto", show_default=True,
    help="Both give the same trajectory; simpy is the readable reference.",
)  # fmt: skip
@click.option("--fail-above", type=click.FloatRange(min=0), help="Exit with 1 if the pattern loss at the end is above this.")
@click.option("--report", type=common.FILE, help="Folder for pictures and run.json.  [default: out/GENOME-GRID-seedSEED]")
@common.json_option
def command(genome: str | None, scenario: Path | None, report: Path | None, as_json: bool, **options: Any) -> None:
    """Simulate one array of independent cells.

    Every cell has its own clock and waits a random time between updates; states travel as messages with latency and loss. The seed in
    the middle grows the pattern of GENOME, a file or the name of a bundled genome.
    """
    from nca_hw.formats import toml_file

    file = toml_file.TomlFile("command line", "") if scenario is None else toml_file.read(scenario)
    _run(file, _words(options), genome, report, as_json=as_json, **{name: options[name] for name in ("engine",)})


def _words(options: dict[str, Any]) -> dict[Place, tuple[str, Any]]:
    """The options given, as words of a scenario file at their places."""
    from nca_hw.scenario_file import fault_words

    def option(name: str) -> str:
        return f"--{name.replace('_', '-')}"

    said: dict[Place, tuple[str, Any]] = {
        place: (option(name), options[name]) for name, place in PLACES.items() if options[name] is not None
    }
    if options["kill"] is not None:
        kill = {"kind": "kill", "cells": options["kill"], "at": options["kill_at"] or KILL_AT}
        if not options["no_restart"]:
            kill["lasts"] = options["restart_after"] or RESTART_AFTER
        said["fault", 0] = ("--kill", kill)
    elif options["kill_at"] or options["restart_after"] or options["no_restart"]:
        raise click.UsageError("--kill-at, --restart-after and --no-restart say more about --kill, which is not given.")
    for number, words in enumerate(options["faults"], 1):
        try:
            said["fault", number] = (f"--fault {words!r}", fault_words(words))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return said


def _run(
    file: Any, said: dict[Place, tuple[str, Any]], genome: str | None, report: Path | None, *, as_json: bool, engine: Any,
) -> None:  # fmt: skip
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.report.simulation import summary, write_report
    from nca_hw.scenario_file import describe
    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.run import simulate

    described = describe(file, said)
    scenario = described.scenario
    name = genome or described.genome or "lizard"
    loaded = common.load_genome(name)
    strangers = {word: IntegerRule(common.load_genome(path)) for word, path in described.strangers.items()}
    folder = report or Path("out") / f"{Path(name).stem}-{scenario.width}x{scenario.height}-seed{scenario.seed}"
    make_folder(folder)
    target = from_png_bytes(loaded.target, where=name) if loaded.target else None
    if target is not None and (target.shape[0] > scenario.height or target.shape[1] > scenario.width):
        grid = f"{scenario.width}x{scenario.height}"
        common.say(f"The target has {target.shape[1]}x{target.shape[0]} cells: what lies outside the grid of {grid} is cut off.")
    with common.progress("simulating", scenario.duration) as advance:
        result = simulate(scenario, IntegerRule(loaded), target, lambda time, _: advance(time), engine, strangers=strangers)
    document: dict[str, Any] = {
        "genome": name,
        "genome_hash": loaded.cell_hash,
        **_inputs(file, described, strangers),
        **summary(result),
        "report": str(folder),
        "replay": common.replay(),
        "versions": common.versions(),
    }
    files = write_report(result, folder, document)
    if as_json:
        common.emit("simulate", document)
    else:
        _print(document, files)
    _judge(described, document)


def _inputs(file: Any, described: Described, strangers: dict[str, Any]) -> dict[str, Any]:
    """What the run was made from besides its genome: the scenario file, genomes of strangers."""
    import hashlib

    made: dict[str, Any] = {}
    if file.text:
        made["scenario_file"] = {"path": str(file.where), "sha256": hashlib.sha256(file.text.encode()).hexdigest()}
    if strangers:
        made["strangers"] = {
            word: {"genome": described.strangers[word], "genome_hash": rule.genome.cell_hash} for word, rule in strangers.items()
        }
    return made


def _judge(described: Described, document: dict[str, Any]) -> None:
    """Raise what the run misses: planned faults that never fired, stated limits."""
    from nca_hw.errors import LimitMissed

    replay = f"Replay: {document['replay']}"
    unfired = [fault for fault in document["faults"] if fault["changed"] == 0]
    if unfired:
        told = "; ".join(f"fault {fault['fault']} ({fault['kind']}) at {fault['at_updates']:g} u changed nothing" for fault in unfired)
        raise LimitMissed(f"the run is invalid: {told}", cure=f"Strike cells that are there and have power. {replay}")
    limit, loss = described.loss_limit, document["loss"]
    if limit is not None and (loss is None or not loss <= limit):
        raise LimitMissed(f"pattern loss at the end is {loss}, the stated limit is {limit:g}", cure=replay)
    if described.recovery_limit is not None:
        allowed, after = described.recovery_limit / described.scenario.interval, document["recovery_updates"]
        if after is None or after > allowed:
            told = "never" if after is None else f"after {after:g} u"
            raise LimitMissed(f"the array recovered {told}, the stated limit is {allowed:g} u", cure=replay)


def _print(document: dict[str, Any], files: list[str]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.5f}"

    d = document
    rows: list[tuple[str, object]] = [("grid", f"{d['grid']} cells, seed {d['seed']}")]
    if d["tile"] != "1x1" or d["wiring"] != "eight":
        rows += [("chips", f"of {d['tile']} cells, {d['wiring']} links")]
    if d["loss_before"] is not None:
        back = d["recovery_updates"]
        rows += [
            ("loss before the fault", number(d["loss_before"])),
            ("loss at the end", number(d["loss"])),
            ("recovered", f"after {back:g} mean updates" if back is not None else "no"),
        ]
    else:
        rows += [("loss at the end", number(d["loss"]))]
    damaged = f", {d['messages_corrupted']:,} damaged" if d["messages_corrupted"] else ""
    dropped = f", {d['messages_dropped']:,} dropped by full queues" if d["messages_dropped"] else ""
    rows += [
        ("updates", f"{d['updates']:,} ({d['evaluated_updates']:,} evaluated)"),
        ("messages", f"{d['messages_sent']:,} ({d['messages_lost']:,} lost{damaged}{dropped})"),
    ]
    if d["information_age_updates"] is not None:
        rows += [("neighbours' states", f"{d['information_age_updates']:.2f} mean updates old when used")]
    if d["link_load"] is not None:
        load = d["link_load"]
        rows += [("link load", f"{load['mean']:.1%}, the busiest {load['busiest']:.1%}, at {load['baud']} baud")]
    rows += [
        ("trajectory", d["trajectory_hash"][:16]),
        ("report", f"{d['report']}/ ({', '.join(files)})"),
    ]
    common.table(rows)
