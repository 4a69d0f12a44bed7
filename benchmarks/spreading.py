"""The figures of docs/spreading.md: a genome over 4x4 emulated chips, and how far the model is from them. Takes two minutes.

    python benchmarks/spreading.py
"""

from __future__ import annotations

import numpy as np

from nca_hw.core import slot, spread
from nca_hw.core.genome import load
from nca_hw.emulate.spread import MILLISECOND, SpreadWall
from nca_hw.firmware.build import build
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import load_board
from nca_hw.sim.scenario import Scenario
from nca_hw.sim.spread import Spreading, simulate

SIZE = 4
SECOND = 1000 * MILLISECOND
OLD, NEW = "lizard", "heart"


def main() -> None:
    """Print them."""
    old, new = load(OLD), load(NEW)
    made = build(old, load_board("atmega328p"), spread=Spread())
    packed = slot.pack(new, 2)
    name = spread.name(packed)
    wall = SpreadWall({spread.name(slot.pack(old, 1)): old, name: new}, old, made, Scenario(SIZE, SIZE, wiring="edges", rate_spread=0.01))
    wall.start()
    began = wall.go(2 * SECOND)
    wall.feed(0, packed)
    wall.go(began + 120 * SECOND, lambda: wall.all_run(name))
    reached = np.array([(runs[-1][0] - began) / 1e9 for runs in wall.taken]).reshape(SIZE, SIZE)
    hops = np.add.outer(np.arange(SIZE), np.arange(SIZE))
    print(f"code {len(made.told):,} B, slot {len(packed):,} B, variables {made.image.static_ram} B")
    print(f"the first tile runs it after {reached[0, 0]:.1f} s, the last of {SIZE * SIZE} after {reached.max():.1f} s")
    print(f"from a tile to its neighbours: {np.mean((reached - reached[0, 0])[hops > 0] / hops[hops > 0]):.1f} s")
    counts, others = wall._counts, sum(wall.frames.values())
    print(f"frames: {wall.frames}; of {counts.owed:,} states owed {(counts.sound - others) / counts.owed:.1%} given")
    print(f"compared with the reference: {wall.replay.compared.states:,} states; different: {wall.difference() or 0}")
    for seed in range(1, 5):
        model = simulate(Spreading(SIZE, SIZE, pages=len(packed) // slot.PAGE, seed=seed))
        mean = np.mean(model.reached / reached)
        print(f"the model tells {model.seconds:.1f} s: {model.seconds / reached.max():.2f} of it; the mean over the cells {mean:.2f}")
    for width, height, loss, killed in ((8, 8, 0, 0), (40, 40, 0, 0), (40, 40, 0.1, 0.05)):
        model = simulate(Spreading(width, height, pages=len(packed) // slot.PAGE, loss=loss, killed=killed))
        harm = f"{loss:.0%} of frames damaged, {killed:.0%} of cells dying"
        print(f"{width}x{height}, {harm}: {model.seconds:.0f} s; cut off: {model.cut_off}")


if __name__ == "__main__":
    main()
