"""Emulated chips, their edges wired to one another: each is a thread, one runs at a time, looks at wires and time pass the turn on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from nca_hw.emulate.chip import Chip
from nca_hw.emulate.wire import WIRES


class Wall:
    """Chips in a grid [rows][columns], neighbours wired to each other. `over`: set it to end the run."""

    def __init__(self, chips: list[list[Chip]]) -> None:
        self.over = False
        self._chips = [chip for row in chips for chip in row]
        self._turns = [threading.Semaphore(0) for _ in self._chips]
        self._errors: list[BaseException] = []
        for y, row in enumerate(chips):
            for x, chip in enumerate(row):
                number, wired = self._chips.index(chip), []
                for edge, (down, right) in enumerate(((-1, 0), (0, 1), (1, 0), (0, -1))):
                    if 0 <= y + down < len(chips) and 0 <= x + right < len(row):
                        wired.append(_FarEnd(chips[y + down][x + right], (edge + 2) % 4))
                        chip.ends[edge] = wired[-1]
                wired[-1].before_look = partial(self._pass, number)  # a look of the chip is at all edges at once
                chip.on_idle = partial(self._pass, number)

    def run(self) -> None:
        """Run all chips until it is over."""
        threads = [threading.Thread(target=self._live, args=(number,)) for number in range(len(self._chips))]
        for thread in threads:
            thread.start()
        self._turns[0].release()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _live(self, number: int) -> None:
        self._turns[number].acquire()
        try:
            if not self.over:
                self._chips[number].reset()
                self._chips[number].run()
        except BaseException as error:  # raised by the caller's thread
            self._errors.append(error)
        self.over = True
        self._turns[(number + 1) % len(self._turns)].release()

    def _pass(self, number: int) -> None:
        if not self.over:
            self._turns[(number + 1) % len(self._turns)].release()
            self._turns[number].acquire()
        if self.over:
            self._chips[number].stop()


class _FarEnd:
    """Where the wires of an edge end: at an edge of another chip."""

    def __init__(self, other: Chip, edge: int) -> None:
        self._other, self._edge = other, edge
        self.before_look: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """The other chip pulls a wire."""
        return self._other.pulls(self._edge) != 0

    def look(self, pulls: int) -> int:
        """Levels of the wires."""
        self.before_look()
        return WIRES & ~(pulls | self._other.pulls(self._edge))
