"""What a training run tells while it goes, and what it leaves. Needs no PyTorch."""

from __future__ import annotations

from dataclasses import dataclass

from nca_hw.core import quantize
from nca_hw.core.genome import Genome, Provenance
from nca_hw.core.model import Float, FloatModel
from nca_hw.train.judge import Verdict
from nca_hw.train.width import stripped


@dataclass(frozen=True)
class Progress:
    """What a caller is told after every gradient step.

    Attributes:
        step: gradient steps done, of `steps`.
        loss: pattern loss of this step's batch, mean over its grids, damaged ones and seeds among them.
        phase: "float" or "integer", the rule that is being trained.
        seconds: since this call of `train` began.
        steps_per_second: over this call.
        eta: seconds to go, estimated.
        grids: this step's batch as it ended, float32 [batch, H, W, 16].
        verdict: of the simulator, where it has just judged.
    """

    step: int
    steps: int
    loss: float
    phase: str
    seconds: float
    steps_per_second: float
    eta: float
    grids: Float
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Best:
    """The weights that were judged best so far: at which step, and how."""

    step: int
    verdict: Verdict
    model: FloatModel
    s1: int


@dataclass(frozen=True)
class Trained:
    """Float weights, and the hidden shift they were trained with.

    Attributes:
        model: the weights.
        s1: shift S1 of the integer cell.
        steps: gradient steps done; fewer than asked for if `interrupted`.
        interrupted: Ctrl-C ended the run early.
        losses: pattern loss of every gradient step's batch, from the first step on, also over a resumed run.
        verdict: of the simulator on these weights, None if it never judged. judged_at: the step after which they were judged the
            best, None where they are the last.
        turn: of the perception axes, degrees clockwise.
    """

    model: FloatModel
    s1: int
    steps: int
    interrupted: bool
    losses: tuple[float, ...]
    verdict: Verdict | None = None
    judged_at: int | None = None
    turn: int = 0

    def genome(self, *, target_png: bytes = b"", provenance: Provenance | None = None) -> Genome:
        """The integer cell that was trained, to the bit; hidden units that can't do anything are left out."""
        return quantize.assemble(stripped(self.model), s1=self.s1, turn=self.turn, target_png=target_png, provenance=provenance)
