"""Records of a watch: what was written is read, whatever ended the writing, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nca_hw.errors import NcaHwError
from nca_hw.watch.places import Places
from nca_hw.watch.record import About, Piece, Record, Recorder

ABOUT = About("heart", "ab" * 32, "atmega328p", Places(2, 1, 1, 1, ("/dev/ttyUSB0", "COM3"), (1, 0)), 1e9)
PIECES = [Piece(n / 8, n % 2, bytes(range(n))) for n in range(40)] + [Piece(5.5, 2, b"0x1.8000000000000p-2")]


def written(folder: Path) -> bytes:
    path = folder / "watch.rec"
    with Recorder(path, ABOUT) as recorder:
        for piece in PIECES:
            recorder.add(piece)
    return path.read_bytes()


def test_what_was_written_is_read(tmp_path: Path) -> None:
    written(tmp_path)
    record = Record(tmp_path / "watch.rec")
    assert record.about == ABOUT
    assert list(record.pieces()) == PIECES and not record.is_cut_off


def test_a_file_that_ends_anywhere_is_read_up_to_its_last_whole_piece(tmp_path: Path) -> None:
    data = written(tmp_path)
    header = data.index(b"\n", data.index(b"\n") + 1) + 1
    cut = tmp_path / "cut.rec"
    for end in range(header, len(data), 7):
        cut.write_bytes(data[:end])
        record = Record(cut)
        found = list(record.pieces())
        size = header + sum(16 + len(piece.data) for piece in found)
        assert found == PIECES[: len(found)] and size <= end
        assert record.is_cut_off == (size < end)


@given(st.binary(max_size=200), st.booleans())
def test_other_files_are_refused_by_name(tmp_path_factory: pytest.TempPathFactory, data: bytes, begun: bool) -> None:
    path = tmp_path_factory.mktemp("hostile") / "x.rec"
    path.write_bytes((b"nca-hw watch record\n" if begun else b"") + data)
    with pytest.raises(NcaHwError, match=r"x\.rec"):
        Record(path)


@given(st.integers(0, 1 << 12), st.integers(0, 255))
def test_a_damaged_record_is_an_error_or_other_bytes(tmp_path_factory: pytest.TempPathFactory, at: int, value: int) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    data = bytearray(written(folder))
    data[at % len(data)] = value
    path = folder / "x.rec"
    path.write_bytes(data)
    try:
        for piece in Record(path).pieces():
            assert len(piece.data) < 1 << 20 and piece.port <= 2
            if piece.port == 2:
                float.fromhex(piece.data.decode())
    except NcaHwError as error:
        assert "x.rec" in str(error)


def test_a_record_that_can_not_be_written_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match="no-folder"):
        Recorder(tmp_path / "no-folder" / "x.rec", ABOUT)
