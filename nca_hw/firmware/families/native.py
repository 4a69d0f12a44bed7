"""The host itself: the unmodified firmware as a shared object, for arrays of real links and for whoever has no chip at hand."""

from __future__ import annotations

from nca_hw.core import frames
from nca_hw.firmware import toolchain
from nca_hw.firmware.families.base import Family

FLAGS = (
    "-std=gnu99", "-ffreestanding", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-stack-protector", "-U_FORTIFY_SOURCE",
    "-ffunction-sections", "-g1", "-fno-asynchronous-unwind-tables", "-Wl,--wrap=nca_cell_wake",
    "-Wl,--wrap=nca_link_frame",
)  # fmt: skip


NATIVE = Family(
    name="native", flash=0, ticks_per_second=1_000_000, sources=("board.c", "array.c", "native.h", "array.h"), linker_script="image.ld",
    holes=lambda board: {}, compile_and_link=toolchain.gcc("cc", "gcc", *FLAGS), containers=lambda image: {},
    baud=lambda clock_hz: frames.BAUD, frame_us=2_100,  # it has no UART; docs/protocol.md
    spread_holes={"writable": "w", "at": "@"},  # its sources are rendered for the tests; there is no such image
)  # fmt: skip
