"""A run learns, repeats itself, survives interruption, and says what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.train import TrainSettings, backend, train
from nca_hw.train.loop import Trainer, carried_back
from nca_hw.train.native import NativeEngine

SMALL = TrainSettings(steps=30, seed=3, batch=4, pool=8, rollout=(8, 12), damaged=1, integer_from=0.5, device="cpu", checkpoint_every=10)


@pytest.fixture
def blob():
    """An orange disc on an 8x8 canvas, premultiplied."""
    y, x = np.mgrid[:8, :8]
    alpha = ((y - 4) ** 2 + (x - 4) ** 2 < 7).astype(np.float32)
    return alpha[..., None] * np.array([0.9, 0.5, 0.1, 1], np.float32)


def weights_of(trained):
    m = trained.model
    return [m.w1, m.b1, m.w2, m.b2]


def test_training_lowers_the_loss(blob):
    losses = train(blob, replace(SMALL, steps=120, damaged=0)).losses
    assert np.mean(losses[-10:]) < 0.5 * losses[0]


def test_same_seed_same_weights_other_seed_others(blob):
    first, again, other = train(blob, SMALL), train(blob, SMALL), train(blob, replace(SMALL, seed=4))
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(first), weights_of(again), strict=True))
    assert not np.array_equal(first.model.w1, other.model.w1)


@pytest.mark.parametrize("stop_at", [7, 20])  # in the float phase and in the integer phase
def test_interrupted_and_resumed_is_as_never_interrupted(blob, tmp_path, stop_at):
    whole = train(blob, SMALL)

    def press_ctrl_c(p):
        if p.step == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    part = train(blob, SMALL, folder=tmp_path, progress=press_ctrl_c)
    rest = train(blob, SMALL, folder=tmp_path, resume=True)

    assert part.interrupted
    assert part.steps == stop_at
    assert not rest.interrupted
    assert rest.losses == whole.losses
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(whole), weights_of(rest), strict=True))
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 1 + SMALL.steps


def test_checkpoint_holds_no_pickle(blob, tmp_path):
    train(blob, replace(SMALL, steps=2), folder=tmp_path)
    with np.load(tmp_path / "checkpoint.npz", allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_checkpoint_refuses_what_does_not_belong_to_it(blob, tmp_path):
    train(blob, replace(SMALL, steps=2), folder=tmp_path)
    with pytest.raises(NcaHwError, match="holds a checkpoint already"):
        train(blob, SMALL, folder=tmp_path)
    with pytest.raises(NcaHwError, match="was started with seed 3, not 4"):
        train(blob, replace(SMALL, steps=2, seed=4), folder=tmp_path, resume=True)
    with pytest.raises(NcaHwError, match="another picture"):
        train(blob * np.float32(0.5), replace(SMALL, steps=2), folder=tmp_path, resume=True)
    with pytest.raises(NcaHwError, match="no checkpoint to resume from"):
        train(blob, SMALL, folder=tmp_path / "empty", resume=True)
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(NcaHwError, match="is damaged"):
        train(blob, replace(SMALL, steps=2), folder=tmp_path, resume=True)


def test_progress_counts_and_names_the_phase(blob):
    told = []
    train(blob, replace(SMALL, steps=4), progress=told.append)
    assert [(p.step, p.steps, p.phase) for p in told] == [(1, 4, "float"), (2, 4, "float"), (3, 4, "integer"), (4, 4, "integer")]
    assert all(p.steps_per_second > 0 for p in told)
    assert told[-1].eta == 0


def test_import_does_not_load_torch():
    code = "import sys, nca_hw.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_pytorch_a_gpu_is_refused_with_the_cure_and_the_cpu_trains(blob, monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissing, match="no GPU") as refused:
        train(blob, replace(SMALL, device="gpu"))
    assert "nca-hw[train]" in refused.value.cure
    assert train(blob, replace(SMALL, steps=2, device="auto")).steps == 2


def test_threads_change_nothing(blob):
    one, three = (train(blob, replace(SMALL, threads=threads)) for threads in (1, 3))
    assert one.losses == three.losses


def test_pytorch_goes_the_same_way_as_the_c(blob):
    pytest.importorskip("torch", reason="needs PyTorch: pip install 'nca-hw[train]'")
    from nca_hw.train.gpu import TorchEngine

    size = (SMALL.batch, *blob.shape[:2])
    c, torch = Trainer(blob, SMALL, NativeEngine(*size)), Trainer(blob, SMALL, TorchEngine(*size, "cpu"))
    pairs = [(c.advance(), torch.advance()) for _ in range(SMALL.steps)]
    assert c.integer and torch.integer
    assert c.s1 == torch.s1
    np.testing.assert_allclose(*np.transpose(pairs), rtol=0.02)
    np.testing.assert_allclose(*np.transpose(pairs[:5]), rtol=1e-4)


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"pool": 2}, {"rollout": (5, 4)}, {"update_rate": (0.0, 0.5)}, {"damaged": 4}, {"device": "tpu"}]
)
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(NcaHwError, match=f"training setting {next(iter(bad))} is"):
        replace(SMALL, **bad)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 3), (2, 8, 4)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(NcaHwError, match="the picture has shape"):
        train(np.ones(shape, np.float32), SMALL)


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (-1, 1), (-1, -1)])
def test_wandered_grid_is_carried_back_whole(blob, step):
    hidden = np.repeat(blob[..., 3:], 12, axis=-1) * np.random.default_rng(1).normal(size=(8, 8, 12)).astype(np.float32)
    in_place = np.concatenate([blob, hidden], axis=-1)
    wandered = np.roll(in_place, step, (0, 1))
    np.testing.assert_array_equal(carried_back(wandered, blob), in_place)


def test_grid_that_is_in_place_or_no_picture_at_all_stays(blob):
    in_place = np.concatenate([blob, np.zeros((8, 8, 12), np.float32)], axis=-1)
    halved = in_place * (np.arange(8) < 4)[:, None, None]
    for grid in (in_place, halved, np.zeros_like(in_place)):
        assert carried_back(grid, blob) is grid
