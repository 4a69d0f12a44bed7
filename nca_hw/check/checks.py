"""All checks of a board, a genome and a grid, in the order of the table."""

from __future__ import annotations

from nca_hw.check.budget import interval
from nca_hw.check.finding import Finding, judged
from nca_hw.check.supply import supply
from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.errors import LimitMissed, ToolMissing
from nca_hw.firmware.build import build
from nca_hw.firmware.families import family
from nca_hw.firmware.kernels import able
from nca_hw.formats.array_file import ArrayFile
from nca_hw.formats.boards import SIDES, Board
from nca_hw.formats.picture import from_png_bytes

# A receiver that takes its samples in the middle of bits bears half a bit in the nine and a half from the start bit's edge to the stop
# bit's middle: 5.3%, of both ends together. Half of it is left to the other end, its sampling, and the chip's own oscillator.
BAUD_WARN, BAUD_LIMIT = 0.026, 0.04


def examine(
    genome: Genome, board: Board, grid: tuple[int, int], supply_amperes: float | None = None, array: ArrayFile | None = None
) -> list[Finding]:
    """Check everything. The board has been loaded, so its file is sound.

    Args:
        grid: width and height in cells.
        supply_amperes: of the supply; None: unknown. array: what was flashed; None: nothing was.
    """
    fit, has_kernel = image(genome, board)
    return [
        pins(board), tiles(board, grid), picture(genome, grid), *fit, interval(genome, board, has_kernel=has_kernel), service(board),
        supply(board, grid[0] * grid[1], supply_amperes), *([] if array is None else [flashed(array, genome, board, grid)]),
    ]  # fmt: skip


def pins(board: Board) -> Finding:
    """What every pin is for. A board file that uses one twice, or one that can't be what it should, is not loaded at all."""
    wires = ", ".join(f"{side} {' '.join(getattr(board.edges, side))}" for side in SIDES)
    told = f"{len(board.pins())} pins, none used twice: {wires}; LED {board.led.pin}, service {board.service.pin}, seed {board.seed.pin}"
    return Finding("pins", "ok", told, {"pins": board.pins()})


def tiles(board: Board, grid: tuple[int, int]) -> Finding:
    """Whether the grid is of whole tiles."""
    wide, high = board.tile.width, board.tile.height
    figures = {"tile": f"{wide}x{high}", "grid": f"{grid[0]}x{grid[1]}", "chips": -(-grid[0] // wide) * -(-grid[1] // high)}
    if grid[0] % wide or grid[1] % high:
        near = (max(1, round(grid[0] / wide)) * wide, max(1, round(grid[1] / high)) * high)
        told = f"{grid[0]}x{grid[1]} cells are not whole tiles of {wide}x{high}"
        return Finding("tiles", "fails", told, figures, f"Take --grid {near[0]}x{near[1]}, for example.")
    return Finding("tiles", "ok", f"{figures['chips']:,} chips of {wide}x{high} cells make {grid[0]}x{grid[1]} cells", figures)


def picture(genome: Genome, grid: tuple[int, int]) -> Finding:
    """Whether the pattern has room on the grid."""
    if not genome.target:
        return Finding("picture", "not checked", "the genome has no target picture")
    height, width = from_png_bytes(genome.target, where="target").shape[:2]
    figures = {"width": width, "height": height}
    if width > grid[0] or height > grid[1]:
        told = f"the picture has {width}x{height} cells, the grid {grid[0]}x{grid[1]}: what grows there is another one, or nothing"
        return Finding("picture", "warning", told, figures, f"Take a grid of {width}x{height} or more, or a smaller picture.")
    return Finding("picture", "ok", f"{width}x{height} cells on {grid[0]}x{grid[1]}", figures)


def image(genome: Genome, board: Board) -> tuple[list[Finding], bool]:
    """Build the image: whether it fits, and which kernel is the cell in it. With that: whether there is a kernel."""
    known = any(kernel is not None for kernel in able(genome, family(board.family).kernels))
    width = f"{genome.channels} channels, {genome.hidden} hidden units"
    try:
        made = build(genome, board)
    except LimitMissed as error:
        return [Finding("image", "fails", f"{width}: {error.what}", {}, error.cure or "")], known
    except ToolMissing as error:
        return [Finding("image", "not checked", f"{width}: {error.what}", {}, error.cure or "")], known
    sizes, budget, memory = made.sizes(), board.budget, board.memory
    static, stack = sizes["static_ram_bytes"], sizes["stack_bytes"]
    used = static + (stack or 0)
    stack_told = f"and stack {used:,}" if stack is not None else f"{static:,} and a stack that only verify measures,"
    told = (
        f"{width}: ROM {sizes['rom_bytes']:,} of {budget.rom:,} B (flash {memory.flash:,}), cell RAM {sizes['cell_ram_bytes']:,} of "
        f"{budget.cell_ram:,} B, variables {stack_told} of {memory.ram:,} B"
    )
    figures = {
        "rom_bytes": sizes["rom_bytes"], "rom_budget": budget.rom, "flash_bytes": memory.flash, "cell_ram_bytes": sizes["cell_ram_bytes"],
        "cell_ram_budget": budget.cell_ram, "static_ram_bytes": static, "stack_bytes": stack, "ram_bytes": memory.ram,
    }  # fmt: skip
    fit = Finding("image", "ok", told, figures)
    if made.kernel is not None:
        return [fit, Finding("kernel", "ok", f"{made.kernel.name}, in assembly", {"kernel": made.kernel.name})], True
    has_some = bool(family(board.family).kernels)
    told = "none of the family's kernels computes this genome: the C core does, several times slower" if has_some else "the C core"
    cure = "docs/kernels.md has what kernels compute." if has_some else ""
    return [fit, Finding("kernel", "warning" if has_some else "ok", told, {"kernel": None}, cure)], not has_some


def service(board: Board) -> Finding:
    """How far the service port's speed is from what it should be, by the divider that the firmware sets at the chip's clock."""
    baud = family(board.family).baud(board.chip.clock_hz)
    error = baud / frames.BAUD - 1
    told = f"{baud:,.0f} baud for {frames.BAUD:,}: {abs(error):.2%} {'fast' if error > 0 else 'slow'}"
    cure = "Take an adapter whose speed can be set to what is said here." if abs(error) > BAUD_WARN else ""
    return Finding("service port", judged(abs(error), BAUD_WARN, BAUD_LIMIT), told, {"baud": baud, "error": error}, cure)


def flashed(array: ArrayFile, genome: Genome, board: Board, grid: tuple[int, int]) -> Finding:
    """Whether an array's boards hold one image with this genome, and are as many as the grid has chips."""
    chips = -(-grid[0] // board.tile.width) * -(-grid[1] // board.tile.height)
    failed = [entry.number for entry in array.boards if not entry.done]
    others = [entry.number for entry in array.boards if entry.genome_hash not in (None, genome.cell_hash)]
    kinds = sorted({entry.board for entry in array.boards} - {board.name})
    images = len({entry.image_sha256 for entry in array.boards})
    figures = {
        "chips": chips, "boards": len(array.boards), "failed": failed, "other_genome": others, "images": images, "other_boards": kinds,
        "seen_by_self_test": sum(entry.verified == "self-test" for entry in array.boards),
    }  # fmt: skip
    told = f"{len(array.boards)} boards for {chips:,} chips, {figures['seen_by_self_test']} seen by their self-test"
    if failed:
        cure = "Run the same 'nca-hw flash --all' again: it writes those that failed, and no others."
        return Finding("array", "fails", f"{told}; not flashed: {_numbers(failed)}", figures, cure)
    if others:
        return Finding("array", "fails", f"{told}; with another genome: {_numbers(others)}", figures, "Flash them anew, or name theirs.")
    if kinds:
        return Finding("array", "fails", f"{told}; other boards than {board.name}: {', '.join(kinds)}", figures, "Name it with --board.")
    if len(array.boards) != chips or images > 1:
        more = f"; {images} different images" if images > 1 else ""
        return Finding("array", "warning", told + more, figures, "Flash the rest, or name the --grid that they make.")
    return Finding("array", "ok", told, figures)


def _numbers(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"{shown}, and {len(numbers) - 8} more" if len(numbers) > 8 else shown
