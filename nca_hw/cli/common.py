"""What the commands share: words for grids, times and percentages; the JSON document; progress."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click
from click import get_current_context
from click.core import ParameterSource

if TYPE_CHECKING:
    from nca_hw.core.genome import Genome
    from nca_hw.sim.regions import Struck

Time = Callable[[int], int]  # from the mean interval in ns to ns

MEASURED_AT = 150  # mean updates after which a new genome is judged
_WORDS = "nca_hw.words"


class GridType(click.ParamType[tuple[int, int]]):
    """`WIDTHxHEIGHT`, in cells: (width, height)."""

    name = "WIDTHxHEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Words to numbers."""
        if isinstance(value, tuple):
            return value
        from nca_hw.sim.scenario import CELLS_MAX

        match = re.fullmatch(r"(\d{1,7})x(\d{1,7})", value)
        if match is None:
            self.fail(f"{value!r} is no grid. Write WIDTHxHEIGHT in cells, 40x40 for example.", param, ctx)
        width, height = int(match[1]), int(match[2])
        if width == 0 or height == 0 or width * height > CELLS_MAX:
            self.fail(f"{value!r} has {width * height} cells; allowed are 1 to {CELLS_MAX}, 40x40 for example.", param, ctx)
        return width, height


class FractionType(click.ParamType[float]):
    """A percentage `30%` or a fraction `0.3`: 0..1."""

    name = "PERCENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Words to a fraction."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", value)
        if match is None or float(match[1]) > (100 if match[2] else 1):
            self.fail(f"{value!r} is no fraction. Allowed are 0% to 100%, or 0 to 1.", param, ctx)
        return float(match[1]) / (100 if match[2] else 1)


class TimeType(click.ParamType[Time]):
    """A time in seconds (`20`, `20s`, `5ms`) or in mean updates of a cell (`200u`): a function from the interval in ns to ns."""

    name = "TIME"
    _UNITS = {"": 1e9, "s": 1e9, "ms": 1e6, "us": 1e3}  # noqa: RUF012

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Time:
        """Words to a time."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(u|s|ms|us|)", value)
        if match is None or float(match[1]) > 1e9:
            self.fail(f"{value!r} is no time. Write seconds (20, 20s, 5ms) or mean updates (200u).", param, ctx)
        number, unit = float(match[1]), match[2]
        if unit == "u":
            return lambda interval: round(number * interval)
        nanoseconds = round(number * self._UNITS[unit])
        return lambda interval: nanoseconds


class StruckType(click.ParamType["Struck"]):
    """Cells to strike: a count, a percentage, or a region."""

    name = "COUNT|PERCENT|WxH@X,Y"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Struck:
        """Words to a choice of cells."""
        from nca_hw.errors import NcaHwError
        from nca_hw.sim.regions import parse

        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]
        try:
            return parse(value)
        except NcaHwError as error:
            self.fail(f"{error.what}. {error.cure or ''}", param, ctx)


GRID, FRACTION, TIME, STRUCK = GridType(), FractionType(), TimeType(), StruckType()
FILE = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")
genome_argument = click.argument("genome", default="lizard")


def load_genome(name: str) -> Genome:
    """The genome of a file or a bundled name."""
    from nca_hw.core.genome import load

    return load(name)


def emit(command: str, document: dict[str, Any]) -> None:
    """Print a command's JSON document."""
    click.echo(json.dumps({"schema": f"nca-hw/{command}/1", **document}, indent=1))


def say(text: str) -> None:
    """Talk, on stderr."""
    click.echo(text, err=True)


class Command(click.RichCommand):
    """A command that remembers the words it was called with, for `replay`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, then parse them."""
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)


def replay() -> str:
    """The command line that repeats the running command, environment variables included; without --json and --report."""
    ctx = get_current_context()
    words = list(ctx.meta[_WORDS])
    for parameter in ctx.command.params:
        if ctx.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT:
            words += [parameter.opts[0], str(parameter.resolve_envvar_value(ctx))]
    kept: list[str] = []
    skip_value = False
    for word in words:
        if skip_value or word == "--json" or word.startswith("--report="):
            skip_value = False
        elif word == "--report":
            skip_value = True
        else:
            kept.append(word)
    return shlex.join(["nca-hw", str(ctx.info_name), *kept])


def versions() -> dict[str, str]:
    """Versions that a result depends on."""
    import numpy
    import simpy

    from nca_hw import __version__

    return {"nca-hw": __version__, "python": sys.version.split()[0], "numpy": numpy.__version__, "simpy": simpy.__version__}


@contextlib.contextmanager
def progress(what: str, total: float) -> Iterator[Callable[..., None]]:
    """A progress bar with ETA on stderr; silent where stderr is no terminal or CI is set.

    Yields a function of what is done so far and, if there is more to tell, a few words.
    """
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda done, words="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    what_is_done = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    columns = (*what_is_done, TimeRemainingColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, words="")
        yield lambda done, words="": bar.update(task, completed=done, words=words)


def table(rows: list[tuple[str, object]]) -> None:
    """Two columns on stdout."""
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        click.echo(f"{name:{width}s}  {value}")
