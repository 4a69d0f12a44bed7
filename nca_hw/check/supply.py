"""What an array takes from its supply at the worst: every LED white, every chip computing; from a board's [power] figures."""

from __future__ import annotations

from nca_hw.check.finding import Finding
from nca_hw.core.light import FULL_DUTY, led_duty
from nca_hw.formats.boards import Board

COLOURS = 3
RESERVE = 1.25  # a supply is not run at its limit all day
CONNECTOR_AMPERES = 10.0  # beyond which one pair of wires and its connector are no longer a matter of course


def amperes(board: Board, cells: int, brightness: int) -> tuple[float, float]:
    """Supply current of LEDs, all white with a cap of `brightness` of 256, and of chips, all computing, A."""
    power = board.power
    duty = float(led_duty(255, brightness)) / FULL_DUTY if brightness < 256 else 1.0
    leds = cells * (power.led_quiescent_ma + COLOURS * power.led_colour_ma * duty) / 1000
    return leds, cells / board.tile.cells * power.chip_computing_ma / 1000


def supply(board: Board, cells: int, supply_amperes: float | None = None) -> Finding:
    """The power budget of so many cells.

    Args:
        supply_amperes: that the supply can give at the board's volts; None: say what it must.
    """
    leds, chips = amperes(board, cells, board.led.brightness)
    full, _ = amperes(board, cells, 256)
    capped, uncapped = leds + chips, full + chips
    volts = board.power.supply_volts
    needed = RESERVE * capped
    figures = {
        "volts": volts, "leds_at_cap_amperes": leds, "chips_amperes": chips, "at_cap_amperes": capped, "full_white_amperes": uncapped,
        "at_cap_watts": capped * volts, "supply_needed_amperes": needed, "supply_amperes": supply_amperes,
    }  # fmt: skip
    told = (
        f"at the most {capped:.2f} A ({capped * volts:.1f} W) at {volts:g} V: LEDs all white, brightness {board.led.brightness} of 256, "
        f"{leds:.2f} A, chips {chips:.2f} A; at full brightness {uncapped:.2f} A"
    )
    feeds = f" Feed it at {-(-capped // CONNECTOR_AMPERES):.0f} places or more, each fused." if capped > CONNECTOR_AMPERES else ""
    advice = f"Take a supply of {volts:g} V and {needed:.1f} A or more.{feeds}"
    if supply_amperes is None:
        return Finding("power", "ok", told, figures, advice)
    if capped > supply_amperes:
        return Finding("power", "fails", f"{told}; the supply gives {supply_amperes:g} A", figures, f"{advice} Or lower [led] brightness.")
    if needed > supply_amperes:
        told += f"; the supply's {supply_amperes:g} A leave less than a quarter in reserve"
        return Finding("power", "warning", told, figures, advice)
    if uncapped > supply_amperes:
        told += f"; of the supply's {supply_amperes:g} A that is more: a chip that runs other firmware could overload it"
        return Finding("power", "warning", told, figures, f"Fuse it at {supply_amperes:g} A.{feeds}")
    return Finding("power", "ok", f"{told}; the supply gives {supply_amperes:g} A", figures, feeds.strip())
