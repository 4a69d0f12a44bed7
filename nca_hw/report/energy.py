"""An estimate of what a simulated array takes from its supply: chips and LEDs, from a run and the `[power]` figures of a board.

The LEDs' part follows the recorded colours by the firmware's own formula; the chips' part counts updates. Links cost nothing of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.light import FULL_DUTY, colour_values, led_duty
from nca_hw.formats.boards import Board, Power
from nca_hw.sim.run import Result
from nca_hw.sim.scenario import SECOND, Scenario


@dataclass(frozen=True)
class EnergyEstimate:
    """What a run takes from the supply; as good as the board's figures of current, which are estimates.

    Attributes:
        cell_watts: mean power of a cell of the array, those without power included. array_watts: of all of them.
        run_joules: energy of the run. led_share: part of it that LEDs take, 0 to 1.
        peak_amperes: highest supply current of a sample, if all chips with power happen to compute at that moment.
        update_joules: energy of one evaluated update, of the chip alone.
        busy: share of the chips' time that is spent computing; above 1 the chips can't keep up with the scenario.
    """

    cell_watts: float
    array_watts: float
    run_joules: float
    led_share: float
    peak_amperes: float
    update_joules: float
    busy: float


def estimate(result: Result, board: Board) -> EnergyEstimate:
    """Energy of a run on a board's chips, one a tile, with one LED a cell.

    A sample stands for the time until the next one. Cells without power take nothing; a chip has power if one of its cells has.
    """
    scenario, recording, power = result.scenario, result.recording, board.power
    shares = weights(recording.times, scenario.duration)
    leds = np.array([
        led_amperes(result.rgba(i), powered, board.led.brightness, power) for i, powered in enumerate(recording.powered)
    ])  # fmt: skip
    chips = np.array([_chips(powered, scenario) for powered in recording.powered])
    seconds = scenario.duration / SECOND
    computing, waiting = power.chip_computing_ma / 1000, power.chip_waiting_ma / 1000

    counters = recording.counters
    skipped = counters.updates - counters.evaluated_updates
    computed = (counters.evaluated_updates * power.cycles_evaluated + skipped * power.cycles_skipped) / power.clock_hz
    chip_seconds = float(shares @ chips) * seconds
    busy = computed / chip_seconds if chip_seconds else 0.0

    led_joules = power.supply_volts * float(shares @ leds) * seconds
    chip_joules = power.supply_volts * chip_seconds * (waiting + min(busy, 1.0) * (computing - waiting))
    joules = led_joules + chip_joules
    watts = joules / seconds if seconds else power.supply_volts * float(shares @ (leds + waiting * chips))
    return EnergyEstimate(
        cell_watts=watts / scenario.cells, array_watts=watts, run_joules=joules, led_share=led_joules / joules if joules else 0.0,
        peak_amperes=float((leds + computing * chips).max()), update_joules=update_joules(power), busy=busy,
    )  # fmt: skip


def led_amperes(rgba: NDArray[np.float32], powered: NDArray[np.bool_], brightness: int, power: Power) -> float:
    """Supply current of all LEDs, A, for premultiplied RGBA [..., 4] of the cells that have power, bool [...]."""
    lit = led_duty(colour_values(rgba[powered]), brightness).sum() / FULL_DUTY
    return float(power.led_quiescent_ma * powered.sum() + power.led_colour_ma * lit) / 1000


def update_joules(power: Power) -> float:
    """Energy of one evaluated update, J: the chip while it computes, not its LED."""
    return power.supply_volts * power.chip_computing_ma / 1000 * power.cycles_evaluated / power.clock_hz


def weights(times: Sequence[int], duration: int) -> NDArray[np.float64]:
    """Share of the run for which each sample stands: until the next one, the last until the end; of a run of no time the last has all."""
    spans = np.diff([*times, duration]).astype(np.float64)
    if spans.sum() == 0:
        spans[-1] = 1
    return np.asarray(spans / spans.sum(), np.float64)


def _chips(powered: NDArray[np.bool_], scenario: Scenario) -> int:
    """Chips with power: those of tiles that have a cell with power."""
    high, wide = scenario.tile_height, scenario.tile_width
    return int(powered.reshape(scenario.height // high, high, scenario.width // wide, wide).any(axis=(1, 3)).sum())
