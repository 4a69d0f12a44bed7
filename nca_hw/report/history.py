"""What happened to chosen cells, in order: their updates, and what operations did to them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nca_hw.core.genome import Genome
from nca_hw.sim.faults import Babbling, Cutting, Freezing, Operation, Pace, Planting, Power, Programming, Remembering, random_memory
from nca_hw.sim.plan import draw
from nca_hw.sim.scenario import Scenario

UNPOWERED = "no power"  # before a cell is first switched on


class Update(NamedTuple):
    """A cell has updated: its new state (C codes), and whether that differs from the one before."""

    time: int
    cell: int
    state: bytes
    changed: bool


class Put(NamedTuple):
    """An operation has put a cell into a state; `planted` where that made it a seed."""

    time: int
    cell: int
    state: bytes
    planted: bool
    fault: int | None


class Turn(NamedTuple):
    """A condition of a cell has begun, changed or ended.

    Attributes:
        condition: "power", "stuck", "babble", "slow", "cut" or "stranger".
        name: kind of the fault behind it, None where the condition has ended: the cell is as it should be.
        detail: what more there is to say. fault: its number.
    """

    time: int
    cell: int
    condition: str
    name: str | None
    detail: object
    fault: int | None


Event = Update | Put | Turn
_Row = tuple[int, int, bytes]  # of the updates: time, cell, new state


@dataclass(frozen=True)
class History:
    """A stretch of a run.

    Attributes:
        cells: those chosen, ascending. start, end: ns, both within.
        states: of every cell just before the start. conditions: those in force just before the start.
        events: by time; at one time operations come before updates.
    """

    scenario: Scenario
    genome: Genome
    cells: list[int]
    start: int
    end: int
    states: dict[int, bytes]
    conditions: list[Turn]
    events: list[Event]


def tell(scenario: Scenario, genome: Genome, cells: list[int], start: int, end: int, updates: Iterable[_Row]) -> History:
    """The history of cells between two times.

    Args:
        updates: time, cell and new state of every update of these cells in order; of those before the start, each cell's last will do.
    """
    world = _World(scenario, genome, cells)
    planned = draw(scenario, genome.channels).operations
    operations: Iterator[tuple[int, int, Operation | _Row]] = ((one.time, 0, one) for one in planned if one.time <= end)
    rows: Iterator[tuple[int, int, Operation | _Row]] = ((row[0], 1, row) for row in updates)
    states: dict[int, bytes] = {}
    conditions: list[Turn] = []
    events: list[Event] = []
    begun = False
    for time, _, what in heapq.merge(operations, rows, key=lambda one: one[:2]):
        if not begun and time >= start:
            begun, states, conditions = True, dict(world.states), world.in_force()
        happened: list[Event] = list(world.operate(what)) if isinstance(what, Operation) else [world.update(*what)]
        if time >= start:
            events += happened
    if not begun:
        states, conditions = dict(world.states), world.in_force()
    return History(scenario, genome, cells, start, end, states, conditions, events)


class _World:
    """States and conditions of the chosen cells, as operations and updates make them."""

    def __init__(self, scenario: Scenario, genome: Genome, cells: list[int]) -> None:
        self.scenario = scenario
        self.genome = genome
        self.cells = cells
        self._all = frozenset(cells)
        self.states = dict.fromkeys(cells, bytes(genome.channels))
        off = [Turn(0, cell, "power", UNPOWERED, True, None) for cell in cells]
        self._conditions: dict[tuple[int, str], Turn] = {(turn.cell, turn.condition): turn for turn in off}

    def in_force(self) -> list[Turn]:
        """Conditions that have begun and not ended, in the order in which they began."""
        return sorted(self._conditions.values(), key=lambda turn: turn.time)

    def _chosen(self, cells: Iterable[int]) -> list[int]:
        return sorted(self._all.intersection(cells))

    def update(self, time: int, cell: int, state: bytes) -> Update:
        """A cell updates."""
        changed = self.states[cell] != state
        self.states[cell] = state
        return Update(time, cell, state, changed)

    def operate(self, operation: Operation) -> Iterator[Event]:
        """What an operation changes."""
        match operation:
            case Power():
                yield from self._power(operation)
            case Planting():
                for cell in self._chosen(operation.cells):
                    if (cell, "power") not in self._conditions:
                        yield self._put(operation, cell, self.genome.seed.tobytes(), planted=True)
            case Remembering():
                flat = operation.states.reshape(self.scenario.cells, -1)
                for cell in self.cells:
                    yield self._put(operation, cell, np.asarray(flat[cell], np.int8).tobytes())
            case Freezing():
                yield from self._turn_all(operation, "stuck", operation.cells, operation.on or None)
            case Babbling():
                yield from self._turn_all(operation, "babble", operation.cells, operation.on or None)
            case Pace():
                yield from self._turn_all(operation, "slow", operation.cells, None if operation.slower == 1 else operation.slower)
            case Programming():
                yield from self._turn_all(operation, "stranger", operation.cells, operation.genome)
            case Cutting():
                yield from self._cut(operation)

    def _power(self, operation: Power) -> Iterator[Event]:
        for cell in self._chosen(operation.cells):
            yield from self._turn(operation, cell, "power", None if operation.on else True)
            state = bytes(self.genome.channels)
            if operation.on and operation.memory == "random":
                state = random_memory(self.scenario.seed, operation.event, cell, self.genome.channels)[0].tobytes()
            yield self._put(operation, cell, state)

    def _cut(self, operation: Cutting) -> Iterator[Event]:
        frames: dict[int, set[int]] = {}
        for cell, number in operation.frames:
            if cell in self._all:
                frames.setdefault(cell, set()).add(number)
        for cell, numbers in frames.items():
            now = self._conditions.get((cell, "cut"))
            before: set[int] = set(now.detail) if now is not None and isinstance(now.detail, tuple) else set()
            after = before | numbers if operation.on else before - numbers
            yield from self._turn(operation, cell, "cut", tuple(sorted(after)) or None)

    def _turn_all(self, operation: Operation, condition: str, cells: Iterable[int], detail: object) -> Iterator[Turn]:
        for cell in self._chosen(cells):
            yield from self._turn(operation, cell, condition, detail)

    def _turn(self, operation: Operation, cell: int, condition: str, detail: object) -> Iterator[Turn]:
        """A condition as it is from now on; None: the cell is as it should be."""
        now = self._conditions.get((cell, condition))
        if detail is None:
            if now is not None:
                del self._conditions[cell, condition]
                yield Turn(operation.time, cell, condition, None, None, operation.fault)
        elif now is None or now.detail != detail:
            name = condition if operation.fault is None else self.scenario.faults[operation.fault].kind
            turn = self._conditions[cell, condition] = Turn(operation.time, cell, condition, name, detail, operation.fault)
            yield turn

    def _put(self, operation: Operation, cell: int, state: bytes, *, planted: bool = False) -> Put:
        self.states[cell] = state
        return Put(operation.time, cell, state, planted, operation.fault)
