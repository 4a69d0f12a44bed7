"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from nca_hw.errors import NcaHwError

FOR_ALL, FOR_THE_OWNER = 0o644, 0o600  # who may read a file


def write_whole(path: Path, data: bytes, mode: int = FOR_ALL) -> None:
    """Write `data` to `path` through a temporary file beside it, so that a reader or a crash never meets half a file.

    Args:
        mode: permissions of the file, also where one of others is replaced.
    Raises:
        NcaHwError: the folder does not exist or can't be written.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(mode)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise _unwritable(path, error) from None


def make_folder(path: Path) -> Path:
    """Create the folder (and its parents) if need be, and make sure that it can be written.

    Raises:
        NcaHwError: it can't be created or written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


def _unwritable(path: Path, error: OSError) -> NcaHwError:
    return NcaHwError(f"can't be written ({error.strerror or error})", where=path, cure="Choose another place, or change its permissions.")
