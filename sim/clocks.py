"""Clocks: how long a cell waits by its own clock, and how long a tick of that clock really is.

Source of the RC model: six traces of four hours of the RC oscillators of an array of robots (VisibleSim's Blinky Blocks): 0.89% slow
together, 0.21% apart (standard deviations throughout), and rates that wander by 210 ppm, with a correlation of 0.83 from one
minute to the next.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.reference import random_wait
from nca_hw.errors import NcaHwError
from nca_hw.sim.streams import Domain, bell, keys

Oscillator = Literal["ideal", "crystal", "rc", "trace"]
MILLION = 1_000_000
WAITS = 1 << 12
TICK = 1_000 * MILLION  # ps of a thousand ticks of a true clock
SEGMENT_NS = 60_000_000_000  # a wandering rate is constant so long
SEGMENTS = 256  # of a made-up clock, after which it begins anew
MADE_UP = 64  # clocks; each chip runs one of them from a point of its own
TRACE_BYTES_MAX = 1 << 24
CRYSTAL_PPM = 30
RC_SLOW_PPM, RC_SPREAD_PPM, RC_WANDER_PPM, RC_KEPT_PERCENT = 8_900, 2_100, 210, 83
_SHOCK_PPM = 117  # RC_WANDER_PPM sqrt(1 - 0.83^2)


@dataclass(frozen=True)
class Trace:
    """A measured clock: true times, ns, ascending, and by how much the clock was ahead then, ns."""

    times: tuple[int, ...]
    ahead: tuple[int, ...]


@dataclass(frozen=True)
class Clocks:
    """All clocks of an array.

    Attributes:
        tick: int64 [cells], length of a thousand ticks, ps: 10^9 of a true clock.
        wander: int64 [clocks, segments], what is to be added to it; clocks is 0 where no clock wanders. Segments are SEGMENT_NS long.
        clock: uint32 [cells], which of them a cell has. phase: int64 [cells], ns into it at time 0.
    """

    tick: NDArray[np.int64]
    wander: NDArray[np.int64]
    clock: NDArray[np.uint32]
    phase: NDArray[np.int64]

    def shortest_tick(self) -> int:
        """The shortest that any thousand ticks ever are, ps."""
        return int(self.tick.min()) + (int(self.wander.min()) if self.wander.size else 0)

    def longest_tick(self) -> int:
        """The longest."""
        return int(self.tick.max()) + (int(self.wander.max()) if self.wander.size else 0)


def draw_clocks(seed: int, chip_of: NDArray[np.int64], rate_spread: float, oscillator: Oscillator, traces: tuple[Trace, ...]) -> Clocks:
    """The clocks of cells; those of one chip are one clock."""
    spread = round(rate_spread * MILLION)
    off = (keys(seed, Domain.CLOCK_RATE, chip_of).astype(np.int64) * (2 * spread + 1) >> 32) - spread  # ppm
    cells = len(chip_of)
    clock, phase, wander = np.zeros(cells, np.uint32), np.zeros(cells, np.int64), np.zeros((0, SEGMENTS), np.int64)
    if oscillator == "crystal":
        off += (keys(seed, Domain.CLOCK_RATE, chip_of, 1).astype(np.int64) * (2 * CRYSTAL_PPM + 1) >> 32) - CRYSTAL_PPM
    elif oscillator == "rc":
        off += RC_SLOW_PPM + (bell(seed, Domain.CLOCK_RATE, chip_of, 2) * RC_SPREAD_PPM >> 16)
        wander = _made_up(seed)
    elif oscillator == "trace":
        wander = _measured(traces)
    if len(wander):
        clock = (keys(seed, Domain.WANDER, chip_of, 0).astype(np.uint64) * np.uint64(len(wander)) >> np.uint64(32)).astype(np.uint32)
        span = wander.shape[1] * (SEGMENT_NS // MILLION)
        phase = (keys(seed, Domain.WANDER, chip_of, 1).astype(np.int64) * span >> 32) * MILLION
    return Clocks((MILLION + off) * 1000, wander, clock, phase)


def _made_up(seed: int) -> NDArray[np.int64]:
    shocks = bell(seed, Domain.WANDER, np.arange(MADE_UP)[:, None], np.arange(SEGMENTS)[None], 2) * _SHOCK_PPM * 1000 >> 16
    rates = np.zeros_like(shocks)
    for n in range(SEGMENTS):
        rates[:, n] = (RC_KEPT_PERCENT * rates[:, n - 1] // 100 if n else 0) + shocks[:, n]
    return np.ascontiguousarray(rates)


def _measured(traces: tuple[Trace, ...]) -> NDArray[np.int64]:
    """What ticks from traces add to a true one: a clock that gains in a segment had shorter ticks."""
    segments = max(1, min((trace.times[-1] - trace.times[0]) // SEGMENT_NS for trace in traces))
    at = np.arange(segments + 1) * SEGMENT_NS
    gained = np.array([np.diff(np.interp(at + trace.times[0], trace.times, trace.ahead)) for trace in traces])
    return np.round(TICK / (1 + gained / SEGMENT_NS)).astype(np.int64) - TICK


def read_traces(path: Path) -> tuple[Trace, ...]:
    """Measured clocks: a file, or all .dat files of a folder. Two columns: true time in us, deviation of the local clock in us.

    Raises:
        NcaHwError: no such file, or one that holds something else.
    """
    files = sorted(path.glob("*.dat")) if path.is_dir() else [path]
    if not files:
        raise NcaHwError("holds no .dat file", where=path, cure="Name a trace, or a folder of traces.")
    return tuple(_read_trace(file) for file in files)


def _read_trace(file: Path) -> Trace:
    try:
        with file.open(encoding="ascii") as opened:
            text = opened.read(TRACE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise NcaHwError(f"can't be read ({error})", where=file, cure="Name a trace of two columns.") from None
    if len(text) > TRACE_BYTES_MAX:
        raise NcaHwError(f"is longer than {TRACE_BYTES_MAX:,} bytes", where=file, cure="Name a shorter trace.")
    points: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            time, ahead = (round(float(word) * 1000) for word in line.split())
        except (ValueError, OverflowError):
            raise NcaHwError(f"line {number} holds no two numbers: {line[:40]!r}", where=file, cure="Two columns, in us.") from None
        if not 0 <= time < 1 << 60 or abs(ahead) > 1 << 60 or (points and time <= points[-1][0]):
            raise NcaHwError(f"line {number} does not follow the line before: {line[:40]!r}", where=file, cure="Times must increase.")
        points.append((time, ahead))
    if len(points) < 2 or points[-1][0] - points[0][0] < SEGMENT_NS:
        raise NcaHwError(f"lasts less than {SEGMENT_NS // 10**9} s", where=file, cure="Name a longer trace.")
    steep = max(abs(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(points))
    if steep > 0.2:
        raise NcaHwError(f"a clock that is {steep:.0%} off for a while is no clock", where=file, cure="Both columns are in us.")
    return Trace(tuple(p[0] for p in points), tuple(p[1] for p in points))


def draw_waits(waits: str, mean: int, jitter: float) -> NDArray[np.uint32]:
    """Ticks until the next wake for the upper 12 bits of a random number, uint32 [4096].

    "uniform" is the firmware's. "exponential" is a 64th of the mean, which an update takes, and an exponential rest.
    """
    steps = np.arange(WAITS, dtype=np.int64)
    if waits == "uniform":
        ticks = np.array([random_wait(n << 20, mean) for n in range(WAITS)], np.int64)
    elif waits == "fixed":
        millionths = round(jitter * MILLION)
        ticks = mean + mean * millionths * (2 * steps - (WAITS - 1)) // ((WAITS - 1) * MILLION)
    else:
        least = mean // 64
        logs = [-(1 - (Decimal(n) + Decimal("0.5")) / WAITS).ln() for n in range(WAITS)]
        ticks = np.array([least + int((mean - least) * log) for log in logs], np.int64)
    return np.maximum(ticks, 1).astype(np.uint32)
