"""What is trained with turned axes is the turned integer cell, and the gradient is that of a world turned with its cells."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from test_training_rule import drawn, lively_model, random_codes, real

from nca_hw.cli.app import cli
from nca_hw.core import quantize, reference
from nca_hw.core.genome import load
from nca_hw.core.model import FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.train import TrainSettings, backend
from nca_hw.train.native import AVX2, AVX512, PORTABLE, NativeEngine
from nca_hw.train.rollout import WAKES, Rollout

SIDE = 9
NATIVE = [PORTABLE, AVX2, AVX512]


def turned_engine(turn, kind=AVX512, batch=1):
    return NativeEngine(batch, SIDE, SIDE, 1, kind, turn)


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("turn", [30, 90, 180, 200, 270])
def test_trained_cell_is_the_turned_reference_to_the_bit(kind, turn):
    rng = np.random.default_rng(turn)
    model = lively_model(turn)
    genome = quantize.assemble(model, s1=10, turn=turn)
    codes = random_codes(rng, (SIDE, SIDE))
    wakes = rng.uniform(0.2, 0.8, (1, SIDE, SIDE)).astype(np.float32)
    engine = turned_engine(turn, kind)
    states = engine.forward(model, genome, Rollout(15, 3, wakes, (15,)), real(genome, codes)[None])

    seen = set()
    for step in range(15):
        inbox = reference.gather_neighbours(codes)
        seen |= {row.tobytes() for row in real(genome, reference.perceive(genome, codes, inbox)).reshape(-1, 48) + np.float32(0)}
        codes = np.where(drawn(3, WAKES, step, wakes)[0][..., None], reference.wake(genome, codes, inbox)[0], codes)
    np.testing.assert_array_equal(states[0, 0], real(genome, codes))
    assert states.any()
    x = engine.perceptions(200)
    assert len(x) > 50
    assert all(row.tobytes() in seen for row in x + np.float32(0))


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("phase", ["float", "integer"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_world_turned_by_quarters_with_its_cells_has_the_same_gradient(kind, phase, quarters):
    rng = np.random.default_rng(quarters)
    model, turn = lively_model(3), 90 * quarters
    upright, turned = (quantize.assemble(model, s1=10, turn=t) if phase == "integer" else None for t in (0, turn))
    start = rng.normal(0, 0.5, (1, SIDE, SIDE, 16)).astype(np.float32)
    start[..., 3] = rng.uniform(0, 1, start.shape[:3])
    wakes = (rng.random((1, SIDE, SIDE)) < 0.7).astype(np.float32)
    towards = rng.normal(size=(1, 1, SIDE, SIDE, 16)).astype(np.float32)

    def clockwise(grids):
        return np.ascontiguousarray(np.rot90(grids, -quarters, axes=(grids.ndim - 3, grids.ndim - 2)))

    plain, other = turned_engine(0, kind), turned_engine(turn, kind)
    states = plain.forward(model, upright, Rollout(6, 1, wakes, (6,)), start)
    theirs = other.forward(model, turned, Rollout(6, 1, clockwise(wakes[..., None])[..., 0], (6,)), clockwise(start))
    np.testing.assert_allclose(theirs, clockwise(states), atol=0 if phase == "integer" else 1e-4)
    g_start, turned_start = np.empty_like(start), np.empty_like(start)
    g = plain.backward_to_start(towards, g_start)
    g_turned = other.backward_to_start(clockwise(towards), turned_start)
    for one, same in [*((g[name], g_turned[name]) for name in g), (clockwise(g_start), turned_start)]:
        assert np.linalg.norm(one) > 1e-3
        np.testing.assert_allclose(same, one, atol=1e-4 * np.abs(one).max())


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("turn", [30, 215])
def test_the_gradient_at_any_angle_is_the_slope_of_the_loss(kind, turn):
    rng = np.random.default_rng(turn)
    model = lively_model(turn)
    start = rng.uniform(0.2, 0.6, (1, SIDE, SIDE, 16)).astype(np.float32)
    start[..., 3] = 5  # alpha high: the mask takes nothing away
    towards = rng.normal(size=(1, 1, SIDE, SIDE, 16)).astype(np.float32)
    rollout = Rollout(3, 5, np.full((1, SIDE, SIDE), 0.6, np.float32), (3,))
    engine = turned_engine(turn, kind)

    def value(weights, grid):
        return float((engine.forward(weights, None, rollout, grid).astype(np.float64) * towards).sum())

    value(model, start)
    to_start = np.empty_like(start)
    gradient = engine.backward_to_start(towards, to_start)
    # Along the gradient itself the slope is its norm, and little of it drowns in rounding.
    for name, g in gradient.items():
        step = g * np.float32(2e-3 / np.linalg.norm(g))
        ahead, back = (value(FloatModel(**{**vars(model), name: getattr(model, name) + sign * step}), start) for sign in (1, -1))
        assert (ahead - back) / 4e-3 == pytest.approx(np.linalg.norm(g), rel=0.02)
    step = to_start * np.float32(2e-2 / np.linalg.norm(to_start))
    assert (value(model, start + step) - value(model, start - step)) / 4e-2 == pytest.approx(np.linalg.norm(to_start), rel=0.02)


def test_turned_axes_are_trained_on_the_cpu_alone():
    with pytest.raises(NcaHwError, match="on the CPU alone"):
        backend.choose_engine(TrainSettings(device="gpu", turn=90), 8, 8)
    assert isinstance(backend.choose_engine(TrainSettings(device="auto", turn=90, threads=1), 8, 8), NativeEngine)


def test_the_command_trains_for_turned_axes_and_keeps_those_of_the_genome_it_starts_from(tmp_path):
    def made(name, words, turn):
        path = tmp_path / f"{name}.genome"
        line = f"train emoji:star --size 12x12 --steps 3 --regime grow --device cpu --threads 1 --json -o {path} {words}"
        told = CliRunner().invoke(cli, line)
        assert told.exit_code == 0, told.output
        assert json.loads(told.stdout)["turn"] == load(path).turn == turn
        return path

    first = made("first", "--turn -60", 300)
    made("same", f"--from {first}", 300)
    made("upright", f"--from {first} --turn 0", 0)
