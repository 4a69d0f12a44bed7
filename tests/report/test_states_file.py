"""states.npz: what is read is what was written, the same run gives the same bytes, and nothing damaged or foreign gets in."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nca_hw.core.genome import load as load_genome
from nca_hw.core.model import FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.report import states
from nca_hw.report.states import StatesFile, load, save
from nca_hw.sim.faults import Kill
from nca_hw.sim.regions import parse
from nca_hw.sim.rules import FloatRule, IntegerRule
from nca_hw.sim.run import Result, simulate
from nca_hw.sim.scenario import Scenario

UNIT = Scenario.interval
LIZARD = load_genome("lizard")
same_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def run(**changes: Any) -> Result:
    fields: dict[str, Any] = {"duration": 20 * UNIT, "faults": (Kill(parse("30%"), 10 * UNIT, 3 * UNIT),), "seed": 3, **changes}
    return simulate(Scenario(9, 7, **fields), IntegerRule(LIZARD))


@st.composite
def recordings(draw: st.DrawFn) -> StatesFile:
    """Any states: codes with all their extremes, or floats with infinities and NaN."""
    shape = tuple(draw(st.integers(1, high)) for high in (6, 5, 5, 16))
    times = np.cumsum(draw(st.lists(st.integers(1, 2**40), min_size=shape[0], max_size=shape[0]))) - 1
    dtype = draw(st.sampled_from([np.int8, np.float32, np.float64]))
    powered = draw(arrays(np.bool_, shape[:3]))
    told = draw(st.sampled_from([None, "0" * 64]))
    return StatesFile(times, draw(arrays(dtype, shape)), powered, told, draw(st.integers(0, 2**32 - 1)), "f" * 64, UNIT)


@same_folder
@given(recordings())
def test_what_is_read_is_what_was_written(tmp_path: Path, recorded: StatesFile) -> None:
    save(recorded, tmp_path / "states.npz")
    found = load(tmp_path / "states.npz")
    assert found.states.dtype == recorded.states.dtype
    assert found.powered.dtype == np.bool_
    for name in ("times", "states", "powered"):
        np.testing.assert_array_equal(getattr(found, name), getattr(recorded, name))
    for name in ("genome_hash", "seed", "trajectory_hash", "interval"):
        assert getattr(found, name) == getattr(recorded, name)


def test_a_runs_file_holds_its_recording_and_says_where_it_comes_from(tmp_path: Path) -> None:
    result = run()
    save(result, tmp_path / "states.npz")
    found, recording = load(tmp_path / "states.npz"), result.recording
    assert found.times.tolist() == recording.times
    np.testing.assert_array_equal(found.states, recording.states)
    np.testing.assert_array_equal(found.powered, recording.powered)
    assert not found.powered.all()
    assert (found.genome_hash, found.seed, found.interval) == (LIZARD.cell_hash, 3, UNIT)
    assert found.trajectory_hash == recording.trajectory.hexdigest()


def test_a_float_run_keeps_its_floats(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = FloatModel(*(rng.normal(0, 0.05, shape).astype(np.float32) for shape in ((48, 4), (4,), (4, 16), (16,))))
    result = simulate(Scenario(5, 4, duration=6 * UNIT), FloatRule(model))
    save(result, tmp_path / "states.npz")
    found = load(tmp_path / "states.npz")
    assert found.states.dtype == np.float32
    np.testing.assert_array_equal(found.states, result.recording.states)
    assert found.genome_hash is None


def test_the_same_run_gives_the_same_bytes_on_either_engine(tmp_path: Path) -> None:
    for name, engine in (("a", "fast"), ("b", "fast"), ("c", "simpy")):
        save(simulate(Scenario(9, 7, seed=3, duration=9 * UNIT), IntegerRule(LIZARD), engine=engine), tmp_path / name)  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == (tmp_path / "c").read_bytes()


def test_a_default_run_takes_less_than_a_tenth_of_its_raw_states(tmp_path: Path) -> None:
    scenario = Scenario(40, 40, seed=1, duration=400 * UNIT, faults=(Kill(parse("30%"), 200 * UNIT, 10 * UNIT),))
    result = simulate(scenario, IntegerRule(LIZARD))
    save(result, tmp_path / "states.npz")
    raw = sum(one.nbytes for one in result.recording.states)
    assert raw == 401 * 1600 * 16
    assert (tmp_path / "states.npz").stat().st_size < raw / 10


def test_numpy_alone_reads_the_arrays(tmp_path: Path) -> None:
    """Whoever has no nca-hw adds up the steps of a cell."""
    result = run()
    save(result, tmp_path / "states.npz")
    with np.load(tmp_path / "states.npz", allow_pickle=False) as archive:
        first, steps, meta = archive["first"], archive["steps"], json.loads(archive["meta"].tobytes())
    assert meta["schema"] == "nca-hw/states/1"
    last = (first.astype(int) + steps.astype(int).sum(2) + 128) % 256 - 128
    np.testing.assert_array_equal(last, result.recording.states[-1])


# What is refused.


def refused(path: Path, message: str) -> None:
    with pytest.raises(NcaHwError, match=message) as caught:
        load(path)
    assert caught.value.where == str(path)
    assert caught.value.cure


def changed(path: Path, **arrays: Any) -> Path:
    """A sound file, with other arrays in the place of its own (None: without it)."""
    save(run(), path)
    with np.load(path) as archive:
        held: dict[str, Any] = {**archive, **arrays}
    np.savez_compressed(path, **{name: value for name, value in held.items() if value is not None})
    return path


def test_a_sound_file_that_is_written_again_by_numpy_is_still_sound(tmp_path: Path) -> None:
    assert load(changed(tmp_path / "s.npz")).seed == 3


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "absent.npz", "No such file")
    refused(tmp_path, "can't be read")
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz", "not a sound .npz")
    np.savez(tmp_path / "other.npz", w1=np.zeros(3))
    refused(tmp_path / "other.npz", "does not hold what a recording holds")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"meta": np.frombuffer(b"{", np.uint8)}, "no recording of the kind nca-hw/states/1"),
        ({"meta": np.frombuffer(b'{"schema": "nca-hw/states/2"}', np.uint8)}, "no recording of the kind nca-hw/states/1"),
        ({"meta": np.frombuffer(b'{"schema": "nca-hw/states/1"}', np.uint8)}, "lost what it says of itself"),
        ({"times": np.zeros(21, np.int64)}, "without an order of time"),
        ({"times": np.arange(2**63 - 20, 2**63 + 1, dtype=np.uint64).view(np.int64)}, "without an order of time"),
        ({"times": np.arange(20)}, "holds powered as"), ({"times": np.arange(21.0)}, r"holds times as <f8 \[21\], expected <i8"),
        ({"steps": np.zeros((7, 9, 20, 16), np.int8)}, "holds steps as"),
        ({"first": np.zeros((9, 7, 16), np.int8)}, r"holds first as \|i1 \[9, 7, 16\], expected \|i1 \[7, 9, 16\]"),
        ({"first": np.zeros((16, 9, 7), np.int8).T}, "in another form"), ({"first": np.array([None])}, "in another form"),
        ({"powered": np.zeros(3, np.uint8)}, "holds powered as"), ({"powered": None}, "does not hold"),
        ({"states": np.zeros(1)}, "does not hold"),
    ],
)  # fmt: skip
def test_a_file_that_contradicts_itself_is_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    refused(changed(tmp_path / "s.npz", **arrays), message)


@pytest.mark.parametrize("name", ["meta", "times", "powered", "first", "steps"])
def test_a_file_that_unpacks_to_far_more_than_a_recording_is_refused_before_it_does(tmp_path: Path, name: str) -> None:
    path = tmp_path / "bomb.npz"
    save(run(), path)
    with zipfile.ZipFile(path) as archive:
        held = {one: archive.read(one) for one in archive.namelist()}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8" if name == "times" else "|u1", "fortran_order": False, "shape": (100_000_000_000,)}
    )
    held[f"{name}.npy"] = header.getvalue() + bytes(20_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for one, data in held.items():
            archive.writestr(one, data)
    del held, data
    tracemalloc.start()
    refused(path, "declares|holds first|holds steps|holds powered")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_an_array_with_something_behind_it_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.npz"
    save(run(), path)
    with zipfile.ZipFile(path) as archive:
        held = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in held.items():
            archive.writestr(one, data + b"x" * (one == "steps.npy"))
    refused(path, "holds steps as")


def test_a_member_that_holds_more_than_it_declares_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "liar.npz"
    save(run(), path)
    with zipfile.ZipFile(path) as archive:
        held = {one: archive.read(one) for one in archive.namelist()}
    honest = len(held["steps.npy"])
    held["steps.npy"] += bytes(20_000_000)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for one, data in held.items():
            archive.writestr(one, data)
    found = path.read_bytes()
    path.write_bytes(found.replace((honest + 20_000_000).to_bytes(4, "little"), honest.to_bytes(4, "little")))
    del held, data
    tracemalloc.start()
    refused(path, "not a sound .npz")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@same_folder
@given(st.data())
def test_a_damaged_file_is_read_as_it_was_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "states.npz"
    if not path.exists():
        save(run(duration=3 * UNIT, faults=()), path)
    whole = path.read_bytes()
    spoilt = bytearray(whole)
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        spoilt[at] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(spoilt[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    try:
        found = load(damaged)
    except NcaHwError as error:
        assert error.where == str(damaged)
    else:
        np.testing.assert_array_equal(found.states, load(path).states)


def test_more_than_a_file_may_hold_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "STATES_LIMIT", 20_000)
    with pytest.raises(NcaHwError, match="21 states of 9x7 cells are more than a file may hold"):
        save(run(), tmp_path / "s.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_seed_is_another_file(tmp_path: Path) -> None:
    save(run(), tmp_path / "s.npz")
    other = replace(load(tmp_path / "s.npz"), seed=4)
    save(other, tmp_path / "t.npz")
    assert load(tmp_path / "t.npz").seed == 4
    assert (tmp_path / "s.npz").read_bytes() != (tmp_path / "t.npz").read_bytes()
