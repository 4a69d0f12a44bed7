"""Zip archives (.npz and PyTorch files are such) opened within bounds: few members, no bombs, no decompressor that asks for memory."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, MOST, ONLY_THE_MODEL, SIZE_LIMIT, quoted

MAGIC = b"PK\x03\x04"
_UNSOUND = (
    zipfile.BadZipFile, zlib.error, struct.error, ValueError, OSError, EOFError, KeyError, OverflowError, RuntimeError,
    NotImplementedError,
)  # fmt: skip


class Archive:
    """A zip archive in memory. Nothing is ever extracted: members are looked up by name, and a name is only a key."""

    def __init__(self, data: bytes) -> None:
        if data.count(b"PK\x01\x02") > MOST:  # a directory entry each, whatever the directory declares
            raise NcaHwError(f"is a zip archive with more than {MOST} members", cure=ONLY_THE_MODEL)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self._members = {info.filename: info for info in self._zip.infolist()}
        except _UNSOUND as error:
            raise NcaHwError(f"is not a sound zip archive ({error!s:.100})", cure=DAMAGED) from None
        declared = sum(info.file_size for info in self._members.values())
        if declared > SIZE_LIMIT:
            raise NcaHwError(f"declares {declared} bytes unpacked, limit {SIZE_LIMIT}", cure=ONLY_THE_MODEL)

    @property
    def names(self) -> list[str]:
        """Of all members, in the order of the directory."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Declared bytes of a member; `read` never gives more."""
        return self._members[name].file_size

    def read(self, name: str) -> bytes:
        """The bytes of a member, its CRC-32 checked."""
        info = self._members.get(name)
        if info is None:
            raise NcaHwError(f"lacks its member {quoted(name)}", cure=DAMAGED)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise NcaHwError(f"has {quoted(name)} compressed by method {info.compress_type}, known are stored and deflate", cure=DAMAGED)
        try:
            return self._zip.read(info)
        except _UNSOUND as error:
            raise NcaHwError(f"has an unsound member {quoted(name)} ({error!s:.100})", cure=DAMAGED) from None
