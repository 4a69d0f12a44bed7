"""The streaming decoder, held against the independent reading of whole lines in nca_hw.core.frames."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nca_hw.core import frames
from nca_hw.watch.decoder import Decoder

HEADS = (frames.REPORT_STATE, frames.REPORT_SELF_TEST, frames.REPORT_CELL, frames.REPORT_TILE)


def codes_of(channels: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.integers(-127, 127), min_size=channels, max_size=channels).map(lambda c: np.array(c, np.int8))


@st.composite
def lines(draw: st.DrawFn) -> tuple[int, bytes]:
    """Channels, and a line of sound frames, damaged ones, broken ones, and random bytes."""
    channels = draw(st.sampled_from((1, 3, 16)))
    line = b""
    for _ in range(draw(st.integers(0, 12))):
        frame = frames.frame(draw(st.sampled_from((*HEADS, frames.STATE | 2, frames.COMMAND_SEED))), draw(codes_of(channels)))
        kind = draw(st.sampled_from(("sound", "sound", "flipped", "broken", "random")))
        if kind == "flipped":
            at = draw(st.integers(0, 8 * len(frame) - 1))
            frame = bytes(byte ^ (1 << at % 8 if n == at // 8 else 0) for n, byte in enumerate(frame))
        elif kind == "broken":
            frame = frame[: draw(st.integers(1, len(frame) - 1))]
        elif kind == "random":
            frame = draw(st.binary(max_size=60))
        line += frame
    return channels, line


@given(lines(), st.lists(st.integers(0, 50), max_size=60))
def test_any_chunks_give_the_frames_of_the_whole_line(line: tuple[int, bytes], sizes: list[int]) -> None:
    channels, data = line
    decoder, got, at = Decoder(channels), [], 0
    for size in [*sizes, len(data)]:
        found = decoder.feed(data[at : at + size])
        at += size
        got += list(zip(found.heads.tolist(), found.codes.tolist(), found.positions.tolist(), strict=True))
    expected = frames.decode_reports(data, channels)
    assert [(head, codes) for head, codes, _ in got] == [(head, codes.tolist()) for head, codes in expected]
    for head, codes, position in got:
        assert data[position : position + decoder.frame_bytes] == frames.frame(head, np.array(codes, np.int8))


@given(st.binary(max_size=300), st.integers(0, 40), codes_of(16))
def test_no_byte_on_the_line_loses_a_sound_frame_that_follows(noise: bytes, split: int, codes: np.ndarray) -> None:
    decoder = Decoder(16)
    sound = frames.frame(frames.REPORT_STATE, codes)
    line = noise + sound
    last = [found for found in (decoder.feed(part) for part in (line[:split], line[split:])) if len(found.heads)][-1]
    assert last.codes[-1].tolist() == codes.tolist()
    assert last.positions[-1] == len(noise)


@given(lines())
def test_every_byte_is_counted_once(line: tuple[int, bytes]) -> None:
    channels, data = line
    decoder = Decoder(channels)
    decoder.feed(data)
    decoder.cut()
    counts, size = decoder.counts, frames.frame_bytes(channels)
    assert counts.bytes == len(data)
    assert counts.sound == len(frames.decode_reports(data, channels))
    assert counts.sound + counts.others + counts.damaged == data.count(frames.START)
    pieces = data.split(bytes([frames.START]))
    assert counts.stray == len(pieces[0]) + sum(max(0, len(piece) + 1 - size) for piece in pieces[1:])


def test_every_single_damaged_byte_is_noticed_and_loses_nothing_else() -> None:
    rng = np.random.default_rng(1)
    sent = [frames.frame(frames.REPORT_STATE, rng.integers(-127, 128, 16).astype(np.int8)) for _ in range(3)]
    for at in range(21):
        for flip in range(1, 256):
            damaged = bytes(byte ^ (flip if n == at else 0) for n, byte in enumerate(sent[1]))
            decoder = Decoder(16)
            found = decoder.feed(sent[0] + damaged + sent[2])
            assert found.positions.tolist() == [0, 42]
            assert decoder.counts.damaged + decoder.counts.stray > 0


def test_a_million_random_bytes_and_as_many_frames_again_are_told_apart_in_time() -> None:
    rng = np.random.default_rng(2)
    sent = [frames.frame(frames.REPORT_STATE, codes) for codes in rng.integers(-127, 128, (25_000, 16)).astype(np.int8)]
    noise = rng.integers(0, 256, 1_000_000, np.uint8).tobytes()
    line = b"".join(noise[40 * n : 40 * n + 40] + frame for n, frame in enumerate(sent))
    decoder, found, began = Decoder(16), 0, time.process_time()
    for at in range(0, len(line), 4096):
        found += len(decoder.feed(line[at : at + 4096]).heads)
    assert found == len(sent)
    assert time.process_time() - began < 0.5  # 25,000 frames: 50,000 a second at the least
