"""The report of a wall of emulated chips: what a run gave, and the cells' states beside what their LEDs were told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.report.side_by_side import at_moments, side_by_side
from nca_hw.report.simulation import key_moments, summary
from nca_hw.sim.run import Result

CAPTION = "u: mean updates of a cell.   loss: mean squared error against the target picture.   off: chips without power."
KEPT = (
    "seed", "grid", "duration_updates", "loss_before", "loss", "recovered", "recovery_updates", "alive", "updates", "evaluated_updates",
    "updates_per_cell", "faults", "valid", "trajectory_hash",
)  # fmt: skip


def told(result: Result) -> dict[str, Any]:
    """What a run of chips has in common with a simulated one. Definitions: docs/simulation.md."""
    whole = summary(result)
    return {key: whole[key] for key in KEPT}


def seen(lights: NDArray[np.uint8], brightness: int) -> NDArray[np.float32]:
    """Premultiplied RGBA that duties of LEDs, uint8 [..., 3] in 1/255, stand for: the firmware's formula, backwards.

    Source: `light` of main.c, docs/firmware.md.
    """
    value = np.sqrt(lights.astype(np.float32) * 65536 / brightness) / 255
    return np.concatenate([value, np.ones_like(value[..., :1])], axis=-1).astype(np.float32)


def states_and_lights(result: Result, lights: Sequence[NDArray[np.uint8]], brightness: int) -> bytes:
    """PNG of two rows: the states that chips computed, and the colours read back from their LEDs' data lines, at the same moments."""
    moments = [result.recording.times[sample] / result.scenario.interval for sample in key_moments(result)]
    times = result.recording.times
    samples = [int(np.searchsorted(times, round(moment * result.scenario.interval))) for moment in moments]
    shown = [("", seen(lights[sample], brightness)) for sample in samples]
    return side_by_side([("states of the chips", at_moments(result, moments)), ("their LEDs", shown)], CAPTION)
