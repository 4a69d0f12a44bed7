"""Why a board could not be flashed."""

from __future__ import annotations

from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.formats.array_file import Reason


class FlashFailure(NcaHwError):
    """A board that does not hold its image.

    Attributes:
        reason: in one word, as array.json tells it. again: whether another attempt may help. attempts: that there were.
    """

    def __init__(self, reason: Reason, what: str, *, where: str | None = None, cure: str | None = None, again: bool = False) -> None:
        self.reason: Reason = reason
        self.again = again
        self.attempts = 1
        super().__init__(what, where=where, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)
