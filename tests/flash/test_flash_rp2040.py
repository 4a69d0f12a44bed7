"""An RP2040 by its boot volume: what it was given is read by an independent reader and started on the emulated chip."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from stand_ins import Rp2040Volumes, Run, bound_by_permissions, built, document, self_test, terminal, wait_until

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.flash import one
from nca_hw.flash import rp2040 as boot_rom
from nca_hw.flash.failure import FlashFailure
from nca_hw.flash.payload import payload
from nca_hw.flash.target import Means, targets


def test_the_volume_gets_the_image_and_the_board_tells_that_it_runs_it(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    with terminal() as (board, port):
        volumes.plug_in("RPI-RP2", service=board)
        told = document(run("flash", rp2040, "--volumes", volumes.folder, "--service-port", port, "--json"))
    assert told["verified"] == "self-test" and told["image"]["board"] == "rp2040"
    image = (rp2040 / "nca-hw.bin").read_bytes()
    assert volumes.flashed["RPI-RP2"][: len(image)] == image and len(volumes.flashed["RPI-RP2"]) < len(image) + 256
    assert self_test(volumes.flashed["RPI-RP2"]) == frames.self_test(image, load("lizard").cell_hash, 16)


def test_without_a_service_port_it_is_never_told_to_be_verified(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    volumes.plug_in("RPI-RP2")
    done = run("flash", rp2040, "--volumes", volumes.folder)
    assert "not verified" in done.stdout and "--service-port" in done.stderr and "RPI-RP2" in volumes.flashed


def test_a_board_that_tells_another_genome_or_nothing_has_failed(run: Run, rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    other = built(tmp_path / "heart", "rp2040", "heart")
    with terminal() as (board, port):
        volumes.plug_in("RPI-RP2", service=board, runs_instead=(other / "nca-hw.bin").read_bytes())
        done = run("flash", rp2040, "--volumes", volumes.folder, "--service-port", port, "--retries", 0, code=4)
        assert "another genome" in done.stderr and "CRC" in done.stderr
        volumes.plug_in("RPI-RP2")
        done = run("flash", rp2040, "--volumes", volumes.folder, "--service-port", port, "--retries", 0, code=4)
        assert "no self-test came" in done.stderr


def test_platformio_uploads_by_it(rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(rp2040, folder)
    volume = volumes.plug_in("RPI-RP2")
    words = [sys.executable, "-m", "platformio", "run", "-t", "upload", "--upload-port", str(volume)]
    surroundings = {**os.environ, "PLATFORMIO_CORE_DIR": str(tmp_path / "core"), "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no", "CI": "true"}
    done = subprocess.run(words, cwd=folder, env=surroundings, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    image = (rp2040 / "nca-hw.bin").read_bytes()
    assert volumes.flashed["RPI-RP2"][: len(image)] == image and "not verified" in done.stdout


def test_a_genome_is_built_first(run: Run, volumes: Rp2040Volumes) -> None:
    volumes.plug_in("RPI-RP2")
    told = document(run("flash", "heart", "--board", "rp2040", "--volumes", volumes.folder, "--json"))
    assert told["image"]["genome_hash"] == load("heart").cell_hash
    assert (
        self_test(volumes.flashed["RPI-RP2"]).hex() == self_test_of("heart", volumes.flashed["RPI-RP2"][: told["image"]["rom_bytes"]]).hex()
    )


def self_test_of(genome: str, image: bytes) -> bytes:
    return frames.self_test(image, load(genome).cell_hash, load(genome).channels)


def test_a_dry_run_touches_nothing(run: Run, rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    volumes.plug_in("RPI-RP2")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for words in ([], ["--all"]):
        assert "copy" in run("flash", rp2040, "--volumes", volumes.folder, "--dry-run", *words).stdout
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before and not volumes.flashed


def test_no_board_and_several_boards_are_told_with_the_cure(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    assert "BOOTSEL" in run("flash", rp2040, "--volumes", volumes.folder, code=4).stderr
    for name in ("one", "two"):
        volumes.plug_in(name)
    done = run("flash", rp2040, "--volumes", volumes.folder, code=4)
    assert "2 boards" in done.stderr and "one" in done.stderr and "two" in done.stderr and "--all" in done.stderr
    run("flash", rp2040, "--port", volumes.folder / "two")
    assert set(volumes.flashed) == {"two"}


def test_images_for_other_boards_and_of_two_builds_are_refused(run: Run, rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    volumes.plug_in("RPI-RP2")
    assert "for rp2040" in run("flash", rp2040, "--board", "atmega328p", "--volumes", volumes.folder, code=2).stderr
    lone = tmp_path / "image.bin"
    shutil.copy(rp2040 / "nca-hw.bin", lone)
    assert "RP2040" in run("flash", lone, "--board", "atmega328p", code=2).stderr
    assert "size.json" in run("flash", lone, "--volumes", volumes.folder, code=2).stderr
    run("flash", lone, "--board", "rp2040", "--volumes", volumes.folder)
    assert volumes.writes == {"RPI-RP2": 1}
    mixed = tmp_path / "mixed"
    shutil.copytree(rp2040, mixed)
    (mixed / "nca-hw.bin").write_bytes((mixed / "nca-hw.bin").read_bytes()[:-1])
    assert "not of one build" in run("flash", mixed, "--volumes", volumes.folder, code=2).stderr
    sizes = json.loads((mixed / "size.json").read_text())
    (mixed / "size.json").write_text(json.dumps({name: value for name, value in sizes.items() if name != "family"}))
    assert "Build it again" in run("flash", mixed, "--volumes", volumes.folder, code=2).stderr
    assert "nothing to flash" in run("flash", "--board", "native", code=2).stderr


WRONG = [
    ("genome_hash", "zz", "genome_hash is 'zz'"), ("genome_hash", "A" * 64, "genome_hash is"),
    ("channels", -3, "channels is '-3', not 1 to 16"), ("channels", 17, "channels is"), ("channels", True, "channels is"),
    ("board", "", "board is"), ("number_at", -1, "number_at is"),
    ("code_bytes", "all", "code_bytes is"), ("family", None, "family is"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_sizes_that_can_not_be_are_refused_before_a_board_is_written(
    run: Run, rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path, name: str, value: object, told: str
) -> None:
    volumes.plug_in("RPI-RP2")
    build = tmp_path / "build"
    shutil.copytree(rp2040, build)
    sizes = json.loads((build / "size.json").read_text())
    (build / "size.json").write_text(json.dumps({**sizes, name: value}))
    said = run("flash", build, "--all", "--volumes", volumes.folder, code=2).stderr
    assert f"{build / 'size.json'}: {told}" in said and "Build it again" in said
    assert not volumes.writes and not (tmp_path / "array.json").exists()


@pytest.mark.parametrize(("text", "told"), [("[" * 100_000, "is not JSON"), ("[]", "no JSON object"), ("{}", "has no entry 'board'")])
def test_a_file_of_sizes_that_is_none_is_refused(run: Run, rp2040: Path, tmp_path: Path, text: str, told: str) -> None:
    shutil.copytree(rp2040, tmp_path / "build")
    (tmp_path / "build" / "size.json").write_text(text)
    assert told in run("flash", "build", code=2).stderr


def test_a_volume_of_another_chip_is_left_alone(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    volume = volumes.plug_in("RP2350", board_id="RP2350")
    assert "RP2350" in run("flash", rp2040, "--volumes", volumes.folder, code=4).stderr
    assert [path.name for path in volume.iterdir()] == ["INFO_UF2.TXT"]


def test_a_read_only_volume_is_told(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    volumes.plug_in("RPI-RP2", read_only=True)
    done = run("flash", rp2040, "--volumes", volumes.folder, code=4, without=bound_by_permissions())
    assert "can't be written" in done.stderr and "read-only" in done.stderr


def test_a_board_that_is_pulled_out_while_it_is_written_is_told(rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path) -> None:
    volumes.plug_in("RPI-RP2", gone_after=8192)
    image = payload(str(rp2040), None)
    means = Means(volumes=volumes.folder)
    (target,) = targets("rp2040", means)
    with pytest.raises(FlashFailure, match=r"went away after [0-9,]+ of 19,456 bytes") as told:
        slow(lambda: one.flash(target, image, tmp_path, means))
    assert told.value.reason == "gone" and "RPI-RP2" not in volumes.flashed


def slow(call: Callable[[], object]) -> None:
    """A disk that takes its time: pieces come one by one, as they do over USB."""
    push = boot_rom._push

    def later(handle: int, *, last: bool) -> None:
        push(handle, last=last)
        threading.Event().wait(0.1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boot_rom, "_push", later)
        call()


def test_a_boot_loader_that_does_not_restart_is_told(
    rp2040: Path, volumes: Rp2040Volumes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot_rom, "VANISHES_S", 0.3)
    volumes.plug_in("RPI-RP2", stays=True)
    means = Means(volumes=volumes.folder)
    (target,) = targets("rp2040", means)
    with pytest.raises(FlashFailure, match="did not restart") as told:
        one.flash(target, payload(str(rp2040), None), tmp_path, means, retries=0)
    assert told.value.reason == "no-answer"


def test_a_running_board_is_touched_with_1200_baud(run: Run, rp2040: Path, volumes: Rp2040Volumes) -> None:
    with terminal() as (board, port):

        def firmware_with_usb() -> None:
            wait_until(lambda: termios.tcgetattr(board)[4] == termios.B1200, 20)
            volumes.plug_in("RPI-RP2")

        thread = threading.Thread(target=firmware_with_usb)
        thread.start()
        run("flash", rp2040, "--port", port, "--volumes", volumes.folder)
        thread.join()
    assert (
        hashlib.sha256(volumes.flashed["RPI-RP2"][: (rp2040 / "nca-hw.bin").stat().st_size]).hexdigest()
        == payload(str(rp2040), None).sha256
    )
