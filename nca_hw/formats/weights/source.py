"""The files behind the name that a user gave, read within bounds and hashed on the way."""

from __future__ import annotations

import hashlib
import re
import stat
from pathlib import Path

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import KNOWN, ONLY_THE_MODEL, SIZE_LIMIT

MOST_FILES = 4096
SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")


class Files:
    """Reads whole files; all of them together stay within the limit, and `sha256` is the hash of their bytes in the order of reading."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._left = SIZE_LIMIT

    def read(self, path: Path) -> bytes:
        """The bytes of one regular file.

        Raises:
            NcaHwError: it can't be read, or is too large.
        """
        try:
            found = path.stat()
            if not stat.S_ISREG(found.st_mode):
                raise NcaHwError("is no file", where=path, cure="Name a file with weights.")
            if found.st_size > self._left:
                raise NcaHwError(
                    f"has {found.st_size} bytes, far more than such weights need (limit {SIZE_LIMIT})", where=path, cure=ONLY_THE_MODEL
                )
            with path.open("rb") as file:
                data = file.read(found.st_size)
        except OSError as error:
            raise NcaHwError(f"can't be read ({error.strerror or error})", where=path, cure="Name a file with weights.") from None
        self._left -= len(data)
        self._hash.update(data)
        return data

    @property
    def sha256(self) -> str:
        """Of everything that was read, hex."""
        return self._hash.hexdigest()


def checkpoint_prefix(path: Path) -> Path | None:
    """The prefix of a TensorFlow checkpoint, if that is what was named: by the prefix, its index, one of its shards, or a SavedModel."""
    if path.name.endswith(".index") and len(path.name) > len(".index"):
        return path.with_name(path.name.removesuffix(".index"))
    if SHARD.search(path.name):
        return path.with_name(SHARD.sub("", path.name))
    if (path / "variables" / "variables.index").is_file():
        return path / "variables" / "variables"
    if path.name and not path.exists() and path.with_name(path.name + ".index").is_file():
        return path
    return None


def folder_files(folder: Path) -> list[Path]:
    """All regular files of a folder, sorted by their path in it, links left out."""
    found: list[Path] = []
    try:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                found.append(path)
            if len(found) > MOST_FILES:
                raise NcaHwError(f"holds more than {MOST_FILES} files", where=folder, cure=KNOWN)
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", where=folder, cure="Name a file with weights.") from None
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
