"""`nca-hw spread`, and `build --spread`: to a real serial line with an emulated chip at its other end, and to the model."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import threading
import time
import tty
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from nca_hw.cli.app import cli
from nca_hw.core import slot
from nca_hw.core.genome import Genome, load
from nca_hw.emulate import simavr
from nca_hw.emulate.spread import SpreadWall
from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.firmware.build import build
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import load_board
from nca_hw.sim.scenario import Scenario

KEY = "000102030405060708090a0b0c0d0e0f"


def narrow(genome: Genome) -> Genome:
    """Eight hidden units: 8 pages instead of 58."""
    return replace(genome, w1=np.ascontiguousarray(genome.w1[:, :8]), b1=genome.b1[:8].copy(), w2=np.ascontiguousarray(genome.w2[:8]))


class Tile:
    """An emulated chip behind a pseudo-terminal, in the time of this machine."""

    def __init__(self, made: SpreadWall) -> None:
        self.made = made
        self.ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(self.ours, False)
        self.port = os.ttyname(theirs)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._live, daemon=True)

    def __enter__(self) -> Tile:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def _live(self) -> None:
        array, began = self.made.array, time.monotonic_ns()
        array.power_on(0)
        while not self.over.is_set():
            time.sleep(0.002)
            with contextlib.suppress(BlockingIOError):
                array.say(0, os.read(self.ours, 65536))
            told = simavr.text(array.run(time.monotonic_ns() - began), 0)
            if told:
                os.write(self.ours, told)


def tile(key: bytes = slot.PUBLIC_KEY) -> Tile:
    first = narrow(load("lizard"))
    made = build(first, load_board("atmega328p"), spread=Spread(41, key))
    return Tile(SpreadWall({}, first, made, Scenario(1, 1, wiring="edges")))


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


@pytest.fixture
def genome(engine: None, tmp_path: Path) -> str:
    narrow(load("heart")).save(tmp_path / "heart.genome")
    (tmp_path / "wall.key").write_text(KEY + "\n")
    return str(tmp_path / "heart.genome")


def test_a_tile_takes_a_genome_over_its_serial_port(genome: str) -> None:
    with tile() as chip:
        done = run("spread", genome, "--port", chip.port, "--json")
    assert done.exit_code == 0, done.exception
    document = json.loads(done.stdout)
    assert document["schema"] == "nca-hw/spread/1"
    assert (document["version_before"], document["version"], document["pages"]) == (41, 42, 8)
    at = chip.made.slots_at + chip.made.slot_bytes
    assert chip.made.array.flash(0, at, chip.made.slot_bytes) == slot.pack(narrow(load("heart")), 42)


def test_a_tile_with_a_key_takes_what_has_the_key(genome: str, tmp_path: Path) -> None:
    with tile(bytes.fromhex(KEY)) as chip:
        done = run("spread", genome, "--port", chip.port, "--key", str(tmp_path / "wall.key"), "--version", "99")
    assert done.exit_code == 0, done.exception
    assert "99; the tile ran 41 before" in done.stdout


@pytest.mark.slow
def test_a_tile_with_a_key_refuses_what_has_none(genome: str) -> None:
    with tile(bytes.fromhex(KEY)) as chip:
        done = run("spread", genome, "--port", chip.port)
    assert isinstance(done.exception, NcaHwError) and done.exception.exit_code == ExitCode.PORT_OR_BOARD
    assert "refuses" in str(done.exception) and "--key" in str(done.exception)


def test_an_old_version_is_refused_before_anything_is_said(genome: str) -> None:
    with tile() as chip:
        done = run("spread", genome, "--port", chip.port, "--version", "41")
    assert isinstance(done.exception, NcaHwError) and "not newer than 41" in str(done.exception)


def test_a_port_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run("spread", "heart", "--port", str(tmp_path / "nothing"))
    assert isinstance(done.exception, NcaHwError) and done.exception.exit_code == ExitCode.PORT_OR_BOARD
    assert str(tmp_path / "nothing") in str(done.exception)


def test_the_model_tells_how_long_a_wall_takes() -> None:
    done = run("spread", "heart", "--simulate", "--grid", "6x5", "--loss", "10%", "--kill", "10%", "--json")
    assert done.exit_code == 0, done.exception
    document = json.loads(done.stdout)
    assert 30 - document["dead"] - document["cut_off"] <= document["reached"] <= 30 - document["cut_off"]  # some had it before they died
    assert document["dead"] == 3 and document["pages"] == 58
    assert 0 < document["first_seconds"] <= document["half_seconds"] <= document["seconds"]


@pytest.mark.parametrize("words", [(), ("--port", "x", "--simulate"), ("--simulate", "--loss", "200%")])
def test_what_contradicts_itself_is_refused(words: tuple[str, ...]) -> None:
    assert run("spread", "heart", *words).exit_code == 2


def test_small_chips_say_why_they_can_not(tmp_path: Path) -> None:
    done = run("build", "--board", "ch32v003", "--spread", "-o", str(tmp_path))
    assert isinstance(done.exception, NcaHwError) and done.exception.exit_code == ExitCode.BAD_INPUT
    assert "16,384 B" in str(done.exception) and "atmega328p" in str(done.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "00", KEY + "0", "g" + KEY[1:]])
def test_a_file_that_is_no_key_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(text)
    done = run("build", "--board", "atmega328p", "--spread", "--key", str(tmp_path / "key"), "-o", str(tmp_path / "out"))
    assert isinstance(done.exception, NcaHwError) and "32 hex digits" in str(done.exception)
