"""`nca-hw build`: firmware."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="Firmware for a board: ELF, BIN, UF2, map, sizes against the budgets.")
@common.genome_argument
@click.option("--board", default="rp2040", show_default=True, help="Name of a board (see 'nca-hw boards'), or a board file of your own.")
@click.option("-o", "--output", type=common.FILE, help="Folder to write.  [default: build/BOARD]")
@click.option("--spread", is_flag=True, help="An image that takes new genomes from its neighbours, and from 'nca-hw spread'.")
@click.option("--key", type=common.FILE, help="With --spread: file with a key, 32 hex digits; only genomes with this key are taken.")
@click.option("--genome-version", type=click.IntRange(1, 2**32 - 1), help="With --spread: version of GENOME.  [default: 1]")
@common.toolchain_option
@common.json_option
def command(
    genome: str, board: str, output: Path | None, spread: bool, key: Path | None, genome_version: int | None, toolchain: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Render GENOME into C firmware for a board, compile it, and check it against the board's budgets."""
    from nca_hw.firmware.build import build, write
    from nca_hw.formats.boards import load_board

    target = load_board(board)
    made = build(common.load_genome(genome), target, toolchain, common.spread(spread, key, genome_version))
    folder = output or Path("build") / target.name
    paths = write(made, folder)
    sizes = made.sizes()
    for warning in made.warnings:
        common.say(f"warning: {warning}; it is not what ships")
    around = "" if made.spread else ", and around them a PlatformIO project: README.md"
    images = ", ".join(name for name in made.files if name.startswith("nca-hw."))
    if as_json:
        common.emit("build", {**sizes, "files": [str(path) for path in paths]})
        return
    rows: list[tuple[str, object]] = [("kernel", sizes["kernel"])]
    rows += [(f"ROM: {part}", f"{size:6,d} B") for part, size in made.image.parts.items()]
    rows += [
        ("ROM", f"{sizes['rom_bytes']:6,d} B of {sizes['rom_budget']:,d} B"),
        ("cell RAM", f"{sizes['cell_ram_bytes']:6,d} B of {target.budget.cell_ram:,d} B"),
        ("static RAM", f"{sizes['static_ram_bytes']:6,d} B"),
        ("worst-case stack", f"{sizes['stack_bytes']:6,d} B" if sizes["stack_bytes"] is not None else "not bound by the image alone"),
        ("image", sizes["image_sha256"]),
        ("written", f"{folder}/ ({images}{around})"),
    ]
    common.table(rows)
