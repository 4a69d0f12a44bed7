"""Writing files whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from nca_hw.errors import NcaHwError

FOR_ALL, FOR_THE_OWNER = 0o644, 0o600  # who may read a file


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder. What can't be looked at is none: a name too long for the system, or a medium that was pulled out."""
    return _seen(Path.is_dir, path)


def is_file(path: str | Path) -> bool:
    """Whether there is a file; see `is_folder`."""
    return _seen(Path.is_file, path)


def is_there(path: str | Path) -> bool:
    """Whether there is anything of this name; see `is_folder`."""
    return _seen(Path.exists, path)


def readable(name: str | Path) -> str:
    r"""A name as text of Unicode, in which bytes that are none stand as \udcff: it can be printed, and kept in a file."""
    return str(name).encode(errors="backslashreplace").decode()


def _seen(look: Callable[[Path], bool], path: str | Path) -> bool:
    try:
        return look(Path(path))
    except OSError:
        return False


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
