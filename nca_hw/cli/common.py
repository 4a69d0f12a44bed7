"""What the commands share: words for grids; the JSON document; progress."""

from __future__ import annotations

import contextlib
import json
import math
import os
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
    from nca_hw.firmware.spread import Spread

MEASURED_AT = 150  # mean updates after which a new genome is judged
_WORDS = "nca_hw.words"


class GridType(click.ParamType[tuple[int, int]]):
    """`WIDTHxHEIGHT`, in cells: (width, height)."""

    name = "WIDTHxHEIGHT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Words to numbers."""
        from nca_hw.formats import words

        try:
            return value if isinstance(value, tuple) else words.grid(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class FiniteRange(click.FloatRange):
    """A number in a range; not nan, which is in all of them, and not inf."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises: click.BadParameter: no finite number of the range."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


GRID = GridType()
FILE = click.Path(path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else there.")
genome_argument = click.argument("genome", default="lizard")


toolchain_option = click.option(
    "--toolchain", type=click.Choice(["pinned", "gcc"]), default="pinned", show_default=True,
    help="pinned: the compiler of what ships. gcc: the system's, as a second opinion.",
)  # fmt: skip


def load_genome(name: str) -> Genome:
    """The genome of a file or a bundled name."""
    from nca_hw.core.genome import load

    return load(name)


def spread(wanted: bool, key: Path | None, version: int | None) -> Spread | None:
    """What `build` is told of an image that takes new genomes; None for one that doesn't."""
    from nca_hw.core.slot import read_key
    from nca_hw.firmware.spread import Spread

    if not wanted:
        if key is not None or version is not None:
            raise click.UsageError("--key and --genome-version say more about --spread, which is not given.")
        return None
    return Spread(version or 1, read_key(key))


def emit(command: str, document: dict[str, Any]) -> None:
    """Print a command's JSON document."""
    click.echo(json.dumps({"schema": f"nca-hw/{command}/1", **document}, indent=1))


def say(text: str) -> None:
    """Talk, on stderr."""
    click.echo(text, err=True)


class FaultType(click.ParamType[str]):
    """A fault in one line; in an environment variable several are separated by semicolons."""

    name = "KIND CELLS at=TIME ..."
    envvar_list_splitter = ";"


class Command(click.RichCommand):
    """A command that remembers the words it was called with, for `replay`; its environment variables have the names of its options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep the words, then parse them."""
        ctx.meta[_WORDS] = tuple(args)
        for option in self.params:
            if isinstance(option, click.Option) and ctx.auto_envvar_prefix and option.envvar is None:
                option.envvar = f"{ctx.auto_envvar_prefix}_{_long(option).removeprefix('--').replace('-', '_').upper()}"
        return super().parse_args(ctx, args)


def given(name: str) -> bool:
    """Whether the running command's option stands on its command line."""
    return get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _long(option: click.Parameter) -> str:
    return max(option.opts, key=len)


def replay() -> str:
    """The command line that repeats the running command, environment variables included; without --json and --report."""
    ctx = get_current_context()
    words: list[str] = []
    for option in ctx.command.params:
        if ctx.get_parameter_source(option.name or "") is not ParameterSource.ENVIRONMENT:
            continue
        if isinstance(option, click.Option) and option.is_flag:
            words += [_long(option)] if ctx.params[str(option.name)] else []
        else:
            said = str(option.resolve_envvar_value(ctx))
            values = option.type.split_envvar_value(said) if option.multiple else [said]
            words += [word for value in values for word in (_long(option), value)]
    words += ctx.meta[_WORDS]  # after those: nothing but arguments may follow a "--"
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
    if not (sys.stderr and sys.stderr.isatty()) or os.environ.get("CI"):
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
