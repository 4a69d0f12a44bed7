"""A rollout: a batch of grids that lives for some automaton steps. What it is made of, and what whoever runs one can do (`Engine`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome
from nca_hw.core.model import Float, FloatModel

WAKES, HEARS = 1, 2  # purposes of the random numbers of a rollout; the numbers are also in native/rollout.h

Gradient = dict[str, Float]  # by the names of FloatModel's arrays, and of their shapes


@dataclass(frozen=True)
class Rollout:
    """What happens to a batch of B grids. In a step every cell that wakes sees what was before it.

    Cell i of grid b wakes in step t where `key(seed, WAKES, b, t, i)`, a number of 32 bits, is below 2^32 times its probability, and its
    neighbour in direction d hears what it sends then where `key(seed, HEARS, b, t, i, d)` is not below 2^32 times `lost`; `key` is that of
    nca_hw/sim/streams.py. Probabilities are taken to 30 bits.

    Attributes:
        steps: automaton steps.
        seed: of who wakes and who hears, 32 bits.
        wakes: float32 [B, H, W], probability that a cell wakes in one step, the speed of its clock. A cell of 0 never wakes; if its state
            is 0 too, it is a dead one.
        marks: rising; the states after so many steps are asked for.
        lost: float32 [B], probability that a neighbour doesn't hear a message and goes on with what it heard last. None: none is lost.
        deaf: bool [B, H, W], cells that have heard nobody at the start, as after a restart. None: everybody has heard all neighbours.
    """

    steps: int
    seed: int
    wakes: Float
    marks: tuple[int, ...]
    lost: Float | None = None
    deaf: NDArray[np.bool_] | None = None


class Engine(Protocol):
    """Runs rollouts of grids of one size, forward and backward.

    Attributes:
        loses: it can compute lost messages and deaf cells.
    """

    loses: bool

    def forward(self, model: FloatModel, genome: Genome | None, rollout: Rollout, start: Float) -> Float:
        """Run a rollout.

        Args:
            model: the weights that the gradient is for.
            genome: the integer cell to compute with, made of `model` by `quantize.assemble`; None computes with the float rule.
            rollout: what happens.
            start: states, float32 [B, H, W, 16]; the integer cell begins with their nearest codes.
        Returns:
            The states at the marks, float32 [marks, B, H, W, 16].
        """
        ...

    def backward(self, towards: Float) -> Gradient:
        """The gradient of the weights in the last rollout, by the float rule's derivatives at the values that were computed.

        Args:
            towards: gradient of the states that `forward` returned, float32 [marks, B, H, W, 16].
        """
        ...

    def perceptions(self, most: int) -> Float:
        """At most that many of the perceptions of the last rollout, evenly chosen, float32 [n, 48]."""
        ...


def every(count: int, most: int) -> int:
    """Every which of `count` is taken if there can be `most`."""
    return max(1, int(np.ceil(count / most)))
