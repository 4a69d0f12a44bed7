"""Scenario and rule in, result out: what every front end calls."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.model import ALIVE_THRESHOLD, ALPHA
from nca_hw.errors import NcaHwError
from nca_hw.sim import metrics
from nca_hw.sim.fast_engine import FastArray, TooFarApartError
from nca_hw.sim.faults import Babble, Stranger
from nca_hw.sim.plan import frame_seconds
from nca_hw.sim.recording import Recording, Strike
from nca_hw.sim.rules import IntegerRule, Rule
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.simpy_engine import SimpyArray

Engine = Literal["auto", "simpy", "fast"]
Progress = Callable[[int, Recording], None]
Process = Callable[[SimpyArray], Generator[Any, Any, None]]


@dataclass(frozen=True)
class Result:
    """What a run gave.

    Attributes:
        target: on the grid, float32 [height, width, 4], or None.
        losses: pattern loss of every sample, empty without a target.
        alive: cells of every sample that look alive.
        computed_updates: updates for which the network was run; the fast engine leaves out those that can change nothing.
    """

    scenario: Scenario
    rule: Rule
    engine: str
    recording: Recording
    target: NDArray[np.float32] | None
    losses: list[float]
    alive: list[int]
    recovery: metrics.Recovery
    computed_updates: int

    def rgba(self, sample: int) -> NDArray[np.float32]:
        """Premultiplied RGBA of a sample, float32 [height, width, 4]."""
        return self.rule.rgba(self.recording.states[sample])

    @property
    def loss(self) -> float | None:
        """Pattern loss at the end."""
        return self.losses[-1] if self.losses else None

    @property
    def information_age(self) -> float | None:
        """How old a neighbour's state is when a cell uses it, ns on average."""
        return metrics.information_age(self.recording.counters)

    def link_load(self, baud: int) -> metrics.LinkLoad | None:
        """Load of the links at a speed in bits a second."""
        scenario, sendings = self.scenario, self.recording.sendings_per_cell
        return metrics.link_load(scenario.grid, sendings, frame_seconds(self.rule.channels, baud), scenario.duration)

    @property
    def unfired(self) -> list[Strike]:
        """Strikes of planned faults that changed nothing: such a run proves nothing about them, it is invalid."""
        return [strike for strike in self.recording.strikes if strike.changed == 0]


def simulate(
    scenario: Scenario, rule: Rule, target: NDArray[np.float32] | None = None, progress: Progress | None = None, engine: Engine = "auto",
    *, strangers: Mapping[str, Rule] | None = None, processes: Sequence[Process] = (), listener: Callable[[bytes], None] | None = None,
) -> Result:  # fmt: skip
    """Run a scenario.

    Args:
        engine: "simpy" is the reference; "fast" gives the same trajectory for the integer cell; "auto" takes it where it can.
        target: premultiplied RGBA, float32 [h, w, 4] in 0..1, its middle where the seed is.
        progress: called with the simulated time in ns and the recording so far.
        strangers: rules that faults of the scenario program into cells, by name.
        processes: SimPy processes of your own, functions of the `SimpyArray`; they need the reference engine.
        listener: called with the updates in order, as bytes: time in ns (u64), cell (u32), new state.
    Raises:
        NcaHwError: the fast engine was asked for and can't run this; a fault needs a stranger that is not there.
    """
    others = dict(strangers or {})
    check(scenario, rule, others)
    integer = all(type(one) is IntegerRule for one in (rule, *others.values()))
    if engine == "fast" and not integer:
        raise NcaHwError(f"the fast engine runs the integer cell only, not {rule.name}", cure="Take the engine 'simpy'.")
    if engine == "fast" and processes:
        raise NcaHwError("processes of your own live in the reference engine only", cure="Take the engine 'simpy'.")
    array: FastArray | SimpyArray | None = None
    if engine != "simpy" and integer and not processes:
        try:
            array = FastArray(scenario, cast(IntegerRule, rule), cast(dict[str, IntegerRule], others))
        except TooFarApartError:
            if engine == "fast":
                raise
    if array is None:
        array = SimpyArray(scenario, rule, others)
        for process in processes:
            array.env.process(process(array))
    recording = array.recording
    recording.trajectory.listener = listener
    array.run(None if progress is None else lambda time: progress(time, recording))
    recording.trajectory.hexdigest()  # tells the listener the rest
    on_grid = None if target is None else metrics.place(target, scenario.height, scenario.width)
    losses, alive = [], []
    for states in recording.states:
        picture = rule.rgba(states)
        alive.append(int((picture[..., ALPHA] > ALIVE_THRESHOLD).sum()))
        if on_grid is not None:
            losses.append(metrics.pattern_loss(picture, on_grid))
    spans = [span for fault in scenario.faults for span in fault.spans()]
    strikes = [start for start, _ in spans]
    ends = [start if end is None else end for start, end in spans]
    back = metrics.recovery(recording.times, losses, strikes, ends) if losses else metrics.Recovery(None, None, None)
    fast = isinstance(array, FastArray)
    computed = array.computed_updates if isinstance(array, FastArray) else recording.counters.evaluated_updates
    return Result(scenario, rule, "fast" if fast else "simpy", recording, on_grid, losses, alive, back, computed)


def check(scenario: Scenario, rule: Rule, others: Mapping[str, Rule]) -> None:
    """Whether cells of a rule can run a scenario at all.

    Raises:
        NcaHwError: they can't: a stranger is missing or speaks otherwise, or a fault is one of state codes, which only integer cells have.
    """
    for fault in scenario.faults:
        if isinstance(fault, Stranger) and fault.genome not in others:
            raise NcaHwError(f"there is no genome {fault.genome!r} for a stranger", where="scenario", cure="Name its file.")
    for name, other in others.items():
        if (other.channels, other.dtype) != (rule.channels, rule.dtype):
            told = f"a stranger speaks {other.channels} channels of {other.dtype}, the array {rule.channels} of {rule.dtype}"
            raise NcaHwError(told, where=name, cure="Take a genome with as many channels.")
    codes_needed = scenario.bit_errors > 0 or any(isinstance(f, Babble) or getattr(f, "memory", "") == "random" for f in scenario.faults)
    if rule.dtype != np.int8 and codes_needed:
        told = f"bit errors, babbling cells and random memory are those of state codes, which {rule.name} has not"
        raise NcaHwError(told, where="scenario", cure="Take the integer cell.")
