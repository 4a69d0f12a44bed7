"""The LED look: light on black. Every picture of the array is made here."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nca_hw.core.light import FULL_DUTY, colour_values, led_duty

DARK = (24, 24, 28)
INK = (200, 200, 205)
BRIGHT_INK = (255, 255, 255)
HALF_BLOCK = "\u2580"
MARGIN = 8
LABEL_HEIGHT = 16
HEADING_HEIGHT = 22
Exposure = Literal["adapted", "supply"]
Colour = tuple[int, int, int]

Labelled = tuple[str, NDArray[np.float32]]  # a label, and a state of the array: premultiplied RGBA [height, width, 4]


@dataclass(frozen=True)
class Look:
    """Pictures as a board shows them: every colour one of the few duties that the firmware's formula and the cap leave.

    Attributes:
        brightness: the board's cap, of 256.
        exposure: "adapted": the cap is white, as an eye or a camera adapts to the array; "supply": as dim beside a white screen as
            the cap makes the LEDs beside uncapped ones.
    """

    brightness: int
    exposure: Exposure = "adapted"

    @cached_property
    def _screen(self) -> NDArray[np.uint8]:
        """Screen value of every duty, uint8 [256]. Duty is linear light, which sRGB encodes. Source: IEC 61966-2-1."""
        full = FULL_DUTY if self.exposure == "supply" else max(1, int(led_duty(255, self.brightness)))
        light = np.minimum(np.arange(FULL_DUTY + 1) / full, 1)
        encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
        return np.round(encoded * 255).astype(np.uint8)

    def light(self, rgba: NDArray[np.float32]) -> NDArray[np.uint8]:
        """8-bit RGB of premultiplied RGBA [..., 4]."""
        return self._screen[led_duty(colour_values(rgba), self.brightness)]


def to_light(rgba: NDArray[np.float32], look: Look | None = None) -> NDArray[np.uint8]:
    """8-bit RGB of premultiplied RGBA [..., 4]: premultiplied colour is the light of an LED on black, or what a look makes of it."""
    if look is not None:
        return look.light(rgba)
    return np.round(np.clip(rgba[..., :3], 0, 1) * 255).astype(np.uint8)


def picture(rgba: NDArray[np.float32], pixels: int = 6, look: Look | None = None) -> Image.Image:
    """One state of the array, [height, width, 4], every cell a square of `pixels`, with a dark line between cells."""
    light = to_light(rgba, look)
    big = np.repeat(np.repeat(light, pixels, 0), pixels, 1)
    if pixels >= 6:
        big[pixels - 1 :: pixels] = 0
        big[:, pixels - 1 :: pixels] = 0
    return Image.fromarray(big)


def sheet(rows: Sequence[tuple[str, Sequence[Labelled]]], pixels: int, caption: str = "", look: Look | None = None) -> bytes:
    """PNG of rows of labelled pictures, all of one size, each row under its heading ("" for none), a caption below them all."""
    font, heading_font = ImageFont.load_default(size=11), ImageFont.load_default(size=14)
    height, width = (n * pixels for n in rows[0][1][0][1].shape[:2])
    labels = [math.ceil(font.getlength(label)) for _, pictures in rows for label, _ in pictures]
    step_x, step_y = max(width, *labels) + MARGIN, height + MARGIN + LABEL_HEIGHT
    widths = [len(pictures) * step_x for _, pictures in rows]
    widths += [math.ceil(heading_font.getlength(heading)) + MARGIN for heading, _ in rows if heading]
    bottom = MARGIN + len(rows) * step_y + sum(HEADING_HEIGHT for heading, _ in rows if heading)
    if caption:
        widths.append(math.ceil(font.getlength(caption)) + MARGIN)
        bottom += LABEL_HEIGHT + MARGIN
    out = Image.new("RGB", (max(widths) + MARGIN, bottom), DARK)
    draw = ImageDraw.Draw(out)
    y = MARGIN
    for heading, pictures in rows:
        if heading:
            draw.text((MARGIN, y), heading, BRIGHT_INK, font=heading_font)
            y += HEADING_HEIGHT
        for i, (label, rgba) in enumerate(pictures):
            x = MARGIN + i * step_x
            draw.text((x, y), label, INK, font=font)
            out.paste(picture(rgba, pixels, look), (x, y + LABEL_HEIGHT))
        y += step_y
    draw.text((MARGIN, y), caption, INK, font=font)
    data = io.BytesIO()
    out.save(data, "PNG")
    return data.getvalue()


def contact_sheet(
    pictures: Sequence[Labelled], columns: int = 6, pixels: int = 4, look: Look | None = None, caption: str = ""
) -> bytes:  # fmt: skip
    """PNG of labelled pictures, row by row, a caption below them all."""
    return sheet([("", pictures[i : i + columns]) for i in range(0, len(pictures), columns)], pixels, caption, look)


def half_blocks(rgba: NDArray[np.float32], look: Look | None = None) -> str:
    """The state as text for a colour terminal: two cells a character, upper and lower half block, 24-bit ANSI colours."""
    lines = []
    for row in half_block_rows(to_light(rgba, look)):
        runs = (f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m{HALF_BLOCK * n}" for a, b, n in row)
        lines.append("".join(runs) + "\x1b[0m")
    return "\n".join(lines)


def half_block_rows(light: NDArray[np.uint8]) -> Iterator[list[tuple[Colour, Colour, int]]]:
    """Rows of half blocks for 8-bit RGB [height, width, 3]: runs of alike ones, each as upper colour, lower colour and length."""
    if light.shape[0] % 2:
        light = np.concatenate([light, np.zeros_like(light[:1])])
    for upper, lower in zip(light[::2].tolist(), light[1::2].tolist(), strict=True):
        pairs = zip(map(tuple, upper), map(tuple, lower), strict=True)
        yield [(a, b, sum(1 for _ in run)) for (a, b), run in groupby(pairs)]


def shrunk(light: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Means over squares of `factor` cells; those at the lower and right edge are of the cells that there are."""
    if factor == 1:
        return light
    down, across = (np.arange(0, n, factor) for n in light.shape[:2])
    sums = np.add.reduceat(np.add.reduceat(light.astype(np.int64), down, 0), across, 1)
    counts = np.diff([*down, light.shape[0]])[:, None] * np.diff([*across, light.shape[1]])
    return np.asarray(np.round(sums / counts[..., None]), np.uint8)
