"""The C core on the host: the firmware's own cell, called on NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core._cell import ffi, lib
from nca_hw.core.genome import NEIGHBOURS, Genome
from nca_hw.core.reference import Codes

PERCEPTION_MAX = 64
CHANNELS_MAX = 16
BEST_INSTRUCTIONS = 2  # enum nca_instructions: AVX-512; what the processor lacks falls back


class CCell:
    """The C core with one genome's constants. Holds no cell: states and neighbours are the caller's arrays."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        decode = np.append(genome.decode, genome.decode[-1]).astype(np.int16)
        self._arrays: dict[str, NDArray[Any]] = {  # kept alive for the C struct that points into them
            "units": genome.units,
            "b2": np.ascontiguousarray(genome.b2), "m2": np.ascontiguousarray(genome.m2), "taps": genome.taps, "decode": decode,
        }  # fmt: skip
        self.struct = ffi.new("nca_genome *")
        for name, array in self._arrays.items():
            setattr(self.struct, name, ffi.from_buffer("int8_t[]" if array.dtype == np.int8 else "int16_t[]", array))
        self.struct.hidden = genome.hidden
        self.struct.kernels = len(genome.kernels)
        self.struct.channels = genome.channels
        self.struct.alpha = genome.alpha
        self.struct.alive = genome.alive
        self.struct.s1 = genome.s1
        self.struct.s2 = genome.s2
        self.struct.tap_shift = genome.tap_shift

    def wake(self, states: Codes, neighbours: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """One wake of many independent cells; same meaning as `reference.wake`.

        Args:
            states: int8 [..., C]; neighbours: int8 [..., 8, C].
        Returns:
            New states, int8 [..., C], and whether the network was evaluated, bool [...].
        """
        channels = self.genome.channels
        new = np.array(states, np.int8, order="C")
        heard = np.ascontiguousarray(neighbours, np.int8)
        if new.shape[-1] != channels or heard.shape != (*new.shape[:-1], NEIGHBOURS, channels):
            raise ValueError(f"states {new.shape} and neighbours {heard.shape} do not fit {channels} channels")
        evaluated = np.zeros(new.shape[:-1], np.uint8)
        lib.nca_host_wake_many(
            self.struct, evaluated.size, ffi.from_buffer("int8_t[]", new, require_writable=True),
            ffi.from_buffer("int8_t[]", heard), ffi.from_buffer("uint8_t[]", evaluated, require_writable=True),
        )  # fmt: skip
        return new, evaluated.astype(bool)

    def compress(self, v: int) -> int:
        """The code nearest to v, in 1/4096."""
        return int(lib.nca_compress(self.struct, v << self.genome.tap_shift))


class FastCell:
    """The same by the host's vectorised kernel, which has room for `CHANNELS_MAX` codes a state whatever the genome."""

    def __init__(self, genome: Genome) -> None:
        self.genome = genome
        self._cell = CCell(genome)  # its struct must outlive the kernel
        self._kernel = ffi.new("nca_fast *")
        lib.nca_fast_prepare(self._kernel, self._cell.struct, BEST_INSTRUCTIONS)

    def wake(self, states: Codes, neighbours: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """See `CCell.wake`, of cells in a row: int8 [n, C] and [n, 8, C]."""
        beyond = CHANNELS_MAX - self.genome.channels
        new = np.array(np.pad(states, ((0, 0), (0, beyond))) if beyond else states, np.int8, order="C")
        heard = np.ascontiguousarray(np.pad(neighbours, ((0, 0), (0, 0), (0, beyond))) if beyond else neighbours, np.int8)
        if new.shape[1:] != (CHANNELS_MAX,) or heard.shape != (len(new), NEIGHBOURS, CHANNELS_MAX):
            raise ValueError(f"states {states.shape} and neighbours {neighbours.shape} do not fit {self.genome.channels} channels")
        evaluated = np.zeros(len(new), np.uint8)
        lib.nca_fast_wake_many(
            self._kernel, len(new), ffi.from_buffer("int8_t[]", new, require_writable=True), ffi.from_buffer("int8_t[]", heard),
            ffi.from_buffer("uint8_t[]", evaluated, require_writable=True),
        )  # fmt: skip
        return new[:, : self.genome.channels], evaluated.astype(bool)
