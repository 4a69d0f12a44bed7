"""The recipe's numbers, checked."""

from __future__ import annotations

from dataclasses import dataclass

from nca_hw.errors import NcaHwError

DEVICES = ("auto", "cpu", "gpu")


@dataclass(frozen=True)
class TrainSettings:
    """How a picture becomes weights. The defaults made the bundled lizard; docs/training.md tells what else was tried.

    Attributes:
        steps: gradient steps in all.
        seed: of every random choice.
        batch: grids a step.
        pool: grids that live on from step to step.
        rollout: (least, most) automaton steps between two gradient steps; drawn for every gradient step.
        update_rate: (least, most) share of the cells that wake in one automaton step; drawn for every gradient step.
        damaged: grids of a batch that lose cells before a rollout, once damage has begun.
        damage_from: share of all steps after which damage begins.
        integer_from: share of all steps after which the integer cell is trained; before, the float rule is.
        rate_start, rate_end: Adam's learning rate, falling from one to the other along a cosine.
        state_limit: states beyond +-state_limit are penalized, to stay where codes are dense and far from the end of the range.
        limit_weight: of that penalty.
        still_weight: of the penalty on what still changes in grids that should be at rest; integer cell only.
        device: "cpu"; "gpu"; or "auto", a GPU where PyTorch finds one.
        threads: of the CPU; 0 takes all. Results do not depend on it.
        checkpoint_every: gradient steps between two checkpoints.
    """

    steps: int = 6000
    seed: int = 1
    batch: int = 8
    pool: int = 256
    rollout: tuple[int, int] = (56, 88)
    update_rate: tuple[float, float] = (0.4, 0.7)
    damaged: int = 3
    damage_from: float = 0.08
    integer_from: float = 0.3
    rate_start: float = 2e-3
    rate_end: float = 5e-5
    state_limit: float = 3.0
    limit_weight: float = 0.02
    still_weight: float = 0.02
    device: str = "auto"
    threads: int = 0
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        for name, low, high in (("steps", 1, 10_000_000), ("seed", 0, 2**32 - 1), ("batch", 2, 1024), ("pool", 2, 1_000_000),
                                ("damaged", 0, self.batch - 2), ("damage_from", 0, 1), ("integer_from", 0, 1), ("rate_start", 1e-9, 1),
                                ("rate_end", 1e-9, 1), ("threads", 0, 1024), ("checkpoint_every", 1, 10_000_000)):  # fmt: skip
            value = getattr(self, name)
            if not low <= value <= high:
                raise NcaHwError(f"training setting {name} is {value}, allowed are {low} to {high}")
        if self.device not in DEVICES:
            raise NcaHwError(f"training setting device is {self.device!r}, allowed are {', '.join(DEVICES)}")
        if self.pool < self.batch:
            raise NcaHwError(f"training setting pool is {self.pool}, allowed is no less than the batch, {self.batch}")
        for name, (least, most), low, high in (("rollout", self.rollout, 1, 10_000), ("update_rate", self.update_rate, 1e-3, 1)):
            if not low <= least <= most <= high:
                raise NcaHwError(f"training setting {name} is {least} to {most}, allowed are rising pairs within {low} to {high}")
