"""`nca-hw simulate`: one asynchronous array, with faults."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nca_hw.core.genome import Genome
    from nca_hw.firmware.build import Build
    from nca_hw.formats.toml_file import Place, TomlFile
    from nca_hw.report.trace import Tracer
    from nca_hw.scenario_file import Described
    from nca_hw.sim.rules import FloatRule, IntegerRule, Rule
    from nca_hw.sim.run import Result
    from nca_hw.sim.scenario import Scenario

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
STRIKES_TOLD = 3
NOT_ABLATED = ("report", "record", "trace", "view", "movie", "look", "compare", "fail_above", "engine")


@click.command(cls=common.Command, short_help="Grow, kill and regrow a pattern on a simulated array.")
@click.argument("genome", required=False)
@click.option("--scenario", type=common.FILE, help="TOML file of array, clocks, links and faults (docs/scenario.md); options come on top.")
@click.option("--grid", metavar="WIDTHxHEIGHT", help="Cells of the array.  [default: 40x40]")
@click.option("--tile", metavar="WIDTHxHEIGHT", help="Cells of a chip.  [default: 1x1]")
@click.option("--wiring", type=click.Choice(["eight", "edges"]), help="Links to all neighbours, or over edges, diagonals relayed.")
@click.option("--kill", metavar="CELLS", help="Cells that lose power: 480, 30%, 20x40@0,0, '3 tiles', 'tile 2,0', seed or all.")
@click.option("--kill-at", metavar="TIME", help=f"When.  [default: {KILL_AT}]")
@click.option("--restart-after", metavar="TIME", help=f"How long they stay dead; they start from zero.  [default: {RESTART_AFTER}]")
@click.option("--no-restart", is_flag=True, help="They stay dead.")
@click.option(
    "--fault", "faults", type=common.FaultType(), multiple=True, metavar="'KIND CELLS at=TIME ...'",
    help="Any fault: 'stuck 5% at=100u lasts=50u', 'cut 20x40@0,0 at=9s border=true'; may be given often.",
)  # fmt: skip
@click.option("--duration", metavar="TIME", help="Length of the run.  [default: 400u]")
@click.option("--interval", metavar="TIME", help="Mean wait between a cell's updates.  [default: 100ms]")
@click.option("--waits", type=click.Choice(["uniform", "exponential", "fixed"]), help="How waits are spread.  [default: uniform]")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of all random numbers of the run.  [default: 1]")
@click.option("--clock-spread", metavar="PERCENT", help="Clocks are off by up to this.  [default: 1%, 0 with an oscillator]")
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
@click.option("--record", is_flag=True, help="Also write states.npz: every recorded state.")
@click.option("--trace", type=common.FILE, help="Event trace: .json or .json.gz for Perfetto and chrome://tracing, .vcd for GTKWave.")
@click.option("--trace-cells", metavar="CELLS", help="Cells that are traced.  [default: all]")
@click.option("--trace-from", metavar="TIME", help="Beginning of the trace.  [default: 0s]")
@click.option("--trace-to", metavar="TIME", help="End of the trace.  [default: that of the run]")
@click.option("--view", is_flag=True, help="Show the array in the terminal while it runs.")
@click.option("--movie", type=click.Choice(["webp", "gif", "mp4"]), default="webp", show_default=True, help="mp4 needs the extra mp4.")
@click.option(
    "--look", type=click.Choice(["light", "board", "supply"]), default="light", show_default=True,
    help="Colours as they are; as the board's LEDs show them to an eye that adapts; or as dim as its cap makes them.",
)  # fmt: skip
@click.option("--compare", is_flag=True, help="Also run float cells and the firmware's machine code; takes minutes.")
@click.option("--ablate", is_flag=True, help="Instead: what each physical effect costs, one switched on at a time.")
@click.option("--ablate-seeds", type=click.IntRange(1, 1000), default=3, show_default=True, help="Runs a row.")
@click.option("--float", "float_model", type=common.FILE, help="Float model (.npz) for float cells.  [default: the genome's weights]")
@click.option("--board", default="rp2040", show_default=True, help="Board for energy, looks and --compare.")
@click.option("--report", type=common.FILE, help="Folder for pictures and run.json.  [default: out/GENOME-GRID-seedSEED]")
@common.json_option
def command(genome: str | None, scenario: Path | None, report: Path | None, as_json: bool, **options: Any) -> None:
    """Simulate one array of independent cells.

    Every cell has its own clock and waits a random time between updates; states travel as messages with latency and loss. The seed in
    the middle grows the pattern of GENOME, a file or the name of a bundled genome.
    """
    from nca_hw.formats import toml_file

    _refuse_what_would_be_ignored(options)
    file = toml_file.TomlFile("command line", "") if scenario is None else toml_file.read(scenario)
    job = _Job.of(file, _words(options), genome, report)
    if options["ablate"]:
        _ablate(job, options["ablate_seeds"], options["float_model"], as_json=as_json)
    else:
        _simulate(job, options, as_json=as_json)


def _named_in(file: TomlFile, place: Place, name: str) -> Genome:
    """A genome that a scenario file names."""
    from nca_hw.errors import NcaHwError

    try:
        return common.load_genome(name)
    except NcaHwError as error:
        file.refuse([file.mistake(place, f"{error.where}: {error.what}")], error.cure)
        raise


@dataclass(frozen=True)
class _Job:
    """What the command line and its files say, loaded."""

    file: TomlFile
    described: Described
    name: str
    genome: Genome
    strangers: dict[str, IntegerRule]
    target: NDArray[np.float32] | None
    folder: Path

    @classmethod
    def of(cls, file: TomlFile, said: dict[Place, tuple[str, Any]], genome: str | None, report: Path | None) -> _Job:
        from nca_hw.formats.picture import from_png_bytes
        from nca_hw.scenario_file import describe
        from nca_hw.sim.rules import IntegerRule

        described = describe(file, said)
        scenario = described.scenario
        name = genome or described.genome or "lizard"
        loaded = common.load_genome(name) if genome else _named_in(file, ("genome",), name)
        strangers = {word: IntegerRule(_named_in(file, ("genomes", word), path)) for word, path in described.strangers.items()}
        target = from_png_bytes(loaded.target, where=name) if loaded.target else None
        grid = f"{scenario.width}x{scenario.height}"
        if target is not None and (target.shape[0] > scenario.height or target.shape[1] > scenario.width):
            common.say(f"The target has {target.shape[1]}x{target.shape[0]} cells: what lies outside the grid of {grid} is cut off.")
        folder = report or Path("out") / f"{Path(name).stem}-{grid}-seed{scenario.seed}"
        return cls(file, described, name, loaded, strangers, target, folder)

    def inputs(self) -> dict[str, Any]:
        """What the run is made from, for its record."""
        made: dict[str, Any] = {"genome": self.name, "genome_hash": self.genome.cell_hash}
        if self.file.text:
            made["scenario_file"] = {"path": str(self.file.where), "sha256": hashlib.sha256(self.file.text.encode()).hexdigest()}
        if self.strangers:
            made["strangers"] = {
                word: {"genome": self.described.strangers[word], "genome_hash": rule.genome.cell_hash}
                for word, rule in self.strangers.items()
            }
        return made

    def float_rule(self, path: Path | None) -> FloatRule | None:
        """Float cells: of a model, or with the genome's own weights; None (and a word about it) where there are none."""
        from nca_hw.core.dequantize import dequantize
        from nca_hw.core.layout import to_model
        from nca_hw.errors import NcaHwError
        from nca_hw.formats import weights
        from nca_hw.sim.rules import FloatRule

        if path is not None:
            raw = weights.read(path)
            return FloatRule(to_model(raw, raw.layout or "blocked"))
        try:
            return FloatRule(dequantize(self.genome))
        except NcaHwError as error:
            common.say(f"No float cells: {error.what}")
            return None


def _simulate(job: _Job, options: dict[str, Any], *, as_json: bool) -> None:
    from nca_hw.errors import NcaHwError
    from nca_hw.firmware.build import build
    from nca_hw.formats.boards import load_board
    from nca_hw.formats.files import make_folder
    from nca_hw.report import movie, states
    from nca_hw.report.energy import estimate
    from nca_hw.report.led import Look
    from nca_hw.report.live import LiveView, follow
    from nca_hw.report.simulation import summary, write_report
    from nca_hw.sim.rules import IntegerRule
    from nca_hw.sim.run import simulate

    scenario, target, rule = job.described.scenario, job.target, IntegerRule(job.genome)
    if target is None and (job.described.loss_limit, job.described.recovery_limit) != (None, None):
        cure = "Take a genome with a target, or leave the limit out."
        raise NcaHwError("has no target picture to hold a limit against", where=job.name, cure=cure)
    board = load_board(options["board"])
    if options["compare"]:
        from nca_hw.emulate import emulators

        emulators.check(board)
    look = None if options["look"] == "light" else Look(board.led.brightness, "adapted" if options["look"] == "board" else "supply")
    tracer = _tracer(scenario, rule, options)
    movie.check(options["movie"])
    if options["record"]:
        samples = scenario.duration // scenario.sample_every + 1
        states.check_size(samples, (scenario.height, scenario.width, rule.channels), rule.dtype.itemsize, job.folder / "states.npz")
    made = build(job.genome, board) if options["compare"] else None
    make_folder(job.folder)
    with contextlib.ExitStack() as stack:
        if options["view"]:
            view = stack.enter_context(LiveView(scenario.width, scenario.height, title=f"{job.name}, seed {scenario.seed}", look=look))
            progress = follow(view, scenario, rule, target)
        else:
            advance = stack.enter_context(common.progress("simulating", scenario.duration))
            progress = lambda time, _: advance(time)  # noqa: E731
        listener = None if tracer is None else tracer.listen
        result = simulate(scenario, rule, target, progress, options["engine"], strangers=job.strangers, listener=listener)
    if tracer is not None:
        tracer.write(options["trace"], result)
    if options["record"]:
        states.save(result, job.folder / "states.npz")
    energy = estimate(result, board)
    if energy.busy > 1:
        common.say(f"{board.name} can't keep up: its chips would have to compute {energy.busy:.1f} times as fast.")
    document: dict[str, Any] = {
        **job.inputs(), **summary(result), "energy": {"board": board.name, **asdict(energy)}, "report": str(job.folder),
        "trace": None if options["trace"] is None else str(options["trace"]), "replay": common.replay(), "versions": common.versions(),
    }  # fmt: skip
    pictures = {}
    if made is not None:
        pictures["compare.png"], document["compared"] = _compare(job, result, made, options["float_model"])
    kept = ["states.npz"] if options["record"] else []
    files = write_report(result, job.folder, document, moving=options["movie"], look=look, more=pictures, kept=kept)
    if as_json:
        common.emit("simulate", document)
    else:
        _print(document, files)
    _judge(job.described, document)


def _tracer(scenario: Scenario, rule: IntegerRule, options: dict[str, Any]) -> Tracer | None:
    from nca_hw.errors import NcaHwError
    from nca_hw.formats import words
    from nca_hw.report.trace import Tracer, check_ending
    from nca_hw.sim.regions import parse

    chosen = [name for name in ("trace_cells", "trace_from", "trace_to") if options[name] is not None]
    if options["trace"] is None:
        if chosen:
            raise click.UsageError(f"--{chosen[0].replace('_', '-')} says more about --trace, which is not given.")
        return None
    check_ending(options["trace"])
    times: dict[str, int | None] = {}
    for name in ("trace_from", "trace_to"):
        try:
            times[name] = None if options[name] is None else words.time(options[name]).ns(scenario.interval)
        except ValueError as error:
            raise NcaHwError(str(error), where=f"--{name.replace('_', '-')}") from None
    cells = None if options["trace_cells"] is None else parse(options["trace_cells"])
    return Tracer(scenario, rule, cells=cells, start_ns=times["trace_from"] or 0, end_ns=times["trace_to"])


def _compare(job: _Job, result: Result, made: Build, float_model: Path | None) -> tuple[bytes, dict[str, Any]]:
    """The same scenario on float cells and on the firmware's machine code: a picture, and how each ended."""
    from nca_hw.emulate.array import FirmwareRule
    from nca_hw.errors import NcaHwError
    from nca_hw.report.side_by_side import at_moments, side_by_side
    from nca_hw.report.simulation import key_moments
    from nca_hw.sim.run import check, simulate

    scenario = job.described.scenario

    def run(name: str, rule: Rule) -> tuple[str, Result]:
        with common.progress(f"simulating {name}", scenario.duration) as advance:
            return name, simulate(scenario, rule, job.target, lambda time, _: advance(time), strangers=job.strangers)

    floating = job.float_rule(float_model)
    rows = []
    if floating is not None:
        try:
            check(scenario, floating, job.strangers)
            rows = [run("float cells", floating)]
        except NcaHwError as error:
            common.say(f"No float cells: {error.what}.")
    rows += [("the integer cell", result)]
    rows += [run(f"the {made.board.name} image's machine code on an emulated chip", FirmwareRule(job.genome, made))]
    moments = [result.recording.times[sample] / scenario.interval for sample in key_moments(result)]
    truth = result.recording.trajectory.hexdigest()
    ends = {
        one.rule.name: {"loss": one.loss, "trajectory_hash": one.recording.trajectory.hexdigest(),
                        "equal": one.recording.trajectory.hexdigest() == truth}
        for _, one in rows
    }  # fmt: skip
    return side_by_side([(name, at_moments(one, moments)) for name, one in rows]), ends


def _ablate(job: _Job, seeds: int, float_model: Path | None, *, as_json: bool) -> None:
    from nca_hw.errors import NcaHwError
    from nca_hw.report.ablation import ablate
    from nca_hw.sim.rules import IntegerRule

    if job.target is None:
        raise NcaHwError("has no target picture to tell a loss by", where=job.name, cure="Quantize it with --target, or train it.")
    with common.progress("ablating", 1) as advance:
        costs = ablate(
            job.described.scenario, IntegerRule(job.genome), job.target, seeds, job.float_rule(float_model), job.strangers, advance
        )  # fmt: skip
    base = next(cost for cost in costs if cost.is_base)
    rows = [
        {"effect": cost.effect.name, "kind": cost.effect.kind, "cells": cost.cells, "seeds": len(cost.losses), "loss_median": cost.median,
         "loss_worst": cost.worst, "ratio": cost.median / base.median if base.median else None}
        for cost in costs
    ]  # fmt: skip
    if as_json:
        common.emit("simulate", {**job.inputs(), "ablation": rows, "replay": common.replay(), "versions": common.versions()})
        return
    grid = f"{job.described.scenario.width}x{job.described.scenario.height}"
    updates = job.described.scenario.duration / job.described.scenario.interval
    click.echo(f"{job.name} on {grid}, pattern loss after {updates:g} mean updates; one effect at a time, then all of the scenario's")
    click.echo(f"{'':46s}{'cells':>7s}{'seeds':>6s}{'median':>10s}{'worst':>10s}{'x ideal':>9s}")
    for row in rows:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        figures = f"{row['seeds']:6d}{row['loss_median']:10.5f}{row['loss_worst']:10.5f}{ratio:>9s}"
        click.echo(f"{row['effect']:46s}{row['cells']:>7s}{figures}{'   <- ideal' if row is rows[costs.index(base)] else ''}")


def _refuse_what_would_be_ignored(options: dict[str, Any]) -> None:
    if options["ablate"]:
        for name in NOT_ABLATED:
            if common.given(name):
                raise click.UsageError(f"--ablate prints a table and nothing else: leave out --{name.replace('_', '-')}.")
    elif common.given("ablate_seeds"):
        raise click.UsageError("--ablate-seeds says more about --ablate, which is not given.")
    elif common.given("float_model") and not options["compare"]:
        raise click.UsageError("--float says more about --compare and --ablate, neither of which is given.")
    if options["no_restart"] and common.given("restart_after"):
        raise click.UsageError("--no-restart and --restart-after contradict each other: take one of them.")


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


def _judge(described: Described, document: dict[str, Any]) -> None:
    """Raise what the run misses: planned faults that never fired, stated limits."""
    from nca_hw.errors import LimitMissed

    replay = f"Replay: {document['replay']}"
    unfired = [fault for fault in document["faults"] if fault["changed"] == 0]
    if unfired:
        first = unfired[:STRIKES_TOLD]
        some = [f"fault {fault['fault']} ({fault['kind']}) at {fault['at_updates']:g} u changed nothing" for fault in first]
        some += [f"nor did {len(unfired) - STRIKES_TOLD} more strikes"] if len(unfired) > STRIKES_TOLD else []
        told = "; ".join(some)
        raise LimitMissed(f"the run is invalid: {told}", cure=f"Strike cells that are there and have power. {replay}")
    for name, end in document.get("compared", {}).items():
        if not end["equal"] and name != "float":
            raise LimitMissed(f"the trajectory of {name} differs from the integer cell's", cure=replay)
    limit, loss = described.loss_limit, document["loss"]
    if limit is not None and not loss <= limit:  # a loss that is no number misses it, too
        raise LimitMissed(f"pattern loss at the end is {loss}, the stated limit is {limit:g}", cure=replay)
    if described.recovery_limit is not None:
        allowed, after = described.recovery_limit / described.scenario.interval, document["recovery_updates"]
        if after is None or after > allowed:
            told = "never recovered" if after is None else f"recovered after {after:g} u"
            raise LimitMissed(f"the array {told}, the stated limit is {allowed:g} u", cure=replay)


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
    energy = d["energy"]
    told = f"{energy['array_watts']:.1f} W, peak {energy['peak_amperes']:.1f} A, {energy['led_share']:.0%} of it for LEDs"
    rows += [("supply, estimated", f"{told} ({energy['board']})")]
    for name, end in d.get("compared", {}).items():
        if name != "int8":
            told = "the integer cell's trajectory" if end["equal"] else "a trajectory of its own"
            rows += [(name, f"loss {number(end['loss'])}, {told}")]
    rows += [
        ("trajectory", d["trajectory_hash"][:16]),
        ("report", f"{d['report']}/ ({', '.join(files)})"),
    ]
    if d["trace"] is not None:
        rows += [("trace", d["trace"])]
    common.table(rows)
