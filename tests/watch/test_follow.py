"""Whether told states could be: true of emulated chips, and of nothing that is not the cell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from emulated_ports import Told

from nca_hw.core import frames
from nca_hw.core.ccore import CCell, FastCell
from nca_hw.core.genome import load
from nca_hw.emulate.native import REPORTED, NativeArray
from nca_hw.emulate.replay import replay
from nca_hw.firmware.build import build
from nca_hw.formats.boards import load_board
from nca_hw.watch.array import LiveArray
from nca_hw.watch.follow import CANDIDATES, COSTS, Follower, cheapest
from nca_hw.watch.places import place
from nca_hw.watch.ports import Tap

HEART, AVR = load("heart"), load_board("atmega328p")


def followed(told: Told, side: int = 4) -> Follower:
    live = LiveArray(HEART, AVR, place([Tap(f"p{n}") for n in range(side * side)], AVR, (side, side)))
    follower = Follower(live, patient=True)
    for now, chip, data in told:
        live.feed(now, chip, data)
        follower.settle(now)
    follower.settle(live.now, all_of_it=True)
    return follower


def test_what_emulated_chips_tell_follows(wall: Told) -> None:
    done = followed(wall).done
    assert done.unlike == 0 and done.skipped == 0
    assert done.follow > 350 and done.follow - done.dead > 200
    assert done.unknown < 0.2 * done.checked  # a chip began anew, and the end is not known


def test_a_cell_that_tells_another_state_is_found(wall: Told) -> None:
    def wrong(now: float, chip: int, data: bytes) -> bytes:
        reports = frames.decode_reports(data, 16)
        if chip != 6 or now < 1 or not reports or reports[0][0] != frames.REPORT_STATE:
            return data
        head, codes = reports[0]
        changed = codes.copy()
        changed[9] += 1 if changed[9] < 127 else -1
        return frames.frame(head, changed)

    done = followed([(now, chip, wrong(now, chip, data)) for now, chip, data in wall]).done
    assert done.unlike > 10 and done.first is not None
    assert done.unlike > 0.01 * done.checked


def test_missing_reports_leave_doubt_and_no_blame(wall: Told) -> None:
    wall = [(now, chip, data) for now, chip, data in wall if now < 1.9]
    done = followed([(now, chip, data) for now, chip, data in wall if not (chip == 5 and now > 1.3)]).done
    assert done.unlike == 0 and done.unknown > 25
    damaged = [(now, chip, data[:9] + b"\x80" if chip == 5 and int(now * 10) % 7 == 0 else data) for now, chip, data in wall]
    done = followed(damaged).done
    assert done.unlike == 0 and done.unknown > 25


def test_who_has_no_time_leaves_out_and_guesses_nothing(wall: Told) -> None:
    live = LiveArray(HEART, AVR, place([Tap(f"p{n}") for n in range(16)], AVR, (4, 4)))
    follower = Follower(live, clock=itertools.count(0, 0.015).__next__)  # every look at the clock costs 15 ms
    for now, chip, data in wall:
        live.feed(now, chip, data)
        follower.settle(now)
    done = follower.done
    assert done.skipped > 300 and done.unlike == 0 and 0 < done.checked < 200


def test_how_late_cells_hear_is_no_more_than_it_was() -> None:
    board = load_board("native")
    chips = NativeArray(build(HEART, board), 4, 4)
    events = chips.run(2_500_000_000)
    truth = replay(HEART, events, 4, 4)
    live = LiveArray(HEART, board, place([Tap(f"p{n}") for n in range(16)], board, (4, 4)))
    follower = Follower(live, patient=True)
    for event in events[events["kind"] == REPORTED]:
        live.feed(event["time"] / 1e9, int(event["cell"]), event["bytes"][: event["size"]].tobytes())
        follower.settle(event["time"] / 1e9)
    follower.settle(live.now, all_of_it=True)
    done = follower.done
    assert truth.different == 0 and done.unlike == 0 and done.follow > 200
    # A state that was older than its owner's longest wait was certainly not the newest; one younger than the shortest certainly was.
    certainly_old, certainly_new = (truth.ages > 155e6).mean(), (truth.ages < 48e6).mean()
    share = done.older / (done.older + done.newest)
    assert certainly_old - 0.1 < share < 1 - certainly_new + 0.05


def test_the_cheapest_combinations_come_first_and_are_all_there() -> None:
    possible = np.zeros((8, CANDIDATES), np.bool_)
    possible[:, 0] = True
    possible[[0, 1, 3, 4], 1] = possible[[1, 2], 2] = possible[6, 5] = True
    rows = cheapest(possible, 10_000)
    every = set(itertools.product(*(np.flatnonzero(one).tolist() for one in possible)))
    assert {tuple(row) for row in rows.tolist()} == every and len(rows) == len(every)
    costs = COSTS[np.arange(8) % 2, rows].sum(1)
    assert (np.diff(costs) >= 0).all()
    assert (cheapest(possible, 20) == rows[:20]).all()


@pytest.mark.parametrize("name", ["heart", "lizard"])
def test_the_fast_cell_is_the_cell(name: str) -> None:
    genome, rng = load(name), np.random.default_rng(5)
    states = rng.integers(-127, 128, (300, genome.channels)).astype(np.int8)
    heard = rng.integers(-127, 128, (300, 8, genome.channels)).astype(np.int8)
    for got, expected in zip(FastCell(genome).wake(states, heard), CCell(genome).wake(states, heard), strict=True):
        assert (got == expected).all()
