"""The CH32V003's image: it fits, holds only what the processor knows, is the reference to the bit, and starts anew after a fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nca_hw.firmware.build as building
from nca_hw.core import frames
from nca_hw.core.genome import Genome, load
from nca_hw.emulate.ch32v003 import Ch32v003
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.verify import verify
from nca_hw.emulate.wire import WireEnd
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.families.ch32v0 import CH32V0
from nca_hw.firmware.kernels.rv32ec import LOOKUP, LOOPS, Rv32ecKernel
from nca_hw.firmware.rv32ec import foreign
from nca_hw.formats.boards import load_board

BOARD = load_board("ch32v003")


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def test_the_image_fits_and_holds_nothing_but_rv32ec(lizard: tuple[Genome, Build]) -> None:
    _, made = lizard
    sizes = made.sizes()
    assert sizes["rom_bytes"] <= 11_600
    assert sizes["cell_ram_bytes"] <= sizes["static_ram_bytes"] <= 256
    assert (made.image.symbols[0].name, made.image.symbols[0].address) == ("reset", 0)  # where the processor begins
    code = [s for s in made.image.symbols if s.is_code]
    assert {"reset", "main", "nca_cell_wake", "__mulsi3"} <= {s.name for s in code}
    for s in code:
        assert foreign(made.image.binary[s.address : s.address + s.size]) == [], s.name


def test_the_shipped_image_equals_the_reference(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=1000, whole=20)
    assert proved.equal
    assert (proved.updates_compared, proved.whole_updates) == (1000, 20)
    assert proved.frames_rejected > 5
    assert proved.stack_bytes <= 160
    assert proved.instructions_per_update < 56_000


@pytest.mark.slow
def test_the_shipped_image_equals_the_reference_in_many_updates(lizard: tuple[Genome, Build]) -> None:
    assert verify(*lizard, updates=10_000).equal


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [LOOPS, LOOKUP, None], ids=["loops", "lookup", "C"])
def test_images_with_other_kernels_equal_the_reference(kernel: Rv32ecKernel | None, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(CH32V0, kernels=() if kernel is None else (kernel,))
    monkeypatch.setattr(building, "family", lambda name: other)
    monkeypatch.setattr(building.render, "family", lambda name: other)
    genome = load("lizard")
    made = build(genome, BOARD.model_copy(update={"budget": BOARD.budget.model_copy(update={"rom": 16_384})}))
    assert verify(genome, made, updates=300, whole=5).equal


def test_a_single_flipped_weight_in_the_image_is_found(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    wrong = bytearray(made.image.binary)
    wrong[next(s.address for s in made.image.symbols if s.name == "nca_stream") + 40] ^= 0x40
    proved = verify(genome, replace(made, image=replace(made.image, binary=bytes(wrong))), updates=300, whole=5)
    assert [rung.equal for rung in proved.rungs] == [True, True, True, True, False]


def test_a_cell_whose_strap_is_high_is_the_seed(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    chip, told = Ch32v003(made.image.binary, BOARD, is_seed=True), []

    def on_take(edge: int, data: bytes) -> None:
        told.extend(state.tolist() for place, state in frames.decode_all(data, genome.channels) if place == 6)
        chip.stop()

    chip.ends = [None, WireEnd(1, 21, on_take), None, None]
    chip.reset()
    chip.run(30)
    assert told == [genome.seed.tolist()]


def test_the_watchdog_is_fed_at_every_update(lizard: tuple[Genome, Build]) -> None:
    _, made = lizard
    chip, reported = Ch32v003(made.image.binary, BOARD), bytearray()

    def on_report(byte: int) -> None:
        reported.append(byte)
        if len(reported) == 5 * 21:  # the self-test and four states
            chip.stop()

    chip.on_report = on_report
    chip.reset()
    chip.run(30)
    assert len(chip.fed) == 5
    assert np.diff(chip.fed).max() <= 150_000 + chip.step


def test_an_access_beyond_the_ram_is_an_error(lizard: tuple[Genome, Build]) -> None:
    """A stack that begins a word too high: the linker's address of its top stands in the first two instructions."""
    _, made = lizard
    wrong = bytearray(made.image.binary)
    wrong[4:8] = (int.from_bytes(wrong[4:8], "little") + (8 << 20)).to_bytes(4, "little")  # addi sp, sp, 2048 - 4096: eight more
    chip = Ch32v003(bytes(wrong), BOARD)
    chip.reset()
    with pytest.raises(EmulationError, match="outside its memory map"):
        chip.run(10)
