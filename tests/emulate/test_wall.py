"""Walls of emulated chips with the real firmware: they grow, are struck, and stay equal to the reference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nca_hw.cli.app import cli
from nca_hw.core import reference
from nca_hw.core.genome import load
from nca_hw.emulate.wall import Emulation, check, emulate
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.kernels.avr import OUTPUTS as AVR_OUTPUTS
from nca_hw.firmware.kernels.avr import UNITS as AVR_UNITS
from nca_hw.formats.boards import load_board
from nca_hw.report.chips import seen
from nca_hw.sim.faults import Cut, Fault, Kill, Stuck
from nca_hw.sim.regions import parse
from nca_hw.sim.scenario import MICROSECOND, Scenario

GENOME = load("heart")
UNIT = 100_000 * MICROSECOND


@pytest.fixture(scope="session")
def made(engine: None) -> Build:
    """The image."""
    return build(GENOME, load_board("atmega328p"))


def scenario(width: int, height: int, updates: int, *faults: Fault, seed: int = 1, spread: float = 0.05) -> Scenario:
    """Clocks within 5% unless told otherwise."""
    return Scenario(
        width, height, seed=seed, wiring="edges", interval=UNIT, rate_spread=spread, duration=updates * UNIT, sample_every=UNIT,
        faults=faults,
    )  # fmt: skip


def alive(done: Emulation, sample: int = -1) -> np.ndarray:
    """Which cells of a sample are not nothing."""
    return done.result.recording.states[sample].any(axis=-1)


def test_a_wall_grows_from_its_seed_and_equals_the_reference(made: Build) -> None:
    done = emulate(GENOME, made, scenario(5, 5, 8))
    assert done.difference is None
    assert done.compared.states > 150 and done.compared.frames > 800 and done.compared.lights == done.compared.states
    assert done.compared.memories > 12
    assert alive(done).all() and alive(done, 0).sum() == 1
    assert done.frames.loss < 0.01 and done.frames.sound > 0.9 * done.frames.owed
    assert done.compared.reports >= done.compared.states - 25  # one may be under way
    assert done.events == {"starts": 25, "self_tests": 25, "watchdog_resets": 0, "crashes": 0, "driven_high": 0}
    assert done.ram_bytes <= 256
    assert done.led is not None and done.led.zero[1] < 500 and done.led.one[0] > 580 and done.led.odd == 0  # ns: WS2812B data sheets


def test_killed_chips_forget_come_back_and_stay_equal(made: Build) -> None:
    done = emulate(GENOME, made, scenario(5, 5, 10, Kill(parse("2x5@0,0"), at=6 * UNIT, lasts=UNIT)))
    powered = done.result.recording.powered
    assert done.difference is None
    assert not powered[6][:, :2].any() and powered[6][:, 2:].all() and powered[-1].all()
    assert alive(done, 5)[:, :2].any() and not alive(done, 6)[:, :2].any() and alive(done)[:, :2].any()


def test_nothing_gets_over_a_cut_wire(made: Build) -> None:
    done = emulate(GENOME, made, scenario(4, 1, 6, Cut(parse("2x1@0,0"), at=0, border=True)))
    assert done.difference is None
    assert alive(done).tolist() == [[False, False, True, True]]


def test_a_wall_without_its_seed_stays_dark(made: Build) -> None:
    done = emulate(GENOME, made, scenario(3, 3, 5, Kill(parse("seed"), at=0)))
    assert done.difference is None and not alive(done).any()
    assert not any(lights.any() for lights in done.lights)


def test_the_same_seed_gives_the_same_run(made: Build) -> None:
    one, again, other = (emulate(GENOME, made, scenario(3, 3, 4, seed=seed)) for seed in (7, 7, 8))
    hashes = [done.result.recording.trajectory.hexdigest() for done in (one, again, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_weight_that_is_off_by_one_bit_is_found(made: Build) -> None:
    """One bit of one weight of the first hidden unit that the seed wakes."""
    stream = next(s for s in made.image.symbols if s.name == "nca_stream")
    seed = reference.val(GENOME, GENOME.seed)
    used = np.concatenate([seed, np.zeros(2 * GENOME.channels, np.int32)]) @ GENOME.w1.astype(np.int32) + 4 * GENOME.b1.astype(np.int32)
    unit = int(np.flatnonzero(used >> GENOME.s1 > 0)[0])
    block, within = divmod(unit, AVR_UNITS)
    first_output = 2 * AVR_UNITS + GENOME.perception * AVR_UNITS + within * AVR_OUTPUTS
    at = stream.address + block * AVR_UNITS * (2 + GENOME.perception + GENOME.channels) + first_output
    assert made.image.binary[at : at + AVR_OUTPUTS] == GENOME.w2[unit, :AVR_OUTPUTS].tobytes()
    binary = bytearray(made.image.binary)
    binary[at] ^= 0x40
    done = emulate(GENOME, replace(made, image=replace(made.image, binary=bytes(binary))), scenario(3, 3, 4))
    assert done.difference is not None and done.difference.what in ("state", "frame")


def test_leds_show_what_the_cells_are(made: Build) -> None:
    done = emulate(GENOME, made, scenario(4, 4, 10))
    states = np.clip(done.result.rgba(-1)[..., :3], 0, 1)
    lights = seen(done.lights[-1], made.board.led.brightness)[..., :3]
    updated = done.lights[-1].any(axis=-1)
    assert updated.sum() >= 12
    assert np.abs(states - lights)[updated].mean() < 0.06  # a duty of 6 bits, squared


@pytest.mark.parametrize("fault", [Stuck(parse("1"), at=0), Cut(parse("1"), at=0, direction="out")])
def test_faults_that_no_hand_can_do_to_a_chip_are_refused(fault: Fault) -> None:
    with pytest.raises(NcaHwError, match="fault 1"):
        check(scenario(3, 3, 2, fault), load_board("atmega328p"))


def test_boards_of_families_that_have_no_wall_are_refused() -> None:
    rp2040 = build(GENOME, load_board("rp2040"))
    with pytest.raises(NcaHwError, match="rp2040"):
        emulate(GENOME, rp2040, scenario(2, 2, 1))


def test_the_command_writes_its_report_and_one_document(made: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["emulate", "heart", "--grid", "3x3", "--duration", "4u", "--kill", "2", "--kill-at", "2u", "--restart-after", "1u", "--json"]
    cli.main([*words, "--report", str(tmp_path / "r")], prog_name="nca-hw", standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "nca-hw/emulate/1" and document["reference"]["equal"] is True
    assert document["faults"] == [{"fault": 1, "kind": "kill", "at_updates": 2.0, "changed": 2}]
    assert document["frames"]["sound"] > 0 and document["cycles_per_update"] > 10_000 and document["rss_bytes"] > 1e7
    assert {"leds.png", "contact.png", "grid.webp", "run.json"} <= {file.name for file in (tmp_path / "r").iterdir()}
    with Image.open(tmp_path / "r" / "leds.png") as picture:
        assert picture.width > 100
    assert json.loads((tmp_path / "r" / "run.json").read_text())["schema"] == "nca-hw/emulate/1"
