"""The Cortex-M0+ kernel as it lies in the RP2040's image, against the NumPy reference: random and extreme states, genomes that strain its
sums, another assembler, and what it costs by the processor's manual."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from tools import missing

from nca_hw.core import reference
from nca_hw.core.genome import Genome, Kernel, bundled, load
from nca_hw.emulate.array import FirmwareRule
from nca_hw.firmware.build import build
from nca_hw.firmware.families.rp2040 import FLASH
from nca_hw.firmware.kernels import able
from nca_hw.firmware.kernels.cortex_m0plus import CORTEX_M0PLUS
from nca_hw.firmware.render import sources
from nca_hw.formats.boards import load_board
from nca_hw.sim.rules import ReferenceRule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

ROOMY = {"rom": 1 << 14}  # genomes of 128 units are of interest here, whether they fit a board or not
BOARD = load_board("rp2040").model_copy(update={"budget": load_board("rp2040").budget.model_copy(update=ROOMY)})
ORDERS = ((Kernel.IDENTITY, Kernel.SOBEL_X, Kernel.SOBEL_Y), (Kernel.SOBEL_Y, Kernel.IDENTITY, Kernel.SOBEL_X))


def codes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Codes of all magnitudes; zeros and both extremes often, sometimes almost alone; and the -128 that no sound cell sends."""
    scale = rng.choice([3, 20, 60, 127])
    drawn = rng.integers(-scale, scale + 1, shape)
    return np.where(rng.random(shape) < rng.choice([0.1, 0.9]), rng.choice([-128, -127, 0, 127], shape), drawn).astype(np.int8)


def assert_equals_reference(genome: Genome, updates: int, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    state, inbox = np.zeros(16, np.int8), np.zeros((8, 16), np.int8)
    assert CORTEX_M0PLUS.supports(genome)
    wake = FirmwareRule(genome, build(genome, BOARD)).bind(state, inbox)
    before, heard, got = codes(rng, updates, 16), codes(rng, updates, 8, 16), np.zeros((updates, 16), np.int8)
    for i in range(updates):
        before[i], heard[i] = codes(rng, 16), codes(rng, 8, 16)
        if rng.random() < 0.1:
            heard[i, :, genome.alpha] = -1
            before[i, genome.alpha] = rng.integers(-128, 10)
        state[:], inbox[:] = before[i], heard[i]
        wake()
        got[i] = state
        assert inbox.tobytes() == heard[i].tobytes()
    expected, _ = reference.wake(genome, before, heard)
    np.testing.assert_array_equal(got, expected)


def test_thousands_of_random_and_extreme_states_of_the_lizard() -> None:
    assert_equals_reference(load("lizard"), 4000)


@pytest.mark.parametrize("name", sorted(set(bundled()) - {"lizard"}))
def test_every_bundled_genome(name: str) -> None:
    assert_equals_reference(load(name), 300)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_genome_turned_by_quarters(turn: int) -> None:
    assert_equals_reference(replace(load("lizard"), turn=turn), 300)


@pytest.mark.parametrize("trial", range(8))
def test_genomes_whose_sums_need_more_than_24_bits(trial: int) -> None:
    """Weights of full range, half of them at an end, and every scalar at random."""
    rng = np.random.default_rng(trial)

    def weights(*shape: int) -> np.ndarray:
        return np.where(rng.random(shape) < 0.5, rng.choice([-127, 127], shape), rng.integers(-127, 128, shape)).astype(np.int8)

    hidden = int(rng.choice([8, 40, 128]))
    genome = shipped_size_genome(
        kernels=ORDERS[trial % 2], w1=weights(48, hidden), w2=weights(hidden, 16), seed=weights(16),
        b1=rng.integers(-32768, 20000, hidden).astype(np.int16), b2=rng.integers(-32768, 32768, 16).astype(np.int16),
        m2=rng.choice([0, 300, 32767], 16).astype(np.int16), s1=int(rng.integers(3, 16)), s2=int(rng.integers(12, 31)),
        alive=int(rng.choice([0, 1, 127])), alpha=int(rng.integers(16)),
    )  # fmt: skip
    assert_equals_reference(genome, 300, seed=trial)


def test_a_genome_whose_sums_are_the_largest_there_are() -> None:
    """All weights at one end, in all signs, and states that make all inputs extreme."""
    ends = np.tile(np.array([127, -127], np.int8), (48, 64))
    genome = shipped_size_genome(
        w1=ends, w2=np.full((128, 16), 127, np.int8), b1=np.full(128, 30000, np.int16), b2=np.full(16, 32767, np.int16),
        m2=np.full(16, 32767, np.int16), alive=0, s1=8, s2=17,
    )  # fmt: skip
    assert_equals_reference(genome, 300)


@pytest.mark.parametrize(
    "other",
    [
        {"turn": 30}, {"kernels": (Kernel.IDENTITY, Kernel.SOBEL_X, Kernel.LAPLACIAN)}, {"s1": 2},
        {"b1": np.full(load("lizard").hidden, 32767, np.int16)},
    ],
)
def test_other_genomes_are_left_to_the_c_core(other: dict[str, object]) -> None:
    genome = replace(load("lizard"), **other)
    assert not CORTEX_M0PLUS.supports(genome)
    assert able(genome, (CORTEX_M0PLUS,)) == [None]


def test_an_update_of_the_grown_lizard_takes_at_most_37_500_cycles() -> None:
    """Mean over evaluated updates; and no update of the grown pattern is much dearer."""
    genome = load("lizard")
    array = SimpyArray(Scenario(40, 40, seed=1, duration=60 * Scenario.interval), ReferenceRule(genome))
    array.run()
    before, heard = np.array([c.state for c in array.cells]), np.array([c.inbox for c in array.cells])
    _, evaluated = reference.wake(genome, before, heard)
    rule = FirmwareRule(genome, build(genome, BOARD), metered=True)
    state, inbox = np.zeros(16, np.int8), np.zeros((8, 16), np.int8)
    wake = rule.bind(state, inbox)
    assert rule.meter is not None
    first = len(rule.meter.cycles)
    for i in np.flatnonzero(evaluated)[::12]:
        state[:], inbox[:] = before[i], heard[i]
        wake()
    cycles = rule.meter.cycles[first:]
    assert len(cycles) > 30
    assert np.mean(cycles) < 37_500
    assert max(cycles) < 46_000


def test_gnu_assembles_the_same_instructions(tmp_path: Path) -> None:
    """Linked to the same addresses by GNU's tools, both sections are the bytes of the image."""
    if shutil.which("arm-none-eabi-gcc") is None:
        missing("arm-none-eabi-gcc is not installed")
    genome = load("lizard")
    texts, _ = sources(genome, BOARD, CORTEX_M0PLUS)
    made = build(genome, BOARD)
    at = {symbol.name: symbol.address for symbol in made.image.symbols}
    for name in ("genome.h", "cortex_m0plus.S"):
        (tmp_path / name).write_text(texts[name])
    starts = {"nca_kernel_helpers": at["alive"], "nca_kernel_wake": at["nca_kernel_wake"]}
    script = "".join(f".{name} {start:#x} : {{ *(.text.{name}) }}\n" for name, start in starts.items())
    (tmp_path / "k.ld").write_text(f"SECTIONS {{\n{script}/DISCARD/ : {{ *(.ARM.attributes) }}\n}}\n")
    symbols = [f"-Wl,--defsym={name}={at[name]:#x}" for name in ("cell", "nca_units", "nca_decode")]
    link = ["-nostdlib", "-Wl,-T,k.ld", "-Wl,-e,nca_kernel_wake", *symbols]
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", *link, "-o", "k.elf", "cortex_m0plus.S"]
    subprocess.run(command, cwd=tmp_path, check=True)
    for name, start in starts.items():
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "-j", f".{name}", "k.elf", "k.bin"], cwd=tmp_path, check=True)
        gnu = (tmp_path / "k.bin").read_bytes()
        assert len(gnu) > 100
        assert gnu == made.image.binary[start - FLASH :][: len(gnu)]
