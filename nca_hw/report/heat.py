"""A number of every cell as a colour: how often each was updated, and whatever else is counted by cell."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nca_hw.report.led import DARK, INK, LABEL_HEIGHT, MARGIN

BAR_WIDTH = 12
TICK = 4
SIDE = 320  # pixels that the longer side of the map aims at
SIDE_MIN = 120  # of the bar, for its words
# 17 colours of viridis, from dark to bright in equal steps for the eye. Source: S. van der Walt and N. Smith, CC0.
VIRIDIS = np.array([
    (68, 1, 84), (72, 24, 106), (71, 45, 123), (66, 64, 134), (59, 82, 139), (51, 99, 141), (44, 114, 142), (38, 130, 142), (33, 145, 140),
    (31, 160, 136), (40, 174, 128), (63, 188, 115), (94, 201, 98), (132, 212, 75), (173, 220, 48), (216, 226, 25), (253, 231, 37),
], np.float64)  # fmt: skip


def colours(levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """8-bit RGB [..., 3] of levels [...] from 0 to 1."""
    at = np.clip(levels, 0, 1) * (len(VIRIDIS) - 1)
    mixed = [np.interp(at, np.arange(len(VIRIDIS)), VIRIDIS[:, channel]) for channel in range(3)]
    return np.round(np.stack(mixed, -1)).astype(np.uint8)


def heat_map(counts: NDArray[np.int64], title: str = "updates of a cell") -> bytes:
    """PNG of counts [height, width], with a bar that tells what the colours mean: smallest, mean and largest count."""
    low, high, mean = int(counts.min()), int(counts.max()), float(counts.mean())
    levels = (counts - low) / max(1, high - low)
    pixels = max(1, SIDE // max(counts.shape))
    cells = np.repeat(np.repeat(colours(levels), pixels, 0), pixels, 1)
    tall = max(cells.shape[0], SIDE_MIN)
    bar = np.repeat(colours(np.linspace(1, 0, tall))[:, None], BAR_WIDTH, 1)

    font = ImageFont.load_default(size=11)
    marks = _apart([(1.0, f"max {high:,}"), ((mean - low) / max(1, high - low), f"mean {mean:,.1f}"), (0.0, f"min {low:,}")], tall)
    words = max(font.getlength(text) for *_, text in marks)
    top, left = MARGIN + LABEL_HEIGHT, MARGIN
    bar_left = left + cells.shape[1] + MARGIN
    text_left = bar_left + BAR_WIDTH + 2 * TICK
    width = max(text_left + round(words), left + round(font.getlength(title))) + MARGIN
    image = Image.new("RGB", (width, top + tall + MARGIN), DARK)
    image.paste(Image.fromarray(cells), (left, top))
    image.paste(Image.fromarray(bar), (bar_left, top))
    draw = ImageDraw.Draw(image)
    draw.text((MARGIN, MARGIN - 2), title, INK, font=font)
    for y_bar, y_text, text in marks:
        draw.line((bar_left + BAR_WIDTH, top + y_bar, bar_left + BAR_WIDTH + TICK, top + y_text), INK)
        draw.text((text_left, top + y_text), text, INK, font=font, anchor="lm")
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def _apart(marks: list[tuple[float, str]], tall: int) -> list[tuple[int, int, str]]:
    """Three marks from top to bottom: where on the bar, where its text stands so that no two overlap, and the text."""
    on_bar = [round((1 - level) * (tall - 1)) for level, _ in marks]
    line = LABEL_HEIGHT
    top, bottom = line // 2, tall - 1 - line // 2
    middle = min(max(on_bar[1], top + line), bottom - line)
    return [(y, at, text) for y, at, (_, text) in zip(on_bar, (top, middle, bottom), marks, strict=True)]
