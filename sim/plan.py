"""A scenario, drawn: every random choice that is not made by the cells themselves, in whole numbers, for both engines alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames
from nca_hw.sim.clocks import MILLION, Clocks, draw_clocks, draw_waits
from nca_hw.sim.faults import Operation, Planting, Power, Remembering, Slow
from nca_hw.sim.overlap import untangle
from nca_hw.sim.scenario import MICROSECOND, Scenario
from nca_hw.sim.streams import TWO_32, Domain, keys, random_starts

__all__ = ["MILLION", "QUEUE", "Plan", "draw"]

QUEUE = 16  # frames that may wait before a link; those beyond are dropped


@dataclass(frozen=True)
class Plan:
    """What an engine runs.

    Attributes:
        random: uint32 [cells], where every cell's generator starts.
        clocks: of all cells.
        waits: uint32 [4096], ticks until the next wake for the upper 12 bits of a random number.
        loss_limit: a message is lost if its 32-bit number is below this. loss_spread: in 2^-16.
        frame_ns: time that a frame takes on a link.
        clean: uint64 [bits of a frame + 1]: so many bits in a row arrive unflipped if a 32-bit number is not below clean[bits]; empty
            without bit errors.
        cut: uint8 [cells], frames that never get through, a bit for each.
        operations: in the order in which they happen; those of one time in the order of the faults, the seed's planting last, so that
            a link that is cut at time 0 carries nothing.
    """

    scenario: Scenario
    random: NDArray[np.uint32]
    clocks: Clocks
    waits: NDArray[np.uint32]
    loss_limit: int
    loss_spread: int
    frame_ns: int
    clean: NDArray[np.uint64]
    cut: NDArray[np.uint8]
    operations: tuple[Operation, ...]

    @property
    def shortest_wait(self) -> int:
        """The least time between two wakes of any cell, ns."""
        fastest = min([1.0, *(fault.factor for fault in self.scenario.faults if isinstance(fault, Slow))])
        return int(self.waits.min()) * paced(self.clocks.shortest_tick(), pace_of(fastest)) // MILLION

    @property
    def longest_wait(self) -> int:
        """The greatest time between two wakes of any cell, ns."""
        slowest = max([1.0, *(fault.factor for fault in self.scenario.faults if isinstance(fault, Slow))])
        return int(self.waits.max()) * paced(self.clocks.longest_tick(), pace_of(slowest)) // MILLION

    @property
    def longest_way(self) -> int:
        """The greatest time from sending to having been received, ns."""
        return self.scenario.latency + self.scenario.latency_jitter + (QUEUE + 1) * self.frame_ns


def frame_seconds(channels: int, baud: int) -> float:
    """Time that a frame takes on a link, ten bits a byte."""
    return frames.frame_bytes(channels) * 10 / baud


def pace_of(slower: float) -> int:
    """How slow a clock is that runs `slower` times as slow, in 1024ths."""
    return round(slower * 1024)


def paced(tick: int, pace: int) -> int:
    """A tick of a clock that runs `pace` 1024ths as slow."""
    return tick * pace >> 10


def draw(scenario: Scenario, channels: int = 16) -> Plan:
    """Draw a scenario's random choices for cells of so many channels."""
    grid, seed = scenario.grid, scenario.seed
    cells = np.arange(grid.cells)
    return Plan(
        scenario,
        random=random_starts(seed, cells * 0 if scenario.same_random else cells),
        clocks=draw_clocks(seed, grid.chip_of, scenario.rate_spread, scenario.oscillator, scenario.traces),
        waits=draw_waits(scenario.waits, scenario.interval // MICROSECOND, scenario.wait_jitter),
        loss_limit=round(scenario.loss * TWO_32),
        loss_spread=round(scenario.loss_spread * 65536),
        frame_ns=round(frame_seconds(channels, scenario.baud) * 1e9) if scenario.baud else 0,
        clean=_clean(scenario.bit_errors, 8 * frames.frame_bytes(channels)) if scenario.bit_errors else np.zeros(0, np.uint64),
        cut=_broken(scenario),
        operations=_operations(scenario),
    )


def _clean(bit_errors: float, bits: int) -> NDArray[np.uint64]:
    """Probability of a flip within the first n bits, in 2^-32."""
    kept, limits = 1.0, [0]
    for _ in range(bits):
        kept *= 1 - bit_errors
        limits.append(round((1 - kept) * TWO_32))
    return np.array(limits, np.uint64)


def _broken(scenario: Scenario) -> NDArray[np.uint8]:
    grid, limit = scenario.grid, round(scenario.broken * TWO_32)
    cut = np.zeros(grid.cells, np.uint8)
    for frame in range(8):
        drawn = keys(scenario.seed, Domain.LINK_BROKEN, grid.chip_of, grid.link(frame))
        cut |= np.where(drawn.astype(np.uint64) < limit, np.uint8(1 << frame), np.uint8(0))
    return cut & grid.frame_masks


def _operations(scenario: Scenario) -> tuple[Operation, ...]:
    in_order = sorted(_planned(scenario), key=lambda operation: operation.time)
    return tuple(untangle(in_order, staggered=scenario.stagger > 0) if scenario.faults else in_order)


def _planned(scenario: Scenario) -> Iterator[Operation]:
    grid, planted = scenario.grid, 0
    if scenario.stagger:
        drawn = keys(scenario.seed, Domain.STAGGER, 0, np.arange(grid.chips)).astype(object) * (scenario.stagger + 1) >> 32
        times = [int(time) for time in drawn]
        for chip, time in enumerate(times):
            yield Power(time, tuple(grid.cells_of_chip(chip)), on=True)
        planted = times[int(grid.chip_of[grid.seed_cell])]
    else:
        yield Power(0, tuple(range(grid.cells)), on=True)
    if scenario.start is not None:
        yield Remembering(0, scenario.start)
    for number, fault in enumerate(scenario.faults):
        yield from fault.operations(grid, scenario.seed, number)
    if scenario.start is None:
        yield Planting(planted, (grid.seed_cell,))
