"""The recipe's numbers, checked."""

from __future__ import annotations

from dataclasses import dataclass

from nca_hw.core.model import HIDDEN
from nca_hw.core.taps import FULL_TURN
from nca_hw.errors import NcaHwError

DEVICES = ("auto", "cpu", "gpu")
REGIMES = ("grow", "persist", "regenerate")


@dataclass(frozen=True)
class TrainSettings:
    """How a picture becomes weights. docs/training.md tells what else was tried.

    Attributes:
        regime: "grow" always starts from the seed; "persist" goes on from grown grids too; "regenerate" also damages them. The article's
            Experiments 1 to 3.
        steps: gradient steps in all.
        seed: of every random choice.
        turn: of the perception axes, whole degrees clockwise: the picture is trained for cells that see the world turned.
        hidden: units of the cell, at most 128, the article's. The firmware of every board has room for 104.
        batch: grids a step.
        pool: grids that live on from step to step.
        rollout: (least, most) automaton steps between two gradient steps; drawn for every gradient step.
        update_rate: (least, most) share of the cells that wake in one automaton step; drawn for every gradient step.
        damaged: grids of a batch that lose cells before a rollout, once damage has begun.
        damage_from: share of all steps after which damage and weather begin.
        weather: share of the grids of a batch that have weather: lost messages and clocks apart.
        lost: (least, most) share of messages that get lost in weather.
        clocks_apart: cells wake more or less often by up to this share in weather.
        integer_from: share of all steps after which the integer cell is trained; before, the float rule is.
        rate_start, rate_end: Adam's learning rate, falling from one to the other along a cosine.
        mean: the weights that are judged and kept are a running mean of the integer cell's, over about 1 / (1 - mean) steps; 0 is the last.
        state_limit: states beyond +-state_limit are penalized, to stay where codes are dense and far from the end of the range.
        limit_weight: of that penalty.
        still_weight: of the penalty on what still changes in grids that should be at rest; integer cell only.
        device: "cpu"; "gpu"; or "auto", a GPU where PyTorch finds one.
        threads: of the CPU; 0 takes all. Results do not depend on it.
        checkpoint_every: gradient steps between two checkpoints.
        judge_every: gradient steps between two judgements by the simulator, of the integer cell only; the best judged is what is kept.
        judge_from: share of all steps after which judging begins.
        judge_seeds: runs a trial.
        until_survived: end as soon as a judgement, and one of twenty seeds after it, finds that every trial is survived.
    """

    regime: str = "regenerate"
    steps: int = 8000
    seed: int = 1
    turn: int = 0
    hidden: int = 104
    batch: int = 8
    pool: int = 256
    rollout: tuple[int, int] = (64, 104)
    update_rate: tuple[float, float] = (0.4, 0.7)
    damaged: int = 4
    damage_from: float = 0.08
    weather: float = 0.375
    lost: tuple[float, float] = (0.0, 0.4)
    clocks_apart: float = 0.2
    integer_from: float = 0.3
    rate_start: float = 2e-3
    rate_end: float = 5e-5
    mean: float = 0.99
    state_limit: float = 3.0
    limit_weight: float = 0.02
    still_weight: float = 0.02
    device: str = "auto"
    threads: int = 0
    checkpoint_every: int = 250
    judge_every: int = 250
    judge_from: float = 0.7
    judge_seeds: int = 8
    until_survived: bool = False

    def __post_init__(self) -> None:
        for name, low, high in (("steps", 1, 10_000_000), ("seed", 0, 2**32 - 1), ("turn", 0, FULL_TURN - 1), ("batch", 2, 1024),
                                ("hidden", 1, HIDDEN),
                                ("pool", 2, 1_000_000), ("damaged", 0, self.batch - 2), ("damage_from", 0, 1), ("integer_from", 0, 1),
                                ("rate_start", 1e-9, 1), ("rate_end", 1e-9, 1), ("threads", 0, 1024), ("weather", 0, 1),
                                ("mean", 0, 0.9999),
                                ("checkpoint_every", 1, 10_000_000), ("clocks_apart", 0, 0.9), ("judge_every", 1, 10_000_000),
                                ("judge_from", 0, 1), ("judge_seeds", 1, 1000)):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise NcaHwError(f"training setting {name} is {value}, allowed are {low} to {high}")
        for name, allowed in (("device", DEVICES), ("regime", REGIMES)):
            if getattr(self, name) not in allowed:
                raise NcaHwError(f"training setting {name} is {getattr(self, name)!r}, allowed are {', '.join(allowed)}")
        if self.pool < self.batch:
            raise NcaHwError(f"training setting pool is {self.pool}, allowed is no less than the batch, {self.batch}")
        for name, (least, most), low, high in (
            ("rollout", self.rollout, 1, 10_000), ("update_rate", self.update_rate, 1e-3, 1), ("lost", self.lost, 0, 1),
        ):  # fmt: skip
            if not low <= least <= most <= high:
                raise NcaHwError(f"training setting {name} is {least} to {most}, allowed are rising pairs within {low} to {high}")
