"""The ATmega image on chips of libsimavr, against the NumPy reference. Skipped where avr-gcc or libsimavr is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.emulate.atmega import verify
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.kernels.avr import AVR, stream
from nca_hw.formats.boards import load_board
from nca_hw.formats.intel_hex import to_hex

BOARD = load_board("atmega328p")
pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture(scope="module")
def lizard(engine: None) -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def roomy(genome: Genome) -> Build:
    """An image without a budget."""
    return build(genome, BOARD.model_copy(update={"budget": BOARD.budget.model_copy(update={"rom": 1 << 15})}))


def extreme(rng: np.random.Generator, **changes: object) -> Genome:
    """A genome of the kernel's shape with weights, biases and shifts at the ends of what it supports."""
    ends = rng.choice([-127, 127], (48, 128)).astype(np.int8)
    genome = replace(
        load("lizard"), w1=ends, w2=rng.choice([-127, 127], (128, 16)).astype(np.int8), b1=rng.choice([-7680, 7679], 128).astype(np.int16),
        b2=rng.choice([-32768, 32767], 16).astype(np.int16), m2=np.full(16, 32767, np.int16), **changes,
    )  # type: ignore[arg-type]
    assert AVR.supports(genome)
    return genome


def test_the_shipped_image_equals_the_reference_within_all_the_ram_that_was_wanted(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=300)
    assert proved.equal
    assert proved.mismatch is None
    assert proved.updates_compared == 300
    assert proved.frames_rejected > 0
    assert lizard[1].image.static_ram + proved.stack_bytes <= 256
    assert proved.cycles_per_update < 85_000


@pytest.mark.slow
def test_ten_thousand_updates_equal_the_reference(lizard: tuple[Genome, Build]) -> None:
    assert verify(*lizard, updates=10_000, seed=1).equal


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"s1": 8, "s2": 17}, {"s1": 12, "s2": 23, "alive": 0}, {"turn": 90, "alpha": 15}, {"turn": 270}])
def test_extreme_genomes_equal_the_reference(changes: dict[str, int]) -> None:
    genome = extreme(np.random.default_rng(3), **changes)
    assert verify(genome, roomy(genome), updates=200).equal


@pytest.mark.slow
@pytest.mark.parametrize("top", [127, 200, 255, 256, 300, 2500, 4095])
def test_any_decode_table_is_looked_up_rightly(top: int) -> None:
    """Straight tables: as fine as can be, around the first upper byte, and coarse ones."""
    decode = np.round(np.arange(128) * top / 127).astype(np.int16)
    genome = replace(load("lizard"), decode=decode)
    assert AVR.supports(genome)
    assert verify(genome, roomy(genome), updates=200).equal


@pytest.mark.slow
def test_a_genome_that_is_not_the_kernels_is_left_to_the_c_core() -> None:
    genome = shipped_size_genome(5, turn=45)
    assert not AVR.supports(genome)
    assert verify(genome, roomy(genome), updates=30).equal


@pytest.mark.parametrize(
    "changes", [{"turn": 45}, {"s1": 7}, {"s1": 13}, {"s2": 16}, {"s2": 24}, {"kernels": (Kernel.IDENTITY, Kernel.SOBEL_Y, Kernel.SOBEL_X)}]
)
def test_what_the_kernel_does_not_support(changes: dict[str, object]) -> None:
    assert not AVR.supports(replace(load("lizard"), **changes))  # type: ignore[arg-type]


def test_a_single_flipped_weight_in_the_image_is_found(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    wrong = bytearray(made.image.binary)
    wrong[made.image.binary.index(stream(genome)) + 100] ^= 0x40
    proved = verify(genome, replace(made, image=replace(made.image, binary=bytes(wrong))), updates=100)
    assert not proved.equal
    assert proved.mismatch is not None
    assert [rung.equal for rung in proved.rungs[:3]] == [True, True, False]


def test_the_hex_file_holds_the_image(lizard: tuple[Genome, Build]) -> None:
    """Read back by the format's specification."""
    image = bytearray()
    lines = lizard[1].files["nca-hw.hex"].decode().splitlines()
    assert lines[-1] == ":00000001FF"
    for line in lines[:-1]:
        record = bytes.fromhex(line[1:])
        assert sum(record) & 0xFF == 0 and record[0] == len(record) - 5 and record[3] == 0
        assert int.from_bytes(record[1:3], "big") == len(image)
        image += record[4:-1]
    assert bytes(image) == lizard[1].image.binary
    assert to_hex(b"") == b":00000001FF\n"
