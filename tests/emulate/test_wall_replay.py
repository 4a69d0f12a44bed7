"""The replay of a wall: nothing but the order of events goes in, and whatever the chips made otherwise comes out."""

from __future__ import annotations

import numpy as np
import pytest

from nca_hw.core import frames, reference
from nca_hw.core.genome import load
from nca_hw.core.light import led_duty
from nca_hw.emulate.wall_replay import Replay
from nca_hw.sim.grid import Grid

GENOME = load("heart")
NORTH, EAST, SOUTH, WEST = range(4)
BRIGHTNESS = 64


def replay(width: int, height: int, seed: int) -> Replay:
    """All cells have power."""
    cells = Replay(GENOME, Grid(width, height, wiring="edges"), BRIGHTNESS)
    for cell in range(width * height):
        cells.power_on(cell, is_seed=cell == seed)
    return cells


def tell(cells: Replay, receiver: int, edge: int, place: int, state: np.ndarray) -> bool:
    """A whole frame."""
    cells.frame_begins(receiver, edge)
    return cells.frame_ends(0, receiver, edge, frames.encode(place, state))


def update(cells: Replay, cell: int, change: int = 0) -> np.ndarray:
    """A whole update of a chip that computes what the reference does, or not quite."""
    new, _ = reference.wake(GENOME, cells.states[cell].copy(), cells.heard[cell].copy())
    got = new.copy()
    got[5] += change
    cells.update_begins(1, cell)
    cells.update_ends(cell, got)
    return new


def test_what_the_reference_computes_is_equal() -> None:
    cells = replay(2, 1, seed=0)
    assert tell(cells, 1, WEST, 6, GENOME.seed)
    new = update(cells, 1)
    assert tell(cells, 0, EAST, 2, new)
    update(cells, 0)
    cells.settle()
    assert cells.difference is None and cells.evaluated == [True, True]
    assert (cells.compared.states, cells.compared.frames) == (2, 2)


def test_a_state_that_is_off_by_one_is_told() -> None:
    cells = replay(2, 1, seed=0)
    tell(cells, 1, WEST, 6, GENOME.seed)
    new = update(cells, 1, change=1)
    cells.settle()
    assert cells.difference is not None and (cells.difference.what, cells.difference.cell) == ("state", 1)
    assert cells.difference.got[5] == new[5] + 1 and cells.difference.expected == tuple(new)
    assert np.array_equal(cells.states[1], new)  # the truth stays the truth


def test_a_sound_frame_that_tells_something_else_is_told_and_not_believed() -> None:
    cells = replay(2, 1, seed=0)
    wrong = GENOME.seed.copy()
    wrong[7] ^= 1
    assert tell(cells, 1, WEST, 6, wrong)
    assert cells.difference is not None and cells.difference.what == "frame"
    assert np.array_equal(cells.heard[1, 6], GENOME.seed)


def test_a_damaged_frame_changes_nothing() -> None:
    cells = replay(2, 1, seed=0)
    cells.frame_begins(1, WEST)
    damaged = bytearray(frames.encode(6, GENOME.seed))
    damaged[9] ^= 4
    assert not cells.frame_ends(0, 1, WEST, bytes(damaged))
    assert not cells.heard.any() and cells.difference is None


def test_diagonals_come_by_those_to_the_north_and_south() -> None:
    cells = replay(2, 2, seed=1)  # the upper right
    assert tell(cells, 0, EAST, 2, GENOME.seed)
    assert tell(cells, 2, NORTH, 1, GENOME.seed)  # the upper left passes on whom it has heard from its east
    assert np.array_equal(cells.heard[2, 1], GENOME.seed) and cells.difference is None


@pytest.mark.parametrize("place", [1, 7, 4, 2])
def test_a_frame_that_no_neighbour_on_that_edge_can_tell_is_told(place: int) -> None:
    cells = replay(2, 2, seed=1)
    tell(cells, 1, WEST, place, np.zeros(16, np.int8))  # over this edge there is the west alone, and whom it passes on to others
    assert cells.difference is not None and cells.difference.what == "frame from nowhere"


def test_a_frame_tells_what_its_sender_was_when_it_began() -> None:
    cells = replay(2, 1, seed=0)
    cells.frame_begins(1, WEST)
    update(cells, 0)
    cells.settle()
    assert not np.array_equal(cells.states[0], GENOME.seed)
    assert cells.frame_ends(0, 1, WEST, frames.encode(6, GENOME.seed)) and cells.difference is None


def test_lights_are_those_of_the_last_update() -> None:
    cells = replay(2, 1, seed=0)
    tell(cells, 1, WEST, 6, GENOME.seed)
    new = update(cells, 1)
    green, red, blue = led_duty(reference.val(GENOME, new[[1, 0, 2]]), BRIGHTNESS).tolist()
    cells.light(2, 1, (green, red, blue))
    cells.settle()
    cells.light(3, 1, (green, red, blue))
    assert cells.difference is None and cells.compared.lights == 2
    cells.light(4, 1, (green, red, blue ^ 1))
    assert cells.difference is not None and (cells.difference.what, cells.difference.time_ns) == ("light", 4)


def test_reports_tell_the_state_of_the_last_update() -> None:
    cells = replay(2, 1, seed=0)
    tell(cells, 1, WEST, 6, GENOME.seed)
    new = update(cells, 1)
    cells.report(2, 1, new)
    cells.settle()
    cells.report(3, 1, new)
    assert cells.difference is None and cells.compared.reports == 2
    cells.report(4, 1, np.flip(new))
    assert cells.difference is not None and cells.difference.what == "report"


def test_an_update_that_ended_just_before_the_power_went_is_compared() -> None:
    cells = replay(2, 1, seed=0)
    tell(cells, 1, WEST, 6, GENOME.seed)
    update(cells, 1, change=1)
    cells.power_off(1)
    assert cells.compared.states == 1 and cells.difference is not None
    assert not cells.states[1].any()


def test_power_off_forgets_all_and_what_was_under_way() -> None:
    cells = replay(2, 1, seed=0)
    tell(cells, 1, WEST, 6, GENOME.seed)
    cells.frame_begins(1, WEST)
    cells.update_begins(1, 1)
    cells.power_off(1)
    assert not cells.heard[1].any() and not cells.frame_ends(2, 1, WEST, frames.encode(6, GENOME.seed))
    cells.power_on(1, is_seed=False)
    cells.settle()
    assert not cells.states[1].any() and cells.compared.states == 0
    cells.remembers(3, 1, np.zeros(16, np.int8), np.zeros((8, 16), np.int8))
    assert cells.difference is None
    cells.remembers(3, 1, np.ones(16, np.int8), None)
    assert cells.difference is not None and cells.difference.what == "state in RAM"
