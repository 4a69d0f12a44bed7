"""What a wall of emulated chips tells at its service ports; it is emulated once."""

from __future__ import annotations

import pytest
from emulated_ports import Told, service_bytes

from nca_hw.core.genome import load
from nca_hw.firmware.build import build
from nca_hw.formats.boards import load_board
from nca_hw.sim.faults import Kill
from nca_hw.sim.regions import parse
from nca_hw.sim.scenario import MICROSECOND, Scenario

UNIT = 100_000 * MICROSECOND


@pytest.fixture(scope="session")
def wall(engine: None) -> Told:
    """A wall of 4x4 ATmega328P, three seconds and a half of it; one chip loses its power at 2 s and has it again at 2.2 s."""
    genome = load("heart")
    kill = Kill(parse("1x1@3,0"), at=20 * UNIT, lasts=2 * UNIT)
    scenario = Scenario(4, 4, seed=3, wiring="edges", interval=UNIT, rate_spread=0.02, duration=35 * UNIT, faults=(kill,))
    return service_bytes(genome, build(genome, load_board("atmega328p")), scenario)
