"""What a native array has done, in its order, once more through the NumPy reference: every update, and every frame that was taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames, reference
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.reference import Codes
from nca_hw.emulate.native import GIVEN, NOT_GIVEN, NOT_TAKEN, REPORTED, TAKEN

UNHEARD = -1


@dataclass(frozen=True)
class Replay:
    """What came of it.

    Attributes:
        states: as the reference has them at the end, int8 [cells, C].
        updates, evaluated: updates that cells reported; those that ran the network. different: those whose state is not the reference's.
        given, taken: frames that one end gave, and the other took, whole.
        not_given, not_taken: frames that an end broke off; they are given again.
        wrong: frames taken that tell another state than their sender had then.
        looks: at the wires that a frame cost its sender, on average.
        ages: how old the states of neighbours were when an update used them, ns since their owner's update, relayed or not.
        updated_at: of every cell, ns.
    """

    states: Codes
    updates: int
    evaluated: int
    different: int
    given: int
    taken: int
    not_given: int
    not_taken: int
    wrong: int
    looks: float
    ages: NDArray[np.int64]
    updated_at: list[list[int]]


def replay(genome: Genome, events: NDArray[np.void], width: int, height: int, seed_cell: int | None = None) -> Replay:
    """Replay all events of an array since it got power. Whoever reports a self-test begins anew.

    Args:
        events: EVENT records, in order. seed_cell: whose strap is set; None: that in the middle.
    Raises:
        ValueError: the service port of a cell told something that is no sound report.
    """
    cells, channels = width * height, genome.channels
    seed_cell = (height // 2) * width + width // 2 if seed_cell is None else seed_cell
    states, heard = np.zeros((cells, channels), np.int8), np.zeros((cells, NEIGHBOURS, channels), np.int8)
    updated_at: list[list[int]] = [[0] for _ in range(cells)]
    heard_from = np.full((cells, NEIGHBOURS), UNHEARD, np.int64)
    updates = evaluated = different = wrong = 0
    ages: list[NDArray[np.int64]] = []
    across = (-width, 1, width, -1)
    for event in events[np.isin(events["kind"], (REPORTED, TAKEN))]:
        cell, time, told = int(event["cell"]), int(event["time"]), event["bytes"][: event["size"]].tobytes()
        if event["kind"] == TAKEN:
            place, codes, sender = told[0] & 7, np.frombuffer(told[1:], np.int8), cell + across[event["edge"]]
            if told[0] & frames.KIND != frames.STATE:
                wrong += 1
                continue
            side = None if place % 2 == 0 else 2 if place < 4 else 6  # who is passed on is to the sender's east or west
            wrong += not np.array_equal(codes, states[sender] if side is None else heard[sender, side])
            heard[cell, place] = codes
            heard_from[cell, place] = updated_at[sender][-1] if side is None else heard_from[sender, side]
            continue
        reports = frames.decode_reports(told, channels)
        if len(reports) != 1:
            raise ValueError(f"cell {cell} reports {told.hex()}, which is no frame")
        if reports[0][0] == frames.REPORT_SELF_TEST:
            states[cell], heard[cell], heard_from[cell] = genome.seed if cell == seed_cell else 0, 0, UNHEARD
            updated_at[cell].append(time)
            continue
        state, ran = reference.wake(genome, states[cell], heard[cell])
        updates, evaluated, different = updates + 1, evaluated + bool(ran), different + (not np.array_equal(state, reports[0][1]))
        ages.append(time - heard_from[cell][heard_from[cell] != UNHEARD])
        states[cell] = reports[0][1]
        updated_at[cell].append(time)
    kinds = events["kind"]
    count = {kind: int((kinds == kind).sum()) for kind in (GIVEN, TAKEN, NOT_GIVEN, NOT_TAKEN)}
    return Replay(
        states=states, updates=updates, evaluated=evaluated, different=different, given=count[GIVEN], taken=count[TAKEN],
        not_given=count[NOT_GIVEN], not_taken=count[NOT_TAKEN], wrong=wrong,
        looks=float(events["looks"][kinds == GIVEN].mean()) if count[GIVEN] else 0.0,
        ages=np.concatenate(ages) if ages else np.zeros(0, np.int64), updated_at=[times[1:] for times in updated_at],
    )  # fmt: skip
