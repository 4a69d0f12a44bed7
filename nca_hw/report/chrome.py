"""A history as Chrome trace events (JSON), which Perfetto and chrome://tracing show: a process for every tile, a thread for every cell.

Source: the Chromium project's document *Trace Event Format*. Times are in microseconds.
"""

from __future__ import annotations

import heapq
import io
import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from nca_hw.report.history import History, Put, Turn, Update
from nca_hw.sim.run import Result

SCHEMA = "nca-hw/trace/1"
ARRAY = 1  # the process of what concerns all cells; that of chip i is i + 2, the thread of cell i is i + 1
GREEN, GREY = "good", "generic_work"  # colours in chrome://tracing; what has none gets one by its name, in Perfetto everything does
DETAILS = {"slow": "times_as_slow", "cut": "frames", "stranger": "genome"}

_text = json.JSONEncoder(separators=(",", ":")).encode


class _Line(NamedTuple):
    """An event of the file. At one time the longer one comes first: it encloses the other."""

    time: int
    shorter: int
    fields: dict[str, Any]


def encode(history: History, result: Result, update_ns: int) -> bytes:
    """The JSON file.

    Args:
        update_ns: how long an update is drawn, at most until something else happens to the cell.
    """
    scenario = history.scenario
    about = {
        "schema": SCHEMA, "genome_hash": history.genome.cell_hash, "seed": scenario.seed, "grid": f"{scenario.width}x{scenario.height}",
        "trajectory_hash": result.recording.trajectory.hexdigest(), "from_ns": history.start, "to_ns": history.end,
    }  # fmt: skip
    few = sorted([*_spans(history), *_seeds(history), *_of_array(history, result)], key=_order)
    lines = heapq.merge(few, _updates(history, update_ns), key=_order)
    events = itertools.chain(_names(history), ({**line.fields, "ts": line.time / 1000} for line in lines))
    out = io.BytesIO()
    out.write(f'{{"displayTimeUnit":"ms","otherData":{_text(about)},"traceEvents":['.encode())
    for number, event in enumerate(events):
        out.write(f"{',' if number else ''}\n{_text(event)}".encode())
    out.write(b"\n]}\n")
    return out.getvalue()


def _order(line: _Line) -> tuple[int, int]:
    return line[:2]


def _names(history: History) -> Iterator[dict[str, Any]]:
    """What processes and threads are called, and their order: the array, then tiles and cells row by row."""
    grid = history.scenario.grid
    yield {"ph": "M", "name": "process_name", "pid": ARRAY, "tid": 0, "args": {"name": "array"}}
    yield {"ph": "M", "name": "process_sort_index", "pid": ARRAY, "tid": 0, "args": {"sort_index": ARRAY}}
    for chip in sorted({int(chip) for chip in grid.chip_of[history.cells]}):
        y, x = divmod(chip, grid.chips_across)
        yield {"ph": "M", "name": "process_name", "pid": chip + 2, "tid": 0, "args": {"name": f"tile {x},{y}"}}
        yield {"ph": "M", "name": "process_sort_index", "pid": chip + 2, "tid": 0, "args": {"sort_index": chip + 2}}
    for cell in history.cells:
        y, x = divmod(cell, grid.width)
        yield {"ph": "M", "name": "thread_name", **_place(history, cell), "args": {"name": f"cell {x},{y}"}}
        yield {"ph": "M", "name": "thread_sort_index", **_place(history, cell), "args": {"sort_index": cell + 1}}


def _place(history: History, cell: int) -> dict[str, int]:
    return {"pid": int(history.scenario.grid.chip_of[cell]) + 2, "tid": cell + 1}


def _updates(history: History, update_ns: int) -> Iterator[_Line]:
    """Updates, drawn until something else happens to the cell: events of one thread must not overlap but where one encloses the other."""
    until = [0] * len(history.events)
    following: dict[int, int] = {}
    for number, event in reversed(list(enumerate(history.events))):
        until[number] = following.get(event.cell, history.end)
        if not isinstance(event, Put):
            following[event.cell] = event.time
    places = {cell: _place(history, cell) for cell in history.cells}
    alpha = history.genome.alpha
    for event, end in zip(history.events, until, strict=True):
        if isinstance(event, Update):
            codes = np.frombuffer(event.state, np.int8).tolist()
            name, colour = ("update", GREEN) if event.changed else ("update, no change", GREY)
            lasts = min(update_ns, end - event.time)
            args = {"alpha": codes[alpha], "changed": event.changed, "codes": codes}
            fields = {"ph": "X", "cat": "update", "name": name, "cname": colour, **places[event.cell], "dur": lasts / 1000, "args": args}
            yield _Line(event.time, -lasts, fields)


def _spans(history: History) -> Iterator[_Line]:
    """Conditions of cells as spans. One that outlasts another it began within is drawn in parts: spans of a thread must be nested."""
    open_now: dict[int, list[tuple[int, Turn]]] = {cell: [] for cell in history.cells}
    for turn in history.conditions:
        open_now[turn.cell].append((history.start, turn))
    for turn in (event for event in history.events if isinstance(event, Turn)):
        stack = open_now[turn.cell]
        at = next((n for n, (_, one) in enumerate(stack) if one.condition == turn.condition), len(stack))
        for begun, one in stack[at:]:
            yield from _span(history, begun, turn.time, one)
        stack[at:] = [(turn.time, one) for _, one in stack[at + 1 :]]
        if turn.name is not None:
            stack.append((turn.time, turn))
    for stack in open_now.values():
        for begun, turn in stack:
            yield from _span(history, begun, history.end, turn)


def _span(history: History, begun: int, end: int, turn: Turn) -> Iterator[_Line]:
    if end > begun:
        args: dict[str, Any] = {"fault": turn.fault, "since_s": turn.time / 1e9}
        if turn.detail is not True:
            args[DETAILS[turn.condition]] = turn.detail
        fields = {"ph": "X", "cat": "fault", "name": turn.name, **_place(history, turn.cell), "dur": (end - begun) / 1000}
        yield _Line(begun, begun - end, {**fields, "args": args})


def _seeds(history: History) -> Iterator[_Line]:
    for event in history.events:
        if isinstance(event, Put) and event.planted:
            fields = {"ph": "i", "s": "t", "cat": "fault", "name": "plant", **_place(history, event.cell), "args": {"fault": event.fault}}
            yield _Line(event.time, 0, fields)


def _of_array(history: History, result: Result) -> Iterator[_Line]:
    """Where the window begins (viewers count from their first event), then pattern loss and alive cells of every sample."""
    yield _Line(history.start, 0, {"ph": "i", "s": "p", "cat": "array", "name": f"from {history.start / 1e9:g} s", "pid": ARRAY, "tid": 0})
    for name, key, values in (("pattern loss", "mse", result.losses), ("alive cells", "count", result.alive)):
        for time, value in zip(result.recording.times, values, strict=bool(values)):
            if history.start <= time <= history.end:
                yield _Line(time, 1, {"ph": "C", "cat": "array", "name": name, "pid": ARRAY, "tid": 0, "args": {key: value}})
