"""The step that is trained is the integer cell, bit for bit, and its gradient is that of the float rule."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'nca-hw[train]'")

from nca_hw.core import model as float_model  # noqa: E402
from nca_hw.core import quantize, reference  # noqa: E402
from nca_hw.train.rule import Integer, Weights, flatten, flatten_mask, unflatten, wake  # noqa: E402

HEIGHT, WIDTH = 9, 11


def lively_weights(seed: int) -> Weights:
    """Weights under which a seed grows into moving, saturating patterns."""
    rng = np.random.default_rng(seed)
    weights = Weights(rng)
    with torch.no_grad():
        weights.b1 += torch.from_numpy(rng.normal(0, 0.1, weights.b1.shape).astype(np.float32))
        weights.w2 += torch.from_numpy(rng.normal(0, 0.05, weights.w2.shape).astype(np.float32))
        weights.b2 += torch.from_numpy(rng.normal(0, 0.05, weights.b2.shape).astype(np.float32))
    return weights


def random_codes(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    codes = rng.integers(-127, 128, (*shape, 16)) * (rng.random((*shape, 1)) < 0.5)
    return codes.astype(np.int8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_trained_step_is_the_integer_reference_to_the_bit(seed):
    rng = np.random.default_rng(seed)
    weights = lively_weights(seed)
    model = weights.model()
    genome = quantize.assemble(model, s1=10)
    cell = Integer.of(genome, model)
    codes = random_codes(rng, (HEIGHT, WIDTH))
    states = flatten((reference.val(genome, codes) / 256).astype(np.float32)[None])

    moved = 0
    for _ in range(30):
        fires = rng.random((HEIGHT, WIDTH)) < 0.5
        new, _ = reference.wake(genome, codes, reference.gather_neighbours(codes))
        expected = np.where(fires[..., None], new, codes)
        moved += np.count_nonzero(expected != codes)
        codes = expected
        with torch.no_grad():
            states = wake(states, weights, flatten_mask(fires[None]), WIDTH + 2, cell)
        np.testing.assert_array_equal(unflatten(states, HEIGHT, WIDTH)[0].numpy() * 256, reference.val(genome, codes))

    assert moved > 1000


def test_float_phase_is_the_float_rule_of_a_waking_cell():
    rng = np.random.default_rng(5)
    weights = lively_weights(5)
    grid = rng.normal(0, 0.3, (HEIGHT, WIDTH, 16)).astype(np.float32)
    everyone = np.ones((HEIGHT, WIDTH), bool)

    with torch.no_grad():
        after = unflatten(wake(flatten(grid[None]), weights, flatten_mask(everyone[None]), WIDTH + 2, None), HEIGHT, WIDTH)[0].numpy()

    model = weights.model()
    expected = grid + float_model.network(model, float_model.perceive(grid))
    lives = after.any(-1)
    np.testing.assert_allclose(after[lives], expected[lives], atol=1e-5)
    assert lives.sum() > HEIGHT * WIDTH // 2


def test_gradient_is_the_float_rules_own():
    rng = np.random.default_rng(7)
    weights = lively_weights(7)
    grid = torch.from_numpy(rng.uniform(0.2, 0.6, (HEIGHT, WIDTH, 16)).astype(np.float32))  # alpha high: the mask takes nothing away
    fires = rng.random((HEIGHT, WIDTH)) < 0.5
    towards = torch.from_numpy(rng.normal(size=(HEIGHT, WIDTH, 16)).astype(np.float32))

    padded = torch.nn.functional.pad(grid[None], (0, 0, 1, 1, 1, 1)).reshape(-1, 16).requires_grad_()
    by_hand = wake(padded, weights, flatten_mask(fires[None]), WIDTH + 2, None)
    (unflatten(by_hand, HEIGHT, WIDTH)[0] * towards).sum().backward()
    mine = [p.grad.clone() for p in weights.parameters()] + [unflatten(padded.grad, HEIGHT, WIDTH)[0]]

    weights.zero_grad()
    leaf = grid.clone().requires_grad_()
    (autograd_step(leaf, weights, torch.from_numpy(fires)) * towards).sum().backward()
    theirs = [p.grad for p in weights.parameters()] + [leaf.grad]

    for a, b in zip(mine, theirs, strict=True):
        assert b.abs().max() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def autograd_step(grid, weights, fires):
    """The float rule without its mask, written with PyTorch's own convolution."""
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
    kernels = torch.stack([sobel, sobel.T])[:, None]
    planes = grid.permute(2, 0, 1)[:, None]
    edges = torch.nn.functional.conv2d(planes, kernels, padding=1)
    perception = torch.cat([grid, edges[:, 0].permute(1, 2, 0), edges[:, 1].permute(1, 2, 0)], -1)
    update = torch.relu(perception @ weights.w1 + weights.b1) @ weights.w2 + weights.b2
    return grid + update * fires[..., None]


def test_gradients_flow_through_many_integer_steps():
    weights = lively_weights(11)
    model = weights.model()
    cell = Integer.of(quantize.assemble(model, s1=10), model)
    states = flatten(np.repeat(float_model.seed_grid(HEIGHT, WIDTH)[None], 2, axis=0))
    rng = np.random.default_rng(11)

    for _ in range(12):
        states = wake(states, weights, flatten_mask(rng.random((2, HEIGHT, WIDTH)) < 0.5), WIDTH + 2, cell)
    (states**2).mean().backward()

    for name, p in weights.named_parameters():
        assert torch.isfinite(p.grad).all(), name
        assert p.grad.abs().max() > 0, name


def test_float32_is_exact_up_to_its_stated_bound():
    """Float32 has no gaps up to 2^24; perception at a sixth of its range stays below that whatever the weights."""
    worst_sum = 48 * 127 * (4096 // 6) + 4 * 32767
    assert worst_sum < 2**24
    assert np.float32(2**24) + np.float32(1) == np.float32(2**24)
