"""The truth of a wall of chips: what every cell must be, by the NumPy reference, from nothing but the order of what happened.

Whose update came when, and which frame got over which edge when, is all that is taken from the chips. Every state, every code on a wire
and every LED's colour is computed here, and held against what the chips made of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import frames, reference
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.light import led_told
from nca_hw.core.reference import Codes, E, W
from nca_hw.sim.grid import OFFSETS, Grid


@dataclass(frozen=True)
class Difference:
    """What a chip made otherwise than the reference: a state after an update, a frame, a light, or what lies in its RAM."""

    what: str
    time_ns: int
    cell: int
    expected: tuple[int, ...]
    got: tuple[int, ...]


@dataclass
class Compared:
    """How much was held against the reference."""

    states: int = 0
    frames: int = 0
    lights: int = 0
    reports: int = 0
    memories: int = 0


@dataclass
class _Update:
    """An update under way, or done but not computed yet: its inputs, and what the chip made of them."""

    number: int
    time_ns: int
    before: Codes
    heard: Codes
    got: Codes | None = None
    light: tuple[int, ...] | None = None
    report: Codes | None = None


@dataclass
class Replay:
    """Cells of a grid, by the reference.

    Attributes:
        states: int8 [cells, C]. heard: int8 [cells, 8, C], clockwise from the north.
        evaluated: of every update, in the order of their beginnings, whether the network ran; False where it was cut short.
        difference: the first one; None while all is equal.
    """

    genome: Genome
    grid: Grid
    brightness: int
    compared: Compared = field(default_factory=Compared)
    evaluated: list[bool] = field(default_factory=list)
    difference: Difference | None = None
    differences: int = 0

    def __post_init__(self) -> None:
        self.states: Codes = np.zeros((self.grid.cells, self.genome.channels), np.int8)
        self.heard: Codes = np.zeros((self.grid.cells, NEIGHBOURS, self.genome.channels), np.int8)
        self._pending: dict[int, _Update] = {}
        self._under_way: dict[tuple[int, int], NDArray[np.int8]] = {}  # receiver and edge: what the sender can tell, own, E, W

    def power_off(self, cell: int) -> None:
        """A cell forgets all, and what was under way to or from it gets lost."""
        if cell in self._pending and self._pending[cell].got is not None:
            self.settle()
        self._pending.pop(cell, None)
        self.states[cell] = 0
        self.heard[cell] = 0
        for edge in range(4):
            self._under_way.pop((cell, edge), None)
            neighbour = self.grid.neighbour(cell, 2 * edge)
            if neighbour is not None:
                self._under_way.pop((neighbour, (edge + 2) % 4), None)

    def power_on(self, cell: int, *, is_seed: bool) -> None:
        """A cell starts from nothing, a seed from the genome's seed."""
        self.power_off(cell)
        if is_seed:
            self.states[cell] = self.genome.seed

    def update_begins(self, time_ns: int, cell: int) -> None:
        """A cell updates from what it has heard until now."""
        if cell in self._pending:
            self.settle()
        self._pending[cell] = _Update(len(self.evaluated), time_ns, self.states[cell].copy(), self.heard[cell].copy())
        self.evaluated.append(False)

    def update_ends(self, cell: int, state: Codes) -> None:
        """It has done so, and says what came of it."""
        if cell in self._pending:
            self._pending[cell].got = state

    def light(self, time_ns: int, cell: int, colours: tuple[int, ...]) -> None:
        """A cell's LED was told green, red and blue: those of its last update."""
        if cell in self._pending:
            self._pending[cell].light = colours
        else:
            self._compare_light(time_ns, cell, colours)

    def report(self, time_ns: int, cell: int, state: Codes) -> None:
        """A cell's service port told a state: that of its last update."""
        if cell in self._pending:
            self._pending[cell].report = state
        else:
            self._compare_report(time_ns, cell, state)

    def frame_begins(self, receiver: int, edge: int) -> None:
        """A neighbour begins to tell something: what it is, and what it has heard from its east and its west at this time."""
        sender = self.grid.neighbour(receiver, 2 * edge)
        assert sender is not None
        if sender in self._pending:
            self.settle()
        self._under_way[receiver, edge] = np.stack([self.states[sender], self.heard[sender, E], self.heard[sender, W]])

    def frame_ends(self, time_ns: int, receiver: int, edge: int, data: bytes) -> bool:
        """A neighbour has told it, if the frame is sound; gives whether it is."""
        told = self._under_way.pop((receiver, edge), None)
        sound = frames.decode_all(data, self.genome.channels)
        if told is None or len(sound) != 1:
            return False
        (place, codes), sender = sound[0], self.grid.neighbour(receiver, 2 * edge)
        assert sender is not None
        owner = next((which for which, passed in enumerate((None, E, W)) if self._is_at(receiver, place, sender, passed)), None)
        if owner is None:
            self._differs("frame from nowhere", time_ns, receiver, np.zeros(1, np.int8), np.array([place], np.int8))
            return True
        self.compared.frames += 1
        self._compare("frame", time_ns, receiver, told[owner], codes)
        self.heard[receiver, place] = told[owner]
        return True

    def remembers(self, time_ns: int, cell: int, state: Codes, heard: Codes | None) -> None:
        """What lies in a chip's RAM: its state, int8 [C], and what it has heard, int8 [8, C]."""
        if cell in self._pending:
            self.settle()
        self.compared.memories += 1
        self._compare("state in RAM", time_ns, cell, self.states[cell], state)
        if heard is not None:
            self._compare("neighbours in RAM", time_ns, cell, self.heard[cell].ravel(), heard.ravel())

    def settle(self) -> None:
        """Compute all updates that have begun."""
        if not self._pending:
            return
        cells, updates = list(self._pending), list(self._pending.values())
        self._pending = {}
        new, evaluated = reference.wake(self.genome, np.array([u.before for u in updates]), np.array([u.heard for u in updates]))
        self.states[cells] = new
        for cell, update, state, ran in zip(cells, updates, new, evaluated, strict=True):
            if update.got is None:  # it is still under way: its inputs are kept
                self._pending[cell] = update
                self.states[cell] = update.before
                continue
            self.evaluated[update.number] = bool(ran)
            self.compared.states += 1
            self._compare("state", update.time_ns, cell, state, update.got)
            if update.light is not None:
                self._compare_light(update.time_ns, cell, update.light)
            if update.report is not None:
                self._compare_report(update.time_ns, cell, update.report)

    def _is_at(self, receiver: int, place: int, sender: int, passed: int | None) -> bool:
        """Whether the owner of a state, the sender or whom it has at `passed`, stands at a place of the receiver."""
        row, column = divmod(sender, self.grid.width)
        down, right = (0, 0) if passed is None else OFFSETS[passed]
        here = divmod(receiver, self.grid.width)
        return (row + down - here[0], column + right - here[1]) == OFFSETS[place]

    def _compare_light(self, time_ns: int, cell: int, colours: tuple[int, ...]) -> None:
        duty = led_told(self.genome, self.states[cell], self.brightness)
        self.compared.lights += 1
        if tuple(duty.tolist()) != colours:
            self._note(Difference("light", time_ns, cell, tuple(duty.tolist()), colours))

    def _compare_report(self, time_ns: int, cell: int, state: Codes) -> None:
        self.compared.reports += 1
        self._compare("report", time_ns, cell, self.states[cell], state)

    def _compare(self, what: str, time_ns: int, cell: int, expected: Codes, got: Codes) -> None:
        if expected.tobytes() != got.tobytes():
            self._differs(what, time_ns, cell, expected, got)

    def _differs(self, what: str, time_ns: int, cell: int, expected: Codes, got: Codes) -> None:
        self._note(Difference(what, time_ns, cell, tuple(expected.tolist()), tuple(got.tolist())))

    def _note(self, difference: Difference) -> None:
        self.differences += 1
        if self.difference is None:
            self.difference = difference
