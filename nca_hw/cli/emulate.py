"""`nca-hw emulate`: a wall of emulated chips, each with the unmodified image, wired edge to edge."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from nca_hw.cli import common

if TYPE_CHECKING:
    from nca_hw.emulate.wall import Emulation
    from nca_hw.formats.boards import Board
    from nca_hw.formats.toml_file import Place
    from nca_hw.scenario_file import Described

# Options that are words of a scenario file, and their places there.
PLACES: dict[str, Place] = {
    "grid": ("array", "grid"), "clock_spread": ("clocks", "spread"), "duration": ("duration",), "seed": ("seed",),
    "sample_every": ("sample_every",), "fail_above": ("limits", "loss"),
}  # fmt: skip
FAULT_AT, RESTART_AFTER = "60u", "10u"


@click.command(cls=common.Command, short_help="Run a wall of emulated chips with the unmodified firmware.")
@common.genome_argument
@click.option("--board", default="atmega328p", show_default=True, help="Name of a board, or a board file of your own.")
@click.option("--grid", default="8x8", show_default=True, metavar="WIDTHxHEIGHT", help="Chips, one cell each.")
@click.option("--duration", "--for", "duration", default="100u", show_default=True, metavar="TIME", help="Length of the run.")
@click.option("--clock-spread", default="1%", show_default=True, metavar="PERCENT", help="Clocks are off by up to this.")
@click.option("--kill", metavar="CELLS", help="Chips that lose power: 20, 30%, 4x4@0,0, seed or all.")
@click.option("--kill-at", metavar="TIME", help=f"When.  [default: {FAULT_AT}]")
@click.option("--restart-after", metavar="TIME", help=f"How long they stay dead.  [default: {RESTART_AFTER}]")
@click.option("--no-restart", is_flag=True, help="They stay dead.")
@click.option("--cut", metavar="CELLS", help="Chips whose wires are cut, all of them.")
@click.option("--cut-at", metavar="TIME", help=f"When.  [default: {FAULT_AT}]")
@click.option(
    "--fault", "faults", type=common.FaultType(), multiple=True, metavar="'KIND CELLS at=TIME ...'",
    help="Any fault of power or wires: 'cut 4x4@0,0 at=9s lasts=20u border=true', 'brownout all at=50u'; may be given often.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=1, show_default=True, help="Of clocks, faults, and RAM at power-on.")
@click.option("--sample-every", metavar="TIME", help="Between two recorded states.  [default: 1u]")
@click.option("--fail-above", type=click.FloatRange(min=0), help="Exit with 1 if the pattern loss at the end is above this.")
@click.option("--movie", type=click.Choice(["webp", "gif", "mp4"]), default="webp", show_default=True, help="mp4 needs the extra mp4.")
@click.option("--report", type=common.FILE, help="Folder for pictures and run.json.  [default: out/GENOME-BOARD-GRID-seedSEED]")
@common.json_option
def command(genome: str, board: str, movie: str, report: Path | None, as_json: bool, **options: Any) -> None:
    """Build the image of GENOME and run it on a wall of emulated chips.

    Every chip has a clock of its own; chips hear each other over two open-drain wires an edge, as on a real wall. The chip in the middle
    is strapped as the seed. All that chips computed, sent and showed is compared, byte for byte, with the NumPy reference, which is told
    nothing but the order of events.
    """
    from nca_hw.emulate import wall
    from nca_hw.errors import LimitMissed
    from nca_hw.firmware.build import build
    from nca_hw.formats import toml_file
    from nca_hw.formats.boards import load_board
    from nca_hw.formats.files import make_folder
    from nca_hw.formats.picture import from_png_bytes
    from nca_hw.report import chips
    from nca_hw.report import movie as movies
    from nca_hw.report.simulation import write_report
    from nca_hw.scenario_file import describe

    loaded, target_board = common.load_genome(genome), load_board(board)
    described = describe(toml_file.TomlFile("command line", ""), _words(options, target_board))
    scenario = described.scenario
    target = from_png_bytes(loaded.target, where=genome) if loaded.target else None
    wall.check(scenario, target_board)
    movies.check(movie)
    folder = report or Path("out") / f"{Path(genome).stem}-{target_board.name}-{scenario.width}x{scenario.height}-seed{scenario.seed}"
    made = build(loaded, target_board)
    make_folder(folder)
    with common.progress("emulating", scenario.duration) as advance:
        done = wall.emulate(loaded, made, scenario, target, lambda time, _: advance(time))
    document = {
        "genome": genome, "genome_hash": loaded.cell_hash, "board": target_board.name, "image_sha256": made.sha256,
        "interval_us": target_board.interval_us, "clock_spread": scenario.rate_spread, **chips.told(done.result), **_figures(done),
        "report": str(folder), "replay": common.replay(), "versions": common.versions(),
    }  # fmt: skip
    pictures = {"leds.png": chips.states_and_lights(done.result, done.lights, target_board.led.brightness)}
    files = write_report(done.result, folder, {"schema": "nca-hw/emulate/1", **document}, moving=movie, more=pictures)
    if as_json:
        common.emit("emulate", document)
    else:
        _print(document, files)
    _judge(described, document)
    if done.difference is not None:
        d = done.difference
        told = f"{done.differences:,} differences from the reference, the first at {d.time_ns / 1e9:.6f} s, chip {d.cell}: {d.what}"
        raise LimitMissed(f"{told}, expected {list(d.expected)}, got {list(d.got)}", cure=f"Replay: {common.replay()}")


def _words(options: dict[str, Any], board: Board) -> dict[Place, tuple[str, Any]]:
    """The options given, as words of a scenario file at their places, and what the board decides."""
    from nca_hw.scenario_file import fault_words

    said: dict[Place, tuple[str, Any]] = {
        place: (f"--{name.replace('_', '-')}", options[name]) for name, place in PLACES.items() if options[name] is not None
    }
    said["array", "wiring"] = ("--board", "edges")
    said["clocks", "interval"] = ("--board", f"{board.interval_us}us")
    if options["no_restart"] and common.given("restart_after"):
        raise click.UsageError("--no-restart and --restart-after contradict each other: take one of them.")
    if options["kill"] is not None:
        kill = {"kind": "kill", "cells": options["kill"], "at": options["kill_at"] or FAULT_AT}
        if not options["no_restart"]:
            kill["lasts"] = options["restart_after"] or RESTART_AFTER
        said["fault", 0] = ("--kill", kill)
    elif options["kill_at"] or options["restart_after"] or options["no_restart"]:
        raise click.UsageError("--kill-at, --restart-after and --no-restart say more about --kill, which is not given.")
    if options["cut"] is not None:
        said["fault", 1] = ("--cut", {"kind": "cut", "cells": options["cut"], "at": options["cut_at"] or FAULT_AT})
    elif options["cut_at"]:
        raise click.UsageError("--cut-at says more about --cut, which is not given.")
    for number, words in enumerate(options["faults"], 2):
        try:
            said["fault", number] = (f"--fault {words!r}", fault_words(words))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    return said


def _figures(done: Emulation) -> dict[str, Any]:
    """What only chips have."""
    return {
        "frames": {**asdict(done.frames), "loss": done.frames.loss},
        "cycles_per_update": done.cycles, "most_cycles": done.most_cycles, "stack_bytes": done.stack_bytes, "ram_bytes": done.ram_bytes,
        "asleep": done.work.slept / done.work.cycles if done.work.cycles else 0.0, "led": None if done.led is None else asdict(done.led),
        **done.events,
        "reference": {
            "equal": done.equal, **asdict(done.compared), "differences": done.differences,
            "first": None if done.difference is None else asdict(done.difference),
        },
        "seconds": done.seconds, "cpu_seconds": done.cpu_seconds, "rss_bytes": done.rss_bytes,
    }  # fmt: skip


def _judge(described: Described, document: dict[str, Any]) -> None:
    """Raise what the run misses: planned faults that never fired, the stated limit."""
    from nca_hw.errors import LimitMissed

    replay = f"Replay: {document['replay']}"
    unfired = [fault for fault in document["faults"] if fault["changed"] == 0]
    if unfired:
        first = unfired[0]
        told = f"the run is invalid: fault {first['fault']} ({first['kind']}) at {first['at_updates']:g} u changed nothing"
        raise LimitMissed(told, cure=f"Strike chips that are there and have power. {replay}")
    limit, loss = described.loss_limit, document["loss"]
    if limit is not None and (loss is None or not loss <= limit):
        raise LimitMissed(f"pattern loss at the end is {loss}, the stated limit is {limit:g}", cure=replay)


def _print(document: dict[str, Any], files: list[str]) -> None:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.5f}"

    d, frames, reference = document, document["frames"], document["reference"]
    rows: list[tuple[str, object]] = [("chips", f"{d['grid']} {d['board']}, clocks within {d['clock_spread']:.1%}, seed {d['seed']}")]
    if d["loss_before"] is not None:
        back = d["recovery_updates"]
        rows += [
            ("loss before the fault", number(d["loss_before"])), ("loss at the end", number(d["loss"])),
            ("recovered", f"after {back:g} mean updates" if back is not None else "no"),
        ]  # fmt: skip
    else:
        rows += [("loss at the end", number(d["loss"]))]
    cycles = "-" if d["cycles_per_update"] is None else f"{d['cycles_per_update']:,.0f} on average, {d['most_cycles']:,} at the most"
    spread = d["updates_per_cell"]
    trouble = {"watchdog resets": d["watchdog_resets"], "crashes": d["crashes"], "wires driven high": d["driven_high"]}
    rows += [
        ("updates", f"{d['updates']:,} ({d['evaluated_updates']:,} evaluated); of a chip {spread['least']} to {spread['most']}"),
        ("cycles an update", cycles),
        ("frames", f"{frames['owed']:,} owed, {frames['sound']:,} received; the others were replaced by newer ones"),
        ("frames lost", f"{frames['loss']:.2%}: {frames['rejected']:,} rejected, {frames['broken']:,} broken off"),
        ("RAM of a chip", f"{d['ram_bytes']} B, {d['stack_bytes']} B of it stack"),
        ("chips asleep", f"{d['asleep']:.0%} of the time"),
        ("trouble", ", ".join(f"{n:,} {what}" for what, n in trouble.items() if n) or "none"),
        ("reference", f"{'equal' if reference['equal'] else 'DIFFERS'}: {reference['states']:,} states, {reference['frames']:,} frames, "
                      f"{reference['lights']:,} lights, {reference['reports']:,} reports, {reference['memories']:,} memories"),
        ("self-tests", f"{d['self_tests']:,} right of {d['starts']:,} starts"),
        ("took", f"{d['seconds']:.1f} s ({d['cpu_seconds']:.1f} s of processor), {d['rss_bytes'] / 1e6:.0f} MB"),
        ("report", f"{d['report']}: {', '.join(files)}"),
    ]  # fmt: skip
    common.table(rows)
