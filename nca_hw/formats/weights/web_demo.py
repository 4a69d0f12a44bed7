"""The article's web demo: two layers of bytes as JSON, the last row of each its bias, w = (byte / 255 - 0.5) scale."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import KNOWN, Arrays

NAME = "web-demo JSON"
LAYERS = 2


def read(layers: list[Any]) -> Arrays:
    """Arrays w1, b1, w2, b2 of the parsed JSON."""
    arrays = Arrays()
    try:
        if len(layers) != LAYERS:
            raise NcaHwError(f"is JSON with {len(layers)} layers, expected {LAYERS}", cure=KNOWN)
        for number, layer in enumerate(layers, 1):
            rows, columns = int(layer["in_ch"]) + 1, int(layer["out_ch"])
            raw = np.frombuffer(base64.b64decode(layer["data_b64"], validate=True), np.uint8)
            if raw.size != rows * columns or rows < 2 or columns < 1:
                raise NcaHwError(f"layer {number} holds {raw.size} bytes, expected [{rows}, {columns}] = {rows * columns}", cure=KNOWN)
            values = raw.reshape(rows, columns).astype(np.float64) / 255 - 0.5
            for name, part, scale in (("w", values[:-1], layer["weight_scale"]), ("b", values[-1], layer["bias_scale"])):
                scaled = part * float(scale)
                arrays.add(f"{name}{number}", "float64", scaled.shape, scaled.tobytes)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise NcaHwError(f"is JSON, but not the web demo's list of two layers ({error!r:.120})", cure=KNOWN) from None
    return arrays
