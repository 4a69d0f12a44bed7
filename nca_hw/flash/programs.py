"""ATmega328P, STM32G031 and CH32V003, written by programs of other makers: their command lines, and what their words mean."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from nca_hw.errors import ToolMissing
from nca_hw.flash import tools
from nca_hw.flash.failure import FlashFailure
from nca_hw.flash.target import BOOT_LOADER, Means, Target

TIMEOUT_S = 90.0
AVR_BAUDS = (115_200, 57_600)  # of optiboot, and of the boot loader that older Nanos have
ORDER = {"atmega": (tools.AVRDUDE,), "ch32v0": (tools.WLINK, tools.MINICHLINK, tools.RVPROG)}
STM32_BAUD = 115_200
STM32_ID = 0x466  # AN2606, table of device-dependent boot loader parameters

NO_ANSWER = re.compile(r"not in sync|not responding|Failed to init device|can't open|unable to open|no device found|not found", re.I)
WRONG_CHIP = re.compile(r"expected signature.*|Unknown/unsupported device.*|UNEXPECTED idcode.*|chip (type )?mismatch.*", re.I)
MISMATCH = re.compile(r"verif\w+ (mismatch|error|failed).*|Failed to verify.*|contents differ.*|mismatch.*", re.I)


def needed(target: Target) -> tools.Tool:
    """The program that writes a target.

    Raises:
        ToolMissing: it is not installed.
    """
    if target.family == "stm32g031":
        return tools.need(tools.STM32FLASH if target.port else tools.OPENOCD)
    return tools.need(*ORDER[target.family])


def commands(target: Target, files: Path, flash: int, means: Means) -> list[list[str]]:
    """Command lines that write a target, in the order in which they are tried.

    Args:
        files: folder of the image as nca-hw.bin, .hex. flash: address of its first byte.
    """
    try:
        program = needed(target).program
    except ToolMissing:  # of a dry run
        program = (
            (tools.STM32FLASH if target.port else tools.OPENOCD).program
            if target.family == "stm32g031"
            else ORDER[target.family][0].program
        )
    binary = str(files / "nca-hw.bin")
    if program == "avrdude":
        what = ["-q", "-p", "m328p", "-U", f"flash:w:{files / 'nca-hw.hex'}:i"]
        if means.programmer is not None:
            return [[program, "-c", means.programmer, *(["-P", target.port] if target.port else []), *what]]
        bauds = AVR_BAUDS if means.baud is None else (means.baud,)
        return [[program, "-c", "arduino", "-P", str(target.port), "-b", str(baud), "-D", *what] for baud in bauds]
    if program == "stm32flash":
        at = f"{flash:#x}"
        return [[program, "-b", str(means.baud or STM32_BAUD), "-f", "-S", at, "-w", binary, "-v", str(target.port)]]
    if program == "openocd":
        do = f"program {{{binary}}} verify reset exit {flash:#x}"
        return [[program, "-f", "interface/stlink.cfg", "-f", "target/stm32g0x.cfg", "-c", do]]
    if program == "wlink":
        return [[program, "flash", "--address", f"{flash:#x}", binary]]
    if program == "minichlink":
        return [[program, "-w", binary, "flash", "-b"]]
    return [[program, "-f", binary]]


def write(target: Target, files: Path, flash: int, means: Means) -> None:
    """Write a target; all of these programs read back what they have written, or have the chip compare it.

    Raises:
        FlashFailure: with the program's own words.
        ToolMissing: the program is not installed.
    """
    needed(target)
    if not target.present:
        raise FlashFailure("port", "is not there", where=target.port, cure=BOOT_LOADER[target.family])
    failure: FlashFailure | None = None
    for command in commands(target, files, flash, means):
        ran = tools.run(command, TIMEOUT_S, _stop(target))
        if ran.code == 0:
            _check_device(target, ran.said)
            return
        failure = _failure(target, command[0], ran)
        if failure.reason != "no-answer":
            break
    assert failure is not None
    raise failure


def _check_device(target: Target, said: str) -> None:
    """stm32flash writes every STM32 that it knows, and tells which one it was."""
    found = re.search(r"Device ID\s*: 0x(\w+)", said)
    if found is not None and int(found[1], 16) != STM32_ID:
        told = f"its device ID is 0x{found[1]}, that of an STM32G031 is {STM32_ID:#06x}; stm32flash has written it all the same"
        raise FlashFailure("wrong-chip", told, where=target.port)


def _stop(target: Target) -> Callable[[str], str | None]:
    """avrdude goes on for ever where its port is gone, and tries a chip that does not answer ten times."""

    def why(said: str) -> str | None:
        if not target.present:
            return "gone"
        return "no-answer" if re.search(r"attempt 1 of \d+: not in sync", said) else None

    return why


def _failure(target: Target, program: str, ran: tools.Ran) -> FlashFailure:
    where, last = target.port or target.place, _last_words(ran.said)
    if ran.stopped == "gone" or not target.present:
        return FlashFailure(
            "gone", "the port went away while it was written", where=where, cure="Plug it in again, and try again.", again=True
        )
    if found := WRONG_CHIP.search(ran.said):
        signature = re.search(r"device signature = (\S+(?: \([^)]*\))?)", ran.said, re.I)
        return FlashFailure(
            "wrong-chip", f"{program}: {found[0].strip()}{f', this one is {signature[1]}' if signature else ''}", where=where
        )
    if MISMATCH.search(ran.said):
        at = re.search(r"device 0x\w+ != input 0x\w+ at addr \w+|address 0x\w+, expected 0x\w+ and found 0x\w+", ran.said)
        told = f"{program} reads back something else than it has written{f': {at[0]}' if at else ''}"
        return FlashFailure(
            "mismatch", told, where=where, cure="Try again; if it stays so, the chip's flash is worn out or broken.", again=True
        )
    if re.search(r"permission denied|cannot open port|access denied", ran.said, re.I):
        return FlashFailure(
            "port", f"{program}: {last}", where=where, cure="On Linux, may you: sudo usermod -a -G dialout $USER, then log in again."
        )
    if ran.stopped == "no-answer" or NO_ANSWER.search(ran.said):
        return FlashFailure(
            "no-answer", f"{program}: no boot loader answers ({last})", where=where, cure=BOOT_LOADER[target.family], again=True
        )
    return FlashFailure("tool", f"{program} failed{f', {ran.stopped}' if ran.stopped else ''}: {last}", where=where, again=True)


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip() and "TIOCM" not in line and "Thank you" not in line]
    return "; ".join(lines[-2:])[:500] or "it said nothing"
