"""What each physical effect costs: the same array ideal, then with one effect switched on at a time, then with all of its scenario's."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nca_hw.report.simulation import BAUD
from nca_hw.sim.faults import Fault, Kill
from nca_hw.sim.regions import RandomFraction
from nca_hw.sim.rules import FloatRule, Rule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

UNHEARD_OF = 1000  # the ideal array's latency is this part of an interval
IN_STEP, CLOCKS, EFFECT, ALL = "in step", "own clocks", "effect", "all"


@dataclass(frozen=True)
class Effect:
    """One row of the table: what is switched on, and the scenario in which it is. `kind` is one of the constants above."""

    name: str
    kind: str
    scenario: Scenario


@dataclass(frozen=True)
class Cost:
    """What an effect did.

    Attributes:
        cells: which rule ran. losses: pattern loss at the end, one a seed.
    """

    effect: Effect
    cells: str
    losses: tuple[float, ...]

    @property
    def is_base(self) -> bool:
        """The row that the others are compared with: integer cells on clocks of their own, and nothing else."""
        return self.effect.kind == CLOCKS and self.cells != FloatRule.name

    @property
    def median(self) -> float:
        """Of the losses."""
        return statistics.median(self.losses)

    @property
    def worst(self) -> float:
        """Of the losses."""
        return max(self.losses)


def ideal(scenario: Scenario) -> Scenario:
    """The same grid and time, and nothing physical but that each cell has its own clock."""
    return replace(
        scenario, tile_width=1, tile_height=1, wiring="eight", waits="uniform", rate_spread=0.0, oscillator="ideal", traces=(), stagger=0,
        same_random=False, latency=max(1, scenario.interval // UNHEARD_OF), latency_jitter=0, baud=0, loss=0.0, loss_spread=0.0,
        bit_errors=0.0, broken=0.0, faults=(),
    )  # fmt: skip


def effects(scenario: Scenario) -> list[Effect]:
    """The effects, those of the scenario as it has them and the others at a usual strength."""
    base = ideal(scenario)
    rows = [
        Effect("in step: no clocks of their own", IN_STEP, replace(base, waits="fixed", wait_jitter=0.0)),
        Effect("each cell its own random clock", CLOCKS, base),
    ]
    rows += [Effect(name, EFFECT, changed) for name, changed in _one_by_one(scenario, base)]
    return [*rows, Effect("the scenario as it is", ALL, scenario)]


def _one_by_one(scenario: Scenario, base: Scenario) -> Iterator[tuple[str, Scenario]]:
    unit = scenario.interval
    spread = scenario.rate_spread or 0.01
    yield f"clock rates within +-{spread:.3g}", replace(base, rate_spread=spread)
    oscillator = scenario.oscillator if scenario.oscillator != "ideal" else "rc"
    yield f"oscillators: {oscillator}", replace(base, oscillator=oscillator, traces=scenario.traces)
    if scenario.waits != "uniform":
        yield f"waits: {scenario.waits}", replace(base, waits=scenario.waits, wait_jitter=scenario.wait_jitter)
    if scenario.start is None:
        stagger = scenario.stagger or 5 * unit
        yield f"power-on within {stagger / unit:g} u", replace(base, stagger=stagger)
    yield "one random seed for all", replace(base, same_random=True)
    yield f"latency {scenario.latency / unit:g} u", replace(base, latency=scenario.latency)
    if scenario.latency_jitter:
        yield f"latency varies by {scenario.latency_jitter / unit:g} u", replace(
            base, latency=scenario.latency, latency_jitter=scenario.latency_jitter)
    baud = scenario.baud or BAUD
    yield f"links of {baud} baud", replace(base, baud=baud)
    loss = scenario.loss or 0.1
    yield f"messages lost: {loss:.3g}", replace(base, loss=loss, loss_spread=scenario.loss_spread)
    errors = scenario.bit_errors or 1e-4
    yield f"bits flipped: {errors:.3g}", replace(base, bit_errors=errors)
    broken = scenario.broken or 0.02
    yield f"links broken: {broken:.3g}", replace(base, broken=broken)
    yield "four links, diagonals relayed", replace(base, wiring="edges")
    if scenario.tile_width * scenario.tile_height > 1:
        yield f"tiles of {scenario.tile_width}x{scenario.tile_height}", replace(
            base, tile_width=scenario.tile_width, tile_height=scenario.tile_height)
    planned: Sequence[Fault] = scenario.faults or (Kill(RandomFraction(0.3), scenario.duration // 2 // unit * unit, 10 * unit),)
    for fault in planned:
        yield fault_name(fault, unit), replace(base, faults=(fault,))


def fault_name(fault: Fault, unit: int) -> str:
    """A fault in a few words; `unit` is the mean interval, ns."""
    times = f", {fault.times} times" if fault.times > 1 else ""
    return f"{fault.kind} {fault.struck} at {fault.at / unit:g} u{times}"


def ablate(
    scenario: Scenario, rule: Rule, target: NDArray[np.float32], seeds: int, float_rule: Rule | None = None,
    strangers: Mapping[str, Rule] | None = None, progress: Callable[[float], None] | None = None,
) -> list[Cost]:  # fmt: skip
    """Run all rows.

    Args:
        target: premultiplied RGBA, float32 [h, w, 4]. seeds: runs a row, with the scenario's seed and those after it.
        float_rule: the same cells in floating point, run once a row and for the first two rows only, as it is slow.
        strangers: rules that faults of the scenario program, by name.
        progress: called with the fraction done.
    """
    rows = effects(scenario)
    jobs = [(effect, one, 1) for one in ([float_rule] if float_rule else []) for effect in rows if effect.kind in (IN_STEP, CLOCKS)]
    jobs += [(effect, rule, seeds) for effect in rows]
    costs = []
    for n, (effect, cells, runs) in enumerate(jobs):
        losses = []
        for k in range(runs):
            one = replace(effect.scenario, seed=(scenario.seed + k) % (1 << 32), sample_every=max(1, scenario.duration))
            losses.append(simulate(one, cells, target, strangers=strangers if cells is rule else None).losses[-1])
        costs.append(Cost(effect, cells.name, tuple(losses)))
        if progress is not None:
            progress((n + 1) / len(jobs))
    return costs
