"""NumPy's .npz: a zip of .npy members, each a short header in words and the plain numbers. Pickled objects are refused.

Source: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays".
"""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any

import numpy as np

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.archive import Archive
from nca_hw.formats.weights.contents import DAMAGED, LAYOUTS, ONLY_THE_MODEL, Arrays, Weights, quoted

NAME = "npz"
HEADER = re.compile(
    rb"\{\s*'descr':\s*'([<>|=]?)([a-zA-Z])(\d{0,3})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d,\s]*)\),?\s*\}\s*"
)
HEADER_LIMIT = 4096
LAYOUT = "layout"
PLAIN = "Save float arrays with numpy.savez; pickled objects are refused."


def read(archive: Archive) -> Arrays:
    """All arrays of the archive, names in small letters; one named `layout` holds the word for the order of perception values."""
    arrays = Arrays()
    for member in archive.names:
        name = member.removesuffix(".npy").lower()
        if not member.endswith(".npy"):
            raise NcaHwError(f"is not a sound .npz of plain arrays: {quoted(member)} is no array", cure=PLAIN)
        data = archive.read(member)
        order, kind, width, transposed, shape, start = _header(member, data)
        if kind == "O":
            raise NcaHwError(f"is not a sound .npz of plain arrays: {quoted(name)} holds pickled objects", cure=PLAIN)
        if name == LAYOUT:
            word = data[start:].decode("utf-32-be" if order == ">" else "utf-32-le", "replace").rstrip("\0") if kind == "U" else "?"
            arrays.layout = next((layout for layout in LAYOUTS if layout == word), None)
            if arrays.layout is None:
                raise NcaHwError(f"says layout {quoted(word[:40])}, known are 'blocked' and 'interleaved'", cure=PLAIN)
            continue
        dtype = {"f": "float", "i": "int", "u": "uint"}.get(kind, kind) + (str(8 * width) if kind in "fiu" else "")
        arrays.add(name, dtype, shape[::-1] if transposed else shape, partial(_little, data[start:], order, width))
        if transposed and name in arrays.numbers:
            arrays.numbers[name] = arrays.numbers[name].transpose()
    return arrays


def write(weights: Weights) -> bytes:
    """The same weights give the same bytes: numpy.savez stores members without a date."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"w1": weights.w1, "b1": weights.b1, "w2": weights.w2, "b2": weights.b2}
    if weights.layout is not None:
        arrays[LAYOUT] = np.array(weights.layout)
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _header(member: str, data: bytes) -> tuple[str, str, int, bool, tuple[int, ...], int]:
    """Byte order, kind, bytes a number, column-major or not, shape, and where the numbers begin."""
    if data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in (1, 2, 3):
        raise NcaHwError(f"has {quoted(member)}, which is no .npy array", cure=DAMAGED)
    start = 10 if data[6] == 1 else 12
    length = int.from_bytes(data[8:start], "little")
    found = HEADER.fullmatch(data[start : start + length]) if length <= min(HEADER_LIMIT, len(data) - start) else None
    if found is None:
        raise NcaHwError(f"has {quoted(member)}, an array that is not of plain numbers or whose header is damaged", cure=PLAIN)
    order, kind, width, transposed, shape = (group.decode() for group in found.groups())
    try:
        sizes = tuple(int(n) for n in shape.split(",") if n.strip())
    except ValueError:
        raise NcaHwError(f"has {quoted(member)} with a shape that can't be: {shape[:60]}", cure=ONLY_THE_MODEL) from None
    return order, kind, int(width or 0), transposed == "True", sizes, start + length


def _little(data: bytes, order: str, width: int) -> bytes:
    """Big-endian numbers turned to little-endian."""
    if order != ">" or width < 2 or len(data) % width:
        return data
    return np.frombuffer(data, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
