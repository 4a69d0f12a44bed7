"""The vectorised host kernel is the integer cell, bit for bit, on every instruction set this machine has."""

from __future__ import annotations

import platform
from pathlib import Path

import numpy as np
import pytest
from genome_strategies import genomes, random_codes, shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from nca_hw.core import reference
from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import Genome, Kernel

SETS = [0, 1, 2]  # portable, AVX2, AVX-512 with VNNI; what this processor lacks falls back
ROOM = 16  # codes of a state in the kernel's arrays


def fast_wake(genome: Genome, states: np.ndarray, neighbours: np.ndarray, *, most: int) -> tuple[np.ndarray, np.ndarray]:
    cell, kernel = CCell(genome), ffi.new("nca_fast *")
    lib.nca_fast_prepare(kernel, cell.struct, most)
    beyond = ROOM - genome.channels
    new, evaluated = np.pad(states, ((0, 0), (0, beyond))), np.zeros(len(states), np.uint8)
    heard = np.pad(neighbours, ((0, 0), (0, 0), (0, beyond)))
    lib.nca_fast_wake_many(kernel, len(states), ffi.from_buffer("int8_t[]", new), ffi.from_buffer("int8_t[]", heard),
                           ffi.from_buffer("uint8_t[]", evaluated))  # fmt: skip
    assert not new[:, genome.channels :].any()
    return new[:, : genome.channels], evaluated.astype(bool)


@pytest.mark.parametrize("most", SETS)
@settings(max_examples=150)
@given(genome=genomes(), seed=st.integers(0, 2**32 - 1))
def test_the_kernel_equals_the_reference_on_any_genome_and_any_states(most: int, genome: Genome, seed: int) -> None:
    states, neighbours = random_codes(seed, (20, genome.channels)), random_codes(seed + 1, (20, 8, genome.channels))
    expected, expected_evaluated = reference.wake(genome, states, neighbours)
    got, evaluated = fast_wake(genome, states, neighbours, most=most)
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(evaluated, expected_evaluated)


@pytest.mark.parametrize("most", SETS)
def test_the_kernel_equals_the_reference_where_every_sum_is_largest(most: int) -> None:
    for sign in (-127, 127):
        genome = shipped_size_genome(
            w1=np.full((64, 256), sign, np.int8), b1=np.full(256, 32767, np.int16), w2=np.full((256, 16), sign, np.int8),
            b2=np.full(16, -32768, np.int16), m2=np.full(16, 32767, np.int16), s1=1, s2=12, alive=0, kernels=tuple(Kernel),
        )  # fmt: skip
        states = random_codes(3, (400, 16))
        neighbours = np.sign(random_codes(4, (400, 8, 16)).astype(int)).astype(np.int8) * 127
        expected, _ = reference.wake(genome, states, neighbours)
        np.testing.assert_array_equal(fast_wake(genome, states, neighbours, most=most)[0], expected)


def test_the_kernel_takes_the_best_instructions_that_linux_lists() -> None:
    listed = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not listed.is_file():
        pytest.skip("instructions are chosen on x86 alone, and Linux lists them")
    flags = set(next(line for line in listed.read_text().splitlines() if line.startswith("flags")).split())
    avx2 = {"avx2", "fma"} <= flags
    avx512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512vbmi", "avx512_vbmi2"} <= flags
    kernel, cell = ffi.new("nca_fast *"), CCell(shipped_size_genome())
    for most in SETS:
        lib.nca_fast_prepare(kernel, cell.struct, most)
        assert kernel.instructions == min(most, 2 if avx2 and avx512 else 1 if avx2 else 0)
