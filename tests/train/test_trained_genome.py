"""The rule that was trained is the cell that runs: a trained genome, wake by wake, by training's rollout and by the firmware's C core."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from test_training_rule import drawn

from nca_hw.cli.app import cli
from nca_hw.core import quantize, reference
from nca_hw.core.dequantize import dequantize
from nca_hw.core.genome import bundled, load, to_bytes
from nca_hw.core.model import seed_grid
from nca_hw.sim.grid import OFFSETS
from nca_hw.sim.rules import IntegerRule
from nca_hw.train.native import AVX2, AVX512, PORTABLE, NativeEngine
from nca_hw.train.rollout import WAKES, Rollout

STEPS = 60


def bare(genome):
    """What a file of the genome holds without its card."""
    return to_bytes(replace(genome, provenance=type(genome.provenance)()))


@pytest.mark.parametrize("name", sorted(bundled()))
def test_a_bundled_genome_taken_apart_into_floats_is_put_together_again_to_the_bit(name):
    genome = load(name)
    again = quantize.assemble(dequantize(genome), s1=genome.s1, target_png=genome.target)
    assert bare(again) == bare(genome)


@pytest.mark.parametrize("instructions", [PORTABLE, AVX2, AVX512])
def test_a_rollout_of_a_trained_genome_is_what_the_c_core_computes_in_the_same_wakes(instructions):
    genome = load("mushroom")
    side = 40
    rng = np.random.default_rng(7)
    wakes = rng.uniform(0.3, 0.7, (1, side, side)).astype(np.float32)
    rollout = Rollout(STEPS, seed=11, wakes=wakes, marks=(1, 7, STEPS // 2, STEPS))
    engine = NativeEngine(1, side, side, 1, instructions)
    trained = engine.forward(dequantize(genome), genome, rollout, seed_grid(side, side)[None])

    rule = IntegerRule(genome)
    states, inboxes = np.zeros((side, side, 16), np.int8), np.zeros((side, side, 8, 16), np.int8)
    states[side // 2, side // 2] = rule.seed()
    wake = [[rule.bind(states[y, x], inboxes[y, x]) for x in range(side)] for y in range(side)]
    marked, evaluated = [], 0
    for step in range(STEPS):
        bordered = np.pad(states, ((1, 1), (1, 1), (0, 0)))
        for n, (dy, dx) in enumerate(OFFSETS):
            inboxes[:, :, n] = bordered[1 + dy : 1 + dy + side, 1 + dx : 1 + dx + side]
        for y, x in np.argwhere(drawn(rollout.seed, WAKES, step, wakes)[0]):
            evaluated += wake[y][x]()
        if step + 1 in rollout.marks:
            marked.append(reference.val(genome, states).astype(np.float32) / 256)

    assert evaluated > 3000  # it grew
    assert trained[:, 0].tobytes() == np.array(marked).tobytes()


@pytest.mark.parametrize("more", ["", "--from lizard"])
def test_the_same_command_and_seed_make_the_same_genome_whatever_the_number_of_threads(tmp_path, more):
    made = []
    for n, threads in enumerate(("1", "1", "2", "3")):
        path = tmp_path / f"{n}.genome"
        line = f"train emoji:star --size 12x12 --steps 4 --regime grow --device cpu --threads {threads} --json {more}"
        told = CliRunner().invoke(cli, f"{line} -o {path}")
        assert told.exit_code == 0, told.output
        made.append(load(path))
        assert json.loads(told.stdout)["genome_hash"] == made[-1].cell_hash
    assert len({bare(genome) for genome in made}) == 1
    other = CliRunner().invoke(cli, f"{line} --seed 2 -o {tmp_path / 'other.genome'}")
    assert other.exit_code == 0, other.output
    if not more:  # four steps from a genome may be no better than it, and then it is kept
        assert bare(load(tmp_path / "other.genome")) != bare(made[0])
