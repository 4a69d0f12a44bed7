"""Orbax, the checkpoints of JAX, Flax and CAX: a folder of zarr arrays, plain or inside an OCDBT database; TensorStore reads both.

Source: orbax.readthedocs.io, "Checkpoint format guide"; google.github.io/tensorstore, drivers zarr, zarr3, kvstore ocdbt.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.formats.weights import text
from nca_hw.formats.weights.contents import DAMAGED, DTYPES, KNOWN, LARGEST, MOST, Arrays, checked_shape, quoted

NAME = "Orbax checkpoint"
DATABASE = "manifest.ocdbt"
METADATA = {".zarray": "zarr", "zarr.json": "zarr3"}
METADATA_LIMIT = 1 << 16
CACHE = 1 << 24


def folder_of(folder: Path) -> Path | None:
    """The folder with the arrays: itself, the item of a step, or the newest step of a CheckpointManager's folder."""
    steps = sorted((p for p in folder.iterdir() if p.name.isdecimal() and p.name.isascii() and p.is_dir()), key=lambda p: int(p.name[:18]))
    newest = steps[-1:]
    for place in [folder, *newest]:
        for inner in (place, place / "default", place / "params", place / "state", place / "model"):
            if (inner / DATABASE).is_file() or (inner / "_METADATA").is_file() or any(inner.glob("*/.zarray")):
                return inner
    return None


def read(folder: Path) -> Arrays:
    """All arrays of the checkpoint, their names as in its tree."""
    try:
        import tensorstore as ts
    except ImportError:
        raise ToolMissing(
            "an Orbax checkpoint needs TensorStore, which is not installed",
            cure="pip install 'nca-hw[orbax]', or save with flax.serialization.to_bytes.",
        ) from None
    base: dict[str, Any] = {"driver": "file", "path": f"{folder.resolve()}/"}
    store: dict[str, Any] = {"driver": "ocdbt", "base": base} if (folder / DATABASE).is_file() else base
    context = ts.Context({"cache_pool": {"total_bytes_limit": CACHE}})
    arrays = Arrays()
    try:
        files = ts.KvStore.open(store, context=context).result()
        keys = sorted(files.list().result())
        if len(keys) > 4 * MOST:
            raise NcaHwError(f"holds {len(keys)} entries, far more than such a model", cure=KNOWN)
        for key in (key.decode("utf-8", "replace") for key in keys):
            name, _, kind = key.rpartition("/")
            if kind in METADATA:
                metadata = _metadata(name, files.read(key).result().value)
                shape, chunk = _shapes(name, metadata)
                spec = {"driver": METADATA[kind], "kvstore": {**store, "path": f"{store.get('path', '')}{name}/"}}
                dtype = _dtype(metadata)
                fits = max(math.prod(shape), math.prod(chunk)) <= LARGEST and dtype in DTYPES
                arrays.add(name.replace("/", "."), dtype if fits else f"{dtype} ", shape, partial(_numbers, ts, spec, context, dtype))
    except (ValueError, RuntimeError, OSError, OverflowError, NotImplementedError, TypeError, KeyError) as error:
        raise NcaHwError(f"is no sound Orbax checkpoint ({' '.join(str(error).split())[:160]})", cure=DAMAGED) from None
    if not arrays.numbers and not arrays.others:
        raise NcaHwError("is no Orbax checkpoint: it holds no zarr arrays", cure=KNOWN)
    return arrays


def _metadata(name: str, data: bytes) -> dict[str, Any]:
    metadata = text.parse(data, METADATA_LIMIT)
    if not isinstance(metadata, dict):
        raise NcaHwError(f"{quoted(name)} has metadata that are none", cure=DAMAGED)
    return metadata


def _shapes(name: str, metadata: dict[str, Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and chunk: neither is allocated before it is known to be small."""
    chunk = metadata["chunks"] if "chunks" in metadata else metadata["chunk_grid"]["configuration"]["chunk_shape"]
    return checked_shape(name, metadata["shape"]), checked_shape(name, chunk)


def _dtype(metadata: dict[str, Any]) -> str:
    if "data_type" in metadata:
        return text.word(metadata["data_type"])
    word = text.word(metadata["dtype"])
    return word if word in DTYPES else str(np.dtype(word).name)


def _numbers(ts: Any, spec: dict[str, Any], context: Any, dtype: str) -> bytes:
    array = np.asarray(ts.open(spec, context=context, open=True, read=True).result().read().result())
    kind = np.dtype(DTYPES[dtype])
    return (array.view(np.uint16) if dtype == "bfloat16" else array).astype(kind, copy=False).tobytes()
