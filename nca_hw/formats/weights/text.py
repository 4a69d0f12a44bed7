"""JSON parsed within bounds: a short text can ask for much memory or deep recursion."""

from __future__ import annotations

import base64
import json
from typing import Any

from nca_hw.errors import NcaHwError
from nca_hw.formats.weights.contents import DAMAGED, ONLY_THE_MODEL

LIMIT = 4 << 20  # bytes; the web demo's models have 11 KB, a graph with its weights 66 KB


def parse(data: bytes, limit: int = LIMIT) -> Any:
    """The value of a JSON text.

    Raises:
        NcaHwError: too long, nested too deeply, or no JSON.
    """
    if len(data) > limit:
        raise NcaHwError(f"has {len(data)} bytes of JSON, allowed are {limit}", cure=ONLY_THE_MODEL)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NcaHwError(f"is no sound JSON ({error!s:.100})", cure=DAMAGED) from None


def is_text(data: bytes) -> bool:
    """Whether this can be the beginning of a JSON text: printable, starting with a list or an object."""
    start = data[:256]
    return start.lstrip()[:1] in (b"[", b"{") and not any(byte < 32 and byte not in b"\t\n\r" for byte in start)


def unbase64(value: Any) -> bytes:
    """The bytes of a base64 text.

    Raises:
        NcaHwError: it is none.
    """
    try:
        return base64.b64decode(value, validate=True)
    except (ValueError, TypeError) as error:
        raise NcaHwError(f"holds what should be base64 and is not ({error!s:.60})", cure=DAMAGED) from None


def word(value: Any) -> str:
    """A value where a text must stand: a nested one is not even printed.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text belongs")
    return value
