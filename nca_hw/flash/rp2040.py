"""An RP2040 by its boot ROM: a volume that takes a UF2 file and vanishes as soon as it has all of it (RP2040 datasheet, section 2.8.4)."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import serial

from nca_hw.flash.connected import Volume
from nca_hw.flash.failure import FlashFailure
from nca_hw.flash.self_test import unopened
from nca_hw.formats.serial_errors import SERIAL_ERRORS

FILE = "nca-hw.uf2"
CHUNK = 4096
TOUCH_BAUD = 1200
VANISHES_S = 10.0
LOOK_S = 0.02
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def write(volume: Volume, uf2: bytes) -> None:
    """Copy a UF2 file onto a volume, piece by piece, each pushed out to the chip, and wait until the chip has restarted.

    Raises:
        FlashFailure: it is no RP2040, it takes nothing, it went away, or it stayed although it has all.
    """
    where = str(volume.folder)
    if not volume.is_rp2040:
        raise FlashFailure("wrong-chip", f"its Board-ID is {volume.board_id}, that of an RP2040 is RPI-RP2", where=where)
    done = 0
    try:
        handle = os.open(volume.folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o644)
        try:
            while done < len(uf2):
                if not volume.present:
                    raise _gone(where, done, len(uf2))
                done += os.write(handle, uf2[done : done + CHUNK])
                _push(handle, last=done == len(uf2))
        finally:
            _close(handle)
    except OSError as error:
        if error.errno in READ_ONLY:
            raise FlashFailure("read-only", f"can't be written ({error.strerror})", where=where, cure=_MAY_WRITE) from None
        if error.errno == errno.ENOSPC:
            raise FlashFailure(
                "read-only", "has no room for the image", where=where, cure="Plug it in again: its volume is empty then."
            ) from None
        raise _gone(where, done, len(uf2)) from None
    if not _until(lambda: not volume.present, VANISHES_S):
        told = f"its boot loader has all {len(uf2):,} bytes and did not restart within {VANISHES_S:g} s"
        raise FlashFailure("no-answer", told, where=where, cure="Plug it in again with BOOTSEL held, and try again.", again=True)


def touch(port: str, find: Callable[[], Volume | None]) -> Volume:
    """Open and close a port at 1,200 baud, at which firmware of an RP2040 with USB starts its boot loader, and wait for the volume.

    Args:
        find: looks for the volume.
    Raises:
        FlashFailure: the port can't be opened, or no volume comes.
    """
    try:
        with serial.Serial(port, TOUCH_BAUD):
            pass
    except SERIAL_ERRORS as error:
        raise unopened(port, error) from None
    found: list[Volume] = []

    def look() -> bool:
        found.extend(one for one in [find()] if one is not None)
        return bool(found)

    if not _until(look, VANISHES_S):
        told = "no boot volume came after the touch with 1,200 baud"
        raise FlashFailure("no-answer", told, where=port, cure="Hold BOOTSEL while you plug it in. Is the volume mounted?", again=True)
    return found[0]


def _push(handle: int, *, last: bool) -> None:
    """The chip restarts as soon as it has the last block: that its answer to this one is missing means nothing."""
    try:
        os.fsync(handle)
    except OSError as error:
        if not last or error.errno in READ_ONLY:
            raise


def _close(handle: int) -> None:
    try:
        os.close(handle)
    except OSError:
        return


def _gone(where: str, done: int, size: int) -> FlashFailure:
    return FlashFailure(
        "gone", f"the volume went away after {done:,} of {size:,} bytes", where=where, cure="Plug it in again, and try again.", again=True
    )


def _until(true: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(LOOK_S)
    return True


def by_place(volumes: list[Volume], place: str, before: set[Path]) -> Volume | None:
    """The volume at a USB path; where paths are not told, one that was not there before."""
    at_place = [volume for volume in volumes if volume.place == place]
    new = [volume for volume in volumes if volume.folder not in before]
    return (at_place or new or [None])[0]  # type: ignore[list-item]


_MAY_WRITE = "Is the volume mounted read-only, or by another user? Mount it yourself: udisksctl mount -b DEVICE."
