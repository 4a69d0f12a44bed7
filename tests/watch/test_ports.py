"""Ports: what the words mean, and lines that vanish and come back."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path

import pytest
from emulated_ports import Ports
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.flash import hand_in
from nca_hw.formats.array_file import BoardEntry, write_array
from nca_hw.formats.boards import load_board
from nca_hw.watch.ports import SerialLine, Tap, array_taps, taps
from nca_hw.watch.record import Piece
from nca_hw.watch.session import from_lines


def test_words_are_ports_with_places_or_patterns(tmp_path: Path) -> None:
    for n in (10, 9, 2):
        (tmp_path / f"ttyUSB{n}").touch()
    assert taps(["COM3@4,0", "/dev/ttyACM0"]) == [Tap("COM3", (4, 0)), Tap("/dev/ttyACM0")]
    assert taps([f"{tmp_path}/ttyUSB*"]) == [Tap(f"{tmp_path}/ttyUSB{n}") for n in (2, 9, 10)]
    assert taps(["socket://127.0.0.1:7000@0,1"]) == [Tap("socket://127.0.0.1:7000", (0, 1))]


@pytest.mark.parametrize(("words", "told"), [(["a", "a@1,1"], "named twice"), (["{}/ttyUSB*@1,2"], "one place")])
def test_words_that_can_not_be_are_refused(tmp_path: Path, words: list[str], told: str) -> None:
    (tmp_path / "ttyUSB0").touch()
    with pytest.raises(NcaHwError, match=told) as error:
        taps([word.format(tmp_path) for word in words])
    assert error.value.exit_code == ExitCode.BAD_INPUT


def entry(number: int, place: str, serial: str | None = None) -> BoardEntry:
    return BoardEntry(
        number=number, place=place, serial=serial, board="atmega328p", status="flashed", verified="self-test", reason=None, error=None,
        note=None, image_sha256="0" * 64, genome_hash="1" * 64, time="2026-01-31T12:00:00+00:00", attempts=1,
    )  # fmt: skip


def test_boards_of_an_array_file_stand_where_their_numbers_are(tmp_path: Path) -> None:
    path, board = tmp_path / "array.json", load_board("atmega328p")
    write_array(path, {n: entry(n, place) for n, place in ((1, "/dev/ttyUSB0"), (2, "usb 1-1.3"), (4, "/dev/ttyUSB2"))})
    assert array_taps(path, board, (3, 2)) == [Tap("/dev/ttyUSB0", (0, 0)), Tap("/dev/ttyUSB2", (0, 1))]
    with pytest.raises(NcaHwError, match="board 4 has no tile in 3x1 cells"):
        array_taps(path, board, (3, 1))
    write_array(path, {1: entry(1, "spy://loop?file=victim")})
    with pytest.raises(NcaHwError, match="no port of this computer"):
        array_taps(path, board, (3, 2))
    write_array(path, {2: entry(2, "usb 1-1.3")})
    with pytest.raises(NcaHwError, match="no board at a serial port"):
        array_taps(path, board, (3, 2))


def plugged(device: str, location: str, serial: str | None = None) -> ListPortInfo:
    info = ListPortInfo(device, skip_link_detection=True)
    info.vid, info.location, info.serial_number = 0x1A86, location, serial
    return info


def test_boards_at_usb_adapters_are_found_where_those_are_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux tells USB paths, and numbers its ports in the order in which they are plugged in."""
    path, board, told = tmp_path / "array.json", load_board("atmega328p"), list[str]()
    ports = [
        plugged("/dev/ttyUSB5", "1-1.3:1.0"), plugged("/dev/ttyUSB6", "1-1.30:1.0"), plugged("/dev/ttyUSB7", "2-4:1.0", "A50285BI"),
        plugged("/dev/ttyUSB8", "1-1.6:1.0", "A60"),
    ]  # fmt: skip
    monkeypatch.setattr(list_ports, "comports", lambda: ports)
    places = [entry(1, "usb 1-1.3"), entry(2, "usb 1-1.4"), entry(3, "usb 1-1.5", "A50285BI"), entry(4, "usb 1-1.6", "B71")]
    write_array(path, {one.number: one for one in places})
    assert array_taps(path, board, (2, 2), told.append) == [Tap("/dev/ttyUSB5", (0, 0)), Tap("/dev/ttyUSB7", (0, 1))]
    assert told == ["at no serial port of this computer, and left out: 2 (usb 1-1.4), 4 (usb 1-1.6)"]
    with pytest.raises(NcaHwError, match=r"no board at a serial port that is here; away: 1 \(usb 1-1.3\), 2"):
        array_taps(path, load_board("rp2040"), (4, 1))  # there was its boot loader, and no adapter
    write_array(path, {1: entry(1, "usb 1-1.3"), 2: entry(2, "usb 1-1.3")})
    with pytest.raises(NcaHwError, match=r"boards 1 and 2 were both written at usb 1-1\.3"):
        array_taps(path, board, (2, 2))


def test_a_place_that_can_be_no_file_is_a_port_that_is_not_there(tmp_path: Path) -> None:
    write_array(tmp_path / "array.json", {1: entry(1, "/dev/" + "x" * 300)})
    (tap,) = array_taps(tmp_path / "array.json", load_board("atmega328p"), (1, 1))
    with pytest.raises(NcaHwError, match="File name too long") as error:
        SerialLine(tap.port).open()
    assert error.value.exit_code == ExitCode.PORT_OR_BOARD


def test_a_port_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    for word in (f"{tmp_path}/ttyUSB*", str(tmp_path / "ttyUSB7"), f"{tmp_path}/{'x' * 300}/ttyUSB*"):
        with pytest.raises(NcaHwError) as error:
            SerialLine(taps([word])[0].port).open()
        assert error.value.exit_code == ExitCode.PORT_OR_BOARD
        assert "erial port" in str(error.value) or "Ports here" in str(error.value)


def test_a_port_that_vanishes_while_it_is_opened_is_told_or_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    termios = pytest.importorskip("termios")

    def vanished(*_: object) -> None:
        raise termios.error(errno.EIO, "Input/output error")

    with Ports(1) as ports:
        line = SerialLine(ports.names[0])
        with monkeypatch.context() as patch:
            patch.setattr(termios, "tcflush", vanished)  # pyserial's last step of opening
            assert line.read() == b"" and not line.is_open
            with pytest.raises(NcaHwError, match=r"can't be opened \(Input/output error\)") as error:
                line.open()
            assert error.value.exit_code == ExitCode.PORT_OR_BOARD
            with pytest.raises(NcaHwError, match=r"can't be opened \(Input/output error\)") as error:
                hand_in.open_line(ports.names[0])
            assert error.value.exit_code == ExitCode.PORT_OR_BOARD


def test_a_port_that_vanishes_is_read_again_when_it_is_back(tmp_path: Path) -> None:
    now = [0.0]
    link = tmp_path / "tile"
    with Ports(1) as first:
        link.symlink_to(first.names[0])
        line = SerialLine(str(link), clock=lambda: now[0])
        line.open()
        first.send(0, b"abc")
        assert line.read() == b"abc" and line.read() == b""
        first.vanish(0)
        assert line.read() == b"" and not line.is_open
    link.unlink()
    now[0] += 1
    assert line.read() == b"" and not line.is_open
    with Ports(1) as second:
        link.symlink_to(second.names[0])
        assert line.read() == b""  # not so soon
        now[0] += 1
        line.read()
        second.send(0, b"def")
        assert line.read() == b"def" and line.is_open and line.opened == 2
        line.close()


def test_a_watch_goes_on_without_a_port_and_says_so(tmp_path: Path) -> None:
    link = tmp_path / "tile"
    with Ports(2) as ports:
        link.symlink_to(ports.names[0])
        lines = [SerialLine(str(link)), SerialLine(ports.names[1])]
        for line in lines:
            line.open()
        pieces = (piece for piece in from_lines(lines) if isinstance(piece, Piece) and piece.port < 2)
        ports.send(1, b"x")
        assert next(pieces).data == b"x"
        link.unlink()
        ports.vanish(0)
        gone = next(pieces)
        assert (gone.port, gone.data) == (0, b"")
        ports.send(1, b"y")
        assert next(pieces).data == b"y"
        with Ports(1) as again:
            link.symlink_to(again.names[0])
            until = time.monotonic() + 20
            while not lines[0].is_open and time.monotonic() < until:
                ports.send(1, b".")
                next(pieces)
            again.send(0, b"z")
            assert next(piece for piece in pieces if piece.port == 0).data == b"z"
        for line in lines:
            line.close()


def test_nobody_else_can_read_a_port_meanwhile() -> None:
    with Ports(1) as ports:
        line = SerialLine(ports.names[0])
        line.open()
        with pytest.raises(NcaHwError, match="can't be opened") as error:
            SerialLine(ports.names[0]).open()
        assert error.value.exit_code == ExitCode.PORT_OR_BOARD
        line.close()


def test_the_line_dtr_is_left_alone_when_a_port_is_closed() -> None:
    termios = pytest.importorskip("termios")
    with Ports(1) as ports:
        line = SerialLine(ports.names[0])
        line.open()
        file = os.open(ports.names[0], os.O_RDWR | os.O_NOCTTY)
        flags = termios.tcgetattr(file)[2]
        os.close(file)
        assert not flags & termios.HUPCL
        line.close()


def test_a_port_may_be_an_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        line = SerialLine(f"socket://127.0.0.1:{server.getsockname()[1]}")
        line.open()
        there, _ = server.accept()
        there.sendall(b"xyz")
        got = b""
        while len(got) < 3:
            got += line.read()
        assert got == b"xyz"
        there.close()
        for _ in range(1000):
            line.read()
            if not line.is_open:
                break
        assert not line.is_open
