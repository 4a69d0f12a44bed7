"""Scenario files: array, clocks, links, faults and limits of a run in words, checked as a whole and made into a `Scenario`.

The format is described in docs/scenario.md. Options of the command line are words at places of such a file, and checked with it.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from nca_hw.errors import NcaHwError
from nca_hw.formats import words
from nca_hw.formats.toml_file import TAG, Place, Strict, TomlFile
from nca_hw.formats.words import Time
from nca_hw.sim import faults, regions
from nca_hw.sim.clocks import Oscillator, read_traces
from nca_hw.sim.grid import Wiring
from nca_hw.sim.regions import Struck
from nca_hw.sim.scenario import Mistake, Scenario, ScenarioError, Waits

RECORDING_BYTES = 1 << 30
SPREAD = 0.01  # of clocks' rates, where nothing is said of oscillators
BYTES_A_SAMPLE = 32  # of a cell: its codes and its colour


def _struck(word: object) -> Struck:
    if isinstance(word, bool) or not isinstance(word, str | int):
        raise ValueError(f"{word!r} names no cells. {regions.CURE}")
    try:
        return regions.parse(str(word))
    except NcaHwError as error:
        raise ValueError(f"{error.what}. {error.cure}") from None


TimeWord = Annotated[Time, BeforeValidator(words.time)]
Fraction = Annotated[float, BeforeValidator(words.fraction)]
GridWord = Annotated[tuple[int, int], BeforeValidator(words.grid)]
StruckWord = Annotated[Any, BeforeValidator(_struck)]
Name = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f]*$")]


class Array(Strict):
    """The grid, the chips and their wires."""

    grid: GridWord = (40, 40)
    tile: GridWord = (1, 1)
    wiring: Wiring = "eight"


class Clocks(Strict):
    """When cells wake."""

    interval: TimeWord = Time(100e6, updates=False)
    waits: Waits = "uniform"
    jitter: Fraction = 0.1
    spread: Fraction | None = None
    oscillator: Oscillator = "ideal"
    trace: Name | None = None
    stagger: TimeWord = Time(0, updates=False)
    same_random: bool = False


class Links(Strict):
    """How states travel."""

    latency: TimeWord = Time(2e6, updates=False)
    latency_jitter: TimeWord = Time(0, updates=False)
    baud: int = 0
    loss: Fraction = 0.0
    loss_spread: Fraction = 0.0
    bit_errors: Fraction = 0.0
    broken: Fraction = 0.0


class Limits(Strict):
    """What the run must keep; missing one is exit code 1."""

    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    recovery: TimeWord | None = None


class FaultTable(Strict):
    """What all faults have."""

    cells: StruckWord
    at: TimeWord
    lasts: TimeWord | None = None
    every: TimeWord | None = None
    times: int = 1


class Kill(FaultTable):
    """See faults.Kill."""

    kind: Literal["kill"]
    memory: faults.Memory = "zero"


class Brownout(FaultTable):
    """See faults.Brownout."""

    kind: Literal["brownout"]
    recovery: TimeWord = Time(0, updates=False)


class Stuck(FaultTable):
    """See faults.Stuck."""

    kind: Literal["stuck"]


class Babble(FaultTable):
    """See faults.Babble."""

    kind: Literal["babble"]


class Slow(FaultTable):
    """See faults.Slow."""

    kind: Literal["slow"]
    factor: Annotated[float, Field(allow_inf_nan=False)] = 10.0


class Cut(FaultTable):
    """See faults.Cut."""

    kind: Literal["cut"]
    direction: Literal["both", "out", "in"] = "both"
    border: bool = False


class Stranger(FaultTable):
    """See faults.Stranger."""

    kind: Literal["stranger"]
    genome: Name


class Plant(FaultTable):
    """See faults.Plant."""

    kind: Literal["plant"]


def _kind(table: Any) -> str | None:
    return f"{TAG}{table.get('kind')}" if isinstance(table, dict) else None


AnyFault = Annotated[
    Annotated[Kill, Tag(f"{TAG}kill")] | Annotated[Brownout, Tag(f"{TAG}brownout")] | Annotated[Stuck, Tag(f"{TAG}stuck")]
    | Annotated[Babble, Tag(f"{TAG}babble")] | Annotated[Slow, Tag(f"{TAG}slow")] | Annotated[Cut, Tag(f"{TAG}cut")]
    | Annotated[Stranger, Tag(f"{TAG}stranger")] | Annotated[Plant, Tag(f"{TAG}plant")],
    Discriminator(_kind),
]  # fmt: skip
KINDS: Mapping[str, type[faults.Fault]] = {
    kind.kind: kind
    for kind in (faults.Kill, faults.Brownout, faults.Stuck, faults.Babble, faults.Slow, faults.Cut, faults.Stranger, faults.Plant)
}


class Tables(Strict):
    """A whole file."""

    genome: Name | None = None
    seed: int = 1
    duration: TimeWord = Time(400, updates=True)
    sample_every: TimeWord | None = None
    array: Array = Array()
    clocks: Clocks = Clocks()
    links: Links = Links()
    limits: Limits = Limits()
    genomes: dict[Name, Name] = Field(default_factory=dict)
    fault: list[AnyFault] = Field(default_factory=list, max_length=1000)


# Attributes of a scenario, and the places that they come from. An attribute of a fault has the name of its key, but for the struck cells.
PLACES: Mapping[str, Place] = {
    **dict.fromkeys(("width", "height", "cells"), ("array", "grid")), **dict.fromkeys(("tile_width", "tile_height"), ("array", "tile")),
    "wiring": ("array", "wiring"), "interval": ("clocks", "interval"), "waits": ("clocks", "waits"), "wait_jitter": ("clocks", "jitter"),
    "rate_spread": ("clocks", "spread"), "oscillator": ("clocks", "oscillator"), "traces": ("clocks", "trace"),
    "stagger": ("clocks", "stagger"), "same_random": ("clocks", "same_random"),
    **{name: ("links", name) for name in ("latency", "latency_jitter", "baud", "loss", "loss_spread", "bit_errors", "broken")},
    **{name: (name,) for name in ("seed", "duration", "sample_every")}, "faults": ("fault",), "recovery": ("limits", "recovery"),
}  # fmt: skip


@dataclass(frozen=True)
class Described:
    """What a scenario file, and the options beside it, say.

    Attributes:
        genome: name or file of the genome, None where it is not said. strangers: name or file of those that faults program, by their names.
        loss_limit: pattern loss at the end at the most. recovery_limit: ns from the last fault to recovery at the most.
    """

    scenario: Scenario
    genome: str | None
    strangers: Mapping[str, str]
    loss_limit: float | None
    recovery_limit: int | None


def describe(file: TomlFile, options: Mapping[Place, tuple[str, Any]] | None = None) -> Described:
    """A scenario from its file.

    Args:
        file: its text may be empty. options: what the command line says: place, the option's name and its value. A fault's place is
            ("fault", n): those of the command line come after those of the file.
    Raises:
        NcaHwError: with every mistake, its line or option.
    """
    tables = file.tables()
    named: dict[Place, str] = {}
    for place, (option, value) in (options or {}).items():
        named[_put(tables, place, value)] = option
    file = TomlFile(file.where, file.text, named)
    checked = file.check(tables, Tables)
    interval = checked.clocks.interval
    if interval.updates:
        file.refuse([file.mistake(("clocks", "interval"), "can't be given in mean updates: it is what a mean update is. Write 100ms.")])
    unit = round(interval.amount)
    folder = Path(file.where).parent if file.text else Path()
    mistakes: list[Mistake]
    try:
        scenario = _scenario(checked, unit, folder)
        mistakes = list(_too_much_to_record(scenario))
    except ScenarioError as error:
        mistakes = list(error.mistakes)
    except _TraceError as error:
        mistakes = [(("traces",), " ".join(str(error.cause).split("\n")))]
    strangers = {name: _beside(folder, value, (".genome",)) for name, value in checked.genomes.items()}
    for number, fault in enumerate(checked.fault):
        mistakes += [(("faults", number, key), message) for key, message in _contradictions(fault, strangers)]
    if checked.limits.recovery is not None and not checked.fault:
        mistakes.append((("recovery",), "there is no fault to recover from. Plan one, or leave this limit out."))
    places = [(_place(attribute), message) for attribute, message in mistakes]
    file.refuse([file.mistake(place, message) for place, message in sorted(places, key=lambda one: file.line_of(one[0]))])
    limit = checked.limits.recovery
    genome = None if checked.genome is None else _beside(folder, checked.genome, (".genome",))
    return Described(scenario, genome, strangers, checked.limits.loss, None if limit is None else limit.ns(unit))


def fault_words(text: str) -> dict[str, Any]:
    """A fault in one line, `stuck 5% at=100u lasts=50u`, as the table of a file.

    Raises:
        ValueError: with the cure.
    """
    kind, *rest = text.split() or [""]
    table: dict[str, Any] = {"kind": kind, "cells": " ".join(word for word in rest if "=" not in word)}
    for word in rest:
        key, equals, value = word.partition("=")
        if equals:
            if not key.replace("_", "").isalnum() or not value:
                raise ValueError(f"{word!r} is no KEY=VALUE. Write --fault 'stuck 5% at=100u lasts=50u'.")
            if table.get(key):
                raise ValueError(f"{word!r} says {key} a second time, after {str(table[key])!r}. Say it once.")
            table[key] = _value(value)
    return table


def _value(word: str) -> Any:
    try:
        return tomllib.loads(f"value = {word}")["value"]
    except (ValueError, KeyError):
        return word


def _contradictions(fault: FaultTable, strangers: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys of a fault that do not go together: (key, what is wrong with it)."""
    if fault.every is not None and "times" not in fault.model_fields_set:
        yield "every", "a time between strikes, but not how many there are. Say times, too."
    if isinstance(fault, Plant) and fault.lasts is not None:
        yield "lasts", "planted cells stay what they are: a plant has no end. Leave this out."
    if isinstance(fault, Stranger) and fault.genome not in strangers:
        yield "genome", f"there is no genome {fault.genome!r}. Name it in [genomes].{words.did_you_mean(fault.genome, strangers)}"


def _put(tables: dict[str, Any], place: Place, value: Any) -> Place:
    """Put an option's value at its place; gives the place, in which faults are numbered after those of the file."""
    if place[0] == "fault":
        listed = tables.setdefault("fault", [])
        if not isinstance(listed, list):
            return place
        listed.append(value)
        return ("fault", len(listed) - 1)
    table = tables
    for key in place[:-1]:
        table = table.setdefault(str(key), {})
        if not isinstance(table, dict):
            return place  # the check will tell
    table[str(place[-1])] = value
    return place


class _TraceError(Exception):
    def __init__(self, cause: NcaHwError) -> None:
        self.cause = cause


def _scenario(tables: Tables, unit: int, folder: Path) -> Scenario:
    clocks, links, array = tables.clocks, tables.links, tables.array
    try:
        traces = () if clocks.trace is None else read_traces(folder / clocks.trace)
    except NcaHwError as error:
        raise _TraceError(error) from None
    (width, height), (tile_width, tile_height) = array.grid, array.tile
    oscillator: Oscillator = "trace" if clocks.trace and clocks.oscillator == "ideal" else clocks.oscillator
    spread = (SPREAD if oscillator == "ideal" else 0.0) if clocks.spread is None else clocks.spread
    duration = tables.duration.ns(unit)
    given = tables.sample_every
    sample_every = max(unit, 1) * _stride(width * height * duration // max(unit, 1)) if given is None else given.ns(unit)
    return Scenario(
        width, height, seed=tables.seed, tile_width=tile_width, tile_height=tile_height, wiring=array.wiring, interval=unit,
        waits=clocks.waits, wait_jitter=clocks.jitter, rate_spread=spread, oscillator=oscillator, traces=traces,
        stagger=clocks.stagger.ns(unit), same_random=clocks.same_random, latency=max(1, links.latency.ns(unit)),
        latency_jitter=links.latency_jitter.ns(unit), baud=links.baud, loss=links.loss, loss_spread=links.loss_spread,
        bit_errors=links.bit_errors, broken=links.broken, duration=duration, sample_every=sample_every,
        faults=tuple(_fault(fault, unit) for fault in tables.fault),
    )  # fmt: skip


def _fault(table: FaultTable, unit: int) -> faults.Fault:
    given = {name: getattr(table, name) for name in type(table).model_fields}
    kind, struck = given.pop("kind"), given.pop("cells")
    values = {name: value.ns(unit) if isinstance(value, Time) else value for name, value in given.items()}
    return KINDS[kind](struck, **values)


def _stride(cell_samples: int) -> int:
    """Mean updates between two recorded states, so that a long run of a large array still fits into memory."""
    return max(1, -(-cell_samples * BYTES_A_SAMPLE // RECORDING_BYTES))


def _too_much_to_record(scenario: Scenario) -> Iterator[Mistake]:
    size = scenario.cells * (scenario.duration // scenario.sample_every + 1) * BYTES_A_SAMPLE
    if size > 4 * RECORDING_BYTES:
        told = f"so many states take {size / 2**30:.0f} GiB of memory, allowed are {4 * RECORDING_BYTES >> 30}"
        yield ("sample_every",), f"{told}. Record every {math.ceil(size / RECORDING_BYTES) * scenario.sample_every / 1e9:g} s."


def _beside(folder: Path, name: str, endings: tuple[str, ...]) -> str:
    """A file named in a scenario file lies beside it; any other word is a name."""
    return str(folder / name) if name.endswith(endings) or "/" in name else name


def _place(attribute: tuple[str | int, ...]) -> Place:
    first, *rest = attribute
    return (*PLACES[str(first)], *("cells" if part == "struck" else part for part in rest))
