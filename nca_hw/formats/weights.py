"""Readers of published float weights: each gives named arrays and says where they came from. Runs no code from a file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.formats.files import write_whole

Layout = Literal["blocked", "interleaved"]
PERCEPTION, CHANNELS = 48, 16
LAYOUTS: tuple[Layout, ...] = ("blocked", "interleaved")
SIZE_LIMIT = 64 << 20
KNOWN = "Known: the article's web-demo JSON, and .npz with w1 [48, H], b1 [H], w2 [H, 16] and optional b2 [16]."


@dataclass(frozen=True)
class Weights:
    """Float weights as they stand in a file.

    Attributes:
        w1: float32 [48, H]; b1: float32 [H]; w2: float32 [H, 16]; b2: float32 [16], zeros if the file has none.
        layout: order of the 48 perception values where the file states it.
        format: name of the format. sha256: hash of the file, hex.
    """

    w1: NDArray[np.float32]
    b1: NDArray[np.float32]
    w2: NDArray[np.float32]
    b2: NDArray[np.float32]
    layout: Layout | None
    format: str
    sha256: str


def read(path: Path) -> Weights:
    """Read weights of any known format, told by their contents.

    Raises:
        NcaHwError: unreadable, unknown, damaged, or with shapes or values that can't be this model.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > SIZE_LIMIT:
            raise NcaHwError(f"has {size} bytes, far more than such weights need (limit {SIZE_LIMIT})", where=path, cure=KNOWN)
        data = path.read_bytes()
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", where=path, cure="Name a file with weights.") from None
    digest = hashlib.sha256(data).hexdigest()
    try:
        if data[:4] == b"PK\x03\x04":
            arrays, layout, name = *_read_npz(data), "npz"
        elif data.lstrip()[:1] in (b"[", b"{"):
            arrays, layout, name = _read_web_demo(data), None, "web-demo JSON"
        else:
            raise NcaHwError("is of no known weight format", cure=KNOWN)
        return _checked(arrays, layout, name, digest)
    except NcaHwError as error:
        raise NcaHwError(error.what, where=path, cure=error.cure) from None


def write(path: Path, weights: Weights) -> None:
    """Write weights as .npz, whole or not at all; the same weights give the same bytes."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"w1": weights.w1, "b1": weights.b1, "w2": weights.w2, "b2": weights.b2}
    if weights.layout is not None:
        arrays["layout"] = np.array(weights.layout)
    np.savez(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def _read_npz(data: bytes) -> tuple[dict[str, NDArray[Any]], Layout | None]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            declared = sum(info.file_size for info in archive.infolist())
        if declared > SIZE_LIMIT:
            raise NcaHwError(f"declares {declared} bytes unpacked, limit {SIZE_LIMIT}", cure=KNOWN)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name.lower(): archive[name] for name in archive.files}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError, MemoryError, RuntimeError, NotImplementedError) as error:
        raise NcaHwError(
            f"is not a sound .npz of plain arrays ({error})", cure="Save float arrays with numpy.savez; pickled objects are refused."
        ) from None
    layout = arrays.pop("layout", None)
    if layout is None:
        return arrays, None
    if str(layout) == "blocked":
        return arrays, "blocked"
    if str(layout) == "interleaved":
        return arrays, "interleaved"
    raise NcaHwError(f"says layout {str(layout)[:40]!r}, known are 'blocked' and 'interleaved'")


def _read_web_demo(data: bytes) -> dict[str, NDArray[Any]]:
    """The article's web demo: two layers of bytes, the last row of each its bias, w = (byte / 255 - 0.5) scale."""
    try:
        layers = json.loads(data)
        arrays: dict[str, NDArray[Any]] = {}
        for number, layer in enumerate(layers, 1):
            rows, columns = int(layer["in_ch"]) + 1, int(layer["out_ch"])
            raw = np.frombuffer(base64.b64decode(layer["data_b64"], validate=True), np.uint8)
            if raw.size != rows * columns:
                raise NcaHwError(f"layer {number} holds {raw.size} bytes, expected [{rows}, {columns}] = {rows * columns}")
            values = raw.reshape(rows, columns).astype(np.float64) / 255 - 0.5
            arrays[f"w{number}"] = values[:-1] * float(layer["weight_scale"])
            arrays[f"b{number}"] = values[-1] * float(layer["bias_scale"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise NcaHwError(f"is JSON, but not the web demo's list of two layers ({error!r:.120})", cure=KNOWN) from None
    return arrays


def _checked(arrays: dict[str, NDArray[Any]], layout: Layout | None, name: str, digest: str) -> Weights:
    missing = [key for key in ("w1", "b1", "w2") if key not in arrays]
    if missing:
        found = ", ".join(f"{key} {list(value.shape)}" for key, value in arrays.items()) or "nothing"
        raise NcaHwError(f"lacks {', '.join(missing)}; found {found}", cure=KNOWN)
    plain = {}
    for key in ("w1", "b1", "w2", "b2"):
        array = np.squeeze(arrays.get(key, np.zeros(CHANNELS)))  # 1x1 convolutions carry empty axes
        if array.dtype.kind not in "fiu":
            raise NcaHwError(f"{key} is of type {array.dtype}, expected floating-point numbers", cure=KNOWN)
        plain[key] = array.astype(np.float32)
        if not np.isfinite(plain[key]).all():
            bad = int((~np.isfinite(plain[key])).sum())
            raise NcaHwError(f"{key} holds {bad} values that are NaN or infinite", cure="Export the weights from before training diverged.")
    if plain["w1"].ndim == 2 and plain["w1"].shape[1] == PERCEPTION != plain["w1"].shape[0]:
        plain["w1"], plain["w2"] = plain["w1"].T, plain["w2"].T  # PyTorch keeps [out, in]
    hidden = plain["b1"].size
    expected = {"w1": (PERCEPTION, hidden), "b1": (hidden,), "w2": (hidden, CHANNELS), "b2": (CHANNELS,)}
    wrong = [f"{key} is {list(plain[key].shape)}, expected {list(shape)}" for key, shape in expected.items() if plain[key].shape != shape]
    if wrong or not 1 <= hidden <= 256:
        raise NcaHwError("has the wrong shapes: " + "; ".join(wrong or [f"{hidden} hidden units, allowed are 1 to 256"]), cure=KNOWN)
    return Weights(**plain, layout=layout, format=name, sha256=digest)
