"""An array whose cells are computed by the firmware image itself: one emulated CPU hosts them all, a cell's RAM is swapped in and out."""

from __future__ import annotations

import numpy as np

from nca_hw.core.genome import CODE_MAX, NEIGHBOURS, Genome
from nca_hw.emulate.chip import Chip
from nca_hw.emulate.emulators import emulated
from nca_hw.firmware.build import Build
from nca_hw.firmware.image import CELL_SYMBOL
from nca_hw.firmware.render import layout
from nca_hw.sim.rules import Array, IntegerRule, Wake

TIME_STEP_US = 20_000
FIRST_WAKE_S = 10.0


class FirmwareRule(IntegerRule):
    """The integer cell, run by the machine code of a built image on an emulated chip.

    The image boots and runs until `main` calls the update for the first time. That call, with the registers the compiler chose for
    it, is repeated for every wake of every cell; nothing of the calling convention is assumed. Links, waits and faults are the simulator's.

    Attributes:
        updates: calls that were made for cells. meter: of their cycles, if asked for; its first calls are those of the boot.
    """

    def __init__(self, genome: Genome, made: Build, *, metered: bool = False) -> None:
        """Boot the image.

        Args:
            made: an image of this genome. metered: count instructions and cycles of every wake, which is slow.
        Raises:
            EmulationError: the image stops, touches what it has no business with, never wakes, or never returns from a wake.
        """
        super().__init__(genome)
        self.name = f"firmware {made.board.name}"
        self.updates = 0
        at = {symbol.name: symbol.address for symbol in made.image.symbols}
        place = layout(genome, made.kernel)
        self._state_at, self._heard_at = at[CELL_SYMBOL] + place.state_at, at[CELL_SYMBOL] + place.heard_at
        self._chip = emulated(made)
        self._chip.step = TIME_STEP_US
        self.meter = self._chip.meter(at[place.wake]) if metered else None
        self._chip.reset()
        self._call = self._chip.run_to_call(at[place.wake])
        # With a limit this once, on codes that run the network under any mask: a wake's loops depend on no data, so that one which
        # returns stands for all.
        self._chip.write(self._state_at, bytes([CODE_MAX]) * genome.channels)
        self._chip.write(self._heard_at, bytes(NEIGHBOURS * genome.channels))
        self._chip.repeat(self._call, FIRST_WAKE_S)

    @property
    def chip(self) -> Chip:
        """The chip that hosts all cells."""
        return self._chip

    def bind(self, state: Array, inbox: Array) -> Wake:
        """See Rule."""
        chip, call, state_at, heard_at = self._chip, self._call, self._state_at, self._heard_at
        channels, alpha, alive = self.channels, self.genome.alpha, self.genome.alive
        own, alphas = state.view(np.uint8).data, inbox.reshape(-1).data[alpha::channels]

        def wake() -> bool:
            # The image returns nothing that tells whether it ran the network: this is the condition of docs/spec.md section 5.
            evaluated = alive == 0 or state[alpha] >= alive or max(alphas) >= alive
            chip.write(state_at, own.tobytes())
            chip.write(heard_at, inbox.tobytes())
            chip.repeat(call)
            own[:] = chip.memory(state_at, channels)
            self.updates += 1
            return bool(evaluated)

        return wake
