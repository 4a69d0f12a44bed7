"""Energy: hand-made runs whose figures can be worked out on paper, symmetries, and the same light as the image's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nca_hw.core.genome import load
from nca_hw.core.light import colour_values, led_duty
from nca_hw.emulate.verify import verify
from nca_hw.firmware.build import build
from nca_hw.formats.boards import Board, load_board
from nca_hw.report.energy import EnergyEstimate, estimate, led_amperes, weights
from nca_hw.sim.metrics import Recovery
from nca_hw.sim.recording import Counters, Recording
from nca_hw.sim.regions import parse
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import Result, simulate
from nca_hw.sim.scenario import SECOND, Kill, Scenario

RULE = IntegerRule(load("lizard"))
SHIPPED = load_board("rp2040")
# Figures to reckon with: 5 V, 3 mA and 2 mA, 1 mA and 10 mA; an update takes a tenth of a second.
BOARD = SHIPPED.model_copy(
    update={
        "led": SHIPPED.led.model_copy(update={"brightness": 256}),
        "power": SHIPPED.power.model_copy(update={
            "chip_computing_ma": 3.0, "chip_waiting_ma": 2.0, "led_quiescent_ma": 1.0, "led_colour_ma": 10.0, "clock_hz": 1000,
            "cycles_evaluated": 100, "cycles_skipped": 1,
        }),
    }
)  # fmt: skip
WHITE = np.ones(4, np.float32)
FULL = 254 / 255  # the brightest duty: 255 * 255 * 256 >> 16


class Shown:
    """A rule whose states are the colours."""

    name = "shown"

    @staticmethod
    def rgba(states: NDArray[np.float32]) -> NDArray[np.float32]:
        return states


def run_of(
    colours: list[NDArray[np.float32]], powered: list[NDArray[np.bool_]] | None = None, seconds: int = 4, evaluated: int = 0,
    skipped: int = 0, tile: tuple[int, int] = (1, 1),
) -> Result:  # fmt: skip
    """A run of samples [2, 2, 4], spread evenly over its time."""
    scenario = Scenario(2, 2, duration=seconds * SECOND, tile_width=tile[0], tile_height=tile[1])
    recording = Recording(counters=Counters(updates=evaluated + skipped, evaluated_updates=evaluated))
    for i, colour in enumerate(colours):
        on = np.ones((2, 2), bool) if powered is None else powered[i]
        recording.add(i * scenario.duration // len(colours), colour, on)
    return Result(scenario, Shown(), "none", recording, None, [], [], Recovery(None, None, None), 0)  # type: ignore[arg-type]


def dark() -> NDArray[np.float32]:
    return np.zeros((2, 2, 4), np.float32)


def one_white() -> NDArray[np.float32]:
    colours = dark()
    colours[0, 1] = WHITE
    return colours


def test_a_dark_array_takes_what_chips_and_led_controllers_take() -> None:
    found = estimate(run_of([dark()]), BOARD)
    assert found.cell_watts == pytest.approx(5 * 0.003)  # 2 mA and 1 mA
    assert found.array_watts == pytest.approx(4 * 5 * 0.003)
    assert found.run_joules == pytest.approx(4 * 4 * 5 * 0.003)
    assert found.led_share == pytest.approx(1 / 3)
    assert found.peak_amperes == pytest.approx(4 * 0.004)  # all computing
    assert found.busy == 0


def test_one_white_cell_adds_three_colours() -> None:
    difference = estimate(run_of([one_white()]), BOARD).array_watts - estimate(run_of([dark()]), BOARD).array_watts
    assert difference == pytest.approx(5 * 0.030 * FULL)
    assert estimate(run_of([one_white()]), BOARD).peak_amperes == pytest.approx(4 * 0.004 + 0.030 * FULL)


def test_updates_cost_the_difference_between_computing_and_waiting() -> None:
    idle, working = estimate(run_of([dark()]), BOARD), estimate(run_of([dark()], evaluated=40, skipped=100), BOARD)
    assert working.run_joules - idle.run_joules == pytest.approx(5 * 0.001 * (40 * 0.1 + 100 * 0.001))
    assert working.busy == pytest.approx((40 * 0.1 + 100 * 0.001) / 16)
    assert working.update_joules == pytest.approx(5 * 0.003 * 0.1)


def test_a_chip_that_cannot_keep_up_computes_all_the_time() -> None:
    found = estimate(run_of([dark()], evaluated=320), BOARD)
    assert found.busy == pytest.approx(2)
    assert found.array_watts == pytest.approx(4 * 5 * 0.004)


def test_half_the_time_dead_is_half_the_energy_and_the_same_peak() -> None:
    on, off = np.ones((2, 2), bool), np.zeros((2, 2), bool)
    whole, half = estimate(run_of([one_white()] * 2), BOARD), estimate(run_of([one_white()] * 2, [on, off]), BOARD)
    assert half.run_joules == pytest.approx(whole.run_joules / 2)
    assert half.led_share == pytest.approx(whole.led_share)
    assert half.peak_amperes == whole.peak_amperes


def test_an_array_without_power_takes_nothing() -> None:
    found = estimate(run_of([one_white()], [np.zeros((2, 2), bool)]), BOARD)
    assert found == EnergyEstimate(0, 0, 0, 0, 0, found.update_joules, 0)


def test_samples_weigh_by_their_time() -> None:
    assert weights([0, 10, 40], 100).tolist() == pytest.approx([0.1, 0.3, 0.6])
    assert weights([0, 50, 100], 100).tolist() == pytest.approx([0.5, 0.5, 0])
    assert weights([0], 0).tolist() == [1]


def test_a_run_of_no_time_has_power_and_no_energy() -> None:
    found = estimate(run_of([one_white()], seconds=0), BOARD)
    assert found.run_joules == 0
    assert found.array_watts == pytest.approx(4 * 5 * 0.003 + 5 * 0.030 * FULL)


def test_a_tile_has_one_chip_that_lives_while_one_of_its_cells_does() -> None:
    half_on = np.array([[True, False], [True, False]])
    found = estimate(run_of([dark()], [half_on], tile=(2, 1)), BOARD)
    assert found.array_watts == pytest.approx(5 * (2 * 0.002 + 2 * 0.001))


colours = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).uniform(-0.5, 1.5, (3, 5, 4)).astype(np.float32))


@given(colours, st.integers(1, 256), st.booleans(), st.booleans(), st.permutations([0, 1, 2]))
def test_leds_do_not_care_where_they_are_or_which_colour(
    rgba: NDArray[np.float32], brightness: int, mirrored: bool, turned: bool, order: list[int]
) -> None:
    powered = rgba[..., 3] > 0
    changed, on = rgba[..., [*order, 3]], powered
    if mirrored:
        changed, on = changed[:, ::-1], on[:, ::-1]
    if turned:
        changed, on = changed.swapaxes(0, 1), on.T
    power = SHIPPED.power
    assert led_amperes(changed, on, brightness, power) == pytest.approx(led_amperes(rgba, powered, brightness, power))


@given(st.integers(-(1 << 15), 1 << 15), st.integers(1, 256))
def test_duty_is_that_of_the_firmware_s_c(value: int, brightness: int) -> None:
    v = min(max(value, 0), 255)  # main.c.j2: codes below 0 are 0, v > 255 is 255
    assert int(led_duty(value, brightness)) == (v * v * brightness & 0xFFFFFFFF) >> 16 & 0xFF


def test_duty_rises_with_value_and_brightness_and_never_overflows() -> None:
    duty = np.array([led_duty(np.arange(256), brightness) for brightness in range(1, 257)])
    assert (np.diff(duty, axis=0) >= 0).all()
    assert (np.diff(duty, axis=1) >= 0).all()
    assert duty.min() == 0
    assert duty.max() == 254


def test_values_of_the_integer_cell_come_back_exactly_from_its_colours() -> None:
    codes = np.arange(-127, 128).astype(np.int8)
    states = np.repeat(codes[:, None], RULE.channels, 1)
    values = np.sign(codes) * RULE.genome.decode.astype(np.int64)[np.abs(codes.astype(int))]
    assert (colour_values(RULE.rgba(states))[:, 0] == np.clip(values, 0, 256)).all()


def test_a_simulated_fault_saves_what_the_dead_cells_would_have_taken() -> None:
    scenario = Scenario(9, 9, duration=8 * SECOND)
    fault = Kill(parse("9x9@0,0"), at=4 * SECOND, lasts=None)
    alive, killed = estimate(simulate(scenario, RULE), SHIPPED), estimate(simulate(replace(scenario, faults=(fault,)), RULE), SHIPPED)
    assert killed.run_joules < 0.55 * alive.run_joules
    assert killed.update_joules == alive.update_joules


def test_the_board_states_the_cycles_that_verify_measures() -> None:
    genome = load("lizard")
    board: Board = SHIPPED
    measured = verify(genome, build(genome, board), updates=10).cycles_per_update
    assert measured == pytest.approx(board.power.cycles_evaluated, rel=0.01)
