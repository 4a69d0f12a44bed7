"""Rollouts on the CPU: the C of native/ on NumPy arrays."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nca_hw.core import quantize
from nca_hw.core._cell import ffi as cell_ffi
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import DEFAULT_KERNELS, NEIGHBOURS, Genome
from nca_hw.core.model import CHANNELS, HIDDEN, KERNELS, Float, FloatModel
from nca_hw.core.taps import TAP_UNIT, tap_shift, turned_taps
from nca_hw.train._rollout import ffi, lib
from nca_hw.train.rollout import Gradient, Rollout, every

PORTABLE, AVX2, AVX512 = range(3)


class NativeEngine:
    """Rollouts of B grids of H x W cells. The results depend on the processor's instructions, not on the number of threads.

    Args:
        batch, height, width: B, H, W.
        threads: of the CPU; 0 takes all.
        instructions: the best to use if the processor has them.
        turn: of the perception axes, degrees clockwise; that of the genomes it computes with.
    """

    loses = True

    def __init__(self, batch: int, height: int, width: int, threads: int = 0, instructions: int = AVX512, turn: int = 0) -> None:
        self.shape = (batch, height, width)
        self.turn = turn
        threads = min(threads or os.cpu_count() or 1, batch)
        self._trainer = ffi.gc(lib.nca_rollout_open(batch, height, width, threads, instructions), lib.nca_rollout_close)
        if not self._trainer:
            raise MemoryError(f"no memory for {batch} grids of {width}x{height} cells")
        if turn:
            taps = turned_taps(DEFAULT_KERNELS, turn)[1:, :NEIGHBOURS].astype(np.float32)
            lib.nca_rollout_turn(self._trainer, _floats(taps / np.float32(TAP_UNIT << tap_shift(turn))))
        self._cell: CCell | None = None  # kept for the C struct that points into it
        self._marks = 0

    @property
    def instructions(self) -> str:
        """What the processor computes with."""
        return str(ffi.string(lib.nca_rollout_instructions(self._trainer)).decode())

    @property
    def updates(self) -> int:
        """Updates of cells that lived on in the last rollout, all grids together."""
        return int(lib.nca_rollout_updates(self._trainer))

    def forward(self, model: FloatModel, genome: Genome | None, rollout: Rollout, start: Float) -> Float:
        """Run a rollout: see `rollout.Engine`."""
        batch, height, width = self.shape
        states = np.empty((len(rollout.marks), *self.shape, CHANNELS), np.float32)
        assert start.shape == (*self.shape, CHANNELS) and rollout.wakes.shape == self.shape
        assert rollout.lost is None or rollout.lost.shape == (batch,)
        assert rollout.deaf is None or rollout.deaf.shape == self.shape
        assert model.w1.shape == (KERNELS * CHANNELS, HIDDEN)
        assert sorted(set(rollout.marks)) == list(rollout.marks) and all(0 < mark <= rollout.steps for mark in rollout.marks)
        kept = [_floats(array) for array in (model.w1, model.b1, model.w2, model.b2, rollout.wakes, start)]
        lost = ffi.NULL if rollout.lost is None else _floats(rollout.lost)
        deaf = ffi.NULL if rollout.deaf is None else ffi.from_buffer("uint8_t[]", np.ascontiguousarray(rollout.deaf, np.uint8))
        mark = ffi.new("uint32_t[]", list(rollout.marks))
        what = ffi.new("nca_rollout *", {"steps": rollout.steps, "seed": rollout.seed, "wakes": kept[4], "lost": lost, "deaf": deaf,
                                         "marks": len(rollout.marks), "mark": mark})  # fmt: skip
        lib.nca_rollout_weights(self._trainer, *kept[:4])
        self._use(genome, model)
        if lib.nca_rollout_forward(self._trainer, what, kept[5], _floats(states)):
            raise MemoryError(f"no memory for a rollout of {rollout.steps} steps of {batch} grids of {width}x{height} cells")
        self._marks = len(rollout.marks)
        return states

    def backward(self, towards: Float) -> Gradient:
        """The gradient of the weights: see `rollout.Engine`."""
        return self.backward_to_start(towards, None)

    def backward_to_start(self, towards: Float, start: Float | None) -> Gradient:
        """The same; also fills `start`, float32 [B, H, W, 16], with the gradient of the states at the start."""
        assert towards.shape == (self._marks, *self.shape, CHANNELS)
        inputs = KERNELS * CHANNELS
        gradient = {name: np.empty(shape, np.float32) for name, shape in
                    (("w1", (inputs, HIDDEN)), ("b1", (HIDDEN,)), ("w2", (HIDDEN, CHANNELS)), ("b2", (CHANNELS,)))}  # fmt: skip
        into = ffi.NULL if start is None else _floats(start)
        lib.nca_rollout_backward(self._trainer, _floats(towards), *(_floats(array) for array in gradient.values()), into)
        return gradient

    def perceptions(self, most: int) -> Float:
        """Perceptions of the last rollout: see `rollout.Engine`."""
        x = np.empty((most, KERNELS * CHANNELS), np.float32)
        return x[: lib.nca_rollout_perceptions(self._trainer, every(self.updates, most), most, _floats(x))]

    def yardstick(self, rounds: int) -> int:
        """Do float multiply-adds and nothing else, on all threads; returns how many. A yardstick for benchmarks."""
        return int(lib.nca_rollout_yardstick(self._trainer, rounds))

    def _use(self, genome: Genome | None, model: FloatModel) -> None:
        if genome is None:
            lib.nca_rollout_integer(self._trainer, ffi.NULL, ffi.NULL)
            return
        assert genome.kernels == DEFAULT_KERNELS and genome.turn == self.turn and (genome.channels, genome.hidden) == (CHANNELS, HIDDEN)
        self._cell = CCell(genome)
        unit = (quantize.hidden_scales(model) * 2.0**genome.s1).astype(np.float32)
        address = int(cell_ffi.cast("uintptr_t", self._cell.struct))  # of another module's struct nca_genome
        lib.nca_rollout_integer(self._trainer, ffi.cast("nca_genome *", address), _floats(unit))


def _floats(array: Float) -> Any:
    """A C array over a NumPy array's own memory, which it keeps alive."""
    return ffi.from_buffer("float[]", np.ascontiguousarray(array, np.float32))
