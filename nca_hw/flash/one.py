"""One board: brought into its boot loader, written, and asked what it runs."""

from __future__ import annotations

import shlex
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nca_hw.core.frames import SelfTest
from nca_hw.flash import connected, programs, rp2040
from nca_hw.flash.failure import FlashFailure
from nca_hw.flash.payload import Payload
from nca_hw.flash.self_test import BOOT_LOADER_S, START_S, ServicePort
from nca_hw.flash.target import Means, Target
from nca_hw.formats.files import make_folder, readable

PAUSE_S = 0.5  # before another attempt
Verified = Literal["self-test", "read-back", "no"]
UNHEARD = "its service port is connected to nothing that was named: --service-port"


@dataclass(frozen=True)
class Done:
    """A board that holds its image. `verified`: how that was seen. `note`: what else is to be known."""

    verified: Verified
    note: str | None
    attempts: int


def prepare(payload: Payload, folder: Path) -> Path:
    """Write the files that programs flash into a folder; gives it."""
    make_folder(folder)
    for name, data in payload.containers().items():
        (folder / name).write_bytes(data)
    return folder


def runs(target: Target, payload: Payload) -> bool:
    """Whether a board that can be asked tells by its self-test that it runs this image of this genome already."""
    if not (target.resets and target.service):
        return False
    try:
        with ServicePort(target.service) as port:
            port.reset()
            answer = port.self_test(BOOT_LOADER_S, payload.channels)
    except FlashFailure:
        return False  # the writing tells what is wrong
    return answer is not None and payload.is_told_by(answer)


def flash(target: Target, payload: Payload, files: Path, means: Means, retries: int = 1, number: int | None = None) -> Done:
    """Write a board and ask it what it runs.

    Args:
        files: folder of the image, see `prepare`. retries: more attempts, where another may help. number: that the board will show.
    Raises:
        FlashFailure: the last attempt's; `attempts` is how many there were.
        ToolMissing: the program that writes it is not installed.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            verified, note = _attempt(target, payload, files, means, number)
        except FlashFailure as failure:
            if not failure.again or attempt > retries or not target.present:
                failure.attempts = attempt
                raise
            time.sleep(PAUSE_S)
        else:
            return Done(verified, note, attempt)


def plan(target: Target, payload: Payload, files: Path, means: Means) -> list[str]:
    """What would be done, in lines; nothing is touched."""
    if target.family == "rp2040":
        onto = readable(target.volume.folder) if target.volume else "the volume that appears"
        lines = [f"open {target.port} at {rp2040.TOUCH_BAUD} baud and close it"] if target.volume is None else []
        lines.append(f"copy {readable(files / rp2040.FILE)} to {onto}, and wait until it vanishes")
    else:
        lines = [shlex.join(command) for command in programs.commands(target, files, payload.flash, means)]
        lines[1:] = [f"if nothing answers: {line}" for line in lines[1:]]
    lines.append(f"ask {target.service} for the self-test" if target.service else f"not verify it: {UNHEARD}")
    return lines


def _attempt(target: Target, payload: Payload, files: Path, means: Means, number: int | None) -> tuple[Verified, str | None]:
    if target.family == "rp2040":
        with ServicePort(target.service) if target.service else nullcontext() as port:  # the self-test comes as soon as it is written
            _write_rp2040(target, payload.uf2(number), means)
            if port is None:
                return "no", UNHEARD
            return _asked(port, target, payload), None
    programs.write(target, files, payload.flash, means)
    if target.service is None:
        return "read-back", UNHEARD
    with ServicePort(target.service) as port:
        if target.resets:
            port.reset()
            return _asked(port, target, payload), None
        if target.family == "stm32g031" and target.service == target.port:
            port.start_stm32(payload.flash)
        answer = port.self_test(START_S, payload.channels)
    if answer is None:
        return "read-back", f"no self-test was heard at {target.service}: it comes only after a reset"
    return _compared(answer, payload, target), None


def _asked(port: ServicePort, target: Target, payload: Payload) -> Verified:
    seconds = BOOT_LOADER_S if target.resets else START_S
    answer = port.self_test(seconds, payload.channels)
    if answer is None:
        told = f"it was written, and no self-test came within {seconds:g} s"
        raise FlashFailure("no-answer", told, where=target.service, cure="Is this port connected to the board's service pin?", again=True)
    return _compared(answer, payload, target)


def _compared(answer: SelfTest, payload: Payload, target: Target) -> Verified:
    if not payload.is_told_by(answer):
        told = f"its self-test tells another image or genome: {payload.difference(answer)}"
        raise FlashFailure("mismatch", told, where=target.service, cure="Is this port connected to that board? Try again.", again=True)
    return "self-test"


def _write_rp2040(target: Target, uf2: bytes, means: Means) -> None:
    volume = target.volume
    if volume is None:
        assert target.port is not None
        before = {one.folder for one in connected.volumes(means.volumes)}
        volume = rp2040.touch(target.port, lambda: rp2040.by_place(connected.volumes(means.volumes), target.place, before))
    rp2040.write(volume, uf2)
