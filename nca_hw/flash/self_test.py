"""A board's own word: the self-test that it sends out of its service port after every reset (docs/protocol.md)."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType

import serial

from nca_hw.core import frames
from nca_hw.flash import stm32
from nca_hw.flash.failure import FlashFailure
from nca_hw.formats.serial_errors import SERIAL_ERRORS, reason

PULSE_S = 0.05
SILENCE_S = 0.05
CHANNELS = range(5, 65)  # that a genome may have, and a self-test tells an image and a genome with
BOOT_LOADER_S = 6.0  # optiboot waits for a second, older ones for two, and then the cell starts
START_S = 2.0  # without one: the self-test is the first thing that a cell does


class ServicePort:
    """An open service port, from now on listened to.

    Raises:
        FlashFailure: the port can't be opened.
    """

    def __init__(self, port: str) -> None:
        self._heard = bytearray()
        try:
            self._line = serial.Serial(port, frames.BAUD, timeout=SILENCE_S)
        except SERIAL_ERRORS as error:
            raise unopened(port, error) from None

    def __enter__(self) -> ServicePort:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(*SERIAL_ERRORS):
            self._line.close()

    def reset(self) -> None:
        """Let go of DTR and pull it again, which resets an Arduino. What has no such line was reset by the opening, or is not."""
        with contextlib.suppress(*SERIAL_ERRORS):
            self._line.dtr = False
            time.sleep(PULSE_S)
            self._line.dtr = True
            self._line.reset_input_buffer()
            self._heard.clear()

    def start_stm32(self, address: int) -> bool:
        """Start what a serial boot loader at this very port has written; whether it has acknowledged that."""
        try:
            return stm32.go(self._line, address)
        except SERIAL_ERRORS:
            return False

    def self_test(self, seconds: float, channels: int = 0) -> frames.SelfTest | None:
        """The first self-test that comes within a time.

        Args:
            channels: of the genome; 0 is not known.
        Raises:
            FlashFailure: the port is gone.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                piece = self._line.read(256)
            except (*SERIAL_ERRORS, TypeError) as error:  # TypeError: pyserial, where the port vanishes while it reads
                raise FlashFailure("gone", f"the port went away while the self-test was waited for ({error})", again=True) from None
            self._heard += piece
            if piece:
                for count in [channels] if channels else CHANNELS:
                    if found := frames.decode_self_tests(bytes(self._heard), count):
                        return found[0]
        return None


def unopened(port: str, error: Exception) -> FlashFailure:
    """A port that can't be opened, with the cure."""
    cure = "Is it plugged in? Is another program using it? On Linux, may you: sudo usermod -a -G dialout $USER, then log in again."
    return FlashFailure("port", f"can't be opened ({reason(error)})", where=port, cure=cure)
