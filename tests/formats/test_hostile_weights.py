"""Files that ask for time, space or trust are refused at once, with what to do instead."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import msgpack
import numpy as np
import pytest
import weight_files as files

from nca_hw.errors import NcaHwError
from nca_hw.formats import weights
from nca_hw.formats.weights import contents, pickles, protobuf


def nested_msgpack(depth: int) -> bytes:
    return b"\x81\xa1a" * depth + b"\xc0"


HOSTILE = {
    "deep JSON": b"[" * 1_000_000,
    "deep JSON object": b'{"modelTopology":' + b"[" * 500_000,
    "long JSON": b"[" + b"[]," * 3_000_000 + b"[]]",
    "deep MessagePack": nested_msgpack(100_000),
    "a MessagePack map of 2**32 entries": b"\xdf\xff\xff\xff\xff\xa1a\xc0",
    "MessagePack lists that ask for space": b"\x81\xa1a" + b"\xdd\x00\xff\xff\xff" * 200,
    "many MessagePack dictionaries": b"\x81\xa1a" + (b"\xdc\x04\x00" + b"\x80" * 1024) * 1,
    "a safetensors header of 2**63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "a safetensors header that is long and empty": struct.pack("<Q", 2 << 20) + b"{" + b" " * (2 << 20),
    "a safetensors shape of 2**60 numbers": struct.pack("<Q", 67) + b'{"w1":{"dtype":"F32","shape":[1000000000,99],"data_offsets":[0,0]}}',
    "a graph of many empty nodes": b"\x0a\x00" * 900_000,
    "thousands of layers": files.safetensors({f"{i}": np.zeros((48, 1) if i % 2 else (1, 16), np.float32) for i in range(4000)}),
    "thousands of filters": files.safetensors({f"{i}": np.ones((3, 3), np.float32) for i in range(4000)} | files.layers(2)),
    "names that a pattern matches again and again": files.safetensors({"_adam" * 100_000 + "!": np.zeros((48, 1), np.float32)}),
    "half a gigabyte of zip": None,
    "an array that declares a terabyte": None,
    "a zip of many members": None,
}


def hostile(name: str) -> bytes:
    data = HOSTILE[name]
    if data is not None:
        return data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        if name == "half a gigabyte of zip":
            archive.writestr("model/data.pkl", files.state_dict({}))
            for i in range(8):
                archive.writestr(f"model/data/{i}", bytes(64 << 20))
        elif name == "a zip of many members":
            for i in range(5000):
                archive.writestr(f"{i}.npy", b"")
        else:
            header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 250000), }\n"
            archive.writestr("w1.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return out.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_asks_for_time_or_space_is_refused_at_once(tmp_path: Path, name: str) -> None:
    """In processor time, of which other work on the machine takes none."""
    path = files.saved(tmp_path, hostile(name))
    tracemalloc.start()
    start = time.process_time()
    try:
        with pytest.raises(NcaHwError) as caught:
            weights.read(path)
        spent, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert caught.value.cure
    assert spent < 3  # tracing makes it several times slower
    assert peak < 4 * path.stat().st_size + (16 << 20)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "Load it with Keras"),
        (pickle.dumps([1, 2], 4), r"model\.state_dict\(\)"),
        (b"{}", "neither the web demo's list"),
        (b"\x93what is this", "no known weight format"),
        (b"", "no known weight format"),
        (msgpack.packb({"params": {"a": 1}}), "found nothing"),
    ],
)
def test_what_is_not_read_is_told_with_what_to_do(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        weights.read(files.saved(tmp_path, data))


def test_neither_a_device_nor_a_pipe_nor_an_empty_folder_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(NcaHwError, match="is no file"):
            weights.read(path)
    with pytest.raises(NcaHwError, match="neither an Orbax checkpoint nor a SavedModel"):
        weights.read(tmp_path)


def test_names_in_a_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    arrays = {"\x1b[2Jevil": np.zeros((3, 3, 3, 3, 3), np.float32), "x" * 5000: np.zeros(3, np.float32)}
    with pytest.raises(NcaHwError) as caught:
        weights.read(files.saved(tmp_path, files.safetensors(arrays)))
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_the_limits_in_the_document_are_those_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text()
    for limit in (contents.LARGEST, contents.TOTAL, contents.MOST, pickles.STEPS, protobuf.FIELDS):
        assert f"{limit:,} " in text, limit
    assert f"more than {contents.SIZE_LIMIT >> 20} MB" in text
