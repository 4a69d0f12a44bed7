"""The recording of a run as one file, states.npz: times, states and power of every sample. Read with care: it may come from anywhere."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.errors import NcaHwError
from nca_hw.formats.files import write_whole
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import Result
from nca_hw.sim.scenario import CELLS_MAX

SCHEMA = "nca-hw/states/1"
STATES_LIMIT = 1 << 30  # bytes of all states together
META_LIMIT = 1 << 16
CURE = "Name a states.npz that nca-hw has written; if it was damaged on its way, copy it or run the simulation again."
_COMMON, _STEPS, _PLAIN = ("meta", "times", "powered"), ("first", "steps"), ("states",)  # in the file: always; int8 states; others
_KEPT_AS_STEPS = "|i1"
_PLAIN_DTYPES = ("<f4", "<f8")
_HEADER_BYTES = 128  # .npy format 1.0: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00\x76\x00\{'descr': '([<|][iuf]\d)', 'fortran_order': False, 'shape': \(((?:\d{1,12},? ?){1,4})\), \} *\n"
)


@dataclass(frozen=True, eq=False)
class StatesFile:
    """A recording, and where it came from.

    Attributes:
        times: of the samples, ns, int64 [T]. states: of the rule's dtype, [T, height, width, C].
        powered: which cells had power, bool [T, height, width].
        genome_hash: of the integer cell, None for other rules. seed, interval (ns): of the scenario.
        trajectory_hash: of the run, hex.
    """

    times: NDArray[np.int64]
    states: NDArray[Any]
    powered: NDArray[np.bool_]
    genome_hash: str | None
    seed: int
    trajectory_hash: str
    interval: int


def check_size(count: int, shape: Sequence[int], item_bytes: int, path: Path) -> None:
    """Make sure, before a run for example, that so many states [height, width, C] are not more than a file may hold.

    Raises:
        NcaHwError: they are.
    """
    if count * math.prod(shape) * item_bytes > STATES_LIMIT:
        told = f"{count} states of {shape[1]}x{shape[0]} cells are more than a file may hold ({STATES_LIMIT >> 20} MiB)"
        raise NcaHwError(told, where=path, cure="Record fewer states.")


def save(recorded: Result | StatesFile, path: Path) -> None:
    """Write a run's recording, whole or not at all; the same run gives the same bytes.

    States of the integer cell are kept as the first one and the differences from sample to sample, modulo 256, cell by cell: 8 bytes of
    a hundred are left of a default run, 17 without differences.

    Raises:
        NcaHwError: the file can't be written, or would hold more than `load` takes.
    """
    source = recorded.recording if isinstance(recorded, Result) else recorded
    count, shape, dtype = len(source.times), source.states[0].shape, source.states[0].dtype
    check_size(count, shape, dtype.itemsize, path)
    arrays: dict[str, NDArray[Any]] = {
        "meta": np.frombuffer(json.dumps(_meta(recorded, shape), sort_keys=True).encode(), np.uint8),
        "times": np.asarray(source.times, "<i8"),
        "powered": np.packbits(_flips(np.asarray(source.powered, np.bool_))),
    }
    if dtype.str == _KEPT_AS_STEPS:
        arrays["first"], arrays["steps"] = source.states[0], _steps(source.states)
    else:
        arrays["states"] = np.asarray(source.states, dtype.newbyteorder("<"))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_whole(path, buffer.getvalue())


def _meta(recorded: Result | StatesFile, shape: tuple[int, ...]) -> dict[str, Any]:
    if isinstance(recorded, Result):
        rule, scenario = recorded.rule, recorded.scenario
        genome_hash = rule.genome.cell_hash if isinstance(rule, IntegerRule) else None
        seed, interval, trajectory_hash = scenario.seed, scenario.interval, recorded.recording.trajectory.hexdigest()
    else:
        genome_hash, seed = recorded.genome_hash, recorded.seed
        interval, trajectory_hash = recorded.interval, recorded.trajectory_hash
    return {
        "schema": SCHEMA, "shape": list(shape), "genome_hash": genome_hash, "seed": seed, "trajectory_hash": trajectory_hash,
        "interval": interval,
    }  # fmt: skip


def _steps(states: Sequence[NDArray[Any]] | NDArray[Any]) -> NDArray[np.uint8]:
    """From each state to the next, modulo 256, uint8 [height, width, T - 1, C]."""
    height, width, channels = states[0].shape
    steps = np.empty((height, width, len(states) - 1, channels), np.uint8)
    for n in range(len(states) - 1):
        steps[:, :, n] = states[n + 1].view(np.uint8) - states[n].view(np.uint8)
    return steps


def _flips(powered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The first sample, and then where power has changed since the one before, [T, height, width]."""
    return np.concatenate([powered[:1], powered[1:] ^ powered[:-1]])


def load(path: Path) -> StatesFile:
    """Read a recording. Sizes are checked before anything is unpacked.

    Raises:
        NcaHwError: unreadable, damaged, of another kind, or larger than a recording may be.
    """
    path = Path(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", where=path, cure=CURE) from None
    try:
        with file, zipfile.ZipFile(file) as archive:
            return _read(archive)
    except NcaHwError as error:
        raise NcaHwError(error.what, where=path, cure=error.cure) from None
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error) as error:
        raise NcaHwError(f"is not a sound .npz file ({error or type(error).__name__})", where=path, cure=CURE) from None


def _read(archive: zipfile.ZipFile) -> StatesFile:
    held = archive.infolist()
    names = sorted(info.filename for info in held)
    plain = "states.npy" in names
    known = sorted(f"{name}.npy" for name in (*_COMMON, *(_PLAIN if plain else _STEPS)))
    if names != known or any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in held):
        raise NcaHwError("does not hold what a recording holds", cure=CURE)
    meta = _checked(_array(archive, "meta", ("|u1",), None, META_LIMIT).tobytes())
    height, width, channels = meta["shape"]
    times = _array(archive, "times", ("<i8",), None, min(STATES_LIMIT, STATES_LIMIT // (height * width * channels) * 8))
    count = len(times)
    if count == 0 or times[0] < 0 or (times[1:] <= times[:-1]).any():
        raise NcaHwError("tells of samples without an order of time", cure=CURE)
    bits = count * height * width
    packed = _array(archive, "powered", ("|u1",), (-(-bits // 8),), STATES_LIMIT)
    powered = np.unpackbits(packed, count=bits).view(np.bool_).reshape(count, height, width)
    states: NDArray[Any]
    if plain:
        states = _array(archive, "states", _PLAIN_DTYPES, (count, height, width, channels), STATES_LIMIT)
    else:
        first = _array(archive, "first", (_KEPT_AS_STEPS,), (height, width, channels), STATES_LIMIT)
        steps = _array(archive, "steps", ("|u1",), (height, width, count - 1, channels), STATES_LIMIT)
        states = np.empty((count, height, width, channels), np.int8)
        states[0], codes = first, states.view(np.uint8)
        for n in range(count - 1):
            codes[n + 1] = codes[n] + steps[:, :, n]
    for n in range(count - 1):
        powered[n + 1] ^= powered[n]
    told = {name: meta[name] for name in ("genome_hash", "seed", "trajectory_hash", "interval")}
    return StatesFile(times, states, powered, **told)


def _array(archive: zipfile.ZipFile, name: str, dtypes: Sequence[str], shape: tuple[int, ...] | None, limit: int) -> NDArray[Any]:
    """One array of the file, at most `limit` bytes; without a shape, of one dimension."""
    info = archive.getinfo(f"{name}.npy")
    with archive.open(info) as file:
        header = _HEADER.fullmatch(file.read(_HEADER_BYTES))
        if header is None:
            raise NcaHwError(f"holds {name} in another form than nca-hw writes", cure=CURE)
        dtype, found = header[1].decode(), tuple(int(n) for n in re.findall(rb"\d+", header[2]))
        size = math.prod(found) * np.dtype(dtype).itemsize if dtype in dtypes else 0
        if size > limit:
            raise NcaHwError(f"declares {size} bytes of {name}, limit {limit}", cure=CURE)
        fits = len(found) == 1 if shape is None else found == shape
        if dtype not in dtypes or not fits or info.file_size != _HEADER_BYTES + size:
            told = f"holds {name} as {dtype} {list(found)}, expected {' or '.join(dtypes)}"
            raise NcaHwError(told if shape is None else f"{told} {list(shape)}", cure=CURE)
        return np.frombuffer(bytearray(file.read(size)), dtype).reshape(found)  # never more than declared, whatever is packed


def _checked(text: bytes) -> dict[str, Any]:
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):
        meta = None
    if not isinstance(meta, dict) or meta.get("schema") != SCHEMA:
        raise NcaHwError(f"is no recording of the kind {SCHEMA}", cure=CURE)
    shape, genome_hash = meta.get("shape"), meta.get("genome_hash", 0)
    whole = [meta.get("seed"), meta.get("interval"), *(shape if isinstance(shape, list) else [None])]
    known = isinstance(meta.get("trajectory_hash"), str) and (genome_hash is None or isinstance(genome_hash, str))
    if not known or not all(type(n) is int and n >= 0 for n in whole) or len(whole) != 5:
        raise NcaHwError("has lost what it says of itself", cure=CURE)
    height, width, channels = whole[2:]
    if not (1 <= height * width <= CELLS_MAX and 1 <= channels <= 256):
        raise NcaHwError(f"tells of {width}x{height} cells of {channels} channels", cure=CURE)
    return meta
