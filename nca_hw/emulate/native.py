"""Native cells: the unmodified firmware as a shared object of the host, as a single chip or as an array wired edge to edge."""

from __future__ import annotations

import binascii
import ctypes
import tempfile
from collections.abc import Callable, Sequence
from ctypes import CFUNCTYPE, POINTER, Structure, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.emulate.chip import EDGES, Call, Chip, EmulationError, Meter
from nca_hw.errors import NcaHwError
from nca_hw.firmware.build import Build
from nca_hw.firmware.image import CELL_SYMBOL, read_image
from nca_hw.formats.boards import Board

REPORTED, TAKEN, GIVEN, NOT_TAKEN, NOT_GIVEN = range(1, 6)  # firmware_templates/native/array.h
EVENT = np.dtype(
    [("time", "<u8"), ("cell", "<u4"), ("looks", "<u4"), ("kind", "u1"), ("edge", "u1"), ("size", "u1"), ("bytes", "u1", 21)], align=True
)  # fmt: skip
EVENTS_AT_ONCE = 1 << 14


def load(image: bytes) -> ctypes.CDLL:
    """A shared object of its own: RAM is not shared with any other.

    Raises:
        NcaHwError: the host can't load it.
    """
    with tempfile.NamedTemporaryFile(prefix="nca-hw-", suffix=".so") as file:
        file.write(image)
        file.flush()
        try:
            return ctypes.CDLL(file.name)
        except OSError as error:
            raise NcaHwError(f"this computer can't load the native image: {error}", cure="Native cells need Linux.") from None


class _Settings(Structure):
    """nca_array_settings."""

    _fields_ = [
        *((name, c_uint32) for name in (
            "width", "height", "seed", "seed_cell", "step_ns", "jitter", "slowest", "spread_ppm", "stagger_ns", "update_ns", "byte_ns",
            "same_noise", "glitches",
        )),
        ("image_crc", c_uint16),
    ]  # fmt: skip


class NativeArray:
    """Cells on the host, each with RAM, stack, clock and wires of its own. Times are ns."""

    def __init__(
        self, made: Build, width: int, height: int, *, seed: int = 1, seed_cell: int | None = None, step_ns: int = 2_000,
        jitter: float = 0.5, slowest: float = 0.0, spread_ppm: int = 10_000, stagger_ns: int = 100_000_000, update_ns: int = 3_500_000,
        byte_ns: int = 86_806, same_noise: bool = False,
    ) -> None:  # fmt: skip
        """Give power to all cells.

        Args:
            made: an image of the family `native`. seed: of all random numbers.
            seed_cell: whose strap is set; None: that in the middle; -1: nobody's.
            step_ns: of a look at the wires or a pull, with what the firmware does around it. jitter: uniform, as a fraction of it.
            slowest: it is up to so many times longer for some cells.
            spread_ppm: clocks are off by up to this. stagger_ns: power comes at random times within this.
            update_ns: of an update. byte_ns: of a byte out of the service port, 10 bits at 115,200 baud.
            same_noise: of all chips alike: with no spread, stagger and jitter they do everything at once.
        Raises:
            NcaHwError: the host can't load the image, or has no memory for the array.
        """
        self.width, self.height, self.cells = width, height, width * height
        self._array = None
        self._lib = lib = load(made.image.elf)
        lib.nca_array_new.restype, lib.nca_array_new.argtypes = c_void_p, [POINTER(_Settings)]
        lib.nca_array_run.restype, lib.nca_array_run.argtypes = c_uint64, [c_void_p, c_uint64, c_void_p, c_uint64]
        lib.nca_array_now.restype, lib.nca_array_now.argtypes = c_uint64, [c_void_p]
        lib.nca_array_steps.restype, lib.nca_array_steps.argtypes = c_uint64, [c_void_p, c_uint32]
        lib.nca_array_power.restype, lib.nca_array_power.argtypes = None, [c_void_p, c_uint32, c_uint8]
        lib.nca_array_short.restype, lib.nca_array_short.argtypes = None, [c_void_p, c_uint32, c_uint8, c_uint8]
        lib.nca_array_glitches.restype, lib.nca_array_glitches.argtypes = None, [c_void_p, c_uint32]
        lib.nca_array_close.restype, lib.nca_array_close.argtypes = None, [c_void_p]
        middle = (height // 2) * width + width // 2
        at = middle if seed_cell is None else self.cells if seed_cell < 0 else seed_cell
        settings = _Settings(
            width, height, seed, at, step_ns, round(jitter * 1024), round(slowest * 1024), spread_ppm, stagger_ns, update_ns, byte_ns,
            same_noise, 0, binascii.crc_hqx(made.image.binary, 0),
        )  # fmt: skip
        self._array = lib.nca_array_new(ctypes.byref(settings))
        if not self._array:
            raise NcaHwError(f"there is no memory for {self.cells} native cells")

    def __del__(self) -> None:
        if self._array:
            self._lib.nca_array_close(self._array)

    @property
    def now(self) -> int:
        """The time, ns."""
        return int(self._lib.nca_array_now(self._array))

    def run(self, duration: int) -> NDArray[np.void]:
        """Go on for so many ns: what has happened, EVENT records in order."""
        until, pieces = self.now + duration, []
        while True:
            events = np.zeros(EVENTS_AT_ONCE, EVENT)
            count = self._lib.nca_array_run(self._array, until, events.ctypes.data, len(events))
            pieces.append(events[:count])
            if self.now >= until:
                return np.concatenate(pieces)

    def power(self, cell: int, on: bool) -> None:
        """Take a cell's power away, or give it: it begins anew."""
        self._lib.nca_array_power(self._array, cell, on)

    def short(self, cell: int, edge: int, wires: int) -> None:
        """Hold wires of an edge low, whatever the cells do, until told otherwise."""
        self._lib.nca_array_short(self._array, cell, edge, wires)

    def glitches(self, share: float) -> None:
        """From now on so many of all looks at wires see other levels than there are."""
        self._lib.nca_array_glitches(self._array, round(share * (1 << 32)))

    def steps(self, cell: int) -> int:
        """Looks and pulls of a cell since it got power."""
        return int(self._lib.nca_array_steps(self._array, cell))


class _WakeCall(Structure):
    """nca_native_call."""

    _fields_ = [(name, c_void_p) for name in ("state", "neighbours", "perception", "output")]


_WIRES, _PULL, _NOW = CFUNCTYPE(c_uint8, c_void_p, c_uint8), CFUNCTYPE(None, c_void_p, c_uint8, c_uint8), CFUNCTYPE(c_uint32, c_void_p)
_IDLE, _NOISE, _BYTE = CFUNCTYPE(None, c_void_p, c_uint32), CFUNCTYPE(c_uint8, c_void_p), CFUNCTYPE(None, c_void_p, c_uint8)
_WAKE, _FRAME = CFUNCTYPE(None, c_void_p, POINTER(_WakeCall)), CFUNCTYPE(None, c_void_p)
_FRAMED = CFUNCTYPE(None, c_void_p, c_uint8, c_uint8, c_void_p)


class _Native(Structure):
    """nca_native."""

    _fields_ = [
        ("wires", _WIRES), ("pull", _PULL), ("now", _NOW), ("idle", _IDLE), ("noise", _NOISE), ("light", _BYTE), ("report", _BYTE),
        ("wake", _WAKE), ("frame", _FRAME), ("framed", _FRAMED), ("leave", c_void_p), ("image_crc", c_uint16), ("is_seed", c_uint8),
        ("stop", c_uint8),
    ]  # fmt: skip


class _NoMeter:
    """Counts calls, all of them at 0: a host's cycles say nothing about a chip's."""

    def __init__(self) -> None:
        self.cycles: list[int] = []
        self.instructions: list[int] = []


class NativeChip(Chip):
    """One native cell behind the interface of an emulated chip. Addresses are those of the image's symbols."""

    stack_top = 0

    def __init__(self, flash: bytes, board: Board, *, is_seed: bool = False, noise: Callable[[], int] = lambda: 1) -> None:
        """Load the image: the whole shared object."""
        super().__init__(None, ())
        self._lib = load(flash)
        self._lib.nca_native_run.restype, self._lib.nca_native_run.argtypes = None, [POINTER(_Native)]
        self._lib.nca_native_wake.restype, self._lib.nca_native_wake.argtypes = None, [POINTER(_WakeCall)]
        image = read_image(flash, 0)
        at = {symbol.name: symbol.address for symbol in image.symbols}
        self._base = ctypes.cast(self._lib.nca_native_run, c_void_p).value - at["nca_native_run"]  # type: ignore[operator]
        self._ram = at[CELL_SYMBOL], image.cell_ram
        self._meter = _NoMeter()
        self._pulls = [0] * EDGES
        self._wanted: int | None = None
        self._wake_at = at["nca_cell_wake"]
        self._call: tuple[int, int, int, int] | None = None
        self._raised: BaseException | None = None
        self._native = _Native(
            self._kept(_WIRES, lambda _, edge: self.look_at_wires(edge)), self._kept(_PULL, self._pull),
            self._kept(_NOW, lambda _: self.look_at_time() & 0xFFFFFFFF), _IDLE(lambda *_: None),
            self._kept(_NOISE, lambda _: noise()),
            self._kept(_BYTE, lambda _, byte: self.on_light(byte)), self._kept(_BYTE, lambda _, byte: self.on_report(byte)),
            self._kept(_WAKE, self._wake), _FRAME(lambda _: None), _FRAMED(lambda *_: None),
            image_crc=binascii.crc_hqx(image.binary, 0), is_seed=is_seed,
        )  # fmt: skip

    def reset(self, stack_fill: int = 0xA5) -> None:
        """See Chip. The cell clears its RAM itself, its stack is the host's."""
        self._pulls = [0] * EDGES

    def run(self, timeout_s: float = 600) -> None:
        """See Chip, but always from power-on, and without a limit of time."""
        self._lib.nca_native_run(ctypes.byref(self._native))
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised

    def run_to_call(self, function: int, timeout_s: float = 60) -> Call:
        """See Chip; only the update can be waited for."""
        if function != self._wake_at:
            raise EmulationError(f"a native cell can't be stopped at {function:#x}")
        self._wanted, self._call = function, None
        self.run(timeout_s)
        self._wanted = None
        if self._call is None:
            raise EmulationError("the cell did not update")
        return Call(function, 0, self._call)

    def repeat(self, call: Call, timeout_s: float = 0) -> None:
        """See Chip; without a limit of time."""
        self._lib.nca_native_wake(ctypes.byref(_WakeCall(*call.registers)))
        self._meter.cycles.append(0)
        self._meter.instructions.append(0)

    def stop(self) -> None:
        """See Chip."""
        self._native.stop = 1

    def memory(self, address: int, size: int) -> bytes:
        """See Chip."""
        return ctypes.string_at(self._base + address, size)

    def write(self, address: int, data: bytes) -> None:
        """See Chip; only the cell's own RAM."""
        at, size = self._ram
        if not at <= address <= address + len(data) <= at + size:
            raise EmulationError(f"{address:#x} is outside the cell's RAM")
        ctypes.memmove(self._base + address, data, len(data))

    def stack_high_water(self, stack_top: int, floor: int, fill: int = 0xA5) -> int:
        """Nobody looks at the host's stack: 0."""
        return 0

    def pulls(self, edge: int) -> int:
        """See Chip."""
        return self._pulls[edge]

    def wrong_setup(self) -> list[str]:
        """There is nothing to set up."""
        return []

    def light(self, words: Sequence[int]) -> list[int]:
        """See Chip: a word is a colour."""
        return list(words)

    def meter(self, function: int) -> Meter:
        """See Chip, but it stays at 0."""
        return self._meter

    def _pull(self, _: int, edge: int, wires: int) -> None:
        self._pulls[edge] = wires

    def _wake(self, _: int, call: Any) -> None:
        if self._wanted is not None:
            self._call = tuple(getattr(call.contents, name) for name, *_ in _WakeCall._fields_)
            self.stop()

    def _kept(self, kind: Any, function: Callable[..., Any]) -> Any:
        """A callback whose exception ends the run, and is raised by it."""

        def called(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except BaseException as error:  # C has no frames for it to pass through
                self._raised = error
                self.stop()
                return 0

        return kind(called)
