"""An STM32G031 by its serial boot loader: the real stm32flash talks to a reading of AN3155, and the image starts on the emulated chip."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from an3155 import Stm32
from stand_ins import Run, built, document, terminal
from tools import missing


@pytest.fixture(scope="session")
def stm32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build for an STM32G031, where there is a program to write it."""
    if shutil.which("stm32flash") is None:
        missing("stm32flash is not installed")
    return built(tmp_path_factory.mktemp("stm32"), "stm32g031")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where programs are: before all others the real stm32flash without parity, which a pseudo-terminal does not have."""
    program = tmp_path / "programs" / "stm32flash"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shutil.which("stm32flash")} -m 8n1 "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@contextmanager
def board(**how: Any) -> Iterator[tuple[Stm32, str]]:
    with terminal() as (end, port):
        made = Stm32(end, **how)
        try:
            yield made, port
        finally:
            made.close()


def test_stm32flash_writes_the_image_and_the_board_tells_that_it_runs_it(run: Run, stm32: Path, path: str) -> None:
    with board() as (chip, port):
        assert document(run("flash", stm32, "--port", port, "--json", PATH=path))["verified"] == "self-test"
    image = (stm32 / "nca-hw.bin").read_bytes()
    assert chip.flash[: len(image)] == image and chip.started == [0]


def test_an_image_that_is_not_heard_is_told_to_be_read_back_only(run: Run, stm32: Path, path: str) -> None:
    with board(silent_image=True) as (_, port):
        told = document(run("flash", stm32, "--port", port, "--json", PATH=path))
    assert told["verified"] == "read-back" and "no self-test was heard" in told["note"]


def test_flash_that_does_not_keep_a_byte_and_a_chip_that_does_not_answer_are_told(run: Run, stm32: Path, path: str) -> None:
    with board(sticks=0x404) as (_, port):
        told = run("flash", stm32, "--port", port, "--retries", 0, code=4, PATH=path).stderr
        assert "reads back something else" in told and "address 0x08000404" in told
    with board(product=0x410) as (_, port):  # an STM32F103
        assert "0x0410" in run("flash", stm32, "--port", port, code=4, PATH=path).stderr
    with terminal() as (_, port):
        assert "no boot loader answers" in run("flash", stm32, "--port", port, "--retries", 0, code=4, PATH=path).stderr
