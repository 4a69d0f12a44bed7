"""Service ports of emulated chips as pseudo-terminals: what a wall's chips told, in its time, for programs that read serial ports."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import tty

from nca_hw.core.genome import Genome
from nca_hw.emulate.wall import Wall
from nca_hw.firmware.build import Build
from nca_hw.sim.plan import draw
from nca_hw.sim.scenario import Scenario

Told = list[tuple[float, int, bytes]]  # seconds, chip, bytes


class _Heard(Wall):
    """A wall whose service ports are listened to."""

    told: Told

    def _service(self, now: int, cell: int, told: bytes) -> None:
        self.told.append((now / 1e9, cell, told))
        super()._service(now, cell, told)


def service_bytes(genome: Genome, made: Build, scenario: Scenario) -> Told:
    """What the service ports of emulated chips have sent, in order."""
    wall = _Heard(genome, made, scenario)
    wall.told = []
    wall.run(draw(scenario, genome.channels).operations)
    assert wall.replay.difference is None
    return wall.told


class Ports:
    """So many pseudo-terminals; a context."""

    def __init__(self, count: int) -> None:
        self._masters, self._slaves = [], []
        for _ in range(count):
            master, slave = os.openpty()
            tty.setraw(slave)
            self._masters.append(master)
            self._slaves.append(slave)
        self.names = [os.ttyname(slave) for slave in self._slaves]

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (*self._masters, *self._slaves):
            with contextlib.suppress(OSError):
                os.close(file)

    def send(self, number: int, data: bytes) -> None:
        """Bytes out of a port."""
        os.write(self._masters[number], data)

    def vanish(self, number: int) -> None:
        """A port is pulled out."""
        for files in (self._masters, self._slaves):
            os.close(files[number])
            files[number] = -1

    def play(self, told: Told, speed: float = 1.0) -> threading.Thread:
        """Send what chips have told, at its time, in the background."""

        def run() -> None:
            began = time.monotonic()
            for at, number, data in told:
                if (ahead := at / speed - (time.monotonic() - began)) > 0:
                    time.sleep(ahead)
                with contextlib.suppress(OSError):  # it was pulled out
                    self.send(number, data)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread
