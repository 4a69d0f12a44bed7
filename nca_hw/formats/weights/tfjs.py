"""TensorFlow.js: a frozen graph as JSON with its constants inside, or a model.json whose manifest names files of weights beside it.

Source: TensorFlow.js, tfjs-core/src/io/types.ts (ModelJSON, WeightsManifestConfig).
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, DTYPES, KNOWN, LARGEST, Arrays, checked_shape, quoted
from nca_hw.formats.weights.source import Files
from nca_hw.formats.weights.text import unbase64, word
from nca_hw.formats.weights.tf_checkpoint import DTYPES as NUMBERED
from nca_hw.formats.weights.tf_graph import fill

NAME = "TF.js JSON"
SHARDS = 100


def read(document: dict[str, Any], folder: Path, files: Files) -> Arrays:
    """Every constant of the graph, and every weight of the manifest from the files of `folder` that it names."""
    if "modelTopology" not in document and "weightsManifest" not in document and "node" not in document:
        raise NcaHwError("is JSON, but neither the web demo's list of two layers nor a model of TensorFlow.js", cure=KNOWN)
    arrays = Arrays()
    try:
        topology = document.get("modelTopology") or document
        for node in topology.get("node") or [] if isinstance(topology, dict) else []:
            if node.get("op") == "Const":
                _constant(arrays, word(node["name"]), node["attr"]["value"]["tensor"])
        for group in document.get("weightsManifest") or []:
            _group(arrays, group, folder, files)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise NcaHwError(f"is JSON of TensorFlow.js with something missing or misplaced ({error!r:.100})", cure=DAMAGED) from None
    return arrays


def _constant(arrays: Arrays, name: str, tensor: dict[str, Any]) -> None:
    dtype = tensor["dtype"]
    dtype = NUMBERED.get(dtype, "?") if isinstance(dtype, int) else word(dtype).removeprefix("DT_").lower()
    dtype = {"float": "float32", "double": "float64", "half": "float16"}.get(dtype, dtype)
    sizes = [int(dim.get("size", 0)) for dim in (tensor.get("tensorShape") or {}).get("dim") or []]
    if tensor.get("tensorContent"):
        arrays.add(name, dtype, sizes, partial(unbase64, tensor["tensorContent"]))
    elif dtype in ("float32", "float64") and tensor.get("floatVal" if dtype == "float32" else "doubleVal"):
        values = tensor["floatVal" if dtype == "float32" else "doubleVal"]
        if not isinstance(values, list) or len(values) > LARGEST:
            raise NcaHwError(f"{quoted(name)} has no list of numbers, or too long a one", cure=DAMAGED)
        with np.errstate(over="ignore"):
            listed = np.array([float(value) for value in values], "<f8").astype(DTYPES[dtype]).tobytes()
        arrays.add(name, dtype, sizes, partial(fill, name, dtype, sizes, listed, DTYPES[dtype]))
    else:
        arrays.add(name, f"{dtype} in words", sizes, b"")


def _group(arrays: Arrays, group: dict[str, Any], folder: Path, files: Files) -> None:
    paths, specs = group["paths"], group["weights"]
    if not isinstance(paths, list) or not isinstance(specs, list) or len(paths) > SHARDS:
        raise NcaHwError(f"has a manifest that is no list of up to {SHARDS} files and their weights", cure=DAMAGED)
    for path in paths:
        if not isinstance(path, str) or path in ("", ".", "..") or any(c in path for c in "/\\:\0"):
            named = quoted(path) if isinstance(path, str) else "something other than a text"
            raise NcaHwError(f"names {named} for its weights", cure="Only files beside the JSON are read: correct the manifest.")
    data = memoryview(b"".join([files.read(folder / path) for path in paths]))
    at = 0
    for spec in specs:
        name, dtype, sizes = word(spec["name"]), word(spec["dtype"]), list(spec["shape"])
        packed = spec.get("quantization")
        width = np.dtype(DTYPES[word(packed["dtype"]) if packed else dtype]).itemsize
        size = width * int(np.prod(checked_shape(name, sizes), dtype=object))
        if size > len(data) - at:
            raise NcaHwError(f"{quoted(name)} ends beyond the files of weights", cure=DAMAGED)
        part = data[at : at + size]
        at += size
        if packed:
            arrays.add(name, "float32", sizes, partial(_unpacked, part, packed))
        else:
            arrays.add(name, dtype, sizes, part)


def _unpacked(data: memoryview, packed: dict[str, Any]) -> bytes:
    """Quantized weights as float32: value = number * scale + min; float16 as it is."""
    numbers = np.frombuffer(data, DTYPES[word(packed["dtype"])]).astype(np.float64)
    if packed["dtype"] != "float16":
        numbers = numbers * float(packed["scale"]) + float(packed["min"])
    with np.errstate(over="ignore", invalid="ignore"):
        return numbers.astype("<f4").tobytes()
