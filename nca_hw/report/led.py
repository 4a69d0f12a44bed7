"""The LED look: light on black. Every picture of the package is made here."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

DARK = (24, 24, 28)
INK = (200, 200, 205)
MARGIN = 8
LABEL_HEIGHT = 16


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


def contact_sheet(pictures: Sequence[tuple[str, NDArray[np.float32]]], columns: int = 6, pixels: int = 4) -> bytes:
    """PNG of labelled pictures, row by row."""
    font = ImageFont.load_default(size=11)
    height, width = (n * pixels for n in pictures[0][1].shape[:2])
    step_x, step_y = width + MARGIN, height + MARGIN + LABEL_HEIGHT
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * step_x + MARGIN, rows * step_y + MARGIN), DARK)
    draw = ImageDraw.Draw(sheet)
    for i, (label, rgba) in enumerate(pictures):
        x, y = MARGIN + i % columns * step_x, MARGIN + i // columns * step_y
        draw.text((x, y), label, INK, font=font)
        sheet.paste(picture(rgba, pixels), (x, y + LABEL_HEIGHT))
    out = io.BytesIO()
    sheet.save(out, "PNG")
    return out.getvalue()


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
