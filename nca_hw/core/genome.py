"""The genome: int8 weights and all constants of the integer cell, with its target picture and provenance, in one checked file.

The file is laid out in docs/genome.md. Everything after quantization (simulation, firmware, proof) is made from it.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nca_hw.core.taps import DEFAULT_KERNELS as DEFAULT_KERNELS
from nca_hw.core.taps import FULL_TURN, tap_shift, turned_taps
from nca_hw.core.taps import Kernel as Kernel
from nca_hw.errors import NcaHwError
from nca_hw.formats.files import is_file, write_whole

MAGIC = b"\x89NCAHW\r\n"
FORMAT_VERSION = 1
TURNED_VERSION = 2  # of a genome with turned axes: a reader of the first format would not see that they are turned
NEIGHBOURS = 8
CODE_MAX = 127
VALUE_MAX = 4096


def companded_table(reach: float = 32.0) -> NDArray[np.int16]:
    """The decode table of a companded state code, int16 [128], in units of 1/256. Source: docs/spec.md section 2.

    Args:
        reach: argument of asinh; 32 is range 16 with a = 0.5. Larger is finer near zero.
    """
    k = np.arange(CODE_MAX + 1) / CODE_MAX
    table = np.round(VALUE_MAX / reach * np.sinh(k * math.asinh(reach)))
    return table.astype(np.int16)


@dataclass(frozen=True)
class Provenance:
    """Where a genome comes from: free words, and figures that were measured when it was made."""

    name: str = ""
    source: str = ""
    licence: str = ""
    command: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    quality: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Genome:
    """An integer cell. Symbols and ranges as in docs/spec.md section 1.

    Attributes:
        w1: int8 [P, H]; b1: int16 [H], units of 4; w2: int8 [H, C]; b2: int16 [C]; m2: int16 [C].
        decode: int16 [128], values of the codes 0..127 in 1/256.
        seed: int8 [C], codes of the seed state.
        s1, s2: shifts.
        kernels: perception kernels in order.
        alpha: the alpha channel.
        alive: threshold code of the alive mask, 0 for none.
        turn: of the perception axes and so of the pattern, whole degrees clockwise as seen on the array, 0 to 359.
        target: PNG bytes of the target picture (RGBA), empty if there is none.
    """

    w1: NDArray[np.int8]
    b1: NDArray[np.int16]
    w2: NDArray[np.int8]
    b2: NDArray[np.int16]
    m2: NDArray[np.int16]
    decode: NDArray[np.int16]
    seed: NDArray[np.int8]
    s1: int
    s2: int
    kernels: tuple[Kernel, ...] = DEFAULT_KERNELS
    alpha: int = 3
    alive: int = 7
    turn: int = 0
    target: bytes = b""
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def channels(self) -> int:
        """C."""
        return int(self.w2.shape[1])

    @property
    def hidden(self) -> int:
        """H."""
        return int(self.w2.shape[0])

    @property
    def perception(self) -> int:
        """P = K C."""
        return len(self.kernels) * self.channels

    @property
    def taps(self) -> NDArray[np.int8]:
        """Taps of the kernels, int8 [K, 9]: the neighbours clockwise from the north, the cell itself; in 1/16 >> tap_shift of a value."""
        return turned_taps(self.kernels, self.turn)

    @property
    def tap_shift(self) -> int:
        """How much finer than 1/16 the taps are: 0 for axes that are not turned or by quarters, else 2."""
        return tap_shift(self.turn)

    @property
    def units(self) -> NDArray[np.int8]:
        """The hidden units as the C core reads them, int8 [H, 2 + P + C]: b1 (lower byte first), row of W1, row of W2."""
        b1 = self.b1.astype("<i2").view(np.int8).reshape(self.hidden, 2)
        return np.ascontiguousarray(np.concatenate([b1, self.w1.T, self.w2], axis=1))

    @property
    def cell_hash(self) -> str:
        """SHA-256 (hex) of what defines the arithmetic: equal hashes, equal cells, whatever their name or picture."""
        h = hashlib.sha256(json.dumps(_scalars(self), sort_keys=True).encode())
        for name, dtype in _ARRAYS.items():
            h.update(np.ascontiguousarray(getattr(self, name), dtype).tobytes())
        return h.hexdigest()

    def with_quality(self, **figures: float) -> Genome:
        """The same cell with more measured figures on its card."""
        p = self.provenance
        return replace(self, provenance=replace(p, quality={**p.quality, **figures}))

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            NcaHwError: the folder can't be written.
        """
        write_whole(path, to_bytes(self))


_ARRAYS = {"w1": "<i1", "b1": "<i2", "w2": "<i1", "b2": "<i2", "m2": "<i2", "decode": "<i2", "seed": "<i1"}
_RANGES = {"w1": (-127, 127), "b1": (-32768, 32767), "w2": (-127, 127), "b2": (-32768, 32767), "m2": (0, 32767),
           "decode": (0, VALUE_MAX), "seed": (-127, 127)}  # fmt: skip


def _shapes(channels: int, hidden: int, kernels: int) -> dict[str, tuple[int, ...]]:
    return {
        "w1": (kernels * channels, hidden), "b1": (hidden,), "w2": (hidden, channels), "b2": (channels,),
        "m2": (channels,), "decode": (CODE_MAX + 1,), "seed": (channels,),
    }  # fmt: skip


def _scalars(genome: Genome) -> dict[str, Any]:
    return {
        "kernels": [k.name.lower() for k in genome.kernels],
        "alpha": genome.alpha,
        "alive": genome.alive,
        "s1": genome.s1,
        "s2": genome.s2,
        **({"turn": genome.turn} if genome.turn else {}),
    }


def _refuse(what: str) -> NoReturn:
    raise NcaHwError(f"not a legal genome: {what}", cure="docs/spec.md, section 1, has the ranges.")


def _check(g: Genome) -> None:
    if g.w2.ndim != 2:
        _refuse(f"w2 has shape {list(g.w2.shape)}, expected [hidden, channels]")
    hidden, channels = g.w2.shape
    if not 1 <= channels <= 16:
        _refuse(f"{channels} channels, allowed are 1 to 16")
    if not 1 <= hidden <= 256:
        _refuse(f"{hidden} hidden units, allowed are 1 to 256")
    if not g.kernels or len(set(g.kernels)) != len(g.kernels):
        _refuse("the perception kernels must be one to four different ones of identity, sobel_x, sobel_y, laplacian")
    for name, shape in _shapes(channels, hidden, len(g.kernels)).items():
        array = getattr(g, name)
        if array.shape != shape:
            _refuse(f"{name} has shape {list(array.shape)}, expected {list(shape)}")
        if array.dtype != np.dtype(_ARRAYS[name]):
            _refuse(f"{name} is {array.dtype}, expected {np.dtype(_ARRAYS[name]).name}")
        low, high = _RANGES[name]
        if array.min() < low or array.max() > high:
            _refuse(f"{name} holds {array.min()} to {array.max()}, allowed are {low} to {high}")
    if g.decode[0] != 0 or np.any(np.diff(g.decode.astype(np.int32)) <= 0):
        _refuse("the decode table must start at 0 and increase with every code")
    for name, value, low, high in (("s1", g.s1, 1, 24), ("s2", g.s2, 12, 30), ("alpha", g.alpha, 0, channels - 1),
                                   ("alive", g.alive, 0, CODE_MAX), ("turn", g.turn, 0, FULL_TURN - 1)):  # fmt: skip
        if not low <= value <= high:
            _refuse(f"{name} is {value}, allowed are {low} to {high}")


def to_bytes(genome: Genome) -> bytes:
    """The file's bytes: the same genome gives the same bytes. Layout: docs/genome.md."""
    p = genome.provenance
    header: dict[str, Any] = {
        **_scalars(genome),
        "channels": genome.channels,
        "hidden": genome.hidden,
        "provenance": {
            "name": p.name, "source": p.source, "licence": p.licence, "command": p.command, "hashes": p.hashes, "quality": p.quality,
        },
        "target_bytes": len(genome.target),
    }  # fmt: skip
    text = json.dumps(header, sort_keys=True, indent=1, allow_nan=False).encode()
    version = TURNED_VERSION if genome.turn else FORMAT_VERSION
    body = MAGIC + struct.pack("<II", version, len(text)) + text
    body += b"".join(np.ascontiguousarray(getattr(genome, name), dtype).tobytes() for name, dtype in _ARRAYS.items())
    body += genome.target
    return body + hashlib.sha256(body).digest()


def from_bytes(data: bytes, where: str | Path = "genome") -> Genome:
    """Read and check a genome file.

    Raises:
        NcaHwError: not a genome, damaged, of a newer format, or with values outside the specification.
    """
    make_anew = "Make it anew with 'nca-hw quantize' or 'nca-hw train', or copy it again."
    if not data.startswith(MAGIC):
        raise NcaHwError("is not a genome file", where=where, cure="Weights become a genome with 'nca-hw quantize'.")
    if len(data) < len(MAGIC) + 8 + 32 or hashlib.sha256(data[:-32]).digest() != data[-32:]:
        raise NcaHwError("is damaged: its SHA-256 does not match its contents", where=where, cure=make_anew)
    version, length = struct.unpack_from("<II", data, len(MAGIC))
    if version > TURNED_VERSION:
        raise NcaHwError(
            f"has genome format {version}, this nca-hw reads up to {TURNED_VERSION}", where=where, cure="Upgrade: pip install -U nca-hw"
        )
    start = len(MAGIC) + 8
    try:
        header = json.loads(data[start : start + length])
        if (version == TURNED_VERSION) != bool(header.get("turn", 0)):
            _refuse(f"format {version} {'without' if version == TURNED_VERSION else 'with'} a turn")
        return _assemble(header, data[start + length : -32])
    except NcaHwError as error:
        raise NcaHwError(error.what, where=where, cure=error.cure) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NcaHwError(f"has a malformed header ({error!r})", where=where, cure=make_anew) from None


def _assemble(header: dict[str, Any], body: bytes) -> Genome:
    channels, hidden = int(header["channels"]), int(header["hidden"])
    if not (1 <= channels <= 16 and 1 <= hidden <= 256):
        _refuse(f"{channels} channels and {hidden} hidden units, allowed are 1 to 16 and 1 to 256")
    kernels = tuple(Kernel[str(name).upper()] for name in header["kernels"])
    shapes = _shapes(channels, hidden, len(kernels))
    expected = sum(math.prod(shape) * np.dtype(_ARRAYS[name]).itemsize for name, shape in shapes.items()) + int(header["target_bytes"])
    if expected != len(body):
        _refuse(f"its sections hold {len(body)} bytes, its header promises {expected}")
    arrays, at = {}, 0
    for name, shape in shapes.items():
        array = np.frombuffer(body, _ARRAYS[name], math.prod(shape), at).reshape(shape)
        arrays[name] = array
        at += array.nbytes
    p = header["provenance"]
    provenance = Provenance(
        name=str(p["name"]), source=str(p["source"]), licence=str(p["licence"]), command=str(p["command"]),
        hashes={str(k): str(v) for k, v in p["hashes"].items()}, quality={str(k): float(v) for k, v in p["quality"].items()},
    )  # fmt: skip
    return Genome(
        **arrays, kernels=kernels, alpha=int(header["alpha"]), alive=int(header["alive"]), s1=int(header["s1"]),
        s2=int(header["s2"]), turn=int(header.get("turn", 0)), target=body[at:], provenance=provenance,
    )  # fmt: skip


def bundled() -> dict[str, Path]:
    """The genomes that ship with the package: name to file."""
    folder = Path(str(resources.files("nca_hw"))) / "genomes"
    return {path.stem: path for path in sorted(folder.glob("*.genome"))}


def load(name_or_path: str | Path = "lizard") -> Genome:
    """A genome by the path of its file or by the name of a bundled one.

    Raises:
        NcaHwError: there is no such file and no such name, or the file is refused by `from_bytes`.
    """
    path = Path(name_or_path)
    names = bundled()
    if not is_file(path) and str(name_or_path) in names:
        path = names[str(name_or_path)]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NcaHwError(
            f"can't be read ({error.strerror or error})", where=path, cure=f"Name a genome file, or a bundled genome: {', '.join(names)}."
        ) from None
    return from_bytes(data, path)
