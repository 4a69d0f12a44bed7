"""Does a genome grow its pattern turned? Its axes turned by angles, asynchronous, pattern loss against its picture turned likewise.

    python benchmarks/turned_patterns.py [GENOME] [--angles 0,15,30,45,60,75,90,180,270] [--grid 48x48] [--seeds 5] [--sheet sheet.png]

Prints the median and the worst loss of every angle; the sheet shows the picture at every angle, and below it the first run.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path

from nca_hw.core.genome import load
from nca_hw.formats.picture import from_png_bytes, to_png_bytes, turned
from nca_hw.formats.words import grid
from nca_hw.report.led import Labelled, sheet
from nca_hw.sim.metrics import pattern_loss, place
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

TIMES = (50, 150, 500)  # mean updates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("genome", nargs="?", default="lizard")
    parser.add_argument("--angles", default="0,15,30,45,60,75,90,180,270")
    parser.add_argument("--grid", default="48x48")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sheet", type=Path)
    options = parser.parse_args()
    genome, (width, height) = load(options.genome), grid(options.grid)
    picture = place(from_png_bytes(genome.target), height, width)
    rows: list[list[Labelled]] = [[] for _ in range(1 + len(TIMES))]
    print(f"{'angle':>5s}" + "".join(f" {f'median at {time}':>14s} {'worst':>8s}" for time in TIMES))
    for angle in map(int, options.angles.split(",")):
        target, _ = turned(picture, angle)
        target = place(from_png_bytes(to_png_bytes(target)), height, width)  # 8 bits, as a genome holds it
        rule = IntegerRule(replace(genome, turn=(genome.turn + angle) % 360))
        scenario = Scenario(width, height)
        scenario = replace(scenario, duration=max(TIMES) * scenario.interval)
        runs = [simulate(replace(scenario, seed=seed), rule, target) for seed in range(1, options.seeds + 1)]
        pictures = [[run.rgba(run.recording.times.index(time * scenario.interval)) for time in TIMES] for run in runs]
        told = ""
        for i in range(len(TIMES)):
            losses = [pattern_loss(run[i], target) for run in pictures]
            told += f" {statistics.median(losses):14.5f} {max(losses):8.5f}"
        print(f"{angle:5d}{told}", flush=True)
        labels = [f"{angle} degrees", *(f"grown, at {time}" for time in TIMES)]
        for row, label, shown in zip(rows, labels, [target, *pictures[0]], strict=True):
            row.append((label, shown))
    if options.sheet is not None:
        options.sheet.write_bytes(sheet([("", row) for row in rows], 3))


if __name__ == "__main__":
    main()
