"""`nca-hw verify`: the firmware's proof."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import rich_click as click

from nca_hw.cli import common


@click.command(cls=common.Command, short_help="Run the firmware image on an emulated chip and compare it with the reference.")
@common.genome_argument
@click.option("--board", default="rp2040", show_default=True, help="Name of a board, or a board file of your own.")
@click.option("--updates", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Updates to compare.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of states, frames and their damage.")
@click.option("--spread", is_flag=True, help="The image that takes new genomes from its neighbours.")
@common.toolchain_option
@common.json_option
def command(genome: str, board: str, updates: int, seed: int, spread: bool, toolchain: str, as_json: bool) -> None:
    """Build the image and run it, unmodified, on an emulated chip.

    Updates of random states and extremes are compared, byte for byte, with the NumPy reference. Some of them are whole: the chip hears
    neighbours over its wires, damaged frames among them, waits, updates, lights its LED, reports, and tells its neighbours. The others are
    calls of the image's update alone. Ends with the ladder of truth, rung by rung.
    """
    from nca_hw.emulate.proof import prove, write_replay
    from nca_hw.errors import LimitMissed
    from nca_hw.firmware.build import build
    from nca_hw.formats.boards import load_board

    loaded = common.load_genome(genome)
    made = build(loaded, load_board(board), toolchain, common.spread(spread, None, None))
    with common.progress("verifying", updates) as advance:
        proved = prove(loaded, made, updates, seed, advance)
    replay = None
    if proved.mismatch is not None:
        replay = Path(f"mismatch-{made.board.name}.npz")
        write_replay(replay, loaded, made, updates, proved.mismatch, seed)
    if as_json:
        document = {**asdict(proved), "replay": common.replay(), "mismatch_file": None if replay is None else str(replay)}
        common.emit("verify", document)
    else:
        cycles, counted = f"{proved.cycles_per_update:,}", proved.instructions_per_update
        cycles += " (no wait states)" if counted is None else f" ({counted:,} instructions; no wait states)"
        common.table([
            ("image", proved.image_sha256),
            ("updates compared", f"{proved.updates_compared:,}, of them {proved.whole_updates:,} whole"),
            ("frames rejected", f"{proved.frames_rejected:,} damaged ones"),
            ("cycles per update", cycles if proved.cycles_per_update else "not counted"),
            ("stack, high water", f"{proved.stack_bytes} B" if proved.stack_bytes else "not measured"),
        ])  # fmt: skip
        for number, rung in enumerate(proved.rungs, 1):
            click.echo(f"rung {number}  {'equal' if rung.equal else 'DIFFERS':8s}{rung.hash[:16]}  {rung.name}")
        click.echo("not run  the float model (quantize and train compare it by pattern loss), a flashed board (none is attached)")
    if not proved.equal:
        m = proved.mismatch
        told = "a rung of the ladder differs"
        if m is not None:
            told = f"update {m.update}, channel {m.channel}: expected {m.expected}, the image sent {m.got}"
        raise LimitMissed(told, where=replay, cure=f"Replay: {common.replay()}")
