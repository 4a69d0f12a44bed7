"""`nca-hw check`: figures against data sheets, emulated chips and arithmetic by hand; verdicts, exit codes, the table and the document."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nca_hw.check.budget import interval, link_frames, update_us
from nca_hw.check.checks import examine, image, picture, service, tiles
from nca_hw.check.finding import Finding
from nca_hw.check.supply import amperes, supply
from nca_hw.core.genome import load
from nca_hw.emulate.emulators import emulated
from nca_hw.firmware.build import build
from nca_hw.firmware.families import FAMILIES
from nca_hw.formats.boards import Board, bundled_boards, load_board
from nca_hw.formats.chips import CHIPS

NCA_HW = str(Path(sys.executable).with_name("nca-hw"))
BOARDS = Path(__file__).parents[2] / "boards"
LIZARD = load()


def checked(*words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([NCA_HW, "check", *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr and done.returncode == code, done.stdout + done.stderr
    return done


def of(findings: list[Finding], check: str) -> Finding:
    return next(finding for finding in findings if finding.check == check)


def changed(board: str, **parts: Any) -> Board:
    given = load_board(board)
    return given.model_copy(update={
        name: value if not isinstance(value, dict) else getattr(given, name).model_copy(update=value) for name, value in parts.items()
    })  # fmt: skip


@pytest.mark.parametrize(
    ("board", "baud"),
    [("rp2040", 12e6 / (16 * (6 + 33 / 64))), ("stm32g031", 16e6 / 139), ("ch32v003", 24e6 / 208), ("atmega328p", 16e6 / (8 * 17))],
)
def test_the_speed_of_the_service_port_is_that_of_the_divider_that_data_sheets_give(board: str, baud: float) -> None:
    found = service(load_board(board))
    assert found.figures["baud"] == pytest.approx(baud)
    assert found.verdict == "ok"


@pytest.mark.parametrize(("board", "register"), [("rp2040", None), ("stm32g031", 0x4000440C), ("ch32v003", 0x40013808)])
def test_the_divider_is_the_one_that_the_firmware_sets(board: str, register: int | None) -> None:
    made = build(LIZARD, load_board(board))
    chip = emulated(made)
    symbols = {symbol.name: symbol.address for symbol in made.image.symbols}
    chip.reset()
    chip.run_to_call(symbols["nca_kernel_wake"] if "nca_kernel_wake" in symbols else symbols["nca_cell_wake"])
    set_to: dict[int, int] = chip._registers  # type: ignore[attr-defined]
    if register is None:
        divisor = 0x40034024 in set_to and set_to[0x40034024] + set_to[0x40034028] / 64
        baud = 12e6 / (16 * divisor)
    else:
        baud = made.board.chip.clock_hz / set_to[register]
    assert FAMILIES[made.board.family].baud(made.board.chip.clock_hz) == pytest.approx(baud)


@pytest.mark.parametrize(
    ("clock_hz", "error", "verdict"), [(16_000_000, 0.0212, "ok"), (16_200_000, 0.0340, "warning"), (8_000_000, -0.489, "fails")]
)
def test_the_service_port_may_be_as_far_off_as_a_receiver_bears(
    monkeypatch: pytest.MonkeyPatch, clock_hz: int, error: float, verdict: str
) -> None:
    """UBRR is the firmware's, for 16 MHz, where the data sheet's table 20-6 has 2.1%."""
    board = load_board("atmega328p")
    monkeypatch.setitem(CHIPS, "atmega", replace(CHIPS["atmega"], clock_hz=clock_hz))
    found = service(board)
    assert found.figures["error"] == pytest.approx(error, abs=1e-3)
    assert found.verdict == verdict


@pytest.mark.parametrize("words", [("--grid", "0x0"), ("--grid", "1000000x1000000"), ("--supply", "nan"), ("--supply", "inf")])
def test_what_is_no_array_or_no_supply_is_refused(words: tuple[str, str]) -> None:
    checked(*words, code=2)


def test_full_white_is_forty_milliamperes_an_led_and_the_cap_a_quarter() -> None:
    board = changed("rp2040", power={"led_quiescent_ma": 1.0, "led_colour_ma": 13.0, "chip_computing_ma": 0.0})
    assert amperes(board, 1600, 256)[0] == pytest.approx(64.0)
    assert amperes(board, 1600, 64)[0] == pytest.approx(1600 * (1 + 39 * (255 * 255 * 64 >> 16) / 255) / 1000)
    matrix = load_board("rp2040-matrix")
    assert amperes(matrix, 25, matrix.led.brightness)[1] == pytest.approx(0.003)  # one chip


@pytest.mark.parametrize(("ampere", "verdict"), [(None, "ok"), (15.0, "fails"), (22.0, "warning"), (30.0, "warning"), (70.0, "ok")])
def test_the_supply_must_bear_the_cap_and_should_bear_full_white(ampere: float | None, verdict: str) -> None:
    found = supply(load_board("rp2040"), 1600, ampere)
    assert found.verdict == verdict, found.told
    assert found.figures["at_cap_amperes"] == pytest.approx(20.63, abs=0.01)


def test_frames_of_an_interval_are_those_of_the_protocol() -> None:
    assert link_frames(load_board("rp2040")) == 3 + 1 + 3 + 1
    assert link_frames(load_board("rp2040-matrix")) == 24  # docs/firmware.md: 48 a second at 0.5 s


def test_a_lizards_update_takes_what_verify_measured() -> None:
    assert update_us(LIZARD, load_board("rp2040"), has_kernel=True) == pytest.approx(2993, abs=1)


@pytest.mark.slow
def test_all_shipped_boards_can_work() -> None:
    for name in bundled_boards():
        if name != "native":
            findings = examine(LIZARD, load_board(name), (40, 40))
            assert {finding.verdict for finding in findings} <= {"ok", "not checked"}, findings


def test_the_image_is_the_one_that_build_makes() -> None:
    board = load_board("rp2040")
    made, (fit, kernel), _ = build(LIZARD, board), *image(LIZARD, board)
    assert fit.figures["rom_bytes"] == len(made.image.binary) and fit.figures["stack_bytes"] == made.stack
    assert made.kernel is not None and kernel.figures["kernel"] == made.kernel.name


def test_what_can_not_work_fails_by_name() -> None:
    matrix = load_board("rp2040-matrix")
    assert tiles(matrix, (42, 40)).verdict == "fails" and "40x40" in tiles(matrix, (42, 40)).cure
    assert tiles(matrix, (45, 40)).figures["chips"] == 72
    (fit,), _ = image(LIZARD, changed("rp2040", budget={"rom": 9000}))
    assert fit.verdict == "fails" and "over the budget" in fit.told
    busy = interval(LIZARD, changed("rp2040", interval_us=30_000), has_kernel=True)
    assert busy.verdict == "fails" and "interval_us" in busy.cure
    assert picture(LIZARD, (20, 20)).verdict == "warning"


def test_a_genome_that_no_kernel_computes_is_a_warning() -> None:
    turned = replace(LIZARD, turn=30)
    findings = examine(turned, load_board("rp2040"), (40, 40))
    assert of(findings, "kernel").verdict == "warning"
    assert of(findings, "interval").figures["updates_share"] == pytest.approx(0.18, abs=0.01)  # six times 3 ms of 100


def test_the_document_holds_every_check_and_the_exit_code_says_whether_one_fails() -> None:
    done = checked("--board", "stm32g031", "--grid", "16x16", "--json")
    told = json.loads(done.stdout)
    assert told["schema"] == "nca-hw/check/1" and told["ok"] and told["grid"] == "16x16"
    names = [one["check"] for one in told["checks"]]
    assert names == ["pins", "tiles", "picture", "image", "kernel", "interval", "service port", "power"]
    done = checked("--board", "stm32g031", "--supply", "1", code=1)
    assert "lower [led] brightness" in " ".join(done.stdout.split())
    failed = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith("fails")]
    assert failed == [["fails", "power"]] and "stm32g031: limits fail: power" in done.stderr


def test_a_pin_used_twice_is_a_board_file_that_is_refused(tmp_path: Path) -> None:
    text = (BOARDS / "rp2040.toml").read_text().replace('pin = "GP22"', 'pin = "GP19"')
    board = tmp_path / "twice.toml"
    board.write_text(text)
    done = checked("--board", board, code=2)
    assert "GP19 is led.pin already" in done.stderr


def test_an_image_that_does_not_fit_says_how_narrow_a_cell_would(tmp_path: Path) -> None:
    genome = tmp_path / "wide.genome"
    rng = np.random.default_rng(1)
    replace(
        LIZARD, w1=np.tile(LIZARD.w1, 2)[:, :200].copy(), b1=np.tile(LIZARD.b1, 2)[:200].copy(),
        w2=rng.integers(-9, 9, (200, 16)).astype(np.int8),
    ).save(genome)  # fmt: skip
    done = checked(genome, "--board", "rp2040", code=1)
    assert "--hidden" in done.stdout and "over the budget" in done.stdout.replace("\n", " ")


@pytest.mark.parametrize(
    ("change", "grid", "verdict", "told"),
    [
        ({}, "2x1", "ok", "2 boards for 2 chips, 1 seen by their self-test"), ({}, "2x2", "warning", "2 boards for 4 chips"),
        ({"status": "failed", "reason": "gone", "error": "it vanished"}, "2x1", "fails", "not flashed: 2"),
        ({"genome_hash": "2" * 64}, "2x1", "fails", "another genome: 2"), ({"board": "rp2040"}, "2x1", "fails", "other boards"),
        ({"image_sha256": "3" * 64}, "2x1", "warning", "2 different images"), ({"genome_hash": None}, "2x1", "ok", "2 boards"),
    ],
)  # fmt: skip
def test_an_array_holds_one_genome_on_as_many_boards_as_there_are_chips(
    tmp_path: Path, change: dict[str, Any], grid: str, verdict: str, told: str
) -> None:
    path = tmp_path / "array.json"
    board = {
        "place": "/dev/ttyUSB0", "serial": None, "board": "atmega328p", "status": "flashed", "reason": None, "error": None, "note": None,
        "image_sha256": "0" * 64, "genome_hash": LIZARD.cell_hash, "time": "2026-01-31T12:00:00+00:00", "attempts": 1,
    }  # fmt: skip
    boards = [{**board, "number": 1, "verified": "self-test"}, {**board, "number": 2, "verified": "no", **change}]
    path.write_text(json.dumps({"schema": "nca-hw/array/1", "boards": boards}))
    done = checked("--board", "atmega328p", "--grid", grid, "--array", path, "--json", code=int(verdict == "fails"))
    found = next(one for one in json.loads(done.stdout)["checks"] if one["check"] == "array")
    assert (found["verdict"], told in found["told"]) == (verdict, True)
