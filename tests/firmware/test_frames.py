"""Frames: the C of firmware and host against an independent reader in Python, and what damage may never do."""

from __future__ import annotations

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from hypothesis import given, settings
from hypothesis import strategies as st

from nca_hw.core._cell import ffi, lib
from nca_hw.core.ccore import CCell
from nca_hw.core.frames import STATE, decode_all, encode

CELL = CCell(shipped_size_genome())
STATES = st.lists(st.integers(-127, 127), min_size=16, max_size=16).map(lambda codes: np.array(codes, np.int8))
PLACES = st.integers(0, 7)


def receive(data: bytes) -> list[tuple[int, list[int]]]:
    """What the C receiver makes of a byte stream, tried from every byte on: a link that loses its place begins anew."""
    buffer, codes, found = ffi.new("uint8_t[]", data + b"\0"), ffi.new("int8_t[16]"), []
    for at in range(len(data)):
        head = lib.nca_host_receive(CELL.struct, buffer + at, len(data) - at, codes)
        if head & 0xF8 == STATE:
            found.append((head & 7, list(codes)))
    return found


@given(PLACES, STATES)
def test_the_c_sender_writes_the_frame_of_the_protocol(place: int, state: np.ndarray) -> None:
    frame = ffi.new("uint8_t[21]")
    lib.nca_host_send(CELL.struct, STATE | place, ffi.from_buffer("int8_t[]", state), frame)
    assert bytes(frame) == encode(place, state)


@given(PLACES, STATES)
def test_a_frame_is_received_as_it_was_sent(place: int, state: np.ndarray) -> None:
    assert receive(encode(place, state)) == [(place, state.tolist())]


def test_the_start_byte_stands_nowhere_else_in_a_frame() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        frame = encode(int(rng.integers(8)), rng.integers(-127, 128, 16).astype(np.int8))
        assert frame.count(0x80) == 1


@settings(max_examples=20)
@given(PLACES, STATES)
def test_any_single_corrupted_byte_is_rejected(place: int, state: np.ndarray) -> None:
    frame = encode(place, state)
    for at in range(len(frame)):
        for wrong in range(1, 256):
            damaged = frame[:at] + bytes([frame[at] ^ wrong]) + frame[at + 1 :]
            assert receive(damaged) == []


@given(st.binary(max_size=60), PLACES, STATES)
def test_a_sound_frame_is_received_after_any_garbage(garbage: bytes, place: int, state: np.ndarray) -> None:
    assert receive(garbage + encode(place, state))[-1] == (place, state.tolist())


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=8), st.tuples(PLACES, STATES).map(lambda f: encode(*f))), max_size=12))
def test_the_c_receiver_finds_what_the_independent_reader_finds(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert receive(data) == [(place, state.tolist()) for place, state in decode_all(data, 16)]


@pytest.mark.parametrize("kind", [0x00, 0x18, 0x20, 0x28, 0x90, 0xF0])
def test_other_versions_and_kinds_are_ignored(kind: int) -> None:
    import binascii

    body = bytes([kind]) + bytes(16)
    crc = binascii.crc_hqx(body, 0)
    assert receive(bytes([0x80]) + body + bytes([crc & 0x7F, crc >> 7 & 0x7F, crc >> 14])) == []
