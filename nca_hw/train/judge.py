"""The judge of a training run: the genome as it is now goes through the simulator's trials, on cells with clocks of their own.

Training loss is no judge: a genome that falls apart once in twenty times, after a disc was cut out of it, has as small a loss as one that
never does.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nca_hw.core.genome import Genome
from nca_hw.core.model import Float
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.survival import KINDS, Kind, survive

TAUGHT: Mapping[str, Sequence[Kind]] = {"grow": ("growth",), "persist": ("growth", "drift"), "regenerate": KINDS}  # by regime
FULL_SEEDS = 20
FIRST_SEED = 1001  # other seeds than those with which a finished genome is measured


@dataclass(frozen=True)
class Verdict:
    """How a genome fared.

    Attributes:
        survived: runs within the limit of their trial, of `runs`. loss: median pattern loss of all trials of growth.
        grown: runs of growth alone that were survived.
    """

    survived: int
    runs: int
    loss: float
    grown: int = 0

    @property
    def whole(self) -> bool:
        """Every run of every trial was survived."""
        return self.survived == self.runs

    def beats(self, other: Verdict | None) -> bool:
        """It grows more often, or as often and survives more, or as much with a smaller loss.

        Growth comes first: damage is measured against the picture before it, so that a worse picture is the easier one to come back to.
        """
        mine, its = ((v.grown / v.runs, v.survived / v.runs, -v.loss) for v in (self, other or self))
        return other is None or mine > its


def judge(genome: Genome, picture: Float, regime: str, seeds: Sequence[int], *, drift: bool = False, threads: int = 0) -> Verdict:
    """Put a genome on trial.

    Args:
        picture: float32 [H, W, 4]; the grid is as large. regime: of training; only what it teaches is asked for.
        drift: the long trial too, ten thousand updates.
    """
    height, width = picture.shape[:2]
    asked = [kind for kind in TAUGHT[regime] if drift or kind != "drift"]
    outcomes = survive(IntegerRule(genome), picture, width, height, seeds, kinds=asked, threads=threads)
    growth = [outcome for outcome in outcomes if outcome.trial.kind == "growth"]
    return Verdict(
        survived=sum(o.survived for o in outcomes), runs=sum(len(o.values) for o in outcomes),
        loss=statistics.median(value for o in growth for value in o.values), grown=sum(o.survived for o in growth),
    )  # fmt: skip
