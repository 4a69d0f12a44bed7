"""Writers of weight files, made from the formats' documents and not from the readers: small, plain, and free to write nonsense."""

from __future__ import annotations

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def layers(hidden: int = 4, seed: int = 0) -> Arrays:
    """w1 [48, H], b1, w2 [H, 16], b2, float32."""
    rng = np.random.default_rng(seed)
    shapes = {"w1": (48, hidden), "b1": (hidden,), "w2": (hidden, 16), "b2": (16,)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def pytorch(arrays: Arrays) -> Arrays:
    """As PyTorch names and shapes 1x1 convolutions."""
    turned = {name: np.ascontiguousarray(arrays[name].T)[:, :, None, None] for name in ("w1", "w2")}
    return {"fc0.weight": turned["w1"], "fc0.bias": arrays["b1"], "fc1.weight": turned["w2"], "fc1.bias": arrays["b2"]}


def npz(arrays: Arrays) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def web_demo(arrays: Arrays) -> bytes:
    """Random bytes in the demo's shapes: the format has no floats to give."""
    rng = np.random.default_rng(0)
    shapes = [arrays["w1"].shape, arrays["w2"].shape]
    return json.dumps([
        {"in_ch": rows, "out_ch": columns, "weight_scale": 2.0, "bias_scale": 0.5,
         "data_b64": base64.b64encode(rng.bytes((rows + 1) * columns)).decode()} for rows, columns in shapes
    ]).encode()  # fmt: skip


def safetensors(arrays: Arrays) -> bytes:
    header: dict[str, Any] = {"__metadata__": {"format": "np"}}
    body = b""
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(body), len(body) + array.nbytes]}
        body += array.tobytes()
    words = json.dumps(header).encode()
    return struct.pack("<Q", len(words)) + words + body


ONE_FILE = {
    "web_demo": web_demo, "npz": npz,
    "safetensors": lambda arrays: safetensors(pytorch(arrays)),
}  # fmt: skip


def saved(folder: Path, data: bytes, name: str = "model") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def assert_same(read: Any, arrays: Arrays) -> None:
    """Bit for bit."""
    for name, array in arrays.items():
        assert getattr(read, name).tobytes() == array.tobytes(), name
