"""A genome with turned axes grows the turned world: to the bit for quarters, and the same cell everywhere for any angle."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import genomes, random_codes, shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fast_kernel import SETS, fast_wake

from nca_hw.core import reference
from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.core.taps import turned_taps
from nca_hw.formats.picture import from_png_bytes, turned
from nca_hw.sim.metrics import pattern_loss, place
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

SEEDS = st.integers(0, 2**32 - 1)
SOBELS = (Kernel.SOBEL_X, Kernel.SOBEL_Y)


@settings(max_examples=150)
@given(genomes(), SEEDS)
def test_a_genome_turned_by_a_quarter_more_grows_the_world_turned_by_a_quarter(genome: Genome, seed: int) -> None:
    """What was in the north is in the east. Whatever the angle before."""
    states, neighbours = random_codes(seed, (20, genome.channels)), random_codes(seed + 1, (20, 8, genome.channels))
    further = replace(genome, turn=(genome.turn + 90) % 360)
    straight, _ = CCell(genome).wake(states, neighbours)
    got, _ = CCell(further).wake(states, np.roll(neighbours, 2, axis=1))
    np.testing.assert_array_equal(got, straight)


@given(SEEDS, st.integers(1, 359))
def test_a_mirrored_genome_turned_the_other_way_grows_the_mirrored_world(seed: int, turn: int) -> None:
    genome = shipped_size_genome(seed, turn=turn)
    mirrored_w1 = genome.w1.copy()
    mirrored_w1[16:32] = -mirrored_w1[16:32]
    mirrored = replace(genome, w1=mirrored_w1, turn=360 - turn)
    states, neighbours = random_codes(seed, (30, 16)), random_codes(seed + 1, (30, 8, 16))
    swap = [reference.N, reference.NW, reference.W, reference.SW, reference.S, reference.SE, reference.E, reference.NE]
    straight, _ = CCell(genome).wake(states, neighbours)
    got, _ = CCell(mirrored).wake(states, neighbours[:, swap])
    np.testing.assert_array_equal(got, straight)


def test_reference_core_and_kernels_are_one_cell_at_every_angle() -> None:
    states, neighbours = random_codes(1, (12, 16)), random_codes(2, (12, 8, 16))
    for turn in range(360):
        genome = shipped_size_genome(turn=turn)
        expected, _ = reference.wake(genome, states, neighbours)
        np.testing.assert_array_equal(CCell(genome).wake(states, neighbours)[0], expected)
        for most in SETS:
            np.testing.assert_array_equal(fast_wake(genome, states, neighbours, most=most)[0], expected)


@pytest.mark.parametrize("turn", [45, 135, 270])
def test_they_are_one_cell_where_every_sum_is_largest(turn: int) -> None:
    genome = shipped_size_genome(
        w1=np.full((64, 256), 127, np.int8), b1=np.full(256, 32767, np.int16), w2=np.full((256, 16), 127, np.int8), s1=1, s2=12, alive=0,
        b2=np.full(16, 32767, np.int16), m2=np.full(16, 32767, np.int16), kernels=tuple(Kernel), turn=turn,
    )  # fmt: skip
    states = np.sign(random_codes(3, (400, 16)).astype(int)).astype(np.int8) * 127
    neighbours = np.sign(random_codes(4, (400, 8, 16)).astype(int)).astype(np.int8) * 127
    expected, _ = reference.wake(genome, states, neighbours)
    np.testing.assert_array_equal(CCell(genome).wake(states, neighbours)[0], expected)
    for most in SETS:
        np.testing.assert_array_equal(fast_wake(genome, states, neighbours, most=most)[0], expected)


def test_taps_are_those_of_turned_sobels_to_half_a_step_and_no_angle_is_near_a_tie() -> None:
    across, down = (np.array(turned_taps([kernel], 0)[0], float) for kernel in SOBELS)
    for turn in range(360):
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        unit = 4 if turn % 90 else 1
        exact = unit * np.array([c * across + s * down, c * down - s * across])
        taps = turned_taps(SOBELS, turn)
        assert np.all(np.abs(taps - exact) < 0.5 - 1e-4), turn  # so that no rounding of cos and sin can change a tap
        assert not taps.sum(axis=1).any()
        assert (turned_taps([Kernel.IDENTITY], turn)[0] == unit * turned_taps([Kernel.IDENTITY], 0)[0]).all()


@given(genomes(), SEEDS)
def test_what_a_cell_perceives_is_the_code_nearest_to_the_sum_whatever_its_units(genome: Genome, seed: int) -> None:
    state, neighbours = random_codes(seed, (genome.channels,)), random_codes(seed + 1, (8, genome.channels))
    values = reference.val(genome, np.concatenate([neighbours, state[None]]))
    sums = (genome.taps.astype(np.int64) @ values).ravel()  # in 1/4096, or a fourth of it
    ends = genome.decode.astype(np.int64) * (16 << genome.tap_shift)
    nearest = np.abs(np.abs(sums)[:, None] - ends).argmin(axis=1)  # the lower of two equally near ones
    np.testing.assert_array_equal(reference.perceive(genome, state, neighbours), np.sign(sums) * nearest)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_the_lizard_grows_turned_by_quarters_to_the_bit(quarters: int) -> None:
    straight, around = CCell(load("lizard")), CCell(replace(load("lizard"), turn=90 * quarters))
    rng, side = np.random.default_rng(0), 35
    world = np.zeros((side, side, 16), np.int8)
    world[side // 2, side // 2] = straight.genome.seed
    turned_world = world.copy()
    for _ in range(80):
        wakes = rng.random((side, side, 1)) < 0.5
        world = np.where(wakes, straight.wake(world, reference.gather_neighbours(world))[0], world)
        new, _ = around.wake(turned_world, reference.gather_neighbours(turned_world))
        turned_world = np.where(np.rot90(wakes, -quarters), new, turned_world)
    assert (world[..., 3] > 30).sum() > 150
    np.testing.assert_array_equal(turned_world, np.rot90(world, -quarters))


@pytest.mark.parametrize("turn", [30, 45, 60])
def test_the_lizard_grows_turned_clockwise_by_any_angle(turn: int) -> None:
    genome, side = replace(load("lizard"), turn=turn), 48
    picture = place(from_png_bytes(genome.target), side, side)
    scenario = Scenario(side, side, seed=1)
    grown = simulate(replace(scenario, duration=100 * scenario.interval), IntegerRule(genome)).rgba(-1)
    losses = {angle: pattern_loss(grown, turned(picture, angle)[0]) for angle in range(0, 360, 15)}
    assert min(losses, key=losses.__getitem__) == turn
    assert losses[turn] < 0.012
    assert losses[360 - turn] > 3 * losses[turn]


def test_quarters_cost_no_instructions_and_other_angles_fall_back() -> None:
    """AVX-512 knows the kernels of the specification; by quarters they only change places and signs."""
    taken = {}
    for turn in (0, 90, 180, 270, 30):
        kernel, cell = ffi.new("nca_fast *"), CCell(shipped_size_genome(turn=turn))
        lib.nca_fast_prepare(kernel, cell.struct, 2)
        taken[turn] = kernel.instructions
    assert taken[90] == taken[180] == taken[270] == taken[0]
    assert taken[30] == min(taken[0], 1)
