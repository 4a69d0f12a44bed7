"""Scenario and rule in, result out: what every front end calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.sim import metrics
from nca_hw.sim.fast_engine import FastArray
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import IntegerRule, Rule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

Engine = Literal["auto", "simpy", "fast"]


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        rgba: premultiplied RGBA of every sample, float32 [samples, height, width, 4].
        losses: pattern loss of every sample, empty without a target.
        target: on the grid, float32 [height, width, 4], or None.
    """

    scenario: Scenario
    recording: Recording
    rgba: NDArray[np.float32]
    target: NDArray[np.float32] | None
    losses: list[float]
    recovery: metrics.Recovery

    @property
    def loss(self) -> float | None:
        """Pattern loss at the end."""
        return self.losses[-1] if self.losses else None


def simulate(
    scenario: Scenario, rule: Rule, target: NDArray[np.float32] | None = None, progress: Callable[[int], None] | None = None,
    engine: Engine = "auto",
) -> Result:  # fmt: skip
    """Run a scenario.

    Args:
        engine: "simpy" is the reference; "fast" gives the same trajectory for the integer cell; "auto" takes it where it can.
        target: premultiplied RGBA, float32 [h, w, 4] in 0..1, its middle where the seed is.
        progress: called with the simulated time in ns.
    Raises:
        NcaHwError: the fast engine was asked for and does not run this rule.
    """
    if engine == "fast" and type(rule) is not IntegerRule:
        raise NcaHwError(f"the fast engine runs the integer cell only, not {rule.name}", cure="Take the engine 'simpy'.")
    if engine != "simpy" and type(rule) is IntegerRule:
        recording = FastArray(scenario, rule).run(progress)
    else:
        recording = SimpyArray(scenario, rule).run(progress)
    rgba = np.stack([rule.rgba(states) for states in recording.states])
    losses: list[float] = []
    on_grid = None
    if target is not None:
        on_grid = metrics.place(target, scenario.height, scenario.width)
        losses = [metrics.pattern_loss(picture, on_grid) for picture in rgba]
    strikes = [kill.at for kill in scenario.kills]
    ends = [kill.at + (kill.dead_for or 0) for kill in scenario.kills]
    back = metrics.recovery(recording.times, losses, strikes, ends) if losses else metrics.Recovery(None, None, None)
    return Result(scenario, recording, rgba, on_grid, losses, back)
