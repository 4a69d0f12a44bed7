"""A run learns, repeats itself, survives interruption, and says what is wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from nca_hw.core import quantize
from nca_hw.core.dequantize import dequantize
from nca_hw.core.genome import load
from nca_hw.core.model import FloatModel, network, seed_grid
from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.formats.picture import from_png_bytes
from nca_hw.train import TrainSettings, backend, loop, train
from nca_hw.train.judge import Verdict
from nca_hw.train.loop import Trainer, balanced, carried_back
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


def test_progress_shows_the_batch_as_it_ended(blob):
    told = []
    train(blob, replace(SMALL, steps=3), progress=told.append)
    for progress in told:
        assert progress.grids.shape == (SMALL.batch, 8, 8, 16)
        assert ((progress.grids[..., :4] - blob) ** 2).mean() == pytest.approx(progress.loss, rel=1e-4)


def test_import_does_not_load_torch():
    code = "import sys, nca_hw.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd="/", check=False).returncode == 0  # not beside the sources


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
    calm = replace(SMALL, weather=0, damaged=0)  # lost messages and cells that have heard nobody are the C's alone
    c, torch = Trainer(blob, calm, NativeEngine(*size)), Trainer(blob, calm, TorchEngine(*size, "cpu"))
    pairs = [(c.advance(), torch.advance()) for _ in range(calm.steps)]
    assert c.integer and torch.integer
    assert c.s1 == torch.s1
    np.testing.assert_allclose(*np.transpose(pairs), rtol=0.02)
    np.testing.assert_allclose(*np.transpose(pairs[:5]), rtol=1e-4)


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"pool": 2}, {"rollout": (5, 4)}, {"update_rate": (0.0, 0.5)}, {"damaged": 4}, {"turn": 360}, {"device": "tpu"},
            {"regime": "bloom"}, {"weather": 1.5}, {"lost": (0.5, 0.2)}],
)  # fmt: skip
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


class Recorder:
    """An engine that keeps what it was asked for, and computes nothing."""

    loses = True

    def __init__(self):
        self.rollouts, self.starts = [], []

    def forward(self, model, genome, rollout, start):
        self.rollouts.append(rollout)
        self.starts.append(start.copy())
        return np.stack([start for _ in rollout.marks])

    def backward(self, towards):
        return {"w1": np.zeros((48, 128), np.float32), "b1": np.zeros(128, np.float32), "w2": np.zeros((128, 16), np.float32),
                "b2": np.zeros(16, np.float32)}  # fmt: skip

    def perceptions(self, most):
        return np.zeros((4, 48), np.float32)


def recorded(blob, **changes):
    engine = Recorder()
    trainer = Trainer(blob, replace(SMALL, damage_from=0, integer_from=1, steps=40, **changes), engine)
    for _ in range(40):
        trainer.advance()
    return engine


def test_regimes_differ_in_what_they_start_from(blob):
    seed = seed_grid(8, 8)
    for regime, all_seeds, any_struck in (("grow", True, False), ("persist", True, False), ("regenerate", False, True)):
        engine = recorded(blob, regime=regime, weather=0)  # nothing changes in this engine: without damage all grids stay seeds
        assert all(np.array_equal(grid, seed) for start in engine.starts for grid in start) == all_seeds
        assert any(rollout.deaf is not None for rollout in engine.rollouts) == any_struck


def test_weather_is_in_as_many_grids_as_stated(blob):
    engine = recorded(blob, weather=0.5, lost=(0.1, 0.3), clocks_apart=0.2)
    lost = np.concatenate([np.zeros(SMALL.batch) if one.lost is None else one.lost for one in engine.rollouts])
    assert 0.35 < (lost > 0).mean() < 0.65
    assert lost[lost > 0].min() >= 0.1
    assert lost.max() <= 0.3
    spread = np.concatenate([one.wakes.max((1, 2)) / one.wakes.min((1, 2)) for one in engine.rollouts])
    np.testing.assert_array_equal(spread > 1, lost > 0)
    assert spread.max() < 1.2 / 0.8 + 0.01


def test_what_is_damaged_has_heard_nobody(blob):
    engine = recorded(blob, damaged=2, weather=0)
    for start, rollout in zip(engine.starts, engine.rollouts, strict=True):
        struck = np.zeros(start.shape[:3], bool) if rollout.deaf is None else rollout.deaf
        assert not struck[2:].any()
        assert not start[struck].any()


def test_the_best_that_the_simulator_judged_is_kept_also_by_a_resumed_run(blob, tmp_path):
    judged = replace(SMALL, judge_every=5, judge_from=0.5, judge_seeds=1)
    verdicts = []
    whole = train(blob, judged, progress=lambda p: verdicts.append((p.step, p.verdict)) if p.verdict else None)
    assert [step for step, _ in verdicts] == [20, 25, 30]
    best = verdicts[0]
    for one in verdicts[1:]:
        best = one if one[1].beats(best[1]) else best
    assert (whole.judged_at, whole.verdict) == best

    train(blob, judged, folder=tmp_path, progress=lambda p: os.kill(os.getpid(), signal.SIGINT) if p.step == 22 else None)
    rest = train(blob, judged, folder=tmp_path, resume=True)
    assert (rest.judged_at, rest.verdict) == best
    assert all(np.array_equal(a, b) for a, b in zip(weights_of(whole), weights_of(rest), strict=True))


def test_more_survived_beats_less_loss():
    few, many = Verdict(5, 10, 0.001), Verdict(6, 10, 0.002)
    assert many.beats(few)
    assert not few.beats(many)
    assert Verdict(6, 10, 0.001).beats(many)
    assert few.beats(None)
    assert Verdict(10, 10, 1).whole


def test_growth_is_never_given_for_healing():
    grows, heals = Verdict(60, 100, 0.0005, grown=40), Verdict(90, 100, 0.005, grown=39)
    assert grows.beats(heals)
    assert not heals.beats(grows)


def test_a_run_from_weights_begins_with_what_they_compute(blob):
    rng = np.random.default_rng(0)
    model = FloatModel(*(rng.standard_normal(shape).astype(np.float32) for shape in ((48, 128), (128,), (128, 16), (16,))))
    scaled = FloatModel(**balanced(model))
    x = rng.standard_normal((50, 48)).astype(np.float32)
    np.testing.assert_allclose(network(scaled, x), network(model, x), rtol=1e-3, atol=1e-3)
    assert np.sqrt((scaled.w1**2).mean()) == pytest.approx(0.12, rel=1e-4)
    trained = train(blob, replace(SMALL, steps=1, hidden=128, rate_start=1e-9, rate_end=1e-9), start=model)
    np.testing.assert_allclose(network(trained.model, x), network(model, x), rtol=1e-3, atol=1e-3)


def test_tuning_never_ends_with_less_than_it_began_with():
    pepper = load("pepper")
    ruinous = replace(
        SMALL, steps=3, hidden=128, regime="grow", rate_start=1.0, rate_end=1.0, integer_from=0, judge_every=1, judge_seeds=1,
    )  # fmt: skip
    trained = train(from_png_bytes(pepper.target), ruinous, start=dequantize(pepper))
    assert trained.judged_at == 0
    assert trained.verdict.whole
    assert trained.verdict.loss < 1e-4


def test_a_run_ends_when_all_is_survived(blob, monkeypatch):
    monkeypatch.setattr(loop, "judge", lambda *_, **__: Verdict(9, 9, 0.001))
    trained = train(blob, replace(SMALL, judge_every=5, until_survived=True))
    assert trained.steps == 25
    assert not trained.interrupted


@pytest.mark.parametrize(("start_stays", "kept"), [(True, 0), (False, 2)])
def test_a_picture_that_no_longer_stays_is_not_kept(monkeypatch: pytest.MonkeyPatch, start_stays: bool, kept: int) -> None:
    """The long trial has the last word between what training starts from and what it makes of that."""
    pepper = load("pepper")
    monkeypatch.setattr(loop, "_steady", lambda best, *_: 4 if (best.step == 0) is start_stays else 3)
    monkeypatch.setattr(Verdict, "beats", lambda *_: True)  # the last one judged is the best
    few = replace(SMALL, steps=2, hidden=128, integer_from=0, judge_every=2, judge_from=1.0, judge_seeds=1)
    assert train(from_png_bytes(pepper.target), few, start=dequantize(pepper)).judged_at == kept


def test_weights_are_begun_with_as_training_and_as_the_quantizer_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pepper, few = load("pepper"), replace(SMALL, steps=1, hidden=128, integer_from=0, judge_every=1, judge_from=1.0, judge_seeds=1)
    begun = {}
    for shift in (3, 14):
        monkeypatch.setattr(quantize, "hidden_shift", lambda *_, shift=shift: shift)
        monkeypatch.setattr(loop, "_steady", lambda best, *_, shift=shift: int(best.s1 == shift))  # that reading alone stays
        begun[shift] = train(from_png_bytes(pepper.target), few, start=dequantize(pepper))
        assert (begun[shift].s1, begun[shift].judged_at) == (shift, 0)
    monkeypatch.setattr(loop, "_steady", lambda *_: 4)
    usual = train(from_png_bytes(pepper.target), few, start=dequantize(pepper))
    assert usual.s1 not in begun  # readings that are worse in every trial are not kept
