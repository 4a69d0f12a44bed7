"""The report folder of one simulated run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from nca_hw.formats.files import make_folder, write_whole
from nca_hw.report import curve, led, movie
from nca_hw.report.heat import heat_map
from nca_hw.report.led import Look
from nca_hw.sim.run import Result
from nca_hw.sim.scenario import Scenario

FRAMES_MAX = 160
SHEET_MAX = 18
CAPTION = "u: mean updates of a cell.   off: cells without power."
RUN = "run.json"
BAUD = 115_200  # at which a link's load is told where the scenario has no speed of links


def summary(result: Result, baud: int = BAUD) -> dict[str, Any]:
    """What a run gave, as it stands in run.json. Definitions: docs/simulation.md.

    Args:
        baud: of the links whose load is told, where the scenario names none.
    """
    scenario, recording, back = result.scenario, result.recording, result.recovery
    unit, counters, updates = scenario.interval, recording.counters, recording.updates_per_cell
    age = result.information_age
    speed = scenario.baud or baud
    load = result.link_load(speed)
    return {
        "engine": result.engine,
        "seed": scenario.seed,
        "grid": f"{scenario.width}x{scenario.height}",
        "tile": f"{scenario.tile_width}x{scenario.tile_height}",
        "wiring": scenario.wiring,
        "duration_updates": scenario.duration / unit,
        "loss_before": back.loss_before,
        "loss": result.loss,
        "recovered": back.recovered,
        "recovery_updates": None if back.after is None else back.after / unit,
        "alive": result.alive[-1],
        "updates": counters.updates,
        "evaluated_updates": counters.evaluated_updates,
        "computed_updates": result.computed_updates,
        "updates_per_cell": {"least": int(updates.min()), "mean": float(updates.mean()), "most": int(updates.max())},
        "messages_sent": counters.messages_sent,
        "messages_lost": counters.messages_lost,
        "messages_dropped": counters.messages_dropped,
        "messages_corrupted": counters.messages_corrupted,
        "messages_undetected": counters.messages_undetected,
        "information_age_updates": None if age is None else age / unit,
        "link_load": None if load is None else {"baud": speed, "mean": load.mean, "busiest": load.busiest},
        "faults": [
            {"fault": s.fault + 1, "kind": scenario.faults[s.fault].kind, "at_updates": s.time / unit, "changed": s.changed}
            for s in recording.strikes
        ],
        "valid": not result.unfired,
        "trajectory_hash": recording.trajectory.hexdigest(),
    }


def key_moments(result: Result) -> list[int]:
    """Samples that tell the story: growth, the eve of every fault, its strike, the restart, the way back, the end."""
    scenario, times = result.scenario, result.recording.times
    unit = scenario.interval
    wanted = [0, 5 * unit, 10 * unit, 20 * unit, 40 * unit, 80 * unit, scenario.duration]
    for at, back in [span for fault in scenario.faults for span in fault.spans()][:3]:
        end = at if back is None else back
        wanted += [at - scenario.sample_every, at, end, end + 5 * unit, end + 15 * unit, end + 40 * unit, end + 100 * unit]
    within = sorted({int(np.searchsorted(times, w)) for w in wanted if 0 <= w <= times[-1]})
    return within if len(within) <= SHEET_MAX else [*within[: SHEET_MAX - 1], within[-1]]


def _label(result: Result, sample: int) -> str:
    """The time of a sample, and how many cells had no power."""
    recording = result.recording
    powered = recording.powered[sample]
    off = "" if powered.all() else f", {1 - powered.mean():.0%} off"
    return f"{recording.times[sample] / result.scenario.interval:g} u{off}"


def write_report(
    result: Result, folder: Path, record: dict[str, Any], *, moving: str = "webp", look: Look | None = None,
    more: Mapping[str, bytes] | None = None, kept: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """Write contact.png, the movie grid.webp (or another kind), loss.svg (with a target), updates.png and `more` files into `folder`,
    run.json last; gives their names. What an earlier run has left there and this one does not write is removed.

    Args:
        kept: files of this run that are there already.

    Raises:
        NcaHwError: the folder can't be written, or no such movie.
        ToolMissing: the movie needs an extra.
    """
    make_folder(folder)
    scenario, times = result.scenario, result.recording.times
    unit = scenario.interval
    updates = [time / unit for time in times]
    moments = [(_label(result, i), result.rgba(i)) for i in key_moments(result)]
    pixels = max(1, min(4, 240 // max(scenario.width, scenario.height)))
    files = {"contact.png": led.contact_sheet(moments, pixels=pixels, look=look, caption=CAPTION)}
    stride = -(-len(times) // FRAMES_MAX)
    frames = [result.rgba(i) for i in range(0, len(times), stride)]
    files[f"grid.{moving}"] = movie.movie(frames, moving, pixels=pixels + 1, look=look)
    if result.losses:
        faults = [
            (fault.kind, at / unit, None if end is None else end / unit)
            for fault in scenario.faults
            for at, end in fault.spans()
        ]
        files["loss.svg"] = curve.loss_curve(updates, result.losses, faults, _recovered_at(result))
    files["updates.png"] = heat_map(result.recording.updates_per_cell)
    files.update(more or {})
    series = {"time_updates": updates, "loss": result.losses, "alive": result.alive}
    names = sorted({*files, *kept, RUN})
    whole = {"schema": "nca-hw/simulate/1", **record, "scenario": _values(scenario), "files": names, "series": series}
    files[RUN] = json.dumps(whole, indent=1).encode() + b"\n"
    for name in _of_another_run(folder) - set(names):
        (folder / name).unlink(missing_ok=True)
    for name, data in files.items():
        write_whole(folder / name, data)
    return [*kept, *files]


def _of_another_run(folder: Path) -> set[str]:
    """Files that an earlier run has left in its report folder, as its record tells."""
    try:
        names = json.loads((folder / RUN).read_bytes())["files"]
        return {name for name in names if isinstance(name, str) and Path(name).name == name}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _values(scenario: Scenario) -> dict[str, Any]:
    """Every number of a scenario, times in ns, for the record: it can be told without its file."""
    values = {field.name: getattr(scenario, field.name) for field in fields(scenario) if field.name not in ("start", "traces", "faults")}
    faults = [
        {"kind": f.kind, "cells": str(f.struck), **{field.name: getattr(f, field.name) for field in fields(f) if field.name != "struck"}}
        for f in scenario.faults
    ]
    return {**values, "traces": len(scenario.traces), "faults": faults}


def _recovered_at(result: Result) -> float | None:
    """The time from which on the array had recovered, in mean updates."""
    after, scenario = result.recovery.after, result.scenario
    if after is None:
        return None
    return (max(at if end is None else end for fault in scenario.faults for at, end in fault.spans()) + after) / scenario.interval
