"""The C core and the NumPy reference are one cell, and that cell has the algebra the specification promises."""

from __future__ import annotations

import numpy as np
import pytest
from genome_strategies import genomes, random_codes, shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from nca_hw.core import reference
from nca_hw.core._cell import lib
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import Genome, Kernel, companded_table

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=200)
@given(genomes(), SEEDS)
def test_the_c_core_equals_the_reference_on_any_genome_and_any_states(genome: Genome, seed: int) -> None:
    states = random_codes(seed, (20, genome.channels))
    neighbours = random_codes(seed + 1, (20, 8, genome.channels))

    expected, expected_evaluated = reference.wake(genome, states, neighbours)
    got, got_evaluated = CCell(genome).wake(states, neighbours)

    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got_evaluated, expected_evaluated)


def test_the_c_core_equals_the_reference_where_every_sum_is_largest() -> None:
    """All weights, inputs and biases at the same end: the accumulators reach the bounds of the specification."""
    for sign in (-127, 127):
        genome = shipped_size_genome(
            w1=np.full((64, 256), sign, np.int8), b1=np.full(256, 32767, np.int16), w2=np.full((256, 16), sign, np.int8),
            b2=np.full(16, -32768, np.int16), m2=np.full(16, 32767, np.int16), s1=1, s2=12, alive=0,
            kernels=(Kernel.LAPLACIAN, Kernel.SOBEL_Y, Kernel.IDENTITY, Kernel.SOBEL_X),
        )  # fmt: skip
        states = random_codes(3, (400, 16))
        neighbours = np.sign(random_codes(4, (400, 8, 16)).astype(int)).astype(np.int8) * 127
        expected, _ = reference.wake(genome, states, neighbours)
        np.testing.assert_array_equal(CCell(genome).wake(states, neighbours)[0], expected)


@given(genomes(), st.integers(-(2**26), 2**26))
def test_compress_gives_the_nearest_code_and_is_odd(genome: Genome, v: int) -> None:
    table = genome.decode.astype(np.int64) * 16  # values in 1/4096
    distances = np.abs(table - abs(v))

    code = CCell(genome).compress(v)

    assert abs(code) == np.flatnonzero(distances == distances.min())[0]  # the lower of two equally near ones
    assert CCell(genome).compress(-v) == -code
    assert reference.compress(genome, np.array(v)) == code


def test_every_code_survives_decoding_and_compressing() -> None:
    cell = CCell(shipped_size_genome())
    codes = np.arange(-127, 128, dtype=np.int8)
    values = reference.val(cell.genome, codes)
    assert [cell.compress(16 * int(v)) for v in values] == codes.tolist()


@given(SEEDS)
def test_a_mirrored_genome_grows_the_mirrored_world(seed: int) -> None:
    """Mirror left and right: E and W change places, and the weights of Sobel x change sign. Bit for bit."""
    genome = shipped_size_genome(seed)
    mirrored_w1 = genome.w1.copy()
    mirrored_w1[16:32] = -mirrored_w1[16:32]
    mirrored = shipped_size_genome(seed, w1=mirrored_w1)
    states, neighbours = random_codes(seed, (30, 16)), random_codes(seed + 1, (30, 8, 16))
    swap = [reference.N, reference.NW, reference.W, reference.SW, reference.S, reference.SE, reference.E, reference.NE]

    straight, _ = CCell(genome).wake(states, neighbours)
    turned, _ = CCell(mirrored).wake(states, neighbours[:, swap])

    np.testing.assert_array_equal(turned, straight)


@given(SEEDS)
def test_a_transposed_genome_grows_the_transposed_world(seed: int) -> None:
    """Transpose: rows become columns, and Sobel x and Sobel y change places."""
    genome = shipped_size_genome(seed)
    w1 = np.concatenate([genome.w1[:16], genome.w1[32:48], genome.w1[16:32]])
    states, neighbours = random_codes(seed, (30, 16)), random_codes(seed + 1, (30, 8, 16))
    swap = [reference.W, reference.SW, reference.S, reference.SE, reference.E, reference.NE, reference.N, reference.NW]

    straight, _ = CCell(genome).wake(states, neighbours)
    transposed, _ = CCell(shipped_size_genome(seed, w1=w1)).wake(states, neighbours[:, swap])

    np.testing.assert_array_equal(transposed, straight)


def test_a_cell_dead_among_dead_neighbours_becomes_zero_without_evaluating_the_network() -> None:
    cell = CCell(shipped_size_genome())
    states, neighbours = random_codes(0, (50, 16)), random_codes(1, (50, 8, 16))
    states[:, 3] = 6
    neighbours[:, :, 3] = 6

    new, evaluated = cell.wake(states, neighbours)

    assert not new.any()
    assert not evaluated.any()


def test_one_living_neighbour_keeps_a_dead_cell_in_the_automaton() -> None:
    cell = CCell(shipped_size_genome())
    for k in range(8):
        neighbours = np.zeros((1, 8, 16), np.int8)
        neighbours[0, k, 3] = 7
        _, evaluated = cell.wake(np.zeros((1, 16), np.int8), neighbours)
        assert evaluated.all()


def test_arrays_that_do_not_fit_the_genome_are_refused() -> None:
    cell = CCell(shipped_size_genome())
    with pytest.raises(ValueError, match="do not fit 16 channels"):
        cell.wake(np.zeros((4, 16), np.int8), np.zeros((4, 8, 15), np.int8))


def test_the_companded_table_is_the_one_of_the_specification() -> None:
    table = companded_table()
    assert table[:8].tolist() == [0, 4, 8, 13, 17, 21, 25, 30]
    assert (table[44], table[127]) == (255, 4096)


@given(st.integers(1, 2**32 - 1), st.integers(2, 1 << 20))
def test_random_numbers_and_waits_are_the_same_in_c_and_python(s: int, mean: int) -> None:
    following = reference.random_next(s)
    assert lib.nca_random_next(s) == following != 0
    wait = reference.random_wait(following, mean)
    assert lib.nca_random_wait(following, mean) == wait
    assert mean // 2 <= wait <= mean - mean // 2 + mean


def test_xorshift32_gives_marsaglias_sequence() -> None:
    """Start 2463534242 as in the paper's example; its next value is known from the paper's C code: 723471715."""
    assert reference.random_next(2463534242) == 723471715


def test_waits_are_uniform_over_half_to_one_and_a_half_of_the_mean() -> None:
    s, waits = reference.random_start(1, 0), []
    for _ in range(20_000):
        s = reference.random_next(s)
        waits.append(reference.random_wait(s, 1000))
    counts, _ = np.histogram(waits, bins=10, range=(500, 1500))
    assert np.all(np.abs(counts - 2000) < 200)


def test_cells_of_a_run_start_their_generators_apart() -> None:
    starts = {reference.random_start(seed, cell) for seed in (0, 1) for cell in range(10_000)}
    assert len(starts) >= 19_999  # a collision of hashes is possible, a pattern is not
