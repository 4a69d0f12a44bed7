"""One thing that was checked: what, how it is, and the figures behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["ok", "warning", "fails", "not checked"]


@dataclass(frozen=True)
class Finding:
    """A check and what it found.

    Attributes:
        check: its name. verdict: "fails" is a limit that does not hold. told: in words. figures: the numbers of it. cure: what to do.
    """

    check: str
    verdict: Verdict
    told: str
    figures: dict[str, Any] = field(default_factory=dict)
    cure: str = ""


def judged(value: float, warning: float, limit: float) -> Verdict:
    """Up to `warning` ok, up to `limit` a warning."""
    return "ok" if value <= warning else "warning" if value <= limit else "fails"
