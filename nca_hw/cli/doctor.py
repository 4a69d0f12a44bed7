"""`nca-hw doctor`: what is there, what is missing on this machine, and the line that installs it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass

import rich_click as click

from nca_hw.cli import common
from nca_hw.flash.tools import TOOLS, Tool


@dataclass(frozen=True)
class Finding:
    """One thing that commands need. `found` is its version or what it answered, None if it is missing."""

    thing: str
    needed_for: str
    found: str | None
    cure: str
    optional: bool = False


def _package(name: str, module: str | None = None) -> Callable[[], str | None]:
    def version() -> str | None:
        return importlib.metadata.version(name) if importlib.util.find_spec(module or name) else None

    return version


def _core() -> str | None:
    try:
        from nca_hw.core import ccore, reference
        from nca_hw.core.genome import load

        genome = load()
    except ImportError:
        return None
    seed = genome.seed[None]
    new, _ = ccore.CCell(genome).wake(seed, seed[:, None].repeat(8, 1))
    expected, _ = reference.wake(genome, seed, seed[:, None].repeat(8, 1))
    return "equals the reference" if (new == expected).all() else None


def _simavr() -> str | None:
    from nca_hw.emulate import engine_build, simavr
    from nca_hw.errors import ToolMissing

    try:
        simavr.library()
    except ToolMissing:
        return None
    return f"compiles and loads ({engine_build.cache_folder()})"


def _platformio() -> str | None:
    """With the SCons that a built project gives it, so that it asks no registry."""
    versions = [_package(name)() for name in ("platformio", "SCons")]
    return f"{versions[0]}, SCons {versions[1]}" if all(versions) else None


def _program(tool: Tool) -> tuple[str, str, Callable[[], str | None], str, bool]:
    return tool.program, f"flash ({tool.board})", lambda: tool.path, tool.install, True


REINSTALL = "pip install --force-reinstall nca-hw"
CHECKS: list[tuple[str, str, Callable[[], str | None], str, bool]] = [
    ("C core", "simulate, verify", _core, REINSTALL, False),
    ("simpy", "simulate", _package("simpy"), "pip install simpy", False),
    ("ziglang", "build (the compiler)", _package("ziglang"), "pip install ziglang==0.17.1", False),
    ("PlatformIO", "pio run, in a built folder", _platformio, "pip install platformio==6.2.0 scons==4.11.1", False),
    ("unicorn", "verify (the emulated CPU)", _package("unicorn"), "pip install unicorn", False),
    ("libsimavr", "emulate (AVR chips)", _simavr, "apt-get install libsimavr-dev libelf-dev", True),
    ("pyserial", "flash", _package("pyserial", "serial"), "pip install pyserial", False),
    *map(_program, TOOLS),
    ("torch", "train (on a GPU)", _package("torch"), "pip install 'nca-hw[train]'", True),
    ("tensorstore", "import (Orbax folders)", _package("tensorstore"), "pip install 'nca-hw[orbax]'", True),
]


def examine() -> list[Finding]:
    """Look for everything that commands need."""
    return [Finding(thing, needed_for, check(), cure, optional) for thing, needed_for, check, cure, optional in CHECKS]


@click.command(cls=common.Command, short_help="What is missing on this machine, and the line that installs it.")
@common.json_option
def command(as_json: bool) -> None:
    """Check this machine: exit code 3 if something that is not optional is missing."""
    from nca_hw.errors import ToolMissing

    findings = examine()
    if as_json:
        common.emit("doctor", {"findings": [asdict(finding) for finding in findings]})
    else:
        for f in findings:
            mark = "ok" if f.found else "--" if f.optional else "MISSING"
            click.echo(f"{mark:8s}{f.thing:13s}{f.needed_for:28s}{f.found or f.cure}")
    missing = [f for f in findings if not f.found and not f.optional]
    if missing:
        raise ToolMissing(f"missing: {', '.join(f.thing for f in missing)}", cure="; ".join(f.cure for f in missing))
