"""What tests of the simulator run: cells that count, cells that stand still, and every update of a run as a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from genome_strategies import shipped_size_genome
from numpy.typing import NDArray

from nca_hw.sim.rules import IntegerRule, Wake
from nca_hw.sim.run import Engine, simulate
from nca_hw.sim.scenario import MICROSECOND, Scenario

UNIT = 100_000 * MICROSECOND
CHANNELS = 16
UPDATE = np.dtype([("time", "<u8"), ("cell", "<u4"), ("state", "i1", CHANNELS)])

# With all weights 0 no state ever changes; without an alive mask none is cleared.
STILL = IntegerRule(shipped_size_genome(w2=np.zeros((128, 16), np.int8), b2=np.zeros(16, np.int16), alive=0))
RESTLESS = IntegerRule(shipped_size_genome(2, alive=0))


class CountingRule:
    """A cell that counts its wakes in channel 0 and keeps the largest value it has heard in channel 1."""

    name = "counting"
    channels = 2
    dtype = np.dtype(np.int8)

    def seed(self) -> np.ndarray:
        return np.array([0, 100], np.int8)

    def bind(self, state: np.ndarray, inbox: np.ndarray) -> Wake:
        def wake() -> bool:
            state[0] = min(int(state[0]) + 1, 127)
            state[1] = max(state[1], inbox[:, 1].max())
            return True

        return wake

    def rgba(self, states: np.ndarray) -> np.ndarray:
        return np.zeros((*states.shape[:-1], 4), np.float32)


def seedless(width: int, height: int, **changes: Any) -> Scenario:
    """An array of true clocks in which nobody is a seed, so that every wake is an update."""
    fields = {"start": np.zeros((height, width, CHANNELS), np.int8), "rate_spread": 0.0, "sample_every": changes.get("duration", UNIT)}
    return Scenario(width, height, **{**fields, **changes})


def updates(scenario: Scenario, rule: Any = STILL, engine: Engine = "auto", **more: Any) -> NDArray[Any]:
    """All updates of a run in their order: UPDATE records."""
    pieces: list[bytes] = []
    simulate(scenario, rule, engine=engine, listener=pieces.append, **more)
    return np.frombuffer(b"".join(pieces), UPDATE)


def wakes(scenario: Scenario, **more: Any) -> list[NDArray[np.int64]]:
    """When every cell updated, ns."""
    table = updates(scenario, **more)
    return [table["time"][table["cell"] == cell].astype(np.int64) for cell in range(scenario.cells)]
