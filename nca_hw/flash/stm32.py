"""An STM32 in its serial boot loader is told to start its program, so that its self-test can be listened to from its first bit on.

Source: STMicroelectronics AN3155, sections 3.5 (Go) and 2 (8 bits, even parity).
"""

from __future__ import annotations

import serial

from nca_hw.formats.serial_errors import TerminalError

GO, ACK = 0x21, 0x79
ANSWER_S = 1.0


def go(line: serial.Serial, address: int) -> bool:
    """Start the program at an address; whether the boot loader has acknowledged it. The line has no parity again at once."""
    timeout, line.timeout = line.timeout, ANSWER_S
    try:
        line.parity = serial.PARITY_EVEN
    except TerminalError:  # a pseudo-terminal has no parity
        line.parity = serial.PARITY_NONE
    try:
        return _acknowledged(line, bytes([GO])) and _acknowledged(line, address.to_bytes(4, "big"))
    finally:
        line.parity, line.timeout = serial.PARITY_NONE, timeout


def _acknowledged(line: serial.Serial, words: bytes) -> bool:
    check = 0xFF if len(words) == 1 else 0
    for byte in words:
        check ^= byte
    line.write(words + bytes([check]))
    return bool(line.read(1) == bytes([ACK]))
