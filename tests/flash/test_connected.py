"""Places of boards, and their numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.flash import connected
from nca_hw.flash.array import Ledger
from nca_hw.flash.connected import natural, unique, usb_path
from nca_hw.flash.target import Means, Target, targets
from nca_hw.formats.array_file import BoardEntry

# Folders of a stick behind a hub and of a disk that is none, as Linux shows them.
STICK = "/sys/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.3/1-1.3:1.0/host6/target6:0:0/6:0:0:0/block/sda/sda1"
DISK = "/sys/devices/pci0000:00/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1"


def test_a_usb_path_is_that_of_the_innermost_device() -> None:
    assert usb_path(STICK) == "usb 1-1.3" and usb_path(DISK) is None
    assert usb_path("/sys/devices/pci0000:00/0000:00:14.0/usb2/2-4/2-4:1.0/host0") == "usb 2-4"


def test_places_are_counted_as_people_count() -> None:
    places = ["usb 1-1.10", "usb 1-1.9", "usb 1-2", "usb 1-1.9.1", "usb 10-1", "/dev/ttyUSB10", "/dev/ttyUSB9"]
    assert sorted(places, key=natural)[-5:] == ["usb 1-1.9", "usb 1-1.9.1", "usb 1-1.10", "usb 1-2", "usb 10-1"]
    assert sorted(places, key=natural)[:2] == ["/dev/ttyUSB9", "/dev/ttyUSB10"]


@pytest.mark.parametrize(("serial", "told"), [("0001", None), ("00000000", None), (None, None), ("A50285BI", "A50285BI")])
def test_a_serial_number_that_all_chips_have_is_none(serial: str | None, told: str | None) -> None:
    assert unique(serial) == told


def plugged(device: str, vendor: int | None, product: int, location: str, serial: str | None = None) -> ListPortInfo:
    info = ListPortInfo(device, skip_link_detection=True)
    info.vid, info.pid, info.location, info.serial_number = vendor, product, location, serial
    return info


def test_ports_that_can_be_no_board_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [
        plugged("/dev/ttyACM1", 0x2E8A, 0x000A, "1-1.10:1.0", "E6605838"), plugged("/dev/ttyACM0", 0x2E8A, 0x000C, "1-1.9:1.1"),
        plugged("/dev/ttyUSB1", 0x1A86, 0x7523, "1-2"), plugged("/dev/ttyUSB0", 0x0403, 0x6001, "1-1.2", "0001"),
        plugged("/dev/ttyS0", None, 0, ""),
    ]  # fmt: skip
    monkeypatch.setattr(list_ports, "comports", lambda: there)
    monkeypatch.setattr(connected, "MOUNTS", Path("/nonexistent"))
    (pico,) = targets("rp2040", Means(service="/dev/ttyACM0"))
    assert (pico.port, pico.place, pico.serial, pico.volume) == ("/dev/ttyACM1", "usb 1-1.10", "E6605838", None)
    assert [t.port for t in targets("atmega", Means())] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert [(t.port, t.place, t.serial) for t in targets("atmega", Means(service="/dev/ttyUSB1"))] == [("/dev/ttyUSB0", "usb 1-1.2", None)]
    (named,) = targets("atmega", Means(ports=("/dev/ttyS0",)))
    assert named.port == "/dev/ttyS0" and named.place == "/dev/ttyS0"


def test_volumes_are_found_where_linux_mounts_them_and_unmounted_ones_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks, devices = tmp_path / "block", tmp_path / "devices"
    for disk, usb in (("sda", "1-1.3"), ("sdb", "1-1.4")):
        folder = devices / "usb1" / "1-1" / usb / f"{usb}:1.0" / "block" / disk
        (folder / f"{disk}1").mkdir(parents=True)
        (folder / "device").mkdir()
        (folder / "device" / "model").write_text("RP2             \n")
        blocks.mkdir(exist_ok=True)
        (blocks / f"{disk}1").symlink_to(folder / f"{disk}1")
    mounted = tmp_path / "my media" / "RPI-RP2"
    mounted.mkdir(parents=True)
    (mounted / "INFO_UF2.TXT").write_text("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n")
    (tmp_path / "mounts").write_text(f"proc /proc proc rw 0 0\n/dev/sda1 {str(mounted).replace(' ', chr(92) + '040')} vfat rw 0 0\n")
    monkeypatch.setattr(connected, "MOUNTS", tmp_path / "mounts")
    monkeypatch.setattr(connected, "BLOCK_DEVICES", blocks)
    monkeypatch.setattr(connected.sys, "platform", "linux")
    (volume,) = connected.volumes()
    assert (volume.folder, volume.place, volume.is_rp2040, volume.present) == (mounted, "usb 1-1.3", True, True)
    assert connected.unmounted() == ["/dev/sdb1"]
    (blocks / "sda1").unlink()  # the mount is still there, its device is not
    assert not volume.present


def test_a_volume_that_can_not_be_looked_at_is_gone(tmp_path: Path) -> None:
    assert not connected.Volume(tmp_path / ("x" * 300), "usb 1-1", "RPI-RP2").present  # the system's own error: the name is too long


def entry(number: int, place: str, serial: str | None = None, *, failed: bool = False) -> BoardEntry:
    reason = {"status": "failed", "reason": "gone", "error": "x"} if failed else {"status": "flashed", "reason": None, "error": None}
    return BoardEntry.model_validate({
        "number": number, "place": place, "serial": serial, "board": "rp2040", "verified": "no", "note": None, "image_sha256": "a" * 64,
        "genome_hash": None, "time": "2026-01-31T12:00:00+00:00", "attempts": 1, **reason,
    })  # fmt: skip


def test_a_board_keeps_its_number_by_its_serial_or_by_its_place() -> None:
    ledger = Ledger(
        Path("none"), {e.number: e for e in (entry(1, "a", "X9"), entry(2, "b"), entry(3, "c", failed=True), entry(4, "d", "X9"))}
    )

    def number(place: str, serial: str | None = None, *, only_failed: bool = False, taken: frozenset[int] = frozenset()) -> int:
        return ledger.number_of(Target("atmega", place, serial), only_failed=only_failed, taken=set(taken))

    assert number("z", "X9") == 1 and number("d", "X9") == 4 and number("d", "X9", taken=frozenset({4})) == 1
    assert number("b") == 2 and number("a", "Y1") == 5
    assert number("b", only_failed=True) == 5 and number("c", only_failed=True) == 3
    assert number("new") == 5 and number("new", taken=frozenset({5})) == 6


def test_a_self_test_is_found_among_other_frames_and_noise() -> None:
    genome = load("lizard")
    image = bytes(range(256)) * 37
    wanted = frames.self_test(image, genome.cell_hash, genome.channels)
    report = frames.frame(frames.REPORT_STATE, genome.seed)
    (found,) = frames.decode_self_tests(b"\x80\x19garbage" + report + wanted + wanted[:-3] + report, genome.channels)
    assert found.spec_version == 1 and found.genome == frames.hash_told(genome.cell_hash, 16)
    assert bytes(frames.about(genome.cell_hash, 16)[4:]) == bytes(found.genome)
    assert frames.decode_self_tests(wanted[:5] + bytes([wanted[5] ^ 2]) + wanted[6:], genome.channels) == []
