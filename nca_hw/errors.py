"""The one exception a user meets: what is wrong, where, and the cure, with the exit code of the command line."""

from __future__ import annotations

import enum
from pathlib import Path


class ExitCode(enum.IntEnum):
    """Exit codes of every command."""

    DONE = 0
    LIMIT_MISSED = 1
    BAD_INPUT = 2
    TOOL_MISSING = 3
    PORT_OR_BOARD = 4
    SOME_BOARDS_FAILED = 5
    INTERRUPTED = 130


class NcaHwError(Exception):
    """A problem the user can solve.

    Args:
        what: what is wrong, in one sentence, with the offending value and the allowed range.
        where: the file (and place in it) or option it concerns.
        cure: what to do about it.
        exit_code: the exit code of the command.
    """

    def __init__(
        self, what: str, *, where: str | Path | None = None, cure: str | None = None, exit_code: ExitCode = ExitCode.BAD_INPUT
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.cure = cure
        self.exit_code = exit_code
        super().__init__(str(self))

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{self.where}: {self.what}"
        return text if self.cure is None else f"{text}\n  {self.cure}"


class LimitMissed(NcaHwError):
    """A stated limit (budget, loss, comparison) does not hold."""

    def __init__(self, what: str, *, where: str | Path | None = None, cure: str | None = None) -> None:
        super().__init__(what, where=where, cure=cure, exit_code=ExitCode.LIMIT_MISSED)


class ToolMissing(NcaHwError):
    """A program or package this command needs is not installed."""

    def __init__(self, what: str, *, cure: str) -> None:
        super().__init__(what, cure=cure, exit_code=ExitCode.TOOL_MISSING)
