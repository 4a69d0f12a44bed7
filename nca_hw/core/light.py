"""The light of a cell's LED: what the firmware makes of the values of its colour channels. Source: `light` of main.c, docs/firmware.md."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.genome import Genome
from nca_hw.core.reference import Codes, val

FULL_DUTY = 255  # of a colour of the LED
LED_ORDER = (1, 0, 2)  # channels in the order of a WS2812: green, red, blue


def led_channels(channels: int) -> list[int]:
    """The channels of a state of so many that an LED is told, in its order; who has fewer than three shows the last one again."""
    return [min(channel, channels - 1) for channel in LED_ORDER]


def led_told(genome: Genome, states: Codes, brightness: int) -> NDArray[np.int64]:
    """What the LEDs of cells with states [..., C] are told, in 1/255: green, red, blue, int64 [..., 3]."""
    return led_duty(val(genome, states[..., led_channels(genome.channels)]), brightness)


def led_duty(values: NDArray[Any] | int, brightness: int) -> NDArray[np.int64]:
    """Duty of an LED's colour, int64 in 1/255: squared for the eye, capped for the supply.

    Args:
        values: of the colour's channel, whole 1/256; the firmware shows 0 to 255.
        brightness: the cap, of 256.
    """
    shown = np.clip(np.asarray(values, np.int64), 0, 255)
    return shown * shown * brightness >> 16


def colour_values(rgba: NDArray[np.float32]) -> NDArray[np.int64]:
    """Red, green and blue of premultiplied RGBA [..., 4] in whole 1/256, int64 [..., 3]; exact for the integer cell."""
    return np.rint(np.clip(np.nan_to_num(rgba[..., :3]), 0, 1).astype(np.float64) * 256).astype(np.int64)
