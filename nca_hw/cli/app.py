"""`nca-hw`: the group of commands, and how errors reach the user."""

from __future__ import annotations

import errno
import importlib
import sys
from typing import NoReturn

import rich_click as click
from click.exceptions import Exit

from nca_hw import __version__
from nca_hw.errors import ExitCode, NcaHwError

COMMANDS = {  # command -> module; modules are imported when needed, and import nothing heavy themselves
    "import": "import_", "train": "train", "quantize": "quantize", "turn": "turn", "show": "show", "simulate": "simulate",
    "build": "build", "verify": "verify", "emulate": "emulate", "flash": "flash", "spread": "spread", "watch": "watch", "check": "check",
    "boards": "boards", "genomes": "genomes", "doctor": "doctor",
}  # fmt: skip


class LazyGroup(click.RichGroup):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the way from weights to the wall."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"nca_hw.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """With a hint at the nearest command for a misspelt one."""
        from nca_hw.formats.words import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "NCA_HW"})
@click.version_option(__version__, prog_name="nca-hw")
def cli() -> None:
    """Walls of tiny computers that grow a picture, keep it, and heal it.

    From published or trained weights to an int8 genome, a simulated array, and firmware that runs the same bits.
    """


def main() -> NoReturn:
    """Run the command line; every expected failure becomes one message and an exit code."""
    try:
        code = cli.main(prog_name="nca-hw", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)
    except NcaHwError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(ExitCode.LIMIT_MISSED)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"error: the output can't be written ({error.strerror})", file=sys.stderr)
        sys.exit(ExitCode.BAD_INPUT)
