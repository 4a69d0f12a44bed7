"""What is run: the grid, its clocks and links, the faults that strike it, and for how long. Times are whole nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass, field

from nca_hw.errors import NcaHwError
from nca_hw.sim.regions import Struck

MICROSECOND = 1_000
SECOND = 1_000_000_000
CELLS_MAX = 4_000_000
INTERVAL_TICKS_MAX = 1 << 20


@dataclass(frozen=True)
class Kill:
    """Cells lose power at `at`, and with it their state; `dead_for` later they start again from zero, or never (None)."""

    struck: Struck
    at: int
    dead_for: int | None


@dataclass(frozen=True)
class Scenario:
    """One run of one array.

    Attributes:
        width, height: cells. seed: of every random number of the run.
        interval: mean wait between a cell's updates, ns (whole microseconds, at most 2^20 of them: the cell's own ticks).
        rate_spread: cells' clocks run uniformly within +- this fraction of the true rate.
        latency: from sending to having been received, ns, at least 1.
        loss: probability that a message is lost on its link.
        duration: ns. sample_every: ns between two recorded states.
        kills: faults in any order.
    """

    width: int
    height: int
    seed: int = 0
    interval: int = 100_000 * MICROSECOND
    rate_spread: float = 0.01
    latency: int = 2_000 * MICROSECOND
    loss: float = 0.0
    duration: int = 40 * SECOND
    sample_every: int = 100_000 * MICROSECOND
    kills: tuple[Kill, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, value, low, high in (
            ("width", self.width, 1, CELLS_MAX), ("height", self.height, 1, CELLS_MAX), ("cells", self.width * self.height, 1, CELLS_MAX),
            ("seed", self.seed, 0, (1 << 32) - 1), ("interval", self.interval, 10 * MICROSECOND, INTERVAL_TICKS_MAX * MICROSECOND),
            ("rate_spread", self.rate_spread, 0.0, 0.5), ("latency", self.latency, 1, 1 << 40), ("loss", self.loss, 0.0, 1.0),
            ("duration", self.duration, 0, 1 << 62), ("sample_every", self.sample_every, 1, 1 << 62),
        ):  # fmt: skip
            if not low <= value <= high:
                raise NcaHwError(f"{name} is {value}, allowed are {low} to {high}", where="scenario")
        if self.interval % MICROSECOND:
            raise NcaHwError(f"interval is {self.interval} ns, expected whole microseconds", where="scenario")
        for number, kill in enumerate(self.kills):
            kill.struck.cells(self.width, self.height, self.seed, number)  # a region must lie within the grid
            if not 0 <= kill.at <= self.duration:
                raise NcaHwError(
                    f"a fault at {kill.at / SECOND:g} s never happens in a run of {self.duration / SECOND:g} s",
                    where="scenario",
                    cure="Move it forward, or let the run last longer.",
                )
            if kill.dead_for is not None and kill.dead_for < 1:
                raise NcaHwError("cells must be dead for at least 1 ns before they restart", where="scenario")

    @property
    def cells(self) -> int:
        """Number of cells; cell i is in row i // width, column i % width."""
        return self.width * self.height

    @property
    def seed_cell(self) -> int:
        """The cell that is the seed: the middle one (below and right of the centre for even sizes)."""
        return (self.height // 2) * self.width + self.width // 2
