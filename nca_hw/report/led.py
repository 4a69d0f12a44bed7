"""The LED look: light on black. Every picture of the package is made here."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

DARK = (24, 24, 28)
INK = (200, 200, 205)
BRIGHT_INK = (255, 255, 255)
MARGIN = 8
LABEL_HEIGHT = 16
HEADING_HEIGHT = 22

Labelled = tuple[str, NDArray[np.float32]]  # a label, and a state of the array: premultiplied RGBA [height, width, 4]


def to_light(rgba: NDArray[np.float32]) -> NDArray[np.uint8]:
    """8-bit RGB of premultiplied RGBA [..., 4]: premultiplied colour is the light of an LED on black."""
    return np.round(np.clip(rgba[..., :3], 0, 1) * 255).astype(np.uint8)


def picture(rgba: NDArray[np.float32], pixels: int = 6) -> Image.Image:
    """One state of the array, [height, width, 4], every cell a square of `pixels`, with a dark line between cells."""
    light = to_light(rgba)
    big = np.repeat(np.repeat(light, pixels, 0), pixels, 1)
    if pixels >= 6:
        big[pixels - 1 :: pixels] = 0
        big[:, pixels - 1 :: pixels] = 0
    return Image.fromarray(big)


def sheet(rows: Sequence[tuple[str, Sequence[Labelled]]], pixels: int, caption: str = "") -> bytes:
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
            out.paste(picture(rgba, pixels), (x, y + LABEL_HEIGHT))
        y += step_y
    draw.text((MARGIN, y), caption, INK, font=font)
    data = io.BytesIO()
    out.save(data, "PNG")
    return data.getvalue()


def contact_sheet(pictures: Sequence[Labelled], columns: int = 6, pixels: int = 4) -> bytes:
    """PNG of labelled pictures, row by row."""
    return sheet([("", pictures[i : i + columns]) for i in range(0, len(pictures), columns)], pixels)


def animation(states: Sequence[NDArray[np.float32]], milliseconds: int = 60, pixels: int = 5) -> bytes:
    """Lossless animated WebP of states, each [height, width, 4]."""
    frames = [picture(rgba, pixels) for rgba in states]
    out = io.BytesIO()
    frames[0].save(
        out, "WEBP", save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, lossless=True, quality=0, method=0
    )
    return out.getvalue()


def half_blocks(rgba: NDArray[np.float32]) -> str:
    """The state as text for a colour terminal: two cells a character, upper and lower half block, 24-bit ANSI colours."""
    light = to_light(rgba)
    if light.shape[0] % 2:
        light = np.concatenate([light, np.zeros_like(light[:1])])
    lines = []
    for upper, lower in zip(light[::2], light[1::2], strict=True):
        cells = (
            f"\x1b[38;2;{a[0]};{a[1]};{a[2]};48;2;{b[0]};{b[1]};{b[2]}m\u2580" for a, b in zip(upper.tolist(), lower.tolist(), strict=True)
        )
        lines.append("".join(cells) + "\x1b[0m")
    return "\n".join(lines)
