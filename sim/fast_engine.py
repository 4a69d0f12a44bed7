"""The fast engine: the array of `simpy_engine` in C (sim/fast/engine.c), the same trajectory update for update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import SEED_QUIET
from nca_hw.errors import NcaHwError
from nca_hw.sim.plan import MILLION, draw
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.scenario import Scenario

RECORDS_BYTES = 1 << 20
RING_MAX = 1 << 12
PORTABLE, AVX2 = range(2)  # instruction sets of the kernel, sim/fast/kernel.h
BEST = AVX2


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


class FastArray:
    """An array of integer cells, run by the C engine. It draws the same plan as `SimpyArray` and gives the same recording.

    Args:
        instructions: the most that the kernel may use of what this processor has.
    """

    def __init__(self, scenario: Scenario, rule: IntegerRule, *, instructions: int = BEST) -> None:
        self.scenario = scenario
        self.rule = rule
        self.plan = plan = draw(scenario)
        self.recording = Recording()
        self._cell = CCell(rule.genome)
        self._kernel = ffi.new("nca_fast *")
        lib.nca_fast_prepare(self._kernel, self._cell.struct, instructions)
        count, channels = scenario.cells, rule.channels

        shortest = int(plan.waits.min()) * int(plan.tick.min()) // MILLION
        longest = int(plan.waits.max()) * int(plan.tick.max()) // MILLION
        ring = _power_of_two((longest + scenario.latency) // shortest + 4)
        if ring > RING_MAX:
            told = f"a latency of {scenario.latency} ns is too many intervals for the fast engine"
            raise NcaHwError(told, where="scenario", cure="Take --engine simpy.")
        bucket_ns = max(shortest // 32, 1)
        buckets = _power_of_two(longest // bucket_ns + 3)
        self._arrays: dict[str, NDArray[Any]] = {
            "waits": plan.waits, "tick": plan.tick, "random": plan.random.copy(), "states": np.zeros((count, channels), np.int8),
            "inboxes": np.zeros((count, NEIGHBOURS, channels), np.int8), "next_wake": np.full(count, -1, np.int64),
            "heard_until": np.zeros(count, np.int64), "quiet": np.zeros(count, np.uint8), "settled": np.zeros(count, np.uint8),
            "sent": np.zeros(count, np.uint32), "updates": np.zeros(count, np.int64), "sent_at": np.zeros((count, ring), np.int64),
            "lost": np.zeros((count, ring), np.uint8), "sent_code": np.zeros((count, ring, channels), np.int8),
            "head": np.full(buckets, -1, np.int32), "after": np.full(count, -1, np.int32), "before": np.full(count, -1, np.int32),
        }  # fmt: skip
        self._order = ffi.new("nca_wake[]", count)
        self._records = ffi.new("uint8_t[]", RECORDS_BYTES)
        self._engine = engine = ffi.new("nca_engine *")
        for name, array in self._arrays.items():
            kind = ffi.typeof(engine).item.fields
            setattr(engine, name, ffi.cast(dict(kind)[name].type, ffi.from_buffer(array)))
        engine.kernel, engine.order = self._kernel, self._order
        engine.width, engine.height, engine.seed = scenario.width, scenario.height, scenario.seed
        engine.latency, engine.loss_limit = scenario.latency, plan.loss_limit
        engine.ring, engine.buckets, engine.bucket_ns = ring, buckets, bucket_ns

    def run(self, progress: Callable[[int], None] | None = None) -> Recording:
        """Run to the scenario's end.

        Args:
            progress: called with the time in ns, once a sample.
        """
        scenario, engine = self.scenario, self._engine
        for cell in range(scenario.cells):
            lib.nca_engine_power_on(engine, cell, 0)
        seed = ffi.from_buffer("int8_t[]", np.ascontiguousarray(self.rule.seed()))
        lib.nca_engine_plant(engine, scenario.seed_cell, seed, SEED_QUIET, 0)
        cuts = list(self.plan.power_cuts)
        samples = range(0, scenario.duration + 1, scenario.sample_every)
        for sample in samples:
            while cuts and cuts[0].time <= sample:
                self._cut(cuts.pop(0))
            self._run_until(sample + 1)
            self._observe(sample)
            if progress is not None and sample:
                progress(sample)
        while cuts and cuts[0].time <= scenario.duration:
            self._cut(cuts.pop(0))
        self._run_until(scenario.duration + 1)
        counters = self.recording.counters
        counters.updates, counters.evaluated_updates = engine.all_updates, engine.evaluated_updates
        counters.messages_sent, counters.messages_lost = engine.messages_sent, engine.messages_lost
        self.recording.updates_per_cell = self._arrays["updates"].reshape(scenario.height, scenario.width).copy()
        return self.recording

    @property
    def computed_updates(self) -> int:
        """Updates for which the network was run; evaluated ones that could change nothing are not run again."""
        return int(self._engine.computed_updates)

    def _cut(self, cut: Any) -> None:
        self._run_until(cut.time)
        for cell in cut.cells:
            lib.nca_engine_power_off(self._engine, cell)
            if cut.on:
                lib.nca_engine_power_on(self._engine, cell, cut.time)

    def _run_until(self, until: int) -> None:
        more = ffi.new("uint8_t *", 1)
        while more[0]:
            written = lib.nca_engine_run(self._engine, until, self._records, RECORDS_BYTES, more)
            self.recording.trajectory.add_records(ffi.buffer(self._records, written))

    def _observe(self, time: int) -> None:
        shape = (self.scenario.height, self.scenario.width)
        self.recording.times.append(time)
        self.recording.states.append(self._arrays["states"].reshape(*shape, -1).copy())
        self.recording.powered.append((self._arrays["next_wake"] >= 0).reshape(shape))
