"""What firmware takes on every board: ROM, RAM, cycles an update, beside the budgets and beside what the instruction set allows.

    python benchmarks/boards.py [--genome lizard] [--updates 1000] [--board NAME ...]

Every image is built and proved on its emulated chip first. "Grown" is the mean over updates of the genome's grown pattern that evaluate
the network, "dearest" the most expensive one seen, random and extreme states among them. A multiply-add is one of both layers, 64 H an
update; those of silent hidden units, which no kernel computes, are counted, too. The limit is what one takes at the least: a load of its
weight, a product and an addition of as many bits as the sum needs. Boards whose tools are missing are left out by name. Exits with 1 if
an image misses a budget or is not exact.
"""

from __future__ import annotations

import argparse
import sys
import time

from nca_hw.core.genome import load
from nca_hw.emulate.proof import prove
from nca_hw.errors import LimitMissed, ToolMissing
from nca_hw.firmware.build import build
from nca_hw.formats.boards import bundled_boards, load_board

# Cycles (RV32EC: instructions) of a multiply-add at the least, and why.
LIMITS = {
    "rp2040": (1.75, "a quarter of a word's load (2), of three products for four and their sums"),
    "stm32g031": (1.75, "the same"),
    "atmega": (8.0, "lpm 3, mul 2, three additions, for one byte of the input"),
    "ch32v0": (6.0, "no multiplier: weight and table loaded, two additions, an index, a shift"),
}  # fmt: skip
COLUMNS = ("board", "kernel", "ROM, of budget", "cell RAM", "all RAM: variables + stack", "grown", "dearest", "a multiply-add",
           "at the least", "equal updates")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--genome", default="lizard")
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--board", nargs="*", default=[name for name in bundled_boards() if name != "native"])
    options = parser.parse_args()
    genome, good = load(options.genome), True
    products = genome.hidden * (genome.perception + genome.channels)
    print(f"{options.genome}: {genome.perception} -> {genome.hidden} -> {genome.channels}, {products:,} multiply-adds an update")
    print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}", flush=True)
    for name in options.board:
        board = load_board(name)
        began = time.perf_counter()
        try:
            made = build(genome, board)
            proved = prove(genome, made, options.updates, 0)
        except ToolMissing as error:
            print(f"| {name} | left out: {error} | | | | | | | | |", flush=True)
            continue
        except LimitMissed as error:
            print(f"| {name} | {error} | | | | | | | | |", flush=True)
            good = False
            continue
        sizes, limit = made.sizes(), LIMITS.get(board.family, (float("nan"), ""))[0]
        good &= proved.equal
        stack, static = proved.stack_bytes, made.image.static_ram
        row = (
            name, sizes["kernel"],
            f"{sizes['rom_bytes']:,} of {sizes['rom_budget']:,}", sizes["cell_ram_bytes"],
            f"{static} + {stack} = {static + stack}", f"{proved.cycles_per_update:,}", f"{proved.most_cycles:,}",
            f"{proved.cycles_per_update / products:.1f}", f"{limit:.1f}",
            f"{proved.updates_compared:,}{'' if proved.equal else ' DIFFERS'}",
        )  # fmt: skip
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        print(f"  {name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    for name, (limit, why) in LIMITS.items():
        print(f"{name}: at the least {limit} - {why}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
