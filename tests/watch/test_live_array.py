"""What is known of a live array from the bytes of its service ports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from emulated_ports import Told
from hypothesis import given
from hypothesis import strategies as st

from nca_hw.core import frames
from nca_hw.core.genome import Genome, load
from nca_hw.core.light import led_told
from nca_hw.emulate import tile as emulated_tile
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import build
from nca_hw.formats.boards import Board, load_board
from nca_hw.report.led import Look
from nca_hw.sim import metrics
from nca_hw.watch.array import LiveArray, crc_of, longest_pause
from nca_hw.watch.figures import UNKNOWN, figures, picture
from nca_hw.watch.places import place
from nca_hw.watch.ports import Tap

HEART, AVR, MATRIX = load("heart"), load_board("atmega328p"), load_board("rp2040-matrix")
RNG = np.random.default_rng(1)
STATES = RNG.integers(-127, 128, (400, 16)).astype(np.int8)


def array(board: Board, taps: Sequence[Tap], grid: tuple[int, int] | None = None, genome: Genome = HEART) -> LiveArray:
    return LiveArray(genome, board, place(taps, board, grid))


def ports(count: int) -> list[Tap]:
    return [Tap(f"port{n}") for n in range(count)]


def numbered(number: int) -> np.ndarray:
    return np.array([number & 0x7F, number >> 7, *[0] * 14], np.int8)


def report(state: np.ndarray, cell: int | None = None, tile: int | None = None) -> bytes:
    """What a service port, or a hub, tells of a cell."""
    out = b"" if tile is None else frames.frame(frames.REPORT_TILE, numbered(tile))
    out += b"" if cell is None else frames.frame(frames.REPORT_CELL, numbered(cell))
    return out + frames.frame(frames.REPORT_STATE, state)


def test_a_wall_of_emulated_chips_is_seen_as_it_is(wall: Told) -> None:
    live = array(AVR, ports(16), (4, 4))
    for now, chip, data in wall:
        live.feed(now, chip, data)
    for one in range(16):
        reports = frames.decode_reports(b"".join(data for _, chip, data in wall if chip == one), 16)
        head, codes = reports[-1]
        assert head == frames.REPORT_STATE and live.states[one].tolist() == codes.tolist()
        assert live.counts[one] == sum(head == frames.REPORT_STATE for head, _ in reports) > 25
    assert live.tests.tolist() == [1, 1, 1, 2] + [1] * 12 and live.restarts.tolist() == [0, 0, 0, 1] + [0] * 12
    assert live.other_images() == [] and live.other_genomes() == [] and len(live.self_tests) == 16
    assert live.pauses.sum() == 0 and live.silent() == []
    lights = led_told(HEART, live.states.reshape(4, 4, 16), AVR.led.brightness)[..., [1, 0, 2]]
    assert (picture(live) == Look(AVR.led.brightness)._screen[lights]).all()
    told = figures(live)
    assert 8 < told["rate"]["least"] <= told["rate"]["mean"] <= told["rate"]["most"] < 11.5
    assert told["board_rate"] == pytest.approx(9.5, abs=0.01)


def test_an_emulated_tile_is_seen_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, said = emulated_tile._Harness, bytearray()
    listen = harness._on_report
    monkeypatch.setattr(harness, "_on_report", lambda self, byte: (said.append(byte), listen(self, byte))[1])
    lizard = load("lizard")
    made = build(lizard, MATRIX)
    _, ran = emulated_tile.run_tile(lizard, made, np.random.default_rng(1), 80, None)  # compares the chip with the reference
    live = array(MATRIX, ports(2), (10, 5), lizard)
    for at in range(0, len(said), 50):
        live.feed(at / 1000, 1, bytes(said[at : at + 50]))
    assert int(live.counts.sum()) == len(ran.sent) and live.unplaced == 0 and not live.told.reshape(5, 10)[:, :5].any()
    assert live.self_tests[1].image_crc == crc_of(made.image.binary) and live.other_genomes() == []
    newest: list[int] = []
    for state in reversed(ran.sent):
        where = np.flatnonzero((live.states == state).all(1))
        newest += [cell for cell in where.tolist() if cell not in newest]
    assert sorted(newest) == np.flatnonzero(live.told).tolist()


def test_a_tile_names_its_cells_and_a_state_without_a_name_is_nobodys() -> None:
    live = array(MATRIX, ports(2), (10, 5))
    live.feed(0.0, 1, report(STATES[0], 7))
    assert live.counts[1 * 10 + 7].tolist() == 1 and live.states[17].tolist() == STATES[0].tolist()  # cell 7: row 1, column 2 of 5
    live.feed(0.1, 1, report(STATES[1]))
    named, state = report(STATES[2], 3)[:21], report(STATES[2], 3)[21:]
    live.feed(0.2, 1, named + b"\x01" + state)  # something is missing between
    live.feed(0.3, 1, report(STATES[3], 25))  # there is no such cell
    assert live.unplaced == 3 and live.counts.sum() == 1


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 24), st.integers(0, 399)), max_size=20), st.integers(1, 100))
def test_a_hub_names_tiles_in_any_pieces(told: list[tuple[int, int, int]], size: int) -> None:
    live, expected = array(MATRIX, [Tap("hub")], (10, 10)), np.zeros((100, 16), np.int8)
    line = b""
    for tile, cell, state in told:
        line += report(STATES[state], cell, tile)
        row, column = tile // 2 * 5 + cell // 5, tile % 2 * 5 + cell % 5
        expected[row * 10 + column] = STATES[state]
    for at in range(0, len(line), size):
        live.feed(at / 1000, 0, line[at : at + size])
    assert (live.states == expected).all() and live.counts.sum() == len(told) and live.unplaced == 0
    assert live.watched.tolist() == [n in {tile for tile, *_ in told} if told else n == 0 for n in range(4)]


def test_a_hub_that_forgets_a_name_is_not_believed() -> None:
    live = array(AVR, [Tap("hub")], (2, 2))
    live.feed(0.0, 0, report(STATES[0], tile=2) + report(STATES[1]) + report(STATES[2], tile=4))
    assert live.counts.tolist() == [0, 0, 1, 0] and live.unplaced == 2


def test_a_self_test_wipes_what_was_told_before_it_and_not_what_comes_after() -> None:
    image = bytes(range(200))
    live = LiveArray(HEART, AVR, place(ports(1), AVR, None), crc_of(image))
    live.feed(0.0, 0, report(STATES[0]) + frames.self_test(image, HEART.cell_hash, 16))
    assert not live.told.any() and not live.states.any() and (picture(live) == UNKNOWN).all()
    live.feed(0.1, 0, frames.self_test(image, HEART.cell_hash, 16) + report(STATES[1]))
    assert live.states[0].tolist() == STATES[1].tolist() and live.restarts.tolist() == [2]
    assert live.other_images() == [] and live.other_genomes() == []


def test_another_image_and_another_genome_are_named() -> None:
    live = array(AVR, ports(3))
    for port, (image, genome) in enumerate([(b"a", HEART), (b"b", HEART), (b"a", load("lizard"))]):
        live.feed(0.0, port, frames.self_test(image, genome.cell_hash, 16))
    told = figures(live)
    assert (told["other_images"], told["other_genomes"]) == (["1,0"], ["2,0"])
    assert [(one["tile"], one["what"][:28]) for one in told["trouble"]] == [
        ("1,0", f"has another image ({crc_of(b'b'):04x})"), ("2,0", "has another genome (lizard)"),
    ]  # fmt: skip


def test_a_pause_that_the_firmware_never_makes_is_counted_and_the_watchs_own_is_not() -> None:
    pause = longest_pause(AVR)
    live = array(AVR, ports(1))
    for now in (0.0, pause - 0.01, 2 * pause, 2.1 * pause):
        live.feed(now, 0, report(STATES[0]))
    assert live.pauses.tolist() == [1]
    live.late(10.0, 10.0 - 2.1 * pause)
    live.feed(10.0, 0, report(STATES[0]))
    assert live.pauses.tolist() == [1]


def test_rates_are_of_the_last_ten_seconds_or_since_a_cells_first_report() -> None:
    live = array(AVR, ports(3))
    for n in range(250):
        live.feed(n / 10, 0, report(STATES[0]))
        if n % 2 and n < 125:  # five a second, then none
            live.feed(n / 10, 1, report(STATES[1]))
        if n >= 200:
            live.feed(n / 10, 2, report(STATES[2]))
    assert live.rates() == pytest.approx([10, 0, 10], abs=0.3)
    early = array(AVR, ports(1))
    early.feed(0.0, 0, report(STATES[0]))
    assert np.isnan(early.rates()).all() and figures(early)["rate"] is None


def test_a_tile_that_tells_nothing_is_silent() -> None:
    live = array(AVR, ports(2))
    for n in range(30):
        live.feed(n / 10, 0, report(STATES[0]))
    assert live.silent() == [1]
    assert (picture(live)[0, 1] == UNKNOWN).all()
    live.tick(60)
    assert live.silent() == [0, 1]
    assert figures(live)["trouble"][0]["what"] == "silent for 57.1 s"


def test_the_loss_is_that_of_the_cells_that_are_watched() -> None:
    target = np.zeros((3, 3, 4), np.float32)
    target[:] = RNG.random((3, 3, 4))
    live = array(AVR, [Tap("a", (0, 0)), Tap("b", (2, 1))], (3, 3))
    live.feed(0.0, 0, report(STATES[0]))
    assert live.loss(target) is None
    live.feed(0.0, 1, report(STATES[1]))
    rgba = live.rgba()
    expected = np.mean([(rgba[0, 0] - target[0, 0]) ** 2, (rgba[1, 2] - target[1, 2]) ** 2], dtype=np.float64)
    assert live.loss(target) == pytest.approx(expected, rel=1e-6)
    for port in range(9):
        live = live if port else array(AVR, ports(9), (3, 3))
        live.feed(0.0, port, report(STATES[port]))
    assert live.loss(target) == pytest.approx(metrics.pattern_loss(live.rgba(), target))


@pytest.mark.parametrize(
    ("taps", "grid", "told"),
    [
        ([Tap("a", (2, 0))], (2, 2), "no tile at 2,0"), ([Tap("a", (1, 1)), Tap("b", (1, 1))], (2, 2), "where a is already"),
        (ports(5), (2, 2), "5 ports"), (ports(1), (7, 5), "not whole tiles"),
    ],
)  # fmt: skip
def test_places_that_can_not_be_are_refused(taps: list[Tap], grid: tuple[int, int], told: str) -> None:
    board = MATRIX if "whole" in told else AVR
    with pytest.raises(NcaHwError, match=told):
        place(taps, board, grid)


def test_ports_without_a_place_take_those_that_are_free() -> None:
    found = place([Tap("a"), Tap("b", (0, 0)), Tap("c")], AVR, (2, 2))
    assert found.tiles == (1, 0, 2)
    assert (place(ports(3), AVR, None).columns, place([Tap("a", (2, 4))], AVR, None).rows) == (3, 5)


def test_genomes_of_few_channels_can_be_watched() -> None:
    narrow = replace(
        HEART, w2=HEART.w2[:, :4].copy(), b2=HEART.b2[:4].copy(), m2=HEART.m2[:4].copy(), seed=HEART.seed[:4].copy(),
        w1=HEART.w1[:12].copy(),
    )  # fmt: skip
    live = array(AVR, ports(1), genome=narrow)
    live.feed(0.0, 0, frames.self_test(b"x", narrow.cell_hash, 4) + frames.frame(frames.REPORT_STATE, STATES[0, :4]))
    assert live.states[0].tolist() == STATES[0, :4].tolist() and live.other_genomes() == []
