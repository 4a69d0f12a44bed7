"""Arrays of boards: sixty-four at once of which five fail in different ways, one after the other, interrupted and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_ins import Arduino, Rp2040Volumes, Run, bound_by_permissions, built, document, self_test, terminal, wait_until

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.errors import ToolMissing
from nca_hw.flash import one
from nca_hw.flash.target import Target
from nca_hw.formats.array_file import load_array

Boards = Callable[..., Arduino]
Start = Callable[..., subprocess.Popen[str]]
PICOS, READ_ONLY = 58, "pico-17"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Starts `nca-hw`, and leaves none behind."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: object, stderr: int = subprocess.STDOUT) -> subprocess.Popen[str]:
        line = [str(Path(sys.executable).parent / "nca-hw"), *map(str, words)]
        processes.append(subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=stderr, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def entries(folder: Path) -> dict[int, Any]:
    return {entry.number: entry for entry in load_array(folder / "array.json").boards}


@pytest.mark.slow
def test_sixty_four_boards_of_which_five_fail(
    run: Run, rp2040: Path, atmega: Path, volumes: Rp2040Volumes, arduino: Boards, optiboot_168: Path, tmp_path: Path
) -> None:
    for n in range(PICOS):
        volumes.plug_in(f"pico-{n}", read_only=f"pico-{n}" == READ_ONLY)
    nanos = [
        arduino("good"), arduino("runs", f"start={atmega / 'nca-hw.bin'}"), arduino("gone", "gone=4000"), arduino("stuck", "stuck=512:85"),
        arduino("wrong", loader=optiboot_168, mcu="atmega168"), arduino("mute", "mute=1000"),
    ]  # fmt: skip
    ports = [word for board in nanos for word in ("--port", board.port)]
    words = [
        "flash",
        rp2040,
        atmega,
        "--all",
        "--volumes",
        volumes.folder,
        *ports,
        "--retries",
        "0",
        "--baud",
        "115200",
        "--count",
        "64",
        "--jobs",
        "12",
    ]

    done = run(*words, "--json", code=5, without=bound_by_permissions() or ("env",))
    told = {entry["place"]: entry for entry in document(done)["boards"]}
    failed = {Path(place).name: entry["reason"] for place, entry in told.items() if entry["status"] == "failed"}
    assert failed == {READ_ONLY: "read-only", "gone": "gone", "stuck": "mismatch", "wrong": "wrong-chip", "mute": "no-answer"}
    assert all(entry["error"] for entry in told.values() if entry["status"] == "failed")
    assert len(told) == len({entry["number"] for entry in told.values()}) == 64
    assert {Path(p).name: e["verified"] for p, e in told.items() if e["verified"] != "no"} == {"good": "self-test", "runs": "self-test"}
    assert told[nanos[1].port]["status"] == "skipped"
    assert len(volumes.flashed) == PICOS - 1 and set(volumes.writes.values()) == {1}
    image = (rp2040 / "nca-hw.bin").read_bytes()
    (held,) = set(volumes.flashed.values())
    assert self_test(held) == frames.self_test(image, load("lizard").cell_hash, 16)
    first = entries(tmp_path)
    assert {e.number: e.status for e in first.values()} == {e["number"]: e["status"] for e in told.values()}

    volumes.plug_in(READ_ONLY)
    for board in nanos[2:]:
        board.unplug()
        arduino(Path(board.port).name)
    told = {entry["place"]: entry for entry in document(run(*words, "--json"))["boards"]}
    assert {Path(place).name for place, entry in told.items() if entry["now"] == "flashed"} == set(failed)
    assert {Path(place).name for place, entry in told.items() if entry["now"] == "kept"} == {"good", "runs"}
    second = entries(tmp_path)
    assert len(second) == 64 and all(entry.done for entry in second.values())
    assert {n for n in first if first[n] != second[n]} == {entry.number for entry in first.values() if not entry.done}
    assert volumes.writes == dict.fromkeys(volumes.writes, 1) and len(volumes.writes) == PICOS


def test_boards_are_plugged_in_one_after_the_other(rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path, started: Start) -> None:
    process = started("flash", rp2040, "--all", "--watch", "--count", "3", "--volumes", volumes.folder, "--retries", "0")
    volumes.plug_in("RPI-RP2", board_id="RP2350")  # always at the same place
    wait_until(lambda: recorded(tmp_path) == ["failed"], 30)
    volumes.unplug("RPI-RP2")
    time.sleep(1)  # a hand is slower
    for n in range(1, 4):
        volumes.plug_in("RPI-RP2")
        wait_until(lambda n=n: recorded(tmp_path) == ["flashed"] * n, 30)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert volumes.writes == {"RPI-RP2": 3} and sorted(entries(tmp_path)) == [1, 2, 3]


@pytest.mark.slow
def test_a_board_that_is_still_plugged_in_is_no_new_one_and_the_next_at_its_port_is(
    atmega: Path, arduino: Boards, run: Run, tmp_path: Path, started: Start
) -> None:
    first = arduino("nano", f"start={atmega / 'nca-hw.bin'}")
    run("flash", atmega, "--all", "--port", first.port)
    process = started("flash", atmega, "--all", "--watch", "--count", "2", "--port", first.port)
    assert process.stdout is not None
    assert [process.stdout.readline().split()[0] for _ in range(2)] == ["Plug", "1"]
    first.unplug()
    Path(first.port).unlink()
    time.sleep(1)
    arduino("nano")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert {n: entry.status for n, entry in entries(tmp_path).items()} == {1: "skipped", 2: "flashed"}


def test_ctrl_c_keeps_what_was_done_and_the_next_run_goes_on(
    rp2040: Path, volumes: Rp2040Volumes, run: Run, tmp_path: Path, started: Start
) -> None:
    volumes.plug_in("first")
    process = started("flash", rp2040, "--all", "--watch", "--volumes", volumes.folder)
    wait_until(lambda: recorded(tmp_path) == ["flashed"], 30)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130 and "goes on" in output
    volumes.plug_in("second")
    run("flash", rp2040, "--all", "--volumes", volumes.folder)
    assert [(entry.number, Path(entry.place).name) for entry in entries(tmp_path).values()] == [(1, "first"), (2, "second")]


def test_boards_are_recorded_although_nobody_can_be_told(rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    for n in range(8):
        volumes.plug_in(f"pico-{n}")
    program = Path(sys.executable).parent / "nca-hw"
    line = [str(program), "flash", str(rp2040), "--all", "--volumes", str(volumes.folder)]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.close()  # as behind `| true`
    assert process.wait(60) == 1
    assert recorded(tmp_path) == ["flashed"] * 8 and len(volumes.flashed) == 8


def test_a_board_whose_program_goes_missing_ends_the_run_and_the_others_are_recorded(
    rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    for name in "abcdefgh":
        volumes.plug_in(name)
    write, all_begin = one.flash, threading.Barrier(8, timeout=30)

    def flash(target: Target, *words: Any) -> one.Done:
        all_begin.wait()  # else one that is not begun when the first fails is not begun at all, and rightly
        if Path(target.place).name in "ace":
            raise ToolMissing(f"no program for {Path(target.place).name}", cure="Install it.")
        return write(target, *words)

    monkeypatch.setattr(one, "flash", flash)
    assert "no program for" in run("flash", rp2040, "--all", "--volumes", volumes.folder, code=3).stderr
    assert sorted(Path(entry.place).name for entry in entries(tmp_path).values()) == ["b", "d", "f", "g", "h"] == sorted(volumes.flashed)


def test_ctrl_c_is_how_watching_without_a_count_ends_and_its_document_is_printed(
    rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path, started: Start
) -> None:
    volumes.plug_in("first")
    process = started("flash", rp2040, "--all", "--watch", "--json", "--volumes", volumes.folder, stderr=subprocess.PIPE)
    wait_until(lambda: recorded(tmp_path) == ["flashed"], 30)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    (board,) = json.loads(output)["boards"]
    assert (Path(board["place"]).name, board["now"]) == ("first", "flashed")


def test_ctrl_c_lets_a_board_be_finished(atmega: Path, arduino: Boards, tmp_path: Path, started: Start) -> None:
    board = arduino("nano")
    process = started("flash", atmega, "--all", "--force", "--port", board.port)
    wait_until(lambda: avrdude_runs(board.port), 30)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130, output
    (entry,) = entries(tmp_path).values()
    assert (entry.status, entry.verified) == ("flashed", "self-test")


def test_another_image_is_written_under_the_same_number_and_a_count_that_is_wrong_stops_all(
    rp2040: Path, volumes: Rp2040Volumes, run: Run, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        volumes.plug_in(name)
    done = run("flash", rp2040, "--all", "--volumes", volumes.folder, "--count", "4", code=4)
    assert "3 boards are connected" in done.stderr and "--count says 4" in done.stderr and not volumes.flashed
    run("flash", rp2040, "--all", "--volumes", volumes.folder, "--count", "3")
    volumes.plug_in("b")
    heart = built(tmp_path / "heart", "rp2040", "heart")
    run("flash", heart, "--all", "--volumes", volumes.folder)
    hashes = [entry.genome_hash for entry in entries(tmp_path).values()]
    assert hashes == [load(name).cell_hash for name in ("lizard", "heart", "lizard")]


def test_a_board_that_failed_and_is_away_is_not_forgotten(rp2040: Path, volumes: Rp2040Volumes, run: Run, tmp_path: Path) -> None:
    volumes.plug_in("bad", board_id="RP2350")
    run("flash", rp2040, "--all", "--volumes", volumes.folder, code=5)
    (volumes.folder / "bad").rename(tmp_path / "away")
    volumes.plug_in("good")
    done = run("flash", rp2040, "--all", "--volumes", volumes.folder, code=5)
    assert "1 of 2 boards failed: 1" in done.stderr


def test_boards_that_are_watched_are_heard_one_after_the_other(rp2040: Path, volumes: Rp2040Volumes, run: Run, tmp_path: Path) -> None:
    with terminal() as (board, port):
        for name in ("a", "b"):
            volumes.plug_in(name, service=board)
        told = run("flash", rp2040, "--all", "--volumes", volumes.folder, "--service-port", port, code=2).stderr
        assert "hears one" in told and not volumes.flashed
        run("flash", rp2040, "--all", "--volumes", volumes.folder, "--service-port", port, "--watch", "--count", "2")
    assert [entry.verified for entry in entries(tmp_path).values()] == ["self-test", "self-test"]


def test_a_file_that_can_not_be_written_stops_all_before_a_board_is(rp2040: Path, volumes: Rp2040Volumes, run: Run, tmp_path: Path) -> None:
    volumes.plug_in("a")
    told = run("flash", rp2040, "--all", "--volumes", volumes.folder, "--array", tmp_path / "nowhere" / "array.json", code=2).stderr
    assert "can't be written" in told and not volumes.flashed
    (tmp_path / "array.json").write_text('{"schema": "nca-hw/array/1", "boards": [{"number": 0}]}')
    told = run("flash", rp2040, "--all", "--volumes", volumes.folder, code=2).stderr
    assert "boards[0].number" in told and not volumes.flashed


def test_ctrl_c_ends_the_writing_of_a_single_board(atmega: Path, arduino: Boards, tmp_path: Path, started: Start) -> None:
    board = arduino("nano")
    process = started("flash", atmega, "--port", board.port)
    wait_until(lambda: avrdude_runs(board.port), 30)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130 and not avrdude_runs(board.port)


def test_options_of_arrays_are_for_arrays(run: Run, rp2040: Path) -> None:
    assert "only with --all" in run("flash", rp2040, "--watch", code=2).stderr
    assert "same family" in run("flash", rp2040, rp2040, "--all", code=2).stderr
    assert "one board" in run("flash", rp2040, rp2040, code=2).stderr


def recorded(folder: Path) -> list[str]:
    try:
        return [board["status"] for board in json.loads((folder / "array.json").read_text())["boards"]]
    except FileNotFoundError:
        return []


def avrdude_runs(port: str) -> bool:
    """Whether a program has the port open that is avrdude."""
    terminal = os.path.realpath(port)
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "comm").read_text().strip() == "avrdude":
                return any(os.path.realpath(handle) == terminal for handle in (process / "fd").iterdir())
        except OSError:
            continue
    return False
