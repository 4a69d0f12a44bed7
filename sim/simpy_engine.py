"""The reference engine: every cell is a SimPy process with its own memory, generator and clock; messages travel as events.

At equal times, faults come first, then wakes in the order of the cells, then arrivals, then observations: a cell that wakes
at t knows exactly what had arrived before t. Times are whole nanoseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import simpy

from nca_hw.core import frames
from nca_hw.core.genome import NEIGHBOURS
from nca_hw.core.reference import SEED_QUIET, gather_neighbours, random_next
from nca_hw.sim.clocks import MILLION, SEGMENT_NS
from nca_hw.sim.faults import Memory, random_memory, random_state
from nca_hw.sim.grid import OWN, Frame
from nca_hw.sim.plan import QUEUE, draw, pace_of, paced
from nca_hw.sim.recording import Recording
from nca_hw.sim.rules import Array, Rule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.streams import Domain, key

FAULT, WAKE, ARRIVAL, OBSERVATION = 2, 16, 1 << 40, 1 << 41  # priorities; a wake's is WAKE + cell
NEVER = -1


class Moment(simpy.Event):
    """A point in time with a place in the order of those at the same time."""

    def __init__(self, env: simpy.Environment, delay: int, priority: int, then: Callable[[simpy.Event], None] | None = None) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        if then is not None:
            self.callbacks.append(then)
        env.schedule(self, priority, delay)  # type: ignore[arg-type]  # SimPy names two priorities, and sorts by any number


Slot = tuple[list[int], int, int]  # where a message arrives: the receiver's `heard_at`, the slot, its place in all inboxes in bytes


class Message(NamedTuple):
    """A state underway."""

    receivers: list[Slot]
    state: bytes
    told_at: int  # when its owner sent it


class Cell:
    """One automaton: what it knows, and the process that wakes it."""

    def __init__(self, array: SimpyArray, index: int, state: Array, inbox: Array) -> None:
        self.array = array
        self.index = index
        self.chip = int(array.scenario.grid.chip_of[index])
        self.state = state  # [C], this cell's own
        self.inbox = inbox  # [8, C], what it has received
        self.heard_at = [NEVER] * NEIGHBOURS  # when its owner sent what stands in the inbox
        self.program: str | None = None  # a stranger's genome by its name
        self.update = array.rule.bind(state, inbox)
        self.random = int(array.plan.random[index])
        self.pace = pace_of(1.0)  # its clock is so many 1024ths too slow
        self.quiet = 0  # wakes that pass without an update: a new seed waits until its neighbours have heard it
        self.stuck = False
        self.babbling = False
        self.cut = int(array.plan.cut[index])  # frames that don't get through, a bit for each
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
        self.heard_at[:] = [NEVER] * NEIGHBOURS
        self.quiet = 0

    def live(self) -> Generator[simpy.Event, Any, None]:
        """Wait a random time, update from the latest states received, send, for as long as there is power."""
        env, wake, waits, priority = self.array.env, self.array.wake, self.array.waits, WAKE + self.index
        try:
            while True:
                self.random = random_next(self.random)
                yield Moment(env, waits[self.random >> 20] * self.tick() // MILLION, priority)
                wake(self)
        except simpy.Interrupt:
            pass

    def tick(self) -> int:
        """Length of a thousand ticks now, ps."""
        clocks, i = self.array.plan.clocks, self.index
        tick = int(clocks.tick[i])
        if len(clocks.wander):
            rates = clocks.wander[clocks.clock[i]]
            tick += int(rates[(self.array.now + int(clocks.phase[i])) // SEGMENT_NS % len(rates)])
        return paced(tick, self.pace)


class SimpyArray:
    """An array of cells on a rectangular grid, run by SimPy.

    Args:
        strangers: other rules that faults may program into cells, by name.

    Attributes:
        env: the SimPy environment; a user's own processes may live in it.
        cells: row by row.
    """

    def __init__(self, scenario: Scenario, rule: Rule, strangers: Mapping[str, Rule] | None = None) -> None:
        self.scenario = scenario
        self.plan = draw(scenario, rule.channels)
        self.waits: list[int] = self.plan.waits.tolist()
        self.rule = rule
        self.strangers = dict(strangers or {})
        self.env = simpy.Environment(initial_time=0)
        self.recording = Recording()
        count, channels = scenario.cells, rule.channels
        self._states = np.zeros((count, channels), rule.dtype)
        self._inboxes = np.zeros((count, NEIGHBOURS, channels), rule.dtype)
        self.cells = [Cell(self, i, self._states[i], self._inboxes[i]) for i in range(count)]
        self._memory = memoryview(self._inboxes.reshape(-1).view(np.uint8).data)
        self._message_bytes = channels * rule.dtype.itemsize
        self._frames = [[(frame, self._slots(frame.receivers)) for frame in scenario.grid.frames(i)] for i in range(count)]
        self._inside = [self._slots(scenario.grid.inside(i)) for i in range(count)]
        self._chance = bool(self.plan.loss_limit or len(self.plan.clean) or scenario.latency_jitter)  # links are left to
        self._updates = np.zeros(count, np.int64)
        chips, links = scenario.grid.chips, NEIGHBOURS
        self._free = [[0] * links for _ in range(chips)]  # when a link has sent all that waits for it
        self._last = [[0] * links for _ in range(chips)]  # when the last frame on a link arrives; frames don't overtake

    @property
    def now(self) -> int:
        """Simulated time, ns."""
        return int(self.env.now)

    def _slots(self, receivers: Sequence[tuple[int, int]]) -> list[Slot]:
        return [(self.cells[i].heard_at, slot, (i * NEIGHBOURS + slot) * self._message_bytes) for i, slot in receivers]

    # What operations do to cells; the protocol is faults.Array.

    def power_off(self, cells: Sequence[int]) -> int:
        """Power is cut."""
        return sum(self._each(cells, Cell.stop, lambda cell: cell.process is not None))

    def power_on(self, cells: Sequence[int], memory: Memory, event: int) -> int:
        """Power is back."""

        def start(cell: Cell) -> None:
            cell.stop()  # whatever arrived meanwhile was never in its memory
            if memory == "random":
                found = random_memory(self.scenario.seed, event, cell.index, self.rule.channels)
                cell.state[:], cell.inbox[:] = found[0], found[1:]
            if self.scenario.same_random:
                cell.random = int(self.plan.random[cell.index])
            cell.start()

        return sum(self._each(cells, start, lambda cell: cell.process is None))

    def remember(self, states: Array) -> int:
        """Start from known states."""
        self._states[:] = states.reshape(len(self.cells), -1)
        self._inboxes[:] = gather_neighbours(states).reshape(self._inboxes.shape)
        return len(self.cells)

    def plant(self, cells: Sequence[int]) -> int:
        """Make cells seeds: they send at once, and let two wakes pass before they update."""

        def plant(cell: Cell) -> None:
            if cell.process is not None:
                cell.state[:] = self.rule.seed()
                cell.quiet = SEED_QUIET
                self.send(cell)

        return sum(self._each(cells, plant, lambda cell: cell.process is not None))

    def freeze(self, cells: Sequence[int], on: bool) -> int:
        """Cells get stuck, or come loose."""
        return sum(self._each(cells, lambda cell: setattr(cell, "stuck", on), lambda cell: cell.stuck != on))

    def babble(self, cells: Sequence[int], on: bool) -> int:
        """Cells begin or cease to babble."""
        return sum(self._each(cells, lambda cell: setattr(cell, "babbling", on), lambda cell: cell.babbling != on))

    def pace(self, cells: Sequence[int], slower: float) -> int:
        """Clocks run slower."""
        pace = pace_of(slower)
        return sum(self._each(cells, lambda cell: setattr(cell, "pace", pace), lambda cell: cell.pace != pace))

    def cut(self, frames: Sequence[tuple[int, int]], on: bool) -> int:
        """Frames no longer get through, or do again."""
        changed = 0
        for index, number in frames:
            cell, bit = self.cells[index], 1 << number
            after = cell.cut | bit if on else cell.cut & ~bit | int(self.plan.cut[index]) & bit
            changed += after != cell.cut
            cell.cut = after
        return changed

    def program(self, cells: Sequence[int], genome: str | None) -> int:
        """Cells run another rule."""
        rule = self.rule if genome is None else self.strangers[genome]

        def program(cell: Cell) -> None:
            cell.program = genome
            cell.update = rule.bind(cell.state, cell.inbox)

        return sum(self._each(cells, program, lambda cell: cell.program != genome))

    def _each(self, cells: Sequence[int], do: Callable[[Cell], None], changes: Callable[[Cell], bool]) -> list[bool]:
        changed = [changes(self.cells[index]) for index in cells]
        for index in cells:
            do(self.cells[index])
        return changed

    # What cells do.

    def wake(self, cell: Cell) -> None:
        """One wake of one cell: update, then send."""
        counters, now = self.recording.counters, self.now
        if cell.quiet:
            cell.quiet -= 1
        elif not cell.stuck:
            for at in cell.heard_at:
                if at != NEVER:
                    counters.heard += 1
                    counters.age += now - at
            counters.updates += 1
            self._updates[cell.index] += 1
            if cell.babbling:
                cell.state[:] = random_state(self.scenario.seed, cell.index, cell.sent, self.rule.channels)
            else:
                counters.evaluated_updates += cell.update()
            self.recording.trajectory.add(now, cell.index, cell.state.tobytes())
        self.send(cell)

    def send(self, cell: Cell) -> None:
        """Send a cell's state, and what it passes on, over all its links."""
        number = key(self.scenario.seed, Domain.LINK_LOSS, cell.index, cell.sent) if self._chance else 0
        cell.sent += 1
        own, now = cell.state.tobytes(), self.now
        arrivals: dict[int, list[Message]] = {}  # by time
        if inside := self._inside[cell.index]:
            arrivals[now] = [Message(inside, own, now)]
        for frame, receivers in self._frames[cell.index]:
            arrival = self._transmit(cell, frame, number, now)
            if arrival is None:
                continue
            state, told_at = own, now
            if frame.carries != OWN:
                state, told_at = cell.inbox[frame.carries].tobytes(), cell.heard_at[frame.carries]
            heard = self._hear(state, number, frame)
            if heard is not None:
                arrivals.setdefault(arrival, []).append(Message(receivers, heard, told_at))
        for time, messages in arrivals.items():
            self._deliver(time, messages)

    def _transmit(self, cell: Cell, frame: Frame, number: int, now: int) -> int | None:
        """Put a frame on its link: when it arrives, or None if it never does. `number` stands for all that this wake sends."""
        scenario, plan, counters = self.scenario, self.plan, self.recording.counters
        chip = cell.chip
        counters.messages_sent += 1
        arrival = now + scenario.latency
        if plan.frame_ns:
            start = max(now, self._free[chip][frame.link])
            if start - now > QUEUE * plan.frame_ns:
                counters.messages_dropped += 1
                return None
            self._free[chip][frame.link] = start + plan.frame_ns
            arrival = start + plan.frame_ns + scenario.latency
        if scenario.latency_jitter:
            late = key(number, Domain.LINK_JITTER, frame.number) * (scenario.latency_jitter + 1) >> 32
            arrival = self._last[chip][frame.link] = max(arrival + late, self._last[chip][frame.link])
        lost = bool(cell.cut >> frame.number & 1)
        if plan.loss_limit and not lost:
            limit = plan.loss_limit
            if plan.loss_spread:
                drawn = key(scenario.seed, Domain.LINK_QUALITY, chip, frame.link)
                limit = limit * (65536 - plan.loss_spread + (2 * plan.loss_spread * drawn >> 32)) >> 16
            lost = key(number, Domain.LINK_LOSS, frame.number) < limit
        counters.messages_lost += lost
        return None if lost else arrival

    def _hear(self, state: bytes, number: int, frame: Frame) -> bytes | None:
        """What a receiver makes of a frame whose bits may flip: the state, another one if the CRC does not notice, or None."""
        clean = self.plan.clean
        if not len(clean):
            return state
        flips: list[int] = []
        at = 0
        while True:
            drawn = key(number, Domain.BIT_ERROR, frame.number, len(flips))
            at += int(np.searchsorted(clean, drawn, side="right"))  # the number of the next flipped bit, from 1
            if at >= len(clean):
                break
            flips.append(at - 1)
        if not flips:
            return state
        counters = self.recording.counters
        counters.messages_corrupted += 1
        place = self.scenario.grid.place(frame.number)
        wire = bytearray(frames.encode(place, np.frombuffer(state, np.int8)))
        for bit in flips:
            wire[bit // 8] ^= 1 << bit % 8
        found = [heard for seen, heard in frames.decode_all(bytes(wire), len(state)) if seen == place]
        if not found:
            return None
        counters.messages_undetected += 1
        return found[0].tobytes()

    def _deliver(self, time: int, messages: list[Message]) -> None:
        memory, size = self._memory, self._message_bytes

        def arrive(_: simpy.Event) -> None:
            for receivers, state, told_at in messages:
                for heard_at, slot, at in receivers:
                    memory[at : at + size] = state
                    heard_at[slot] = told_at

        Moment(self.env, time - self.now, ARRIVAL, arrive)

    # The run.

    def operate(self) -> Generator[simpy.Event, Any, None]:
        """What happens to the array: power, seeds and faults."""
        for operation in self.plan.operations:
            yield Moment(self.env, operation.time - self.now, FAULT)
            self.recording.note(operation, operation.apply(self))

    def observe(self) -> Generator[simpy.Event, Any, None]:
        """Record the states at even times."""
        scenario, recording = self.scenario, self.recording
        shape = (scenario.height, scenario.width)
        while True:
            yield Moment(self.env, 0 if not recording.times else scenario.sample_every, OBSERVATION)
            powered = np.array([cell.process is not None for cell in self.cells]).reshape(shape)
            recording.add(self.now, self._states.reshape(*shape, -1).copy(), powered)

    def run(self, progress: Callable[[int], None] | None = None) -> Recording:
        """Run to the scenario's end.

        Args:
            progress: called with the time in ns, once a sample.
        """
        scenario = self.scenario
        self.env.process(self.operate())
        self.env.process(self.observe())
        step = scenario.sample_every
        for until in (*range(step, scenario.duration, step), scenario.duration):
            self._run_through(until)
            if progress is not None:
                progress(self.now)
        self.recording.updates_per_cell = self._updates.reshape(scenario.height, scenario.width)
        self.recording.sendings_per_cell = np.array([cell.sent for cell in self.cells]).reshape(scenario.height, scenario.width)
        return self.recording

    def _run_through(self, until: int) -> None:
        """Everything that happens up to and at `until` (SimPy's own `until` stops before the events at that time)."""
        end = Moment(self.env, until - self.now, OBSERVATION + 1)
        self.env.run(until=end)
