"""One scenario run by several kinds of cell, side by side: a row a kind (float, int8, firmware), at the same moments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.report import led
from nca_hw.report.led import Labelled
from nca_hw.sim.run import Result

CAPTION = "u: mean updates of a cell.   loss: mean squared error against the target picture.   off: cells without power."
PICTURE_PIXELS = 192  # about the longer side of a picture
CELL_PIXELS_MAX = 8


def at_moments(result: Result, updates: Sequence[float]) -> list[Labelled]:
    """What a run looked like at times in mean updates; times that it did not reach are left out.

    The labels tell the time, the pattern loss (of a run with a target) and how many cells had no power.
    """
    recording, interval = result.recording, result.scenario.interval
    labelled = []
    for moment in updates:
        sample = int(np.searchsorted(recording.times, round(moment * interval)))
        if sample == len(recording.times):
            continue
        words = [f"{recording.times[sample] / interval:g} u"]
        if result.losses:
            words.append(f"loss {result.losses[sample]:.5f}")
        if not recording.powered[sample].all():
            words.append(f"{1 - recording.powered[sample].mean():.0%} off")
        labelled.append((", ".join(words), result.rgba(sample)))
    return labelled


def side_by_side(rows: Sequence[tuple[str, Sequence[Labelled]]], caption: str = CAPTION) -> bytes:
    """PNG of one row of labelled pictures a kind, under its name.

    Args:
        rows: name of the kind, and its pictures as (label, premultiplied RGBA float32 [height, width, 4]). Rows may be shorter than others.
        caption: what the labels mean.
    Raises:
        NcaHwError: there is nothing to show, or the pictures are not all of one size.
    """
    sizes = {rgba.shape[:2] for _, pictures in rows for _, rgba in pictures}
    if len(sizes) != 1 or not all(pictures for _, pictures in rows):
        told = ", ".join(f"{width}x{height}" for height, width in sorted(sizes)) or "none"
        raise NcaHwError(f"pictures side by side must be of one size, and every row must have some; there are {told}")
    pixels = max(1, min(CELL_PIXELS_MAX, PICTURE_PIXELS // max(sizes.pop())))
    return led.sheet(rows, pixels, caption)
