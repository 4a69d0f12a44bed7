"""Images that take new genomes, on their way onto boards: their self-test covers the code, and a boot loader has no place beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nca_hw.cli.app import cli
from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.emulate import atmega, simavr
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import build, write
from nca_hw.firmware.spread import Spread
from nca_hw.flash.payload import payload
from nca_hw.formats.boards import load_board

GENOME = load("heart")


@pytest.fixture
def folder(engine: None, tmp_path: Path) -> Path:
    write(build(GENOME, load_board("atmega328p"), spread=Spread()), tmp_path / "image")
    return tmp_path / "image"


def test_the_self_test_of_the_chip_is_known(folder: Path) -> None:
    array = atmega._array(GENOME, build(GENOME, load_board("atmega328p"), spread=Spread()), 1, watched=False)
    array.power_on(0)
    told = frames.decode_self_tests(simavr.text(array.run(atmega.SPREAD_START), 0), GENOME.channels)
    assert len(told) == 1 and payload(str(folder), None).is_told_by(told[0])
    assert not payload(str(folder), None).is_told_by(frames.SelfTest(1, told[0].image_crc ^ 1, told[0].genome))


def test_a_boot_loader_is_no_way_to_write_it(folder: Path) -> None:
    done = CliRunner().invoke(cli, ["flash", str(folder), "--port", "/dev/null", "--dry-run"])
    assert isinstance(done.exception, NcaHwError) and "--programmer" in str(done.exception)
    done = CliRunner().invoke(cli, ["flash", str(folder), "--programmer", "usbasp", "--dry-run"])
    assert done.exit_code == 0, done.exception
    assert "avrdude -c usbasp" in done.output
