"""Arduino boards: the real avrdude talks to real boot loaders, which run on libsimavr, write its flash and start the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import OLD_NANO, Arduino, Run, built, document

Boards = Callable[..., Arduino]


def test_avrdude_writes_the_image_and_the_board_tells_that_it_runs_it(run: Run, atmega: Path, arduino: Boards) -> None:
    told = document(run("flash", atmega, "--port", arduino("nano").port, "--json"))
    assert told["verified"] == "self-test" and told["attempts"] == 1


@pytest.mark.slow
def test_the_boot_loader_of_older_nanos_will_do(run: Run, atmega: Path, arduino: Boards) -> None:
    board = arduino("nano", loader=OLD_NANO)
    assert document(run("flash", atmega, "--port", board.port, "--baud", 57600, "--json"))["verified"] == "self-test"


def test_a_chip_of_another_kind_is_told_by_its_signature(run: Run, atmega: Path, arduino: Boards, optiboot_168: Path) -> None:
    done = run("flash", atmega, "--port", arduino("nano", loader=optiboot_168, mcu="atmega168").port, code=4)
    assert "1E 95 0F" in done.stderr and "0x1e9406" in done.stderr


def test_flash_that_does_not_keep_a_byte_is_told_with_its_address(run: Run, atmega: Path, arduino: Boards) -> None:
    done = run("flash", atmega, "--port", arduino("nano", "stuck=512:85").port, "--retries", 0, code=4)
    assert "0x55" in done.stderr and "0x0200" in done.stderr


def test_a_board_that_is_pulled_out_while_it_is_written_is_told(run: Run, atmega: Path, arduino: Boards) -> None:
    board = arduino("nano", "gone=4000")
    assert "went away" in run("flash", atmega, "--port", board.port, code=4).stderr
    assert not board.is_there


def test_an_image_that_runs_already_is_not_written_again(run: Run, atmega: Path, arduino: Boards, tmp_path: Path) -> None:
    board = arduino("nano", f"start={atmega / 'nca-hw.bin'}")
    (entry,) = document(run("flash", atmega, "--all", "--port", board.port, "--json"))["boards"]
    assert (entry["status"], entry["verified"], entry["attempts"]) == ("skipped", "self-test", 0)
    heart = built(tmp_path / "heart", "atmega328p", "heart")
    (entry,) = document(run("flash", heart, "--all", "--port", board.port, "--json"))["boards"]
    assert (entry["number"], entry["status"], entry["verified"], entry["attempts"]) == (1, "flashed", "self-test", 1)


@pytest.mark.slow
def test_a_board_that_answers_only_the_second_time_is_tried_again(run: Run, atmega: Path, arduino: Boards) -> None:
    told = document(run("flash", atmega, "--baud", 115200, "--port", arduino("deaf", "mute=1").port, "--json"))
    assert (told["verified"], told["attempts"]) == ("self-test", 2)


def test_a_missing_program_and_a_missing_port_are_told(run: Run, atmega: Path, tmp_path: Path) -> None:
    assert "apt-get install avrdude" in run("flash", atmega, "--port", tmp_path / "nano", code=3, PATH="").stderr
    assert "apt-get install avrdude" in run("flash", atmega, "--all", "--port", tmp_path / "nano", code=3, PATH="").stderr
    assert "nano: is not there" in run("flash", atmega, "--port", tmp_path / "nano", code=4).stderr
    (entry,) = document(run("flash", atmega, "--all", "--port", tmp_path / "nano", "--json", code=5))["boards"]
    assert entry["reason"] == "port" and "is not there" in entry["error"]


@pytest.mark.parametrize("words", [["--programmer", "usbasp"], ["--programmer", "stk500v1", "--port", "/dev/ttyUSB7"]])
def test_an_isp_programmer_is_avrdudes(run: Run, atmega: Path, words: list[str]) -> None:
    steps = document(run("flash", atmega, "--dry-run", "--json", *words))["steps"]
    ((command, verified),) = steps.values()
    assert f"avrdude -c {words[1]}" in command and "-D" not in command.split() and "not verify" in verified
    assert ("-P /dev/ttyUSB7" in command) == ("--port" in words)
    assert "ATmega328P alone" in run("flash", "--board", "rp2040", "--dry-run", *words, code=2).stderr
