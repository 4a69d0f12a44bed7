"""A place where a board can be written, and how boards of each family are found and brought into their boot loaders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.flash import connected
from nca_hw.flash.connected import Port, Volume
from nca_hw.formats.files import is_folder, is_there

BOOT_LOADER = {
    "rp2040": "Hold BOOTSEL while you plug it in: a volume RPI-RP2 appears. (What runs nca-hw has no USB, and can't be asked to.)",
    "atmega": "Plug in its USB, or name its port: --port /dev/ttyUSB0. A bare chip takes an ISP programmer: --programmer usbasp.",
    "stm32g031": "Plug in its ST-LINK; or pull BOOT0 up, reset it, and name the serial port at PA2 and PA3: --port /dev/ttyUSB0.",
    "ch32v0": "Connect a WCH-Link: SWDIO to PD1, 3V3, GND.",
}


@dataclass(frozen=True)
class Means:
    """What the command line says about boards.

    Attributes:
        ports: named ones; a folder among them is a volume. volumes: folder of volumes, None is what is mounted.
        programmer: an ISP programmer, by avrdude's name. service: the port at which a service port is heard.
        baud: of a boot loader, None is what is usual.
    """

    ports: tuple[str, ...] = ()
    volumes: Path | None = None
    programmer: str | None = None
    service: str | None = None
    baud: int | None = None


@dataclass(frozen=True)
class Target:
    """A board.

    Attributes:
        family: of its chip. place: where it is. serial: its unique number, if it tells one.
        volume, port: how it is written; both None through a programmer. service: the port that tells its self-test.
        resets: opening the service port resets it.
    """

    family: str
    place: str
    serial: str | None = None
    volume: Volume | None = None
    port: str | None = None
    service: str | None = None
    resets: bool = False

    @property
    def present(self) -> bool:
        """Whether it is still there."""
        if self.volume is not None:
            return self.volume.present
        return self.port is None or is_there(self.port) or not self.port.startswith("/")


def targets(family: str, means: Means) -> list[Target]:
    """Boards of a family that are connected now, or all that are named."""
    if family == "rp2040":
        return _rp2040(means)
    if family == "atmega":
        return _atmega(means)
    if family == "stm32g031":
        if means.ports:
            return [Target(family, p.place, port=p.device, service=means.service or p.device) for p in connected.ports(means.ports)]
        return [Target(family, "st-link", service=means.service or _of_st_link())]
    return [Target(family, "wch-link", service=means.service)]


def none_found(family: str, board: str, means: Means) -> NcaHwError:
    """There is no board: what to do, and what else is there."""
    seen = [f"{port.device} ({port.told})" for port in connected.ports()]
    told = f"no {board} is connected"
    cure = BOOT_LOADER[family]
    if family == "rp2040" and means.volumes is None and (waiting := connected.unmounted()):
        cure = f"{', '.join(waiting)} is one, but not mounted: udisksctl mount -b {waiting[0]}"
    elif seen:
        cure += f"\n  Seen: {', '.join(seen)}."
    return NcaHwError(told, cure=cure, exit_code=ExitCode.PORT_OR_BOARD)


def several_found(found: Sequence[Target]) -> NcaHwError:
    """There is more than one board, and one was meant."""
    names = [target.port or str(target.volume.folder if target.volume else target.place) for target in found]
    lines = [f"    {name}" if name == target.place else f"    {target.place:16s} {name}" for target, name in zip(found, names, strict=True)]
    cure = f"Name one: --port {names[0]}. Or flash all of them: --all."
    return NcaHwError(f"{len(found)} boards are connected:\n" + "\n".join(lines), cure=cure, exit_code=ExitCode.PORT_OR_BOARD)


def _rp2040(means: Means) -> list[Target]:
    folders = [Path(name) for name in means.ports if is_folder(name)]
    if means.ports:
        found = [_on(volume, means) for folder in folders if (volume := connected.volume(folder)) is not None]
        return found + [_touched(port, means) for port in connected.ports(name for name in means.ports if Path(name) not in folders)]
    found = [_on(volume, means) for volume in connected.volumes(means.volumes)]
    if means.volumes is None:
        found += [_touched(port, means) for port in connected.ports() if port.device != means.service and _may_be_touched(port)]
    return found


def _may_be_touched(port: Port) -> bool:
    return port.vendor == connected.RASPBERRY_PI and port.product not in connected.DEBUG_PROBES


def _on(volume: Volume, means: Means) -> Target:
    return Target("rp2040", volume.place, volume=volume, service=means.service)


def _touched(port: Port, means: Means) -> Target:
    return Target("rp2040", port.place, port.serial, port=port.device, service=means.service)


def _atmega(means: Means) -> list[Target]:
    if means.programmer is not None:
        named = means.ports[0] if means.ports else None
        return [Target("atmega", f"programmer {means.programmer}", port=named, service=means.service)]
    found = connected.ports(means.ports)
    if not means.ports:
        found = [port for port in found if port.vendor in connected.SERIAL_OF_AVR and port.device != means.service]
    return [
        Target("atmega", p.place, p.serial, port=p.device, service=means.service or p.device, resets=means.service is None) for p in found
    ]


def _of_st_link() -> str | None:
    found = [port.device for port in connected.ports() if port.vendor == connected.STMICRO]
    return found[0] if len(found) == 1 else None
