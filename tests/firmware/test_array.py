"""Arrays of the firmware itself: the machine code of the image, cell for cell, under the simulator's clocks, links and faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core import reference
from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.emulate import array as firmware_array
from nca_hw.emulate.array import FirmwareRule
from nca_hw.emulate.chip import EmulationError
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.families.rp2040 import FLASH
from nca_hw.formats.boards import load_board
from nca_hw.formats.picture import from_png_bytes
from nca_hw.sim.faults import Babble
from nca_hw.sim.regions import parse
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Kill, Scenario

BOARD = load_board("rp2040")
UNIT = Scenario.interval
KILLED = Scenario(12, 12, seed=1, duration=20 * UNIT, faults=(Kill(parse("30%"), 10 * UNIT, 3 * UNIT),))


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def with_patch(made: Build, at: int, data: bytes) -> Build:
    binary = bytearray(made.image.binary)
    binary[at : at + len(data)] = data
    return replace(made, image=replace(made.image, binary=bytes(binary)))


def codes(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Codes of all magnitudes, zeros and both extremes often, and the -128 that no sound cell sends."""
    scale = rng.choice([3, 20, 60, 127])
    drawn = rng.integers(-scale, scale + 1, shape)
    return np.where(rng.random(shape) < 0.2, rng.choice([-128, -127, 0, 127], shape), drawn).astype(np.int8)


def test_an_array_of_firmware_has_the_trajectory_of_the_integer_cell(lizard: tuple[Genome, Build]) -> None:
    rule = FirmwareRule(*lizard)
    of_firmware = simulate(KILLED, rule)
    of_core = simulate(KILLED, IntegerRule(lizard[0]), engine="simpy")
    assert of_firmware.recording.trajectory.hexdigest() == of_core.recording.trajectory.hexdigest()
    assert of_firmware.recording.counters == of_core.recording.counters
    assert of_firmware.recording.counters.evaluated_updates > 400
    assert rule.updates == of_firmware.recording.counters.updates
    assert (of_firmware.engine, rule.name) == ("simpy", "firmware rp2040")


@pytest.mark.slow
def test_a_whole_wall_of_firmware_grows_is_killed_and_heals(lizard: tuple[Genome, Build]) -> None:
    """40x40 cells, every update computed by the image's machine code."""
    killed = replace(KILLED, width=40, height=40, duration=125 * UNIT, faults=(Kill(parse("30%"), 60 * UNIT, 10 * UNIT),))
    target = from_png_bytes(lizard[0].target)
    of_firmware = simulate(killed, FirmwareRule(*lizard), target)
    of_core = simulate(killed, IntegerRule(lizard[0]), target)
    assert of_firmware.recording.trajectory.hexdigest() == of_core.recording.trajectory.hexdigest()
    assert of_firmware.recording.counters.evaluated_updates > 50_000
    assert of_firmware.recovery.loss_before < 0.004
    assert of_firmware.losses[-1] < 0.004


def test_a_corrupted_weight_in_the_image_is_another_trajectory(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    at = next(s.address for s in made.image.symbols if s.name == "nca_units") - FLASH + 40
    wrong = with_patch(made, at, bytes([made.image.binary[at] ^ 0x40]))
    found = simulate(KILLED, FirmwareRule(genome, wrong)).recording.trajectory.hexdigest()
    assert found != simulate(KILLED, IntegerRule(genome)).recording.trajectory.hexdigest()


OTHERS = {
    "the state is the first perception": {"channels": 16, "hidden": 104, "kernels": (Kernel.IDENTITY, Kernel.SOBEL_X, Kernel.SOBEL_Y)},
    "no identity": {"channels": 16, "hidden": 32, "kernels": (Kernel.SOBEL_Y, Kernel.SOBEL_X)},
    "a Laplacian looks at the cell itself": {"channels": 8, "hidden": 40, "kernels": (Kernel.IDENTITY, Kernel.LAPLACIAN), "alive": 0},
    "all kernels": {"channels": 12, "hidden": 64, "kernels": tuple(Kernel), "alive": 1, "alpha": 0},
    "one channel": {"channels": 1, "hidden": 5, "kernels": (Kernel.LAPLACIAN,), "alive": 0, "alpha": 0},
}


@pytest.mark.parametrize("name", OTHERS)
def test_any_state_and_any_neighbours_give_what_the_reference_gives(name: str) -> None:
    sizes = dict(OTHERS[name])
    channels, hidden = sizes.pop("channels"), sizes.pop("hidden")
    rng = np.random.default_rng(3)
    genome = shipped_size_genome(
        w1=rng.integers(-127, 128, (len(sizes["kernels"]) * channels, hidden)).astype(np.int8),
        w2=rng.integers(-127, 128, (hidden, channels)).astype(np.int8), seed=rng.integers(-127, 128, channels).astype(np.int8),
        b1=rng.integers(-9000, 9000, hidden).astype(np.int16), b2=rng.integers(-7000, 7000, channels).astype(np.int16),
        m2=rng.integers(0, 32767, channels).astype(np.int16), **sizes,
    )  # fmt: skip
    state, inbox = np.zeros(channels, np.int8), np.zeros((8, channels), np.int8)
    wake = FirmwareRule(genome, build(genome, BOARD)).bind(state, inbox)
    dead = 0
    for _ in range(400):
        before, heard = codes(rng, channels), codes(rng, 8, channels)
        if rng.random() < 0.2:
            before[genome.alpha], heard[:, genome.alpha] = 0, rng.integers(-128, 3, 8)
        state[:], inbox[:] = before, heard
        evaluated = wake()
        expected, network_run = reference.wake(genome, before, heard)
        assert state.tolist() == expected.tolist()
        assert evaluated == network_run
        np.testing.assert_array_equal(inbox, heard)
        dead += not evaluated
    assert (dead > 0) == (genome.alive > 0)


def test_faults_of_state_codes_strike_firmware_too(lizard: tuple[Genome, Build]) -> None:
    scenario = replace(KILLED, bit_errors=0.01, faults=(Babble(parse("3x3@0,0"), 5 * UNIT, 5 * UNIT),))
    found = simulate(scenario, FirmwareRule(*lizard)).recording
    assert found.counters.messages_corrupted > 0
    assert found.trajectory.hexdigest() == simulate(scenario, IntegerRule(lizard[0])).recording.trajectory.hexdigest()


def test_a_wake_that_never_returns_is_an_error(lizard: tuple[Genome, Build], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware_array, "FIRST_WAKE_S", 0.5)
    genome, made = lizard
    wake = next(symbol for symbol in made.image.symbols if symbol.name == "nca_kernel_wake")
    branch_to_itself = bytes.fromhex("fee7")
    with pytest.raises(EmulationError, match="did not return within"):
        FirmwareRule(genome, with_patch(made, wake.address - FLASH, branch_to_itself))


def test_a_wake_that_touches_what_is_not_there_is_an_error(lizard: tuple[Genome, Build]) -> None:
    """The address of the cell among the wake's literals, changed to one outside the memory map."""
    genome, made = lizard
    wake = next(symbol for symbol in made.image.symbols if symbol.name == "nca_kernel_wake")
    literal = made.image.binary.index(bytes.fromhex("00000020"), wake.address - FLASH)
    assert literal < wake.address - FLASH + wake.size
    with pytest.raises(EmulationError, match="outside its memory map"):
        FirmwareRule(genome, with_patch(made, literal, bytes.fromhex("00000030")))
