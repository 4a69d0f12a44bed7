"""The bench on which the little firmwares of tests/emulate/chips run: which pin is what."""

from __future__ import annotations

from nca_hw.emulate.simavr import Wiring

BENCH = Wiring(wires=(("B0", "B1"), ("C0", "C1"), ("B2", "B3"), ("C2", "C3")), led="D6", strap="D4")
