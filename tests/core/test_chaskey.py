"""The message authentication code, against the tags of its author's reference implementation; and the C against the Python."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import missing

import nca_hw.firmware_templates
from nca_hw.core import chaskey

# Chaskey-12, N. Mouha's reference implementation (2015, public domain): of the first bytes 00 01 02 ...; words, the first byte lowest.
KEY = struct.pack("<4I", 0x833D3433, 0x009F389F, 0x2398E64F, 0x417ACF39)
PUBLISHED = {
    0: (0x43CB1F41, 0x51EBA0C2, 0xFF0A8AC3, 0x7EE3F642), 1: (0xF9AC2067, 0x9C35A846, 0x441AAD3D, 0x777B7330),
    2: (0x57DA70C5, 0x2A873CB0, 0x19EE8B2A, 0x165CD82E), 15: (0x03CFB44B, 0x283C8163, 0xFCA71448, 0xC40A0AEA),
    16: (0x5DD0E2A9, 0xFB5EAC8C, 0x633A392E, 0x500C36F3), 17: (0x8B5F6D5A, 0x202314F6, 0x22092368, 0x9639E606),
    32: (0x77962784, 0x07C647FA, 0xDD752C0F, 0xD2F5A799), 33: (0xD74BB867, 0x2C0DFB3A, 0xB697E9CD, 0x5658EDDA),
    47: (0x8494B5BC, 0x5317B7B3, 0xCFE08756, 0x97A2D14E), 48: (0xF36E748B, 0x8F34677F, 0x1E00BA1B, 0xDD7DA46D),
    49: (0xF9F4055F, 0xAF76AC88, 0x45DA034C, 0xF1C04C8A), 63: (0x2DD072E1, 0x42B89EFE, 0xFB26B615, 0x049AA451),
}  # fmt: skip
# The same with 8 rounds: the published Chaskey.
PUBLISHED_8 = {0: (0x792E8FE5, 0x75CE87AA, 0x2D1450B5, 0x1191970B), 1: (0x13A9307B, 0x50E62C89, 0x4577BD88, 0xC0BBDC18)}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The firmware's C, on the host."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler here (cc)")
    sources = Path(nca_hw.firmware_templates.__file__).parent / "spread"
    library = tmp_path_factory.mktemp("chaskey") / "chaskey.so"
    files = [str(sources / name) for name in ("chaskey.c", "rounds.c")]
    subprocess.run([compiler, "-std=c99", "-shared", "-fPIC", "-O1", "-o", str(library), *files], check=True)
    ffi = FFI()
    ffi.cdef("void nca_chaskey_begin(uint32_t *, const uint32_t *);")
    ffi.cdef("void nca_chaskey_block(uint32_t *, const uint32_t *, const uint8_t *, uint8_t);")
    return ffi, ffi.dlopen(str(library))


def by_c(compiled: Any, key: bytes, message: bytes) -> bytes:
    ffi, library = compiled
    v, words = ffi.new("uint32_t[4]"), ffi.new("uint32_t[4]", struct.unpack("<4I", key))
    library.nca_chaskey_begin(v, words)
    for at in range(0, len(message), chaskey.BLOCK):
        library.nca_chaskey_block(v, words, message[at : at + chaskey.BLOCK], at + chaskey.BLOCK == len(message))
    return struct.pack("<4I", *v)


@pytest.mark.parametrize("length", PUBLISHED)
def test_tags_are_the_published_ones(length: int) -> None:
    assert struct.unpack("<4I", chaskey.tag(KEY, bytes(range(length)))) == PUBLISHED[length]


@pytest.mark.parametrize("length", PUBLISHED_8)
def test_with_eight_rounds_it_is_the_first_chaskey(length: int) -> None:
    assert struct.unpack("<4I", chaskey.tag(KEY, bytes(range(length)), rounds=8)) == PUBLISHED_8[length]


@pytest.mark.parametrize("length", [16, 32, 48])
def test_the_firmware_makes_the_published_tags_of_whole_blocks(compiled: Any, length: int) -> None:
    assert struct.unpack("<4I", by_c(compiled, KEY, bytes(range(length)))) == PUBLISHED[length]


@settings(max_examples=200)
@given(key=st.binary(min_size=16, max_size=16), blocks=st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=12))
def test_the_firmware_makes_the_tags_of_the_paper(compiled: Any, key: bytes, blocks: list[bytes]) -> None:
    assert by_c(compiled, key, b"".join(blocks)) == chaskey.tag(key, b"".join(blocks))
