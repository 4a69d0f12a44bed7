"""Emulated AVR chips on their wires: little firmwares that talk, sleep, shine and fail."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from avr_bench import BENCH

from nca_hw.emulate import simavr
from nca_hw.emulate.simavr import Firmware, SimavrArray, grid_neighbours, of_kind, text

MILLISECOND = 1_000_000  # ns
TOLD = bytes((n * 17 + i * 5) & 0xFF for n in range(16) for i in range(4))
Compile = Callable[..., Firmware]


def pair(firmware: Firmware, rates: tuple[float, float] = (1, 1), **more: float) -> SimavrArray:
    """Two chips in a row; the western one is strapped."""
    array = SimavrArray(firmware, BENCH, grid_neighbours(2, 1), np.array(rates, float), **more)  # type: ignore[arg-type]
    array.power_on(0, is_seed=True)
    array.power_on(1)
    return array


@pytest.mark.parametrize("rates", [(1, 1), (0.95, 1.05), (1.05, 0.95), (0.5, 1.5)])
def test_two_chips_shake_hands_whatever_their_clocks(firmware: Compile, rates: tuple[float, float]) -> None:
    events = pair(firmware("talk", frame_bytes=4), rates).run(60 * MILLISECOND)
    assert text(events, 1) == TOLD


def test_frames_are_read_off_the_wires(firmware: Compile) -> None:
    events = pair(firmware("talk", frame_bytes=4)).run(60 * MILLISECOND)
    frames = of_kind(events, simavr.FRAME, simavr.FRAME_BROKEN)
    assert b"".join(bytes(frame["data"][:4]) for frame in frames) == TOLD
    assert set(frames["chip"]) == {1} and set(frames["a"]) == {3} and set(frames["kind"]) == {simavr.FRAME}  # heard from its west
    begun = of_kind(events, simavr.FRAME_BEGINS)
    assert (begun["time"] < frames["time"]).all() and (frames["time"][:-1] < begun["time"][1:]).all()
    assert set(frames["cycles"]) == {32}


def test_frames_are_read_off_the_wires_when_an_answer_crosses_who_lets_go(firmware: Compile) -> None:
    """The taker has looked, and consents when the asker has let go meanwhile: the chips understand each other."""
    events = pair(firmware("cross", frame_bytes=4)).run(60 * MILLISECOND)
    assert text(events, 1) == TOLD
    frames = of_kind(events, simavr.FRAME, simavr.FRAME_BROKEN)
    assert b"".join(bytes(frame["data"][:4]) for frame in frames) == TOLD


def test_a_cut_wire_stops_the_talk_and_a_mended_one_lets_it_go_on(firmware: Compile) -> None:
    array = pair(firmware("talk", frame_bytes=4))
    before = text(array.run(2 * MILLISECOND), 1)
    array.cut(1, 3, 0)
    during = text(array.run(20 * MILLISECOND), 1)
    array.cut(1, 3, 0, cut=False)
    after = text(array.run(80 * MILLISECOND), 1)
    assert 0 < len(before) < 64 and len(during) <= 1 and before + during + after == TOLD


def test_a_frame_that_loses_its_sender_is_broken_and_the_wires_are_free_again(firmware: Compile) -> None:
    array = pair(firmware("talk", frame_bytes=4))
    array.run(2 * MILLISECOND)
    array.power_off(0)
    events = array.run(3 * MILLISECOND)
    assert len(of_kind(events, simavr.FRAME_BROKEN)) == 1
    assert not array.has_power(0) and array.wires(0)[2:4] == (1, 1)


def test_the_result_does_not_depend_on_when_it_is_looked_at(firmware: Compile) -> None:
    made = firmware("talk", frame_bytes=4)
    whole = pair(made, (0.97, 1.02)).run(30 * MILLISECOND)
    array = pair(made, (0.97, 1.02))
    parts = simavr.concatenated([array.run(until) for until in range(0, 30 * MILLISECOND + 1, 123_457)] + [array.run(30 * MILLISECOND)])
    frames = [of_kind(events, simavr.FRAME_BEGINS, simavr.FRAME) for events in (whole, parts)]
    assert len(frames[0]) == 32 and frames[0].tolist().__repr__() == frames[1].tolist().__repr__()
    assert text(whole, 1) == text(parts, 1) == TOLD


def test_a_sleeping_chip_is_woken_by_a_wire_and_its_timer_runs_on(firmware: Compile) -> None:
    array = pair(firmware("doze"))
    told = text(array.run(5 * MILLISECOND), 1)
    fall, rise = int.from_bytes(told[:2], "little"), int.from_bytes(told[2:4], "little")  # in half microseconds
    assert len(told) == 4
    assert fall == pytest.approx(2000 + 2 * simavr.DELAY_NS / 1000, abs=12) and rise - fall == pytest.approx(1000, abs=12)
    assert array.work.slept > 0.7 * array.work.cycles


def test_sleeping_chips_cost_nothing(firmware: Compile) -> None:
    array = pair(firmware("doze"))
    array.run(5 * MILLISECOND)
    before = array.work.visits
    array.run(4005 * MILLISECOND)  # timer 1 overflows every 32.8 ms
    assert array.work.visits - before < 4000


@pytest.mark.parametrize("rate", [0.95, 1.0, 1.05])
def test_a_chips_own_clock_sets_its_pace(firmware: Compile, rate: float) -> None:
    array = SimavrArray(firmware("update", state_bytes=4), BENCH, grid_neighbours(1, 1), np.array([rate]))
    array.power_on(0)
    events = of_kind(array.run(6 * MILLISECOND), simavr.UPDATE_BEGINS)
    assert np.diff(events["time"].astype(float)).mean() == pytest.approx(10_000 / 16e6 / rate * 1e15, rel=1e-3)


def test_updates_are_told_with_their_cycles_and_states(firmware: Compile) -> None:
    array = SimavrArray(firmware("update", state_bytes=4), BENCH, grid_neighbours(1, 1))
    array.power_on(0)
    events = array.run(5 * MILLISECOND)
    ends = of_kind(events, simavr.UPDATE_ENDS)
    assert len(ends) >= 5
    assert np.diff(ends["cycles"][:5].astype(int)) == pytest.approx(1000, abs=20)
    assert [tuple(data[:4]) for data in ends["data"][:4]] == [(1, 0, 0, 1), (2, 0, 0, 3), (3, 0, 0, 6), (4, 0, 0, 10)]
    assert array.states()[0].tolist() == [len(ends), 0, 0, array.peek(0, array.firmware.state + 3, 1)[0]]
    begins = of_kind(events, simavr.UPDATE_BEGINS)
    assert (begins["time"][: len(ends)] < ends["time"]).all() and (ends["time"][:-1] < begins["time"][1 : len(ends)]).all()


def test_ram_holds_other_random_bytes_whenever_power_comes(firmware: Compile) -> None:
    array = SimavrArray(firmware("update", state_bytes=4), BENCH, grid_neighbours(8, 1), seed=3)
    told = []
    for start in range(4):
        for chip in range(8):
            array.power_on(chip)
        events = array.run((start + 1) * MILLISECOND)
        told += [text(events, chip)[:1] for chip in range(8)]
    assert len(set(told)) > 24


def test_the_stack_is_told_by_what_was_overwritten(firmware: Compile) -> None:
    array = SimavrArray(firmware("update", state_bytes=4), BENCH, grid_neighbours(1, 1))
    array.power_on(0)
    array.run(5 * MILLISECOND)
    assert 2 <= array.stack_bytes(0, 0x200) <= 16


def test_the_led_is_read_by_its_pulses(firmware: Compile) -> None:
    array = SimavrArray(firmware("light"), BENCH, grid_neighbours(1, 1))
    array.power_on(0)
    lights = of_kind(array.run(5 * MILLISECOND), simavr.LIGHT)
    assert [bytes(light["data"][:3]) for light in lights] == [b"\x12\x34\x56", b"\x00\xff\x80", b"\x01\x02\x03"]
    timing = array.led_timing
    assert timing is not None
    assert timing.zero == pytest.approx((5 / 0.016, 5 / 0.016))  # cycles of 16 MHz
    assert timing.one == pytest.approx((13 / 0.016, 13 / 0.016))
    assert (timing.lights, timing.odd) == (3, 4)


def test_a_watchdog_resets_its_chip_and_lets_go_of_its_wires(firmware: Compile) -> None:
    array = SimavrArray(firmware("trouble"), BENCH, grid_neighbours(2, 1))
    array.power_on(0, is_seed=True)
    events = array.run(100 * MILLISECOND)
    bites = of_kind(events, simavr.WATCHDOG)
    assert len(bites) >= 4 and text(events, 0) == b"!" * (len(bites) + 1)
    assert np.diff(bites["time"]) / 1e12 == pytest.approx(15, rel=0.15)


def test_a_chip_that_leaves_its_program_or_drives_a_wire_high_is_told(firmware: Compile) -> None:
    array = SimavrArray(firmware("trouble"), BENCH, grid_neighbours(2, 1))
    array.power_on(0)
    events = array.run(10 * MILLISECOND)
    assert [int(e["kind"]) for e in of_kind(events, simavr.PUSHED, simavr.CRASHED)] == [simavr.PUSHED, simavr.CRASHED]


def test_sixteen_hundred_chips_take_little_memory(firmware: Compile) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    array = SimavrArray(firmware("update", state_bytes=4), BENCH, grid_neighbours(40, 40))
    assert array.chips == 1600
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB
