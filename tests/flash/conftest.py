"""Builds to flash, and boards to flash them onto."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stand_ins
from stand_ins import Arduino, Rp2040Volumes, Run, built
from tools import missing

from nca_hw.cli.app import main


@pytest.fixture(scope="session")
def rp2040(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for an RP2040."""
    return built(tmp_path_factory.mktemp("rp2040"), "rp2040")


@pytest.fixture(scope="session")
def atmega(tmp_path_factory: pytest.TempPathFactory, avr_tools: None) -> Path:
    """A build for an ATmega328P."""
    return built(tmp_path_factory.mktemp("atmega"), "atmega328p")


@pytest.fixture(scope="session")
def avr_tools(engine: None) -> None:
    """Tests of Arduino boards are skipped where avrdude or its boot loaders are missing."""
    if shutil.which("avrdude") is None:
        missing("avrdude is not installed")
    if not stand_ins.OPTIBOOT.is_file():
        missing("arduino-core-avr, with the boot loaders of Arduino boards, is not installed")


@pytest.fixture(scope="session")
def board_program(tmp_path_factory: pytest.TempPathFactory, avr_tools: None) -> Path:
    return stand_ins.compile_board(tmp_path_factory.mktemp("avr_board"))


@pytest.fixture(scope="session")
def optiboot(tmp_path_factory: pytest.TempPathFactory, avr_tools: None) -> Path:
    return stand_ins.compile_optiboot(tmp_path_factory.mktemp("optiboot"))


@pytest.fixture(scope="session")
def optiboot_168(tmp_path_factory: pytest.TempPathFactory, avr_tools: None) -> Path:
    return stand_ins.compile_optiboot(tmp_path_factory.mktemp("optiboot_168"), "atmega168", 0x3E00)


@pytest.fixture
def arduino(tmp_path: Path, board_program: Path, optiboot: Path) -> Iterator[Callable[..., Arduino]]:
    """Makes Arduino boards, and unplugs them in the end."""
    boards: list[Arduino] = []

    def make(name: str, *how: str, loader: Path = optiboot, mcu: str = "atmega328p") -> Arduino:
        boards.append(Arduino(board_program, tmp_path / name, loader, *how, mcu=mcu))
        return boards[-1]

    yield make
    for board in boards:
        board.unplug()


@pytest.fixture
def volumes(tmp_path: Path) -> Iterator[Rp2040Volumes]:
    folder = tmp_path / "volumes"
    folder.mkdir()
    stand = Rp2040Volumes(folder)
    yield stand
    stand.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`nca-hw` in a folder of its own: here, which is quicker, or as a program of its own behind other words."""
    program = Path(sys.executable).parent / "nca-hw"

    def command(*words: object, code: int = 0, without: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        line = [*without, str(program), *map(str, words)]
        if without:
            done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        else:
            with monkeypatch.context() as patch:
                patch.chdir(tmp_path)
                patch.setattr(sys, "argv", line)
                for name, value in environment.items():
                    patch.setenv(name, value)
                capsys.readouterr()
                with pytest.raises(SystemExit) as ended:
                    main()
                done = subprocess.CompletedProcess(line, int(ended.value.code or 0), *capsys.readouterr())
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return command
