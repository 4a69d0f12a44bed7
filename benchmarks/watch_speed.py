"""Frames a second that `nca-hw watch` decodes, in memory and through a real pseudo-terminal, with random bytes between them.

Prints, for one line: frames sent and decoded, frames a second, and the part of one core that this takes at 50,000 frames a second. The last
line takes them in as well: what a hub of an array of 40x40 chips forwards, every second frame a report.
"""

from __future__ import annotations

import argparse
import os
import pty
import threading
import time
import tty

import numpy as np

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.formats.boards import load_board
from nca_hw.watch.array import LiveArray
from nca_hw.watch.decoder import Decoder
from nca_hw.watch.places import place
from nca_hw.watch.ports import SerialLine, Tap

NEEDED = 50_000


def line(count: int, noise: int, seed: int = 1) -> bytes:
    """So many frames, so many random bytes before each of them."""
    rng = np.random.default_rng(seed)
    between = rng.integers(0, 256, count * noise, np.uint8).tobytes()
    codes = rng.integers(-127, 128, (count, 16)).astype(np.int8)
    sent = (frames.frame(frames.REPORT_STATE, one) for one in codes)
    return b"".join(between[n * noise : (n + 1) * noise] + frame for n, frame in enumerate(sent))


def in_memory(data: bytes, size: int) -> tuple[int, float, float]:
    """Decoded frames, seconds of the wall clock and of the processor, in pieces of a size."""
    decoder, found = Decoder(16), 0
    began, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(data), size):
        found += len(decoder.feed(data[at : at + size]).heads)
    return found, time.perf_counter() - began, time.process_time() - cpu


def through_a_terminal(data: bytes, array: LiveArray | None = None) -> tuple[int, float, float]:
    """The same, read from a pseudo-terminal by the command's own line, and told to an array; another thread writes."""
    master, slave = pty.openpty()
    tty.setraw(master)
    tty.setraw(slave)
    serial = SerialLine(os.ttyname(slave))
    serial.read()
    decoder = Decoder(16) if array is None else array.decoders[0]
    found = 0

    def write() -> None:
        sent = 0
        while sent < len(data):
            sent += os.write(master, data[sent : sent + 65536])

    writer = threading.Thread(target=write)
    began, cpu = time.perf_counter(), time.process_time()
    writer.start()
    while decoder.counts.bytes < len(data):
        got = serial.read()
        if array is None:
            found += len(decoder.feed(got).heads)
        else:
            array.feed(time.perf_counter(), 0, got)
    found = found or decoder.counts.sound
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    writer.join()
    serial.close()
    os.close(master)
    os.close(slave)
    return found, seconds, used


def hub(count: int, cells: int) -> bytes:
    """What a hub forwards of so many cells of one chip each, in turn: half of the frames name tiles."""
    rng = np.random.default_rng(2)
    codes = rng.integers(-127, 128, (count // 2, 16)).astype(np.int8)
    names = [np.array([n % cells & 127, n % cells >> 7, *[0] * 14], np.int8) for n in range(cells)]
    named = [frames.frame(frames.REPORT_TILE, name) for name in names]
    return b"".join(named[n % cells] + frames.frame(frames.REPORT_STATE, one) for n, one in enumerate(codes))


def show(what: str, count: int, found: int, seconds: float, used: float) -> None:
    """A line of the table."""
    print(f"{what:64s}{count:9,d}{found:9,d}{count / seconds:11,.0f}{used / count * NEEDED:23.0%}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=300_000)
    count = parser.parse_args().frames
    print(f"{'line':64s}{'frames':>9s}{'decoded':>9s}{'frames/s':>11s}{'of a core at 50,000/s':>23s}")
    for noise in (0, 20):
        data = line(count, noise)
        words = f", {noise} random bytes before each" if noise else ""
        for name, run in (
            ("in memory, pieces of 4,096 bytes", lambda data=data: in_memory(data, 4096)),
            ("in memory, pieces of 64 bytes", lambda data=data: in_memory(data, 64)),
            ("pseudo-terminal", lambda data=data: through_a_terminal(data)),
        ):
            found, seconds, used = run()
            show(name + words, count, found, seconds, used)


    board = load_board("rp2040")
    array = LiveArray(load(), board, place([Tap("hub")], board, (40, 40)))
    found, seconds, used = through_a_terminal(hub(count, 1600), array)
    assert int(array.counts.sum()) == count // 2
    show("pseudo-terminal, a hub of 1,600 cells, taken in", count, found, seconds, used)


if __name__ == "__main__":
    main()
