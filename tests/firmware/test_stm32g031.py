"""The STM32G031: its image is the integer cell, and the emulated chip notices what a real one would not forgive."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from nca_hw.core.genome import Genome, load
from nca_hw.emulate.array import FirmwareRule
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.verify import verify
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import Build, build
from nca_hw.formats.boards import bundled_boards, load_board, parse
from nca_hw.formats.toml_file import read
from nca_hw.sim.regions import parse as region
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Kill, Scenario

BOARD = load_board("stm32g031")
UNIT = Scenario.interval


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def test_the_image_fits_the_article_and_begins_with_the_vectors(lizard: tuple[Genome, Build]) -> None:
    _, made = lizard
    assert len(made.image.binary) <= 10_240
    stack, reset, nmi, fault = struct.unpack_from("<4I", made.image.binary)
    assert stack == 0x20000000 + 8192
    assert reset == nmi == fault
    assert reset & 1
    assert 0x08000010 < reset < 0x08000000 + len(made.image.binary)


def test_the_image_equals_the_reference(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=400)
    assert proved.equal, proved.mismatch
    assert proved.cycles_per_update < 37_500


def test_an_array_of_the_image_has_the_trajectory_of_the_integer_cell(lizard: tuple[Genome, Build]) -> None:
    scenario = Scenario(12, 12, seed=1, duration=20 * UNIT, faults=(Kill(region("30%"), 10 * UNIT, 3 * UNIT),))
    of_firmware, of_core = simulate(scenario, FirmwareRule(*lizard)), simulate(scenario, IntegerRule(lizard[0]))
    assert of_firmware.recording.trajectory.hexdigest() == of_core.recording.trajectory.hexdigest()


@pytest.mark.parametrize(
    ("wanted", "instead", "told"),
    [
        (0x50000400, 0x50000800, "no business with"),  # port C, which has no clock
        (0x00020001, 0x00020000, "no business with"),  # APBENR1 without TIM2
        (0x0000CCCC, 0x0000CCCD, "no business with"),  # a key that the watchdog does not know
    ],
)
def test_what_the_chip_would_not_forgive_is_an_error(lizard: tuple[Genome, Build], wanted: int, instead: int, told: str) -> None:
    """A constant among board_start's literals, changed."""
    genome, made = lizard
    old, new = wanted.to_bytes(4, "little"), instead.to_bytes(4, "little")
    binary = made.image.binary.replace(old, new)
    assert binary != made.image.binary
    with pytest.raises(EmulationError, match=told):
        verify(genome, replace(made, image=replace(made.image, binary=binary)), updates=3)


def test_wires_elsewhere_than_at_port_b_are_refused(tmp_path: Path) -> None:
    text = bundled_boards()["stm32g031"].read_text().replace('["PB8", "PB9"]', '["PA8", "PA9"]').replace('pin = "PA0"', 'pin = "PA13"')
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(NcaHwError) as caught:
        parse(read(path), "mine")
    assert "PA8 is none of port B" in str(caught.value)
    assert "PA13 is none of port A, apart from the debugger's" in str(caught.value)
