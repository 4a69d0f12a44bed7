"""The reference engine: every cell is a SimPy process with its own memory, generator and clock; messages travel as events.

At equal times, faults come first, then wakes in the order of the cells, then arrivals, then observations: a cell that wakes
at t knows exactly what was sent before t - latency. Times are whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import SEED_QUIET, random_next
from nca_hw.sim.plan import MILLION, draw
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import Array, Rule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.streams import Domain, key

FAULT, WAKE, ARRIVAL, OBSERVATION = 2, 16, 1 << 40, 1 << 41  # priorities; a wake's is WAKE + cell
OFFSETS = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # row, column; clockwise from the north


class Moment(simpy.Event):
    """A point in time with a place in the order of those at the same time."""

    def __init__(self, env: simpy.Environment, delay: int, priority: int, then: Callable[[simpy.Event], None] | None = None) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        if then is not None:
            self.callbacks.append(then)
        env.schedule(self, priority, delay)  # type: ignore[arg-type]  # SimPy names two priorities, and sorts by any number


class Cell:
    """One automaton: what it knows, and the process that wakes it."""

    def __init__(self, array: SimpyArray, index: int, state: Array, inbox: Array) -> None:
        self.array = array
        self.index = index
        self.state = state  # [C], this cell's own
        self.inbox = inbox  # [8, C], what it has received
        self.update = array.rule.bind(state, inbox)
        self.random = int(array.plan.random[index])
        self.tick = int(array.plan.tick[index])  # length of a thousand ticks, ps
        self.quiet = 0  # wakes that pass without an update: a new seed waits until its neighbours have heard it
        self.sent = 0
        self.process: simpy.Process | None = None

    def start(self) -> None:
        """Power on."""
        self.process = self.array.env.process(self.live())

    def stop(self) -> None:
        """Power off: all memory is lost."""
        if self.process is not None:
            self.process.interrupt()
            self.process = None
        self.state[:] = 0
        self.inbox[:] = 0
        self.quiet = 0

    def live(self) -> Generator[simpy.Event, Any, None]:
        """Wait a random time, update from the latest states received, send, for as long as there is power."""
        env, wake = self.array.env, self.array.wake
        waits, tick, priority = self.array.waits, self.tick, WAKE + self.index
        try:
            while True:
                self.random = random_next(self.random)
                yield Moment(env, waits[self.random >> 20] * tick // MILLION, priority)
                wake(self)
        except simpy.Interrupt:
            pass


class SimpyArray:
    """An array of cells on a rectangular grid, wired to their eight neighbours, run by SimPy.

    Attributes:
        env: the SimPy environment; a user's own processes may live in it.
        cells: row by row.
    """

    def __init__(self, scenario: Scenario, rule: Rule) -> None:
        self.scenario = scenario
        self.plan = draw(scenario)
        self.waits: list[int] = self.plan.waits.tolist()
        self.rule = rule
        self.env = simpy.Environment(initial_time=0)
        self.recording = Recording()
        count, channels = scenario.cells, rule.channels
        self._states = np.zeros((count, channels), rule.dtype)
        self._inboxes = np.zeros((count, NEIGHBOURS, channels), rule.dtype)
        self._memory = memoryview(self._inboxes.reshape(-1).view(np.uint8).data)
        self._message_bytes = channels * rule.dtype.itemsize
        self.cells = [Cell(self, i, self._states[i], self._inboxes[i]) for i in range(count)]
        self._links = [self._links_of(i) for i in range(count)]
        self._updates = np.zeros(count, np.int64)

    def _links_of(self, index: int) -> list[tuple[int, int]]:
        """The links of a cell, clockwise: their direction, and where in the receiver's memory its state arrives, as a byte offset."""
        width, height = self.scenario.width, self.scenario.height
        row, column = divmod(index, width)
        links = []
        for k, (down, right) in enumerate(OFFSETS):
            y, x = row + down, column + right
            if 0 <= y < height and 0 <= x < width:
                slot = (k + NEIGHBOURS // 2) % NEIGHBOURS  # the sender's place as the receiver sees it
                links.append((k, ((y * width + x) * NEIGHBOURS + slot) * self._message_bytes))
        return links

    @property
    def now(self) -> int:
        """Simulated time, ns."""
        return int(self.env.now)

    def plant(self, index: int) -> None:
        """Make a cell the seed: it sends at once, and lets two wakes pass before it updates."""
        cell = self.cells[index]
        cell.state[:] = self.rule.seed()
        cell.quiet = SEED_QUIET
        self.send(cell)

    def wake(self, cell: Cell) -> None:
        """One wake of one cell: update, then send."""
        if cell.quiet:
            cell.quiet -= 1
        else:
            counters = self.recording.counters
            counters.updates += 1
            counters.evaluated_updates += cell.update()
            self._updates[cell.index] += 1
            self.recording.trajectory.add(self.now, cell.index, cell.state.tobytes())
        self.send(cell)

    def send(self, cell: Cell) -> None:
        """Send a cell's state over all its links; each message may be lost, the others arrive after the latency."""
        links = self._links[cell.index]
        counters = self.recording.counters
        counters.messages_sent += len(links)
        if limit := self.plan.loss_limit:
            number = key(self.scenario.seed, Domain.LINK_LOSS, cell.index, cell.sent)
            links = [link for link in links if key(number, Domain.LINK_LOSS, link[0]) >= limit]
            counters.messages_lost += len(self._links[cell.index]) - len(links)
        cell.sent += 1
        message, memory, size = cell.state.tobytes(), self._memory, self._message_bytes

        def arrive(_: simpy.Event) -> None:
            for _direction, at in links:
                memory[at : at + size] = message

        Moment(self.env, self.scenario.latency, ARRIVAL, arrive)

    def cut_power(self) -> Generator[simpy.Event, Any, None]:
        """The planned faults: cells lose power, and perhaps get it back."""
        for cut in self.plan.power_cuts:
            yield Moment(self.env, cut.time - self.now, FAULT)
            for index in cut.cells:
                self.cells[index].stop()  # at a restart too: whatever arrived meanwhile was never in its memory
                if cut.on:
                    self.cells[index].start()

    def observe(self) -> Generator[simpy.Event, Any, None]:
        """Record the states at even times."""
        scenario, recording = self.scenario, self.recording
        shape = (scenario.height, scenario.width)
        while True:
            yield Moment(self.env, 0 if not recording.times else scenario.sample_every, OBSERVATION)
            recording.times.append(self.now)
            recording.states.append(self._states.reshape(*shape, -1).copy())
            recording.powered.append(np.array([cell.process is not None for cell in self.cells]).reshape(shape))

    def run(self, progress: Callable[[int], None] | None = None) -> Recording:
        """Run to the scenario's end.

        Args:
            progress: called with the time in ns, once a sample.
        """
        scenario = self.scenario
        self.env.process(self.cut_power())
        for cell in self.cells:
            cell.start()
        self.plant(scenario.seed_cell)
        self.env.process(self.observe())
        step = scenario.sample_every
        for until in (*range(step, scenario.duration, step), scenario.duration):
            self._run_through(until)
            if progress is not None:
                progress(self.now)
        self.recording.updates_per_cell = self._updates.reshape(scenario.height, scenario.width)
        return self.recording

    def _run_through(self, until: int) -> None:
        """Everything that happens up to and at `until` (SimPy's own `until` stops before the events at that time)."""
        end = Moment(self.env, until - self.now, OBSERVATION + 1)
        self.env.run(until=end)
