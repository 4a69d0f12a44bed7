"""The trace of a run: what chosen cells did within a window of time, collected while it runs, in files that standard viewers open."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.files import write_whole
from nca_hw.report import chrome, waveform
from nca_hw.report.history import History, tell
from nca_hw.sim.faults import REPEAT
from nca_hw.sim.regions import Everybody, Struck
from nca_hw.sim.rules import IntegerRule, Rule
from nca_hw.sim.run import Result
from nca_hw.sim.scenario import Scenario

MAX_EVENTS = 1_000_000
UPDATE_NS = 20_000_000  # of the RP2040 image, docs/firmware.md
ENDINGS = (".json", ".json.gz", ".vcd")
_DRAW = REPEAT - 1  # of random cells: a number that no fault has


def check_ending(path: Path) -> str:
    """The ending of a trace's file, which says its format.

    Raises:
        NcaHwError: another one.
    """
    ending = next((ending for ending in ENDINGS if Path(path).name.lower().endswith(ending)), None)
    if ending is None:
        told = f"{''.join(Path(path).suffixes) or 'no ending'!r} is the ending of no known trace"
        cure = "Take .json or .json.gz (for Perfetto and chrome://tracing), or .vcd (for GTKWave and other waveform viewers)."
        raise NcaHwError(told, where=path, cure=cure)
    return ending


class Tracer:
    """Listens to a run (`simulate(..., listener=tracer.listen)`) and writes what it has heard.

    Args:
        rule: of the run, an IntegerRule.
        cells: those to trace, None for all; random ones are drawn by the scenario's seed.
        start_ns, end_ns: the window, both within; None: to the end of the run.
    Raises:
        NcaHwError: another rule; no such cells; no such time.
    """

    def __init__(
        self, scenario: Scenario, rule: Rule, *, cells: Struck | None = None, start_ns: int = 0, end_ns: int | None = None
    ) -> None:
        if not isinstance(rule, IntegerRule):
            raise NcaHwError(f"a trace shows state codes, which {rule.name} has not", where="trace", cure="Take the integer cell.")
        end = scenario.duration if end_ns is None else min(end_ns, scenario.duration)
        if not 0 <= start_ns <= end:
            told = f"there is nothing from {start_ns / 1e9:g} s to {end / 1e9:g} s of a run of {scenario.duration / 1e9:g} s"
            raise NcaHwError(told, where="trace", cure="Begin (--trace-from) before the end (--trace-to) and within the run.")
        self.scenario = scenario
        self.genome = rule.genome
        self.start, self.end = start_ns, end
        self.cells = (cells or Everybody()).cells(scenario.grid, scenario.seed, _DRAW)
        self._record = np.dtype([("time", "<u8"), ("cell", "<u4"), ("state", "i1", rule.channels)])
        self._slot = np.full(scenario.cells, -1, np.int32)
        self._slot[self.cells] = np.arange(len(self.cells))
        self._before = np.zeros(len(self.cells), self._record)  # every cell's last update before the window
        self._has_before = np.zeros(len(self.cells), np.bool_)
        self._within: list[np.ndarray[tuple[int], np.dtype[np.void]]] = []
        self._heard = 0
        self._count = 0

    def listen(self, records: bytes) -> None:
        """Updates in order: time in ns (u64), cell (u32), new state. Only what the trace will show is kept."""
        found = np.frombuffer(records, self._record)
        self._heard += len(found)
        first, last = np.searchsorted(found["time"], [self.start, self.end + 1])
        before, within = (part[self._slot[part["cell"]] >= 0] for part in (found[:first], found[first:last]))
        slots = self._slot[before["cell"]]
        self._before[slots] = before  # of several updates of a cell the last one stays
        self._has_before[slots] = True
        self._count += len(within)
        if self._count > MAX_EVENTS:
            self._within.clear()  # too many to be written; they are only counted on
        elif len(within):
            self._within.append(within)

    def history(self, result: Result) -> History:
        """What happened to the chosen cells.

        Raises:
            NcaHwError: more than MAX_EVENTS events.
            ValueError: it has not heard all updates of this run.
        """
        updates = result.recording.counters.updates
        if self._heard != updates:
            raise ValueError(f"the tracer has heard {self._heard} of {updates} updates: it must be the listener of the run")
        if self._count > MAX_EVENTS:
            raise self._too_many(self._count)
        history = tell(self.scenario, self.genome, self.cells, self.start, self.end, self._updates())
        if len(history.events) > MAX_EVENTS:
            raise self._too_many(len(history.events))
        return history

    def _updates(self) -> Iterator[tuple[int, int, bytes]]:
        before = self._before[self._has_before]
        size = self.genome.channels
        for part in (before[np.argsort(before["time"], kind="stable")], *self._within):
            codes = np.ascontiguousarray(part["state"]).tobytes()
            for n, (time, cell) in enumerate(zip(part["time"].tolist(), part["cell"].tolist(), strict=True)):
                yield time, cell, codes[n * size : (n + 1) * size]

    def _too_many(self, count: int) -> NcaHwError:
        window = f"{self.start / 1e9:g} s to {self.end / 1e9:g} s"
        return NcaHwError(
            f"{count:,} events of {len(self.cells):,} cells from {window}, a trace may have {MAX_EVENTS:,}",
            where="trace",
            cure="Trace fewer cells (--trace-cells), or a shorter time (--trace-from, --trace-to).",
        )

    def write(self, path: Path, result: Result, *, update_ns: int = UPDATE_NS) -> None:
        """Write the trace, whole or not at all, in the format that the ending says; the same run gives the same bytes.

        Args:
            result: of the run that the tracer has listened to.
            update_ns: how long an update is drawn; the simulator's updates take no time.
        Raises:
            NcaHwError: an unknown ending; more than MAX_EVENTS events; the file can't be written.
        """
        path = Path(path)
        ending = check_ending(path)
        history = self.history(result)
        data = waveform.encode(history, result) if ending == ".vcd" else chrome.encode(history, result, update_ns)
        if ending == ".json.gz":
            packed = io.BytesIO()
            with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:  # no name, no date: the same bytes every time
                file.write(data)
            data = packed.getvalue()
        write_whole(path, data)
