"""How a board spends its interval: updates, lights, reports, and the frames of its links."""

from __future__ import annotations

from nca_hw.check.finding import Finding, judged
from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.firmware.families import family
from nca_hw.formats.boards import Board

LIZARD_PRODUCTS = 6656  # multiply-adds of the genome that the board files' cycles are of: docs/firmware.md
C_CORE_SLOWER = 6  # of the plain C core against a kernel, at the least; on AVR and RV32EC more
LED_US = 24 * 1.3  # of a WS2812, microseconds: 24 bits of 1.3
BITS_A_BYTE = 10  # 8N1
WARN, FULL = 0.75, 1.0  # of the interval


def update_us(genome: Genome, board: Board, *, has_kernel: bool) -> float:
    """Time of an update that evaluates the network, us, on average: that of the board file, by the genome's multiply-adds."""
    products = genome.hidden * (genome.perception + genome.channels)
    slower = 1 if has_kernel else C_CORE_SLOWER
    return board.power.cycles_evaluated / board.power.clock_hz * 1e6 * products / LIZARD_PRODUCTS * slower


def link_frames(board: Board) -> int:
    """Frames that a chip gives in an interval with a neighbour at each edge; as many are given to it. Source: docs/protocol.md."""
    if board.tile.cells == 1:
        return 8
    return 2 * (board.tile.width + 2) + 2 * board.tile.height


def interval(genome: Genome, board: Board, *, has_kernel: bool) -> Finding:
    """Whether all that a chip does fits its interval."""
    cells, baud = board.tile.cells, family(board.family).baud(board.chip.clock_hz)
    size = frames.frame_bytes(genome.channels)
    parts = {
        "updates": cells * update_us(genome, board, has_kernel=has_kernel) / 1e6,
        "reports": cells * (2 if cells > 1 else 1) * size * BITS_A_BYTE / baud,
        "lights": cells * cells * LED_US / 1e6,  # after every update the whole chain
        "links": 2 * link_frames(board) * family(board.family).frame_us * size / frames.frame_bytes(16) / 1e6,
    }
    seconds = board.interval_us / 1e6
    shares = {name: value / seconds for name, value in parts.items()}
    busy = sum(shares.values())
    told = f"{busy:.0%} of {seconds * 1000:g} ms: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    least = sum(parts.values()) / WARN
    cure = "" if busy <= WARN else f"Set interval_us to {round(least * 1e6, -4):.0f} or more in a board file of your own."
    figures = {"busy": busy, **{f"{name}_share": share for name, share in shares.items()}, "interval_seconds": seconds}
    return Finding("interval", judged(busy, WARN, FULL), told, figures, cure)
