"""What pyserial raises where a port is not there, gone, or no port, and why, in the system's words."""

from __future__ import annotations

import os

TerminalError: type[Exception] = OSError
try:
    import termios

    TerminalError = termios.error  # no OSError, although it tells the same
except ImportError:  # on Windows
    pass

SERIAL_ERRORS = (OSError, TerminalError, ValueError)


def reason(error: Exception) -> str:
    """Why, without the exception's own form: pyserial wraps the system's words, and an error of a terminal is a pair."""
    number = getattr(error, "errno", None)
    if isinstance(error, TerminalError) and number is None and error.args:
        number = error.args[0]
    return os.strerror(number) if isinstance(number, int) else str(error)
