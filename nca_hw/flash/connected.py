"""What is connected: boot volumes of RP2040, and serial ports."""

from __future__ import annotations

import os
import re
import string
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nca_hw.formats.files import is_folder, is_there, readable
from nca_hw.formats.uf2 import volume_info

INFO = "INFO_UF2.TXT"
INFO_BYTES = 4096  # of it, that are read
MOUNTS = Path("/proc/mounts")
BLOCK_DEVICES = Path("/sys/class/block")
RASPBERRY_PI = 0x2E8A
DEBUG_PROBES = (0x000C, 0x0004)  # products of Raspberry Pi that are programmers and adapters, and no boards to be flashed
# Who makes the USB chips of Arduino boards and of their copies: FTDI, WCH, Silicon Labs, Arduino, Arduino's own and Prolific.
SERIAL_OF_AVR = (0x0403, 0x1A86, 0x10C4, 0x2341, 0x2A03, 0x067B)
STMICRO = 0x0483
USB = "usb "  # begins a place that is a USB path


@dataclass(frozen=True)
class Volume:
    """A boot volume.

    Attributes:
        place: the USB path where the system tells it, else the folder. board_id: what it says it is.
        device: its block device on Linux, as sda1: a mount may outlive what was mounted.
    """

    folder: Path
    place: str
    board_id: str
    device: str | None = None

    @property
    def present(self) -> bool:
        """Whether it is still there. A volume whose stick has just gone may answer with an error of input: it is gone as well."""
        return is_there(self.folder / INFO) and (self.device is None or is_there(BLOCK_DEVICES / self.device))

    @property
    def is_rp2040(self) -> bool:
        """Whether its chip is an RP2040. Source: RP2040 datasheet, section 2.8.3.2: its Board-ID is RPI-RP2."""
        return self.board_id == "RPI-RP2"


@dataclass(frozen=True)
class Port:
    """A serial port. `place`: the USB path, else the port itself. `serial`: the unique number of its USB chip, where it has one."""

    device: str
    place: str
    serial: str | None = None
    vendor: int | None = None
    product: int | None = None
    told: str = ""


def volumes(below: Path | None = None) -> list[Volume]:
    """Boot volumes: folders with INFO_UF2.TXT.

    Args:
        below: look at the folders in this one, instead of at what is mounted.
    """
    folders = _folders(below) if below is not None else _mounted()
    found = [one for folder in folders if (one := volume(folder)) is not None]
    return sorted(found, key=lambda one: natural(one.place))


def unmounted() -> list[str]:
    """Linux: block devices of RP2040 in their boot loaders that are not mounted, as /dev/sda1."""
    try:
        mounted = MOUNTS.read_text().split()
        names = [entry.name for entry in BLOCK_DEVICES.iterdir() if re.fullmatch(r"sd[a-z]+1", entry.name)]
    except OSError:
        return []
    return [f"/dev/{name}" for name in sorted(names) if f"/dev/{name}" not in mounted and _model(name) == "RP2"]


def ports(named: Iterable[str] = ()) -> list[Port]:
    """Serial ports that are USB devices, or those that are named, whatever they are."""
    from serial.tools import list_ports

    known = {
        info.device: Port(
            info.device,
            f"{USB}{info.location.partition(':')[0]}" if info.location else info.device,
            unique(info.serial_number),
            info.vid,
            info.pid,
            info.description,
        )
        for info in list_ports.comports()
    }
    wanted = list(named)
    if wanted:
        return [known.get(device) or known.get(os.path.realpath(device)) or Port(device, readable(device)) for device in wanted]
    return sorted((port for port in known.values() if port.vendor is not None), key=lambda port: natural(port.place))


def unique(serial: str | None) -> str | None:
    """A serial number, unless it is one that a maker gives to all of his chips, as 0001."""
    return serial if serial is not None and len(set(serial.strip("0"))) > 1 else None


def natural(text: str) -> list[tuple[int, str]]:
    """A key by which 1-1.10 comes behind 1-1.9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]


def volume(folder: Path) -> Volume | None:
    """The boot volume in a folder; None where it is none."""
    try:
        with (folder / INFO).open("rb") as file:
            info = volume_info(file.read(INFO_BYTES).decode(errors="replace"))
    except OSError:
        return None
    device = next((Path(device).name for device, at in _fat_mounts() if at == folder), None)
    place = usb_path(os.path.realpath(BLOCK_DEVICES / device)) if device else None
    return Volume(folder, place or readable(folder), info.get("Board-ID", "?"), device)


def _folders(below: Path) -> list[Path]:
    try:
        return [entry for entry in below.iterdir() if is_folder(entry)]
    except OSError:
        return []


def _mounted() -> list[Path]:
    if sys.platform == "win32":
        return [Path(f"{letter}:\\") for letter in string.ascii_uppercase[2:]]
    if sys.platform == "darwin":
        return _folders(Path("/Volumes"))
    return [folder for _, folder in _fat_mounts()]


def _fat_mounts() -> list[tuple[str, Path]]:
    """Linux: devices and folders of mounted FAT volumes."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return []
    mounts = [line.split() for line in lines]
    return [
        (m[0], Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), m[1])))
        for m in mounts
        if len(m) > 2 and m[2] in ("vfat", "msdos")
    ]


def usb_path(sysfs: str) -> str | None:
    """The innermost USB path of a device's folder in /sys."""
    found = re.findall(r"/(\d+-[\d.]+)(?=/)", sysfs + "/")
    return f"{USB}{found[-1]}" if found else None


def _model(name: str) -> str:
    try:
        return (Path(os.path.realpath(BLOCK_DEVICES / name)).parent / "device" / "model").read_text().strip()
    except OSError:
        return ""
