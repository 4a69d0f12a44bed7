"""A file of weights of any known format to the model's arrays: the format is told by the contents, never by the name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.formats.files import write_whole
from nca_hw.formats.weights import (
    flax_msgpack,
    layers,
    npz,
    orbax,
    safetensors_file,
    sstable,
    text,
    tf_checkpoint,
    tf_graph,
    tfjs,
    torch_file,
    web_demo,
)
from nca_hw.formats.weights.archive import MAGIC, Archive
from nca_hw.formats.weights.contents import KNOWN, Arrays, Weights
from nca_hw.formats.weights.pickles import STATE_DICT
from nca_hw.formats.weights.source import Files, checkpoint_prefix, folder_files

HDF5 = b"\x89HDF\r\n\x1a\n"
KERAS = "Load it with Keras and save plain arrays: numpy.savez('model.npz', w1=..., b1=..., w2=..., b2=...), or a checkpoint."


def read(path: Path, tensors: Mapping[str, str] | None = None) -> Weights:
    """Read weights of any known format, told by their contents. Runs no code from a file.

    Args:
        path: a file; of a TensorFlow checkpoint its index, a shard or the prefix of both; an Orbax or SavedModel folder.
        tensors: the file's names for w1, b1, w2, b2 and filters, where the shapes leave a choice.
    Raises:
        NcaHwError: unreadable, unknown, damaged, ambiguous, or with shapes or values that can't be this model.
        ToolMissing: an Orbax folder, and TensorStore is not installed.
    """
    path = Path(path)
    files = Files()
    try:
        arrays, name = _arrays(path, files)
        return layers.find(arrays, tensors, name, files.sha256)
    except ToolMissing:
        raise
    except NcaHwError as error:
        raise NcaHwError(error.what, where=error.where or path, cure=error.cure) from None


def write(path: Path, weights: Weights) -> None:
    """Write weights as .npz, whole or not at all; the same weights give the same bytes."""
    write_whole(path, npz.write(weights))


def _arrays(path: Path, files: Files) -> tuple[Arrays, str]:
    prefix = checkpoint_prefix(path)
    if prefix is not None:
        return tf_checkpoint.read(prefix, files), tf_checkpoint.NAME
    if path.is_dir():
        return _folder(path, files)
    data = files.read(path)
    if data[:4] == MAGIC:
        return _zip(Archive(data))
    if data[:8] == HDF5:
        raise NcaHwError("is an HDF5 file, as Keras writes them, and is not read here", cure=KERAS)
    if data.startswith(torch_file.LEGACY):
        return torch_file.read_legacy(data), torch_file.LEGACY_NAME
    if data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise NcaHwError("is a pickle, which is a program, and files run nothing here", cure=STATE_DICT)
    if text.is_text(data):
        document = text.parse(data)
        if isinstance(document, list):
            return web_demo.read(document), web_demo.NAME
        return tfjs.read(document, path.parent, files), tfjs.NAME
    if safetensors_file.is_one(data):
        return safetensors_file.read(data), safetensors_file.NAME
    if flax_msgpack.is_one(data):
        return flax_msgpack.read(data), flax_msgpack.NAME
    if data.endswith(sstable.MAGIC):
        raise NcaHwError("is the index of a TensorFlow checkpoint under another name", cure="Give it back its name, PREFIX.index.")
    if data[:1] == b"\x0a":
        return tf_graph.read(data), tf_graph.NAME
    raise NcaHwError("is of no known weight format", cure=KNOWN)


def _zip(archive: Archive) -> tuple[Arrays, str]:
    if torch_file.is_zip(archive):
        return torch_file.read_zip(archive), torch_file.NAME
    if "model.weights.h5" in archive.names:
        raise NcaHwError("is a Keras archive, and is not read here", cure=KERAS)
    return npz.read(archive), npz.NAME


def _folder(path: Path, files: Files) -> tuple[Arrays, str]:
    try:
        folder = orbax.folder_of(path)
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", cure="Name a file with weights.") from None
    if folder is None:
        raise NcaHwError("is a folder, and neither an Orbax checkpoint nor a SavedModel", cure="Name the file in it. " + KNOWN)
    for file in folder_files(folder):
        files.read(file)  # within the limit of all files together, and hashed
    return orbax.read(folder), orbax.NAME
