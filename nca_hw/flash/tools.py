"""Programs of other makers that write chips: what they are called, the line that installs them, and how they are run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nca_hw.errors import ToolMissing

LINE_S = 0.05  # how often a running program is looked after


@dataclass(frozen=True)
class Tool:
    """A program. `writes`: what, in words; `board`: the kind of board."""

    program: str
    board: str
    writes: str
    install: str

    @property
    def path(self) -> str | None:
        """Where it is; None if it is not installed."""
        return shutil.which(self.program)


AVRDUDE = Tool("avrdude", "atmega328p", "an ATmega328P", "apt-get install avrdude")
STM32FLASH = Tool("stm32flash", "stm32g031", "an STM32G031, by its serial boot loader", "apt-get install stm32flash")
OPENOCD = Tool("openocd", "stm32g031", "an STM32G031, by an ST-LINK", "apt-get install openocd")
WLINK = Tool("wlink", "ch32v003", "a CH32V003, by a WCH-Link", "cargo install wlink")
MINICHLINK = Tool("minichlink", "ch32v003", "a CH32V003, by a WCH-Link", "build it from the sources of ch32fun, folder minichlink")
RVPROG = Tool("rvprog", "ch32v003", "a CH32V003, by a WCH-Link", "pip install rvprog")
TOOLS = (AVRDUDE, STM32FLASH, OPENOCD, WLINK, MINICHLINK, RVPROG)


def need(*tools: Tool) -> Tool:
    """The first that is installed.

    Raises:
        ToolMissing: none is.
    """
    for tool in tools:
        if tool.path is not None:
            return tool
    names = " or ".join(tool.program for tool in tools)
    told = f"{names} writes {tools[0].writes}, and is not installed"
    raise ToolMissing(told, cure="  or  ".join(tool.install for tool in tools))


@dataclass(frozen=True)
class Ran:
    """How a program ended: its exit code, None if it was stopped; what it said; why it was stopped."""

    code: int | None
    said: str
    stopped: str | None = None


def run(command: Sequence[str], timeout_s: float, stop: Callable[[str], str | None] = lambda said: None) -> Ran:
    """Run a program, away from the terminal's Ctrl-C: of an array, whose boards are finished, it does not hear.

    Args:
        stop: asked again and again with what the program has said; a reason is its end.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )  # fmt: skip
    said = bytearray()

    def listen() -> None:
        assert process.stdout is not None
        while piece := process.stdout.read1(4096):  # type: ignore[attr-defined]
            said.extend(piece)

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    end, why = time.monotonic() + timeout_s, None
    try:
        while process.poll() is None and why is None:
            time.sleep(LINE_S)
            why = stop(said.decode(errors="replace")) or (f"it took more than {timeout_s:g} s" if time.monotonic() > end else None)
    finally:  # also where Ctrl-C ends the wait: nothing goes on writing behind the user's back
        if process.poll() is None:
            _kill(process)
        process.wait()
        listener.join(1)
        if process.stdout is not None and not listener.is_alive():
            process.stdout.close()
    return Ran(None if why else process.returncode, said.decode(errors="replace"), why)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and its children, where a session of its own tells which they are: behind a script, a child is what writes."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
