"""A history as a value change dump (VCD), which waveform viewers of hardware show: the signals of every cell, 1 ns a step.

Source: IEEE 1800-2023, clause 21.7.
"""

from __future__ import annotations

import heapq
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from nca_hw.report.history import Event, History, Turn, Update
from nca_hw.sim.run import Result

if TYPE_CHECKING:
    from vcd import VCDWriter

COLOURS = ("red", "green", "blue")


def encode(history: History, result: Result) -> bytes:
    """The VCD file.

    The array has the signals `alive` and `loss`, every cell `power`, `update` (which toggles at each), one for each kind of fault, and
    its codes.
    """
    from vcd import VCDWriter

    out = io.StringIO()
    told = f"genome {history.genome.cell_hash}\ntrajectory {result.recording.trajectory.hexdigest()}"
    writer = VCDWriter(out, "1 ns", date="", version="nca-hw", comment=told, init_timestamp=history.start, check_values=False)
    array = _Array(writer, history, result)
    seen = {turn.condition for turn in (*history.conditions, *history.events) if isinstance(turn, Turn)}
    cells = {cell: _Cell(writer, history, cell, sorted(seen - {"power"})) for cell in history.cells}
    for turn in history.conditions:
        cells[turn.cell].happen(history.start, turn)
    events = ((event.time, 0, event) for event in history.events)
    samples = ((time, 1, number) for number, time in enumerate(result.recording.times) if time <= history.end)
    for time, _, what in heapq.merge(events, samples, key=lambda one: one[:2]):
        if isinstance(what, int):
            array.sample(max(time, history.start), what)
        else:
            cells[what.cell].happen(time, what)
    writer.close(history.end)
    return out.getvalue().encode()


class _Array:
    """Signals of all cells together."""

    def __init__(self, writer: VCDWriter, history: History, result: Result) -> None:
        self._writer = writer
        self._signals: list[tuple[Any, list[Any]]] = [(writer.register_var(("array",), "alive", "integer", 32, init=0), result.alive)]
        if result.losses:
            self._signals.append((writer.register_var(("array",), "loss", "real", init=0.0), result.losses))

    def sample(self, time: int, number: int) -> None:
        """A sample is taken."""
        for signal, values in self._signals:
            self._writer.change(signal, time, values[number])


class _Cell:
    """Signals of one cell."""

    def __init__(self, writer: VCDWriter, history: History, cell: int, conditions: list[str]) -> None:
        self._writer = writer
        self._codes = history.states[cell]
        scope = _scope(history, cell)
        self._power = writer.register_var(scope, "power", "wire", 1, init=1)
        self._update = writer.register_var(scope, "update", "wire", 1, init=0)
        self._updates = 0
        self._faults = {name: writer.register_var(scope, name, "wire", 1, init=0) for name in conditions}
        values = np.frombuffer(self._codes, np.int8).tolist()
        alpha = history.genome.alpha
        order = [alpha, *(channel for channel in range(len(values)) if channel != alpha)]
        signals = {
            channel: writer.register_var(scope, _name(channel, alpha), "integer", 8, init=values[channel])
            for channel in order
        }
        self._channels = [signals[channel] for channel in range(len(values))]

    def happen(self, time: int, event: Event) -> None:
        """Something happens to the cell."""
        change = self._writer.change
        if isinstance(event, Turn):
            if event.condition == "power":
                change(self._power, time, event.name is None)
            else:
                change(self._faults[event.condition], time, event.name is not None)
            return
        if isinstance(event, Update):
            self._updates += 1
            change(self._update, time, self._updates % 2)
        if event.state != self._codes:
            self._codes = event.state
            for signal, value in zip(self._channels, np.frombuffer(event.state, np.int8).tolist(), strict=True):
                change(signal, time, value)


def _name(channel: int, alpha: int) -> str:
    if channel == alpha:
        return "alpha"
    return COLOURS[channel] if channel < len(COLOURS) else f"hidden_{channel:02d}"


def _scope(history: History, cell: int) -> tuple[str, str, str]:
    """Names of array, tile and cell, column before row, of equal length so that they stand in order when sorted."""
    grid = history.scenario.grid
    digits = len(str(max(grid.width, grid.height) - 1))
    row, column = divmod(cell, grid.width)
    down, across = divmod(int(grid.chip_of[cell]), grid.chips_across)
    return "array", f"tile_{across:0{digits}}_{down:0{digits}}", f"cell_{column:0{digits}}_{row:0{digits}}"
