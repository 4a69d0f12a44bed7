"""Does a genome survive? Trials on the asynchronous array that every genome must pass before it is trusted.

Each trial is one scenario a seed, on cells with clocks of their own. Damage strikes a grown pattern, lasts ten mean updates and ends in
a restart from zero.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nca_hw.sim.faults import Kill
from nca_hw.sim.regions import Disc, RandomFraction, Rectangle, Struck
from nca_hw.sim.rules import Rule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

GROWN_AT, DRIFTED_AT, STRUCK_AT, DEAD_FOR, HEALED_AFTER = 150, 10_000, 200, 10, 200  # mean updates
GROWTH_LIMIT, BACK_LIMIT, DRIFT_LIMIT = 0.004, 1.25, 1.5
DISC_RADIUS = 0.25  # of the grid's shorter side

Kind = Literal["growth", "drift", "damage"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Trial:
    """What a genome goes through.

    Attributes:
        kind: "growth": pattern loss at 150 mean updates, at most 0.004. "drift": loss at 10,000 over that at 150, at most 1.5.
            "damage": loss 200 mean updates after the restart over that before the damage, at most 1.25.
    """

    name: str
    kind: Kind
    scenario: Scenario

    @property
    def limit(self) -> float:
        """What a value may be at most."""
        return {"growth": GROWTH_LIMIT, "drift": DRIFT_LIMIT, "damage": BACK_LIMIT}[self.kind]


@dataclass(frozen=True)
class Outcome:
    """How a trial went: a value a seed (see Trial.kind)."""

    trial: Trial
    values: tuple[float, ...]

    @property
    def survived(self) -> int:
        """Seeds within the limit."""
        return sum(value <= self.trial.limit for value in self.values)

    @property
    def worst(self) -> float:
        """The greatest value."""
        return max(self.values)


def trials(width: int, height: int) -> list[Trial]:
    """All trials on a grid of a size."""
    unit = Scenario.interval
    array = Scenario(width, height, duration=GROWN_AT * unit, sample_every=GROWN_AT * unit)
    spread = "clock rates spread +-20%"
    growth = (
        ("growth", array), ("growth, 10% of messages lost", replace(array, loss=0.1)),
        ("growth, 30% of messages lost", replace(array, loss=0.3)), ("growth, four links with relay", replace(array, wiring="edges")),
        (f"growth, {spread}", replace(array, rate_spread=0.2)),
    )  # fmt: skip
    long = replace(array, duration=DRIFTED_AT * unit)
    halves: Sequence[tuple[str, Struck]] = (
        ("left", Rectangle(width // 2, height, 0, 0)), ("right", Rectangle(width - width // 2, height, width // 2, 0)),
        ("upper", Rectangle(width, height // 2, 0, 0)), ("lower", Rectangle(width, height - height // 2, 0, height // 2)),
    )  # fmt: skip
    disc = Disc(DISC_RADIUS * min(width, height), width // 2, height // 2)
    damage: list[tuple[str, Struck]] = [("30% of the cells", RandomFraction(0.3)), ("50% of the cells", RandomFraction(0.5))]
    damage += [(f"the {side} half", half) for side, half in halves] + [("a disc in the middle", disc)]
    end = (STRUCK_AT + DEAD_FOR + HEALED_AFTER) * unit
    struck = replace(array, duration=end, sample_every=DEAD_FOR * unit)

    def kill(cells: Struck) -> Scenario:
        return replace(struck, faults=(Kill(cells, STRUCK_AT * unit, DEAD_FOR * unit),))

    return [
        *(Trial(name, "growth", scenario) for name, scenario in growth),
        Trial(f"drift to {DRIFTED_AT:,} updates", "drift", long),
        *(Trial(f"loss of {name}", "damage", kill(cells)) for name, cells in damage),
    ]


def undergo(trial: Trial, rule: Rule, target: NDArray[np.float32], seed: int) -> float:
    """One trial of one genome: its value, infinite where the arithmetic has nothing to compare.

    Args:
        target: premultiplied RGBA, float32 [h, w, 4].
    """
    result = simulate(replace(trial.scenario, seed=seed), rule, target)
    losses = result.losses
    if trial.kind == "growth":
        return losses[-1]
    before = losses[1] if trial.kind == "drift" else result.recovery.loss_before
    return losses[-1] / before if before else float("inf")


def survive(
    rule: Rule, target: NDArray[np.float32], width: int, height: int, seeds: Sequence[int], *, kinds: Sequence[Kind] = KINDS,
    threads: int = 0, progress: Callable[[float], None] | None = None,
) -> list[Outcome]:  # fmt: skip
    """All trials of some kinds for all seeds.

    Args:
        threads: 0 takes all of the processor; the fast engine runs without the interpreter's lock. No result depends on it.
        progress: called with the fraction done.
    """
    todo = [trial for trial in trials(width, height) if trial.kind in kinds]
    with concurrent.futures.ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        runs = [[pool.submit(undergo, trial, rule, target, seed) for seed in seeds] for trial in todo]
        outcomes = []
        for n, (trial, futures) in enumerate(zip(todo, runs, strict=True)):
            outcomes.append(Outcome(trial, tuple(future.result() for future in futures)))
            if progress is not None:
                progress((n + 1) / len(todo))
    return outcomes
