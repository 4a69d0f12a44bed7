"""What a cell computes when it wakes. A rule is bound to one cell's own memory: its state and the states it has received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nca_hw.core import model as float_model
from nca_hw.core import reference
from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CHANNELS_MAX, PERCEPTION_MAX, CCell
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.model import FloatModel

Array = NDArray[Any]
Wake = Callable[[], bool]


class Rule(Protocol):
    """A kind of cell."""

    name: str
    channels: int
    dtype: np.dtype[Any]

    def seed(self) -> Array:
        """The seed state, [C]."""

    def bind(self, state: Array, inbox: Array) -> Wake:
        """A function that wakes the cell whose state [C] and received states [8, C] these are: updates the state in place and
        returns whether the network was evaluated."""

    def rgba(self, states: Array) -> NDArray[np.float32]:
        """Premultiplied RGBA, float32 [..., 4], of states [..., C]; not clipped."""


class IntegerRule:
    """The integer cell, run by the firmware's C core."""

    name = "int8"
    dtype = np.dtype(np.int8)

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self.channels = genome.channels
        self._cell = CCell(genome)
        self._perception = ffi.new("int8_t[]", PERCEPTION_MAX)
        self._output = ffi.new("int32_t[]", CHANNELS_MAX)

    def seed(self) -> Array:
        """See Rule."""
        return np.asarray(self.genome.seed)

    def bind(self, state: Array, inbox: Array) -> Wake:
        """See Rule."""
        wake, genome, perception, output = lib.nca_cell_wake, self._cell.struct, self._perception, self._output
        own = ffi.from_buffer("int8_t[]", state, require_writable=True)
        heard = ffi.from_buffer("int8_t[]", inbox)
        return lambda: bool(wake(genome, own, heard, perception, output))

    def rgba(self, states: Array) -> NDArray[np.float32]:
        """See Rule."""
        return codes_to_rgba(self.genome, states)


class ReferenceRule(IntegerRule):
    """The integer cell, run by the NumPy reference: slow, for checking the C core."""

    name = "int8 reference"

    def bind(self, state: Array, inbox: Array) -> Wake:
        """See Rule."""

        def wake() -> bool:
            new, evaluated = reference.wake(self.genome, state, inbox)
            state[:] = new
            return bool(evaluated)

        return wake


class FloatRule:
    """The float model, woken one cell at a time."""

    name = "float"
    channels = float_model.CHANNELS
    dtype = np.dtype(np.float32)

    def __init__(self, model: FloatModel) -> None:
        self.model = model

    def seed(self) -> Array:
        """See Rule."""
        return np.asarray(float_model.seed_grid(1, 1)[0, 0])

    def bind(self, state: Array, inbox: Array) -> Wake:
        """See Rule."""
        alpha = inbox[:, float_model.ALPHA]
        limit = float_model.ALIVE_THRESHOLD
        model = self.model

        def wake() -> bool:
            heard = alpha.max()
            if max(state[float_model.ALPHA], heard) <= limit:
                state[:] = 0
                return False
            x = _FLOAT_SUMS @ inbox
            state[:] += float_model.network(model, np.concatenate([state, x[0], x[1]]))
            if max(state[float_model.ALPHA], heard) <= limit:
                state[:] = 0
            return True

        return wake

    def rgba(self, states: Array) -> NDArray[np.float32]:
        """See Rule."""
        return np.asarray(states[..., :4], np.float32)


# Sobel x / 8 and Sobel y / 8 as sums over the neighbours N, NE, E, SE, S, SW, W, NW.
_FLOAT_SUMS = np.array([[0, 1, 2, 1, 0, -1, -2, -1], [-2, -1, 0, 1, 2, 1, 0, -1]], np.float32) / 8
assert _FLOAT_SUMS.shape == (2, NEIGHBOURS)


def codes_to_rgba(genome: Genome, states: Array) -> NDArray[np.float32]:
    """Premultiplied RGBA, float32 [..., 4], that codes [..., C] stand for; channels beyond C are 0."""
    values = reference.val(genome, states[..., :4]).astype(np.float32) / 256
    missing = 4 - values.shape[-1]
    return np.asarray(np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, missing)]), np.float32)
