"""What a reader hands on (named arrays, within bounds) and what import makes of them (the two layers of the article's rule)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError

Layout = Literal["blocked", "interleaved"]
Filters = tuple[tuple[int, float], ...]
Bytes = bytes | memoryview
PERCEPTION, CHANNELS = 48, 16
LAYOUTS: tuple[Layout, ...] = ("blocked", "interleaved")
USUAL_FILTERS: Filters = ((0, 1.0), (1, 1.0), (2, 1.0))
SIZE_LIMIT = 64 << 20  # bytes of all files of a model together, and of what they unpack to
KNOWN = (
    "Known: the article's web-demo JSON, .npz, TensorFlow checkpoints and frozen graphs (.pb, TF.js JSON), PyTorch state dicts, "
    "safetensors, Flax msgpack, Orbax folders."
)

LARGEST = 1 << 16  # elements: the largest array of such a model has 12,288; what is larger is something else and never unpacked
TOTAL = 1 << 19  # elements of all arrays that are unpacked
MOST = 4096  # arrays
DIMENSIONS = 8
DTYPES = {
    "float16": "<f2", "bfloat16": "<u2", "float32": "<f4", "float64": "<f8", "int8": "<i1", "int16": "<i2", "int32": "<i4",
    "int64": "<i8", "uint8": "<u1", "uint16": "<u2", "uint32": "<u4", "uint64": "<u8", "bool": "<u1",
}  # fmt: skip


@dataclass(frozen=True)
class Weights:
    """Float weights as they stand in a file.

    Attributes:
        w1: float32 [48, H]; b1: float32 [H]; w2: float32 [H, 16]; b2: float32 [16]; biases are zeros if the file has none.
        layout: order of the 48 perception values where the file states it.
        format: name of the format. sha256: hash of the file, or of its files one after the other, hex.
        filters: kind (0 identity, 1 Sobel x / 8, 2 Sobel y / 8) and factor of the three perception filters in the order of the file.
        axes_known: the file holds the filters themselves, so that x and y can't be swapped.
        tensors: the file's name for each array, where it has names.
        notes: what else a person should know about how the file was read.
    """

    w1: NDArray[np.float32]
    b1: NDArray[np.float32]
    w2: NDArray[np.float32]
    b2: NDArray[np.float32]
    layout: Layout | None
    format: str
    sha256: str
    filters: Filters = USUAL_FILTERS
    axes_known: bool = False
    tensors: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class Arrays:
    """The named arrays of a file, in its order.

    Attributes:
        numbers: those that were unpacked. others: type and shape, in words, of what can't belong to the model.
        layout: what the file says about the order of perception values.
    """

    numbers: dict[str, NDArray[Any]] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    layout: Layout | None = None
    total: int = 0

    def add(self, name: str, dtype: str, shape: Sequence[Any], data: Bytes | Callable[[], Bytes]) -> None:
        """Take an array if it can belong to the model: only then is `data` called, and it must be exactly the bytes of the shape.

        Args:
            dtype: a name of numpy's, or bfloat16. data: the bytes, little-endian, row-major, or what gives them.
        Raises:
            NcaHwError: a shape that is none, other than the bytes that it needs, or far too many arrays.
        """
        dimensions = checked_shape(name, shape)
        size = math.prod(dimensions)
        if len(self.numbers) + len(self.others) >= MOST or self.total + size * (size <= LARGEST) > TOTAL:
            raise NcaHwError(f"holds far more arrays than such a model (limits: {MOST} arrays, {TOTAL} numbers)", cure=ONLY_THE_MODEL)
        if name in self.numbers or name in self.others:
            raise NcaHwError(f"holds two arrays named {quoted(name)}", cure=ONLY_THE_MODEL)
        if size > LARGEST or dtype not in DTYPES:
            self.others[name] = f"{dtype[:20]} {list(dimensions)}"
            return
        self.total += size
        given = memoryview(data() if callable(data) else data).cast("B")
        kind = np.dtype(DTYPES[dtype])
        if len(given) != size * kind.itemsize:
            raise NcaHwError(
                f"{quoted(name)} has {len(given)} bytes, {dtype} {list(dimensions)} needs {size * kind.itemsize}", cure=DAMAGED
            )
        array = np.frombuffer(given, kind).reshape(dimensions)
        if dtype == "bfloat16":
            array = (array.astype(np.uint32) << np.uint32(16)).view(np.float32)
        self.numbers[name] = array

    def listing(self) -> str:
        """All arrays with their shapes, the first few of many."""
        told = [f"{shown(name)} {list(array.shape)}" for name, array in self.numbers.items()]
        told += [f"{shown(name)} {what}" for name, what in self.others.items()]
        return ", ".join(told[:12]) + (f" and {len(told) - 12} more" if len(told) > 12 else "") if told else "nothing"


ONLY_THE_MODEL = "Save the model's weights alone."
DAMAGED = "The file is damaged or was cut short: copy or save it again."


def checked_shape(name: str, shape: Sequence[Any]) -> tuple[int, ...]:
    """A declared shape as sizes, if it can be one."""
    sound = len(shape) <= DIMENSIONS and all(type(n) is int and 0 <= n < 1 << 40 for n in shape)
    if not sound:
        told = ", ".join(str(n) if type(n) is int and n.bit_length() <= 64 else "?" for n in shape[:DIMENSIONS])
        raise NcaHwError(f"{quoted(name)} has a shape that can't be: [{told}]", cure=DAMAGED)
    return tuple(shape)


def shown(name: str) -> str:
    """A name of a file as it may stand in a message: short, and without characters that a terminal would obey."""
    plain = "".join(c if c.isprintable() else "?" for c in name[:120])
    return plain + ("..." if len(name) > 120 else "")


def quoted(name: str) -> str:
    """The same in quotation marks."""
    return f"'{shown(name)}'"
