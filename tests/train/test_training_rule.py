"""The step that is trained is the integer cell, bit for bit, and its gradient is that of the float rule; in C and in PyTorch alike."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from nca_hw.core import model as float_model
from nca_hw.core import quantize, reference
from nca_hw.sim import streams
from nca_hw.train.loop import first_weights, sums
from nca_hw.train.native import AVX2, AVX512, PORTABLE, NativeEngine
from nca_hw.train.rollout import HEARS, WAKES, Rollout

HEIGHT, WIDTH = 9, 11
NATIVE = [PORTABLE, AVX2, AVX512]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs PyTorch: pip install 'nca-hw[train]'")
ENGINES = [*NATIVE, pytest.param("torch", marks=needs_torch)]


def engine_of(kind, batch=1, height=HEIGHT, width=WIDTH):
    if kind == "torch":
        from nca_hw.train.gpu import TorchEngine

        return TorchEngine(batch, height, width, "cpu")
    return NativeEngine(batch, height, width, 2, kind)


def lively_model(seed):
    """Weights under which a seed grows into moving, saturating patterns."""
    rng = np.random.default_rng(seed)
    weights = first_weights(rng)
    for name, spread in (("b1", 0.1), ("w2", 0.05), ("b2", 0.05)):
        weights[name] += rng.normal(0, spread, weights[name].shape).astype(np.float32)
    return float_model.FloatModel(**weights)


def random_codes(rng, shape):
    codes = rng.integers(-127, 128, (*shape, 16)) * (rng.random((*shape, 1)) < 0.5)
    return codes.astype(np.int8)


def real(genome, codes):
    return (reference.val(genome, codes) / 256).astype(np.float32)


def drawn(seed, purpose, step, wakes):
    """Who wakes, bool [B, H, W]; written once more, by the simulator's own random numbers."""
    batch, height, width = wakes.shape
    cells = np.arange(height * width)
    keys = np.stack([streams.keys(seed, purpose, grid, step, cells) for grid in range(batch)])
    return (keys.reshape(wakes.shape) >> 2) < wakes * 2**30


def heard_by(seed, step, lost, height, width):
    """Which neighbours hear a cell of grid 0 if it sends, bool [H, W, 8]."""
    cells, directions = np.arange(height * width), np.arange(8)
    keys = streams.keys(seed, HEARS, 0, step, cells[:, None], directions)
    return ((keys >> 2) >= lost * 2**30).reshape(height, width, 8)


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_trained_step_is_the_integer_reference_to_the_bit(kind, seed):
    rng = np.random.default_rng(seed)
    engine, model = engine_of(kind), lively_model(seed)
    genome = quantize.assemble(model, s1=10)
    codes = random_codes(rng, (HEIGHT, WIDTH))
    states = real(genome, codes)[None]

    moved = 0
    for step in range(30):
        fires = rng.random((HEIGHT, WIDTH)) < 0.5
        new, _ = reference.wake(genome, codes, reference.gather_neighbours(codes))
        expected = np.where(fires[..., None], new, codes)
        moved += np.count_nonzero(expected != codes)
        codes = expected
        states = engine.forward(model, genome, Rollout(1, step, fires[None].astype(np.float32), (1,)), states)[-1]
        np.testing.assert_array_equal(states[0] * 256, reference.val(genome, codes))

    assert moved > 1000


@pytest.mark.parametrize("kind", ENGINES)
def test_rollout_is_the_reference_with_the_simulators_random_numbers(kind):
    rng = np.random.default_rng(4)
    model = lively_model(4)
    genome = quantize.assemble(model, s1=10)
    codes = random_codes(rng, (2, HEIGHT, WIDTH))
    wakes = rng.uniform(0, 1, codes.shape[:3]).astype(np.float32)  # every cell has a clock of its own
    wakes[:, 3:5, 4] = 0  # and two are dead
    codes[:, 3:5, 4] = 0
    states = engine_of(kind, 2).forward(model, genome, Rollout(20, 99, wakes, (7, 20)), real(genome, codes))

    for step in range(20):
        fires = drawn(99, WAKES, step, wakes)
        new = np.stack([reference.wake(genome, grid, reference.gather_neighbours(grid))[0] for grid in codes])
        codes = np.where(fires[..., None], new, codes)
        if step + 1 == 7:
            np.testing.assert_array_equal(states[0], real(genome, codes))
    np.testing.assert_array_equal(states[1], real(genome, codes))
    assert not states[:, :, 3:5, 4].any()
    assert states.any((2, 3, 4)).all()


@pytest.mark.parametrize("kind", NATIVE)
def test_lost_messages_leave_what_was_heard_before_and_deaf_cells_nothing(kind):
    rng = np.random.default_rng(6)
    model = lively_model(6)
    genome = quantize.assemble(model, s1=10)
    codes = random_codes(rng, (HEIGHT, WIDTH))
    wakes = np.full((1, HEIGHT, WIDTH), 0.6, np.float32)
    deaf = rng.random((1, HEIGHT, WIDTH)) < 0.3
    rollout = Rollout(25, 5, wakes, (25,), lost=np.array([0.4], np.float32), deaf=deaf)
    states = engine_of(kind).forward(model, genome, rollout, real(genome, codes)[None])

    inbox = np.where(deaf[0, ..., None, None], np.int8(0), reference.gather_neighbours(codes))
    for step in range(25):
        fires = drawn(5, WAKES, step, wakes)[0]
        codes = np.where(fires[..., None], reference.wake(genome, codes, inbox)[0], codes)
        sent = fires[..., None] & heard_by(5, step, np.float32(0.4), HEIGHT, WIDTH)
        hears = np.stack([reference.gather_neighbours(sent[..., [(k + 4) % 8]])[..., k, 0] for k in range(8)], axis=2)
        inbox = np.where(hears[..., None], reference.gather_neighbours(codes), inbox)
    np.testing.assert_array_equal(states[0, 0], real(genome, codes))
    assert (inbox != reference.gather_neighbours(codes)).any()


@pytest.mark.parametrize("kind", NATIVE)
def test_no_message_lost_is_hearing_at_once(kind):
    model = lively_model(8)
    start = np.random.default_rng(8).normal(0, 0.3, (2, HEIGHT, WIDTH, 16)).astype(np.float32)
    wakes = np.full((2, HEIGHT, WIDTH), 0.5, np.float32)
    engine = engine_of(kind, 2)
    plain = engine.forward(model, None, Rollout(20, 1, wakes, (20,)), start)
    kept = engine.forward(model, None, Rollout(20, 1, wakes, (20,), lost=np.zeros(2, np.float32)), start)
    np.testing.assert_array_equal(plain, kept)
    deaf = np.ones((2, HEIGHT, WIDTH), bool)
    assert (engine.forward(model, None, Rollout(20, 1, wakes, (20,), deaf=deaf), start) != plain).any()


@pytest.mark.parametrize("kind", ENGINES)
def test_float_phase_is_the_float_rule_of_a_waking_cell(kind):
    model = lively_model(5)
    grid = np.random.default_rng(5).normal(0, 0.3, (HEIGHT, WIDTH, 16)).astype(np.float32)
    everyone = np.ones((1, HEIGHT, WIDTH), np.float32)

    after = engine_of(kind).forward(model, None, Rollout(1, 0, everyone, (1,)), grid[None])[0, 0]

    expected = grid + float_model.network(model, float_model.perceive(grid))
    lives = after.any(-1)
    np.testing.assert_allclose(after[lives], expected[lives], atol=1e-5)
    assert lives.sum() > HEIGHT * WIDTH // 2


@needs_torch
@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("lost", [None, 0.4])
def test_gradient_is_the_float_rules_own(kind, lost):
    import torch

    model = lively_model(7)
    rng = np.random.default_rng(7)
    grid = rng.uniform(0.2, 0.6, (1, HEIGHT, WIDTH, 16)).astype(np.float32)
    grid[..., 3] = 5  # alpha high: the mask takes nothing away
    wakes = np.full((1, HEIGHT, WIDTH), 0.5, np.float32)
    losses = None if lost is None else np.array([lost], np.float32)
    engine, towards = engine_of(kind), rng.normal(size=(2, 1, HEIGHT, WIDTH, 16)).astype(np.float32)
    states = engine.forward(model, None, Rollout(6, 3, wakes, (2, 6), losses), grid)
    to_start = np.empty_like(grid)
    mine = engine.backward_to_start(towards, to_start)

    leaf = torch.from_numpy(grid[0]).requires_grad_()
    weights = {name: torch.from_numpy(getattr(model, name)).requires_grad_() for name in mine}
    state, inbox, theirs = leaf, neighbours(leaf), []
    for step in range(6):
        fires = torch.from_numpy(drawn(3, WAKES, step, wakes)[0])
        state = autograd_step(state, inbox, weights, fires)
        sent = fires[..., None] & torch.from_numpy(heard_by(3, step, np.float32(lost or 0), HEIGHT, WIDTH))
        hears = torch.stack([neighbours(sent[..., [(k + 4) % 8]].float())[..., k, 0] for k in range(8)], 2) > 0
        inbox = torch.where(hears[..., None], neighbours(state), inbox)
        theirs.append(state)
    np.testing.assert_allclose(states[1, 0], theirs[5].detach().numpy(), atol=1e-4)
    ((theirs[1] * torch.from_numpy(towards[0, 0])).sum() + (theirs[5] * torch.from_numpy(towards[1, 0])).sum()).backward()

    for name, tensor in weights.items():
        assert_close(mine[name], tensor.grad.numpy())
    assert_close(to_start[0], leaf.grad.numpy())


def neighbours(grid):
    """States of the eight neighbours, [H, W, 8, n], clockwise from the north; outside is 0."""
    import torch

    height, width, _ = grid.shape
    padded = torch.nn.functional.pad(grid, (0, 0, 1, 1, 1, 1))
    offsets = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    return torch.stack([padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in offsets], 2)


def autograd_step(grid, inbox, weights, fires):
    """The float rule without its mask, of what every cell has heard; the gradient is PyTorch's."""
    import torch

    n, ne, e, se, s, sw, w, nw = (inbox[:, :, k] for k in range(8))
    x, y = ((ne - nw) + 2 * (e - w) + (se - sw)) / 8, ((sw - nw) + 2 * (s - n) + (se - ne)) / 8
    hidden = torch.relu(torch.cat([grid, x, y], -1) @ weights["w1"] + weights["b1"])
    return grid + (hidden @ weights["w2"] + weights["b2"]) * fires[..., None]


def assert_close(a, b):
    """Equal but for the rounding of float32 sums."""
    assert np.linalg.norm(b) > 1e-3
    assert np.linalg.norm(a - b) < 1e-5 * np.linalg.norm(b)


@needs_torch
@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("phase", ["float", "integer"])
def test_c_and_pytorch_have_the_same_gradient_over_many_steps(kind, phase):
    model = lively_model(11)
    genome = quantize.assemble(model, s1=10) if phase == "integer" else None
    rng = np.random.default_rng(11)
    start = np.repeat(float_model.seed_grid(HEIGHT, WIDTH)[None], 3, axis=0)
    rollout = Rollout(24, 12, np.full((3, HEIGHT, WIDTH), 0.5, np.float32), (8, 24))
    c, torch = engine_of(kind, 3), engine_of("torch", 3)

    states, expected = c.forward(model, genome, rollout, start), torch.forward(model, genome, rollout, start)
    towards = rng.normal(size=states.shape).astype(np.float32)
    mine, theirs = c.backward(towards), torch.backward(towards)

    np.testing.assert_allclose(states, expected, atol=0 if genome else 1e-4)
    for name in theirs:
        assert_close(mine[name], theirs[name])


@pytest.mark.parametrize("kind", NATIVE)
@pytest.mark.parametrize("phase", ["float", "integer"])
def test_number_of_threads_changes_nothing(kind, phase):
    model = lively_model(12)
    genome = quantize.assemble(model, s1=10) if phase == "integer" else None
    start = np.repeat(float_model.seed_grid(HEIGHT, WIDTH)[None], 5, axis=0)
    rollout = Rollout(30, 2, np.full((5, HEIGHT, WIDTH), 0.5, np.float32), (30,))
    results = []
    for threads in (1, 2, 5):
        engine = NativeEngine(5, HEIGHT, WIDTH, threads, kind)
        states = engine.forward(model, genome, rollout, start)
        results.append((states, *engine.backward(states).values()))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ENGINES)
def test_perceptions_are_those_of_the_cells_that_were_computed(kind):
    model = lively_model(13)
    genome = quantize.assemble(model, s1=10)
    codes = random_codes(np.random.default_rng(13), (HEIGHT, WIDTH))
    everyone = np.ones((1, HEIGHT, WIDTH), np.float32)
    engine = engine_of(kind)
    after = engine.forward(model, genome, Rollout(1, 0, everyone, (1,)), real(genome, codes)[None])[0, 0]

    x = engine.perceptions(1000)

    codes_seen = reference.perceive(genome, codes, reference.gather_neighbours(codes))
    seen = {row.tobytes() for row in real(genome, codes_seen).reshape(-1, 48)}
    assert len(x) >= np.count_nonzero(after.any(-1)) > 10
    assert all(row.tobytes() in seen for row in x)
    assert len(engine.perceptions(10)) in range(5, 11)
    expected = 4 * genome.b1.astype(int) + (x[:3] * 256).astype(int) @ genome.w1.astype(int)
    np.testing.assert_array_equal(sums(genome, x[:3]), expected)


def test_float32_is_exact_up_to_its_stated_bound():
    """Float32 has no gaps up to 2^24; perception at a sixth of its range stays below that whatever the weights."""
    worst_sum = 48 * 127 * (4096 // 6) + 4 * 32767
    assert worst_sum < 2**24
    assert np.float32(2**24) + np.float32(1) == np.float32(2**24)
