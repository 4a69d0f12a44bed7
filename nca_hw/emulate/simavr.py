"""Many AVR chips on libsimavr, wired edge to edge: the C of engine/, seen from Python. Time is told in nanoseconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

from nca_hw.emulate import engine_build
from nca_hw.errors import NcaHwError, ToolMissing

FEMTO = 1_000_000  # femtoseconds of a nanosecond
EDGES = ("north", "east", "south", "west")
NOBODY = -1
NO_PIN = 0xFF

# Until a wire that is let go reads high at its other end: through 20 kOhm (ATmega328P, section 28.2: 20 to 50) into 40 pF of two pins and
# a short wire, to half the supply.
DELAY_NS = 550

# Kinds of events: see the C header.
UPDATE_BEGINS, UPDATE_ENDS, FRAME_BEGINS, FRAME, FRAME_BROKEN, LIGHT, SERVICE, WATCHDOG, CRASHED, PUSHED, FLASH = range(1, 12)
EVENT = np.dtype([("time", "<u8"), ("chip", "<u4"), ("cycles", "<u4"), ("kind", "u1"), ("a", "u1"), ("data", "u1", 30)], align=True)
Events = NDArray[np.void]


class EngineError(NcaHwError):
    """The engine can't go on, or has noticed that it is wrong."""


def pin(name: str) -> int:
    """A pin as the engine numbers it, of its name: "B3" or "PB3"."""
    match = re.fullmatch(r"P?([A-H])([0-7])", name)
    if match is None:
        raise NcaHwError(f"{name!r} is no pin of an AVR", cure="Pins are named like PB3: a port from A to H, a number from 0 to 7.")
    return 8 * (ord(match[1]) - ord("A")) + int(match[2])


@dataclass(frozen=True)
class Wiring:
    """What a chip's pins are for.

    Attributes:
        wires: of every edge, clockwise from the north, the pins of wire 0 and wire 1.
        led: the pin of the WS2812's data. strap: the pin that tells a seed. strapped: its level at a seed.
    """

    wires: tuple[tuple[str, str], tuple[str, str], tuple[str, str], tuple[str, str]]
    led: str | None = None
    strap: str | None = None
    strapped: bool = True


@dataclass(frozen=True)
class Firmware:
    """An image, and where to look into it.

    Attributes:
        flash: from address 0 on. wake: address of the function that is an update, 0 if none is to be watched.
        state, state_bytes: of a cell in RAM. frame_bytes: of a frame on the wires.
        reads_itself: it reads its own code before it first looks at a wire; updates are noticed from then on.
        boot_at: address from which on it can write its flash, of which every chip has one of its own then; 0 where it never does.
    """

    flash: bytes
    wake: int = 0
    state: int = 0
    state_bytes: int = 0
    frame_bytes: int = 1
    mcu: str = "atmega328p"
    clock_hz: int = 16_000_000
    reads_itself: bool = False
    boot_at: int = 0


@dataclass(frozen=True)
class LedTiming:
    """Pulse widths that the LED's data lines have had, ns, least and most; `odd`: bits that were no whole LED's."""

    zero: tuple[float, float]
    one: tuple[float, float]
    gap: tuple[float, float]
    lights: int
    odd: int


@dataclass(frozen=True)
class Work:
    """What was done: visits of chips, windows of time; cycles of all chips with power, of them asleep; answers that no frame followed."""

    visits: int
    windows: int
    cycles: int
    slept: int
    vain: int


def grid_neighbours(width: int, height: int) -> NDArray[np.int32]:
    """The chip at the other end of each edge, N, E, S, W, or NOBODY: int32 [width height, 4]. Chips are numbered row by row."""
    number = np.full((height + 2, width + 2), NOBODY, np.int32)
    number[1:-1, 1:-1] = np.arange(width * height).reshape(height, width)
    around = (number[:-2, 1:-1], number[1:-1, 2:], number[2:, 1:-1], number[1:-1, :-2])
    return np.stack(around, axis=-1).reshape(-1, 4)


def declarations(header: str) -> str:
    """What cffi reads of the C header: all but the preprocessor's lines, constants excepted."""
    kept = [line for line in header.splitlines() if not line.startswith("#") or re.match(r"#define \w+ \d+( |$)", line)]
    return "\n".join(kept)


@cache
def library() -> tuple[Any, Any]:
    """The compiled engine: cffi's `ffi` and `lib`.

    Raises:
        ToolMissing: no compiler, or no libsimavr.
    """
    ffi = FFI()
    ffi.cdef(declarations((engine_build.sources() / "simavr_array.h").read_text()))
    path = engine_build.compiled()
    try:
        return ffi, ffi.dlopen(str(path))
    except OSError as error:
        raise ToolMissing(f"libsimavr can't be loaded: {error}", cure=engine_build.INSTALL) from None


class SimavrArray:
    """Chips without power at first.

    Args:
        neighbours: int32 [chips, 4], see `grid_neighbours`; the opposite edge of the neighbour must lead back.
        rates: frequency of every chip's clock as a factor of the nominal one, float [chips]; all 1 if left out.
        delay_ns: until a wire's change is seen at its other end; what happens within it in two chips happens at once.
        seed: of what RAM and registers hold when power comes.
    Raises:
        ToolMissing: no compiler, or no libsimavr.
        EngineError: no memory, or simavr has no such chip.
    """

    def __init__(
        self, firmware: Firmware, wiring: Wiring, neighbours: NDArray[np.int32], rates: NDArray[np.float64] | None = None, *,
        delay_ns: float = DELAY_NS, seed: int = 0,
    ) -> None:  # fmt: skip
        self._ffi, self._lib = ffi, lib = library()
        assert ffi.sizeof("nca_array_event") == EVENT.itemsize
        self.chips = len(neighbours)
        self.firmware = firmware
        ratio = np.ones(self.chips) if rates is None else np.asarray(rates, np.float64)
        assert ratio.shape == (self.chips,)
        self.period_fs: NDArray[np.uint64] = np.rint(1e15 / (firmware.clock_hz * ratio)).astype(np.uint64)
        kept = [
            ffi.new("char[]", firmware.mcu.encode()), ffi.from_buffer("uint8_t[]", firmware.flash),
            ffi.from_buffer("uint64_t[]", self.period_fs), ffi.from_buffer("int32_t[]", np.ascontiguousarray(neighbours, np.int32)),
        ]  # fmt: skip
        config = ffi.new("nca_array_config *", {
            "mcu": kept[0], "flash": kept[1], "flash_bytes": len(firmware.flash), "chips": self.chips, "clock_hz": firmware.clock_hz,
            "period": kept[2], "neighbour": kept[3], "delay": round(delay_ns * FEMTO),
            "wire": [pin(name) for edge in wiring.wires for name in edge], "led": NO_PIN if wiring.led is None else pin(wiring.led),
            "strap": NO_PIN if wiring.strap is None else pin(wiring.strap), "strapped": wiring.strapped,
            "frame_bytes": firmware.frame_bytes, "state": firmware.state, "state_bytes": firmware.state_bytes, "wake": firmware.wake,
            "reads_itself": firmware.reads_itself,
            "seed": seed & 0xFFFFFFFF, "boot_at": firmware.boot_at,
        })  # fmt: skip
        array = lib.nca_array_open(config)
        if array == ffi.NULL:
            of_what = f"{firmware.mcu} with {len(firmware.flash)} B of flash and these pins"
            raise EngineError(f"no memory for {self.chips} chips, or libsimavr has no {of_what}")
        self._array = ffi.gc(array, lib.nca_array_close)

    @property
    def now(self) -> int:
        """Time, ns."""
        return self.now_fs // FEMTO

    @property
    def now_fs(self) -> int:
        """Time, as events tell it."""
        return int(self._lib.nca_array_now(self._array))

    def run(self, until_ns: int) -> Events:
        """Run to a time (or up to half a microsecond beyond); gives what happened, in order of time.

        Raises:
            EngineError: the engine has noticed that it is wrong.
        """
        count = self._lib.nca_array_run(self._array, until_ns * FEMTO)
        events = np.zeros(count, EVENT)
        if count:
            self._ffi.memmove(self._ffi.from_buffer(events), self._lib.nca_array_events(self._array), count * EVENT.itemsize)
        self._lib.nca_array_forget_events(self._array)
        work = self._ffi.new("nca_array_work *")
        self._lib.nca_array_work_done(self._array, work)
        if work.errors:
            told = "out of memory, or more changes of wires than there can be"
            raise EngineError(f"the engine of emulated chips failed at {self.now} ns: {told}")
        return events[np.lexsort((events["chip"], events["time"]))]

    def power_on(self, chip: int, *, is_seed: bool = False) -> None:
        """Power comes (after it has gone, if it was there): RAM holds random bytes, the chip starts from its reset vector."""
        self._lib.nca_array_power_on(self._array, chip, is_seed)

    def power_off(self, chip: int) -> None:
        """Power goes. A chip without power is taken to leave its wires alone."""
        self._lib.nca_array_power_off(self._array, chip)

    def cut(self, chip: int, edge: int, wire: int, *, cut: bool = True) -> None:
        """Cut a wire of an edge, or mend it. Its two ends stay high by their own pull-ups."""
        self._lib.nca_array_cut(self._array, chip, edge, wire, cut)

    def say(self, chip: int, data: bytes) -> None:
        """The service port hears bytes, at 115,200 baud, after those that it was to hear before."""
        self._lib.nca_array_say(self._array, chip, data, len(data))

    def flash(self, chip: int, address: int, size: int) -> bytes:
        """Flash, as it is now."""
        into = self._ffi.new("uint8_t[]", size)
        self._lib.nca_array_flash(self._array, chip, address, size, into)
        return bytes(into)

    def spoil(self, chip: int, address: int, value: int) -> None:
        """A byte of a chip's own flash is another, without its doing."""
        self._lib.nca_array_spoil(self._array, chip, address, value)

    def has_power(self, chip: int) -> bool:
        """Whether a chip has power."""
        return bool(self._lib.nca_array_has_power(self._array, chip))

    def peek(self, chip: int, address: int, size: int) -> bytes:
        """RAM and registers."""
        into = self._ffi.new("uint8_t[]", size)
        self._lib.nca_array_peek(self._array, chip, address, size, into)
        return bytes(into)

    def poke(self, chip: int, address: int, data: bytes) -> None:
        """Write RAM, or a register as memory."""
        self._lib.nca_array_poke(self._array, chip, address, len(data), data)

    def states(self) -> NDArray[np.int8]:
        """The state of every chip as it lies in RAM, int8 [chips, state_bytes]; 0 where there is no power."""
        states = np.zeros((self.chips, self.firmware.state_bytes), np.int8)
        for chip in range(self.chips):
            if self.has_power(chip):
                states[chip] = np.frombuffer(self.peek(chip, self.firmware.state, self.firmware.state_bytes), np.int8)
        return states

    def stack_bytes(self, chip: int, floor: int) -> int:
        """Bytes from RAM's end down to the lowest ever written at or above `floor` since power came."""
        return int(self._lib.nca_array_stack(self._array, chip, floor))

    def wires(self, chip: int) -> tuple[int, ...]:
        """Levels at a chip's end: wire 0 and 1 of the north, of the east, the south, the west."""
        levels = self._lib.nca_array_wires(self._array, chip)
        return tuple(levels >> bit & 1 for bit in range(8))

    @property
    def led_timing(self) -> LedTiming | None:
        """None if no LED was told anything."""
        t = self._ffi.new("nca_array_led *")
        self._lib.nca_array_led_timing(self._array, t)
        if t.lights == 0:
            return None

        def span(least: int, most: int) -> tuple[float, float]:
            return (least / FEMTO if most else 0.0, most / FEMTO)

        zero, one, gap = span(t.zero_least, t.zero_most), span(t.one_least, t.one_most), span(t.gap_least, t.gap_most)
        return LedTiming(zero, one, gap, int(t.lights), int(t.odd))

    @property
    def work(self) -> Work:
        """What was done so far."""
        work = self._ffi.new("nca_array_work *")
        self._lib.nca_array_work_done(self._array, work)
        return Work(work.visits, work.windows, work.cycles, work.slept, work.vain)

    @property
    def complaint(self) -> str | None:
        """The first warning of simavr itself."""
        return self._ffi.string(self._lib.nca_array_complaint(self._array)).decode(errors="replace").strip() or None


def text(events: Events, chip: int) -> bytes:
    """The bytes that a chip's service port sent."""
    said = events[(events["kind"] == SERVICE) & (events["chip"] == chip)]
    return b"".join(bytes(event["data"][: event["a"]]) for event in said)


def of_kind(events: Events, *kinds: int) -> Events:
    """Events of these kinds."""
    return events[np.isin(events["kind"], kinds)]


def concatenated(parts: Sequence[Events]) -> Events:
    """Events of several stretches of time, in order."""
    return np.concatenate([np.zeros(0, EVENT), *parts])
