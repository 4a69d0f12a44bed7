"""Boards for tests. Boot volumes of RP2040 take a UF2 file, restart, and run what they got on the project's emulated chip.
Arduino boards are real boot loaders on libsimavr: avr_board.c. What a board does wrong is said when it is made.
"""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uf2_reader

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.emulate.chip import Chip
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.firmware.build import build, write
from nca_hw.formats.boards import load_board

Run = Callable[..., subprocess.CompletedProcess[str]]

HERE = Path(__file__).parent
INFO = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {}\n"  # as the boot ROM writes it: RP2040 datasheet, section 2.8.3.2
FRAME = frames.frame_bytes(16)
LOOK_S = 0.005
ARDUINO = Path("/usr/share/arduino/hardware/arduino/avr/bootloaders")  # Debian's arduino-core-avr
OPTIBOOT = ARDUINO / "optiboot" / "optiboot.c"
OLD_NANO = ARDUINO / "atmega" / "ATmegaBOOT_168_atmega328.hex"


class Rp2040Volumes:
    """Boot volumes below a folder, watched by a thread.

    Attributes:
        flashed: what each board's flash holds since it has restarted. writes: files that it has been given.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.flashed: dict[str, bytes] = {}
        self.writes: dict[str, int] = {}
        self._service: dict[str, int] = {}
        self._goes_after: dict[str, int] = {}
        self._stays: set[str] = set()
        self._runs_instead: dict[str, bytes] = {}
        self._plugged: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def plug_in(
        self, name: str, *, board_id: str = "RPI-RP2", read_only: bool = False, gone_after: int | None = None, stays: bool = False,
        service: int | None = None, runs_instead: bytes | None = None,
    ) -> Path:  # fmt: skip
        """A board with BOOTSEL held.

        Args:
            gone_after: bytes after which it is pulled out. stays: it does not restart. service: where its service port's bytes go.
            runs_instead: what its flash holds in truth after the restart.
        """
        volume = self.folder / name
        shutil.rmtree(volume, ignore_errors=True)
        making = self.folder.parent / f".{name}"  # whole at once
        making.mkdir()
        (making / "INFO_UF2.TXT").write_text(INFO.format(board_id))
        if read_only:
            making.chmod(0o555)
        for table, value in ((self._goes_after, gone_after), (self._service, service), (self._runs_instead, runs_instead)):
            if value is None:
                table.pop(name, None)  # type: ignore[attr-defined]
            else:
                table[name] = value  # type: ignore[index]
        if stays:
            self._stays.add(name)
        making.rename(volume)
        self._plugged.add(name)
        return volume

    def unplug(self, name: str) -> None:
        self._leave(name)

    def close(self) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(LOOK_S):
            for name in list(self._plugged):
                self._look(name)

    def _look(self, name: str) -> None:
        files = list((self.folder / name).glob("*.uf2"))
        data = files[0].read_bytes() if files else b""
        if data and name in self._goes_after and len(data) >= self._goes_after[name]:
            self._leave(name)
        elif uf2_reader.is_whole(data) and name not in self._stays:
            self.writes[name] = self.writes.get(name, 0) + 1
            self.flashed[name] = uf2_reader.flash(data)
            self._leave(name)
            if name in self._service:
                os.write(self._service[name], self_test(self._runs_instead.get(name, self.flashed[name])))

    def _leave(self, name: str) -> None:
        self._plugged.discard(name)
        shutil.rmtree(self.folder / name)


def self_test(flash: bytes) -> bytes:
    """The first frame out of the service port of an emulated RP2040 with this flash."""
    return first_frame(Rp2040(flash, load_board("rp2040")))


def first_frame(chip: Chip) -> bytes:
    """What an emulated chip tells first on its service port, from its reset on."""
    told = bytearray()

    def byte(value: int) -> None:
        told.append(value)
        if len(told) == FRAME:
            chip.stop()

    chip.on_report = byte
    chip.reset()
    chip.run()
    return bytes(told)


@contextmanager
def terminal() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal as a serial port: the end of the board, and the port's name."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


def compile_board(folder: Path) -> Path:
    """The program that is an Arduino board."""
    program = folder / "avr_board"
    flags = ["-std=gnu99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", str(program), str(HERE / "avr_board.c"), "-lsimavr", "-lelf", "-lutil"], check=True)
    return program


def compile_optiboot(folder: Path, mcu: str = "atmega328p", start: int = 0x7E00) -> Path:
    """optiboot from Debian's copy of its sources. The .hex beside them is too long for its place, with which it can't start a program:
    without the LED's flashes at the start it fits."""
    elf, made = folder / f"optiboot-{mcu}.elf", folder / f"optiboot-{mcu}.hex"
    flags = ["-w", "-Os", "-fno-inline-small-functions", "-fno-split-wide-types", "-mshort-calls", f"-mmcu={mcu}", "-DF_CPU=16000000L"]
    flags += ["-DBAUD_RATE=115200", "-DLED_START_FLASHES=0", f"-Wl,--section-start=.text={start:#x}"]
    flags += [f"-Wl,--section-start=.version={start + 0x1FE:#x}", "-Wl,--relax", "-nostartfiles", "-nostdlib"]
    subprocess.run(["avr-gcc", *flags, "-o", str(elf), str(OPTIBOOT)], check=True)
    subprocess.run(["avr-objcopy", "-O", "ihex", "-j", ".text", "-j", ".version", str(elf), str(made)], check=True)
    return made


class Arduino:
    """A board on a pseudo-terminal, whose name is a link that stays when the board is changed."""

    def __init__(self, program: Path, link: Path, loader: Path, *how: str, mcu: str = "atmega328p") -> None:
        self.port = str(link)
        command: list[Any] = [program, link, mcu, loader, *how]
        self._process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "the board did not start"

    @property
    def is_there(self) -> bool:
        return self._process.poll() is None

    def unplug(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def wait_until(true: Any, seconds: float = 10) -> None:
    """Fails where it does not come true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def built(folder: Path, board: str, genome: str = "lizard") -> Path:
    """A folder with a build."""
    write(build(load(genome), load_board(board)), folder)
    return folder


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What `flash --json` tells."""
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["schema"] == "nca-hw/flash/1"
    return told


def bound_by_permissions() -> tuple[str, ...]:
    """Words before a command for which permissions hold: root may write what is read-only, unless it gives that up."""
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.getuid() == 0 else ()
