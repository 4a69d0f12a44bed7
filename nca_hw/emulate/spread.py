"""A wall of emulated chips that take new genomes: fed through a tile's service port, struck, and held against the reference all the while.

What a cell runs is found by an independent reading of its flash whenever it starts, as a cell finds it; every update, also of walls that
run two genomes at once, is then computed by the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import chaskey, feeder, frames, slot, spread
from nca_hw.core.genome import Genome
from nca_hw.core.reference import Codes
from nca_hw.emulate import simavr
from nca_hw.emulate.wall import Wall
from nca_hw.emulate.wall_replay import Difference, Replay
from nca_hw.firmware.build import Build
from nca_hw.sim.faults import Memory
from nca_hw.sim.scenario import Scenario

MILLISECOND = 1_000_000  # ns
STEP = 5 * MILLISECOND
START = 300 * MILLISECOND  # a chip has proved its slots long before
SIDES = ((7, 0, 1), (2,), (5, 4, 3), (6,))  # places of which a cell hears over each edge: N, E, S, W
NOTHING = bytes(spread.NAME_CODES)  # the name of a cell without a genome


def chosen(slots: bytes, key: bytes) -> bytes | None:
    """The slot that a cell runs, of the two that lie in its flash: the newest whose tags are right; None if there is none."""
    half = len(slots) // 2
    whole = [packed for packed in (slots[:half], slots[half:]) if is_whole(packed, key)]
    return max(whole, key=slot.version_of, default=None)


def is_whole(packed: bytes, key: bytes) -> bool:
    """Whether both tags of a slot are right."""
    head, head_tag, body = packed[: slot.PAGE - slot.TAG], packed[slot.PAGE - slot.TAG : slot.PAGE], packed[slot.PAGE :]
    return head[:4] == slot.MAGIC and chaskey.tag(key, head) == head_tag and chaskey.tag(key, body) == head[-slot.TAG :]


class SpreadReplay(Replay):
    """Cells that run one of several genomes, by name, or none. States of another genome are no neighbour's."""

    def __init__(self, genomes: Mapping[bytes, Genome], *of_the_wall: object) -> None:
        super().__init__(*of_the_wall)  # type: ignore[arg-type]
        self.genomes = genomes
        self.runs: list[bytes] = [NOTHING] * self.grid.cells
        self.told: dict[tuple[int, int], bytes] = {}  # receiver and edge: the name that the neighbour has told

    def power_off(self, cell: int) -> None:
        """See `Replay`."""
        super().power_off(cell)
        for edge in range(4):
            self.told.pop((cell, edge), None)

    def power_on(self, cell: int, *, is_seed: bool) -> None:
        """See `Replay`."""
        super().power_on(cell, is_seed=False)
        if is_seed and self.runs[cell] != NOTHING:
            self.states[cell] = self.genomes[self.runs[cell]].seed

    def frame_ends(self, time_ns: int, receiver: int, edge: int, data: bytes) -> bool:
        """See `Replay`."""
        spreading = frames.decode_spread(data, self.genome.channels)
        places = list(SIDES[edge])
        if len(spreading) == 1:
            head, codes = spreading[0]
            if head == frames.OFFER:
                self.told[receiver, edge] = codes.tobytes()[: spread.NAME_CODES]
                if self.told[receiver, edge] != self.runs[receiver]:
                    self.heard[receiver, places] = 0
            self._under_way.pop((receiver, edge), None)
            return True
        before = self.heard[receiver, places].copy()
        sound = super().frame_ends(time_ns, receiver, edge, data)
        if self.told.get((receiver, edge)) != self.runs[receiver]:
            self.heard[receiver, places] = before
        return sound

    def settle(self) -> None:
        """See `Replay`: genome by genome."""
        pending = self._pending
        for name in {self.runs[cell] for cell in pending}:
            self._pending = {cell: update for cell, update in pending.items() if self.runs[cell] == name}
            done = list(self._pending)
            self.genome = self.genomes[name]
            super().settle()
            for cell in done:
                if cell not in self._pending:
                    del pending[cell]
        self._pending = pending

    def _compare_light(self, time_ns: int, cell: int, colours: tuple[int, ...]) -> None:
        if self.runs[cell] != NOTHING:
            self.genome = self.genomes[self.runs[cell]]
        super()._compare_light(time_ns, cell, colours)


@dataclass
class Writes:
    """Of flash: pages erased and written, by all chips."""

    erased: int = 0
    written: int = 0


class SpreadWall(Wall):
    """A `Wall` whose chips take new genomes.

    Attributes:
        taken: of every cell, the times in ns at which it started, with the name of what it ran then.
        writes: of flash, by cell.
    """

    replay: SpreadReplay

    def __init__(
        self, genomes: Mapping[bytes, Genome], first: Genome, made: Build, scenario: Scenario, target: NDArray[np.float32] | None = None
    ) -> None:
        """Chips without power.

        Args:
            genomes: all that may run, by name. first: that the image was made with. target: see `Wall`.
        """
        super().__init__(first, made, scenario, target)
        assert made.spread is not None
        self.replay = SpreadReplay(genomes, first, scenario.grid, made.board.led.brightness)
        self.key = made.spread.key
        self.slots_at = next(symbol.address for symbol in made.image.symbols if symbol.name == "nca_slots")
        self.slot_bytes = slot.shape_of(first).slot_bytes
        self.taken: list[list[tuple[int, bytes]]] = [[] for _ in range(self.array.chips)]
        self.writes = [Writes() for _ in range(self.array.chips)]
        self.self_tests: list[Codes | None] = [None] * self.array.chips
        self._told = [b""] * self.array.chips
        self.frames = dict.fromkeys((frames.OFFER, frames.WANT, frames.PART), 0)
        self.on_flash: Callable[[int, int, int], None] | None = None
        self._fed: tuple[int, feeder.Feeder] | None = None

    def flash(self, cell: int) -> bytes:
        """Both slots of a chip, as they are."""
        return self.array.flash(cell, self.slots_at, 2 * self.slot_bytes)

    def name(self, cell: int) -> bytes:
        """Of what a cell would run if it started now."""
        packed = chosen(self.flash(cell), self.key)
        return NOTHING if packed is None else spread.name(packed)

    def start(self) -> None:
        """Power comes to all; the seed is where the scenario has it."""
        for cell in range(self.array.chips):
            self.switch_on(cell)

    def switch_on(self, cell: int) -> None:
        """Power comes to a chip."""
        self.power_on([cell], "zero", 0)

    def power_on(self, cells: Sequence[int], memory: Memory, event: int) -> int:
        """See `Wall`."""
        for cell in cells:
            self._starts(self.array.now, cell)
        return super().power_on(cells, memory, event)

    def feed(self, cell: int, packed: bytes) -> feeder.Feeder:
        """From now on somebody offers a genome at a chip's service port."""
        self._fed = cell, feeder.Feeder(packed)
        return self._fed[1]

    def go(self, until_ns: int, stop: Callable[[], bool] | None = None) -> int:
        """Run to a time, or until `stop` says so after a step; gives the time."""
        while self.array.now < until_ns and not (stop is not None and stop()):
            if self._fed is not None and (said := self._fed[1].say(self.array.now)):
                self.array.say(self._fed[0], said)
            self._take(self.array.run(min(self.array.now + STEP, until_ns)), end=False)
        return self.array.now

    def all_run(self, name: bytes) -> bool:
        """Whether every chip with power has started with this genome last."""
        return all(runs[-1][1] == name for cell, runs in enumerate(self.taken) if self.array.has_power(cell))

    def _starts(self, now: int, cell: int) -> None:
        name = self.name(cell)
        if self.replay._pending:
            self.replay.settle()
        self.replay.runs[cell] = name
        self.taken[cell].append((now, name))

    def _event(self, now: int, cell: int, cycles: int, kind: int, a: int, data: NDArray[np.uint8]) -> None:
        if kind == simavr.WATCHDOG:
            self._starts(now, cell)
        elif kind == simavr.FLASH:
            self.writes[cell].erased += a == 1
            self.writes[cell].written += a == 2
            if self.on_flash is not None:
                self.on_flash(cell, cycles, a)
            return
        elif kind == simavr.FRAME:
            for head, _ in frames.decode_spread(data[: self.array.firmware.frame_bytes].tobytes(), self.genome.channels):
                self.frames[head] += 1
        super()._event(now, cell, cycles, kind, a, data)

    def _service(self, now: int, cell: int, told: bytes) -> None:
        if self._fed is not None and cell == self._fed[0]:
            self._fed[1].hear(now, told)
        self._told[cell] = (b"" if told[0] == frames.START else self._told[cell]) + told
        for head, codes in frames.decode_reports(self._told[cell], self.genome.channels):
            if head == frames.REPORT_SELF_TEST:
                self.self_tests[cell] = codes
        super()._service(now, cell, told)

    def difference(self) -> Difference | None:
        """The first thing that is not as the reference has it, once all cells have started, all is computed and RAM has been looked at."""
        while self.array.now < (started := max(runs[-1][0] for runs in self.taken) + START):
            self.go(started)
        self._take(simavr.concatenated([]), end=True)
        self.replay.settle()
        self._remember(self.array.now)
        return self.replay.difference
