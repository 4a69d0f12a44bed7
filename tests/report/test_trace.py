"""A trace tells what the run did: held against the reference engine's updates and recording, read back by readers of other authors."""

from __future__ import annotations

import gzip
import itertools
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from vcdvcd import VCDVCD

from nca_hw.core.model import FloatModel
from nca_hw.errors import NcaHwError
from nca_hw.report import trace
from nca_hw.report.trace import Tracer
from nca_hw.sim.faults import Babble, Brownout, Cut, Kill, Plant, Slow, Stranger, Stuck
from nca_hw.sim.regions import Tile, parse
from nca_hw.sim.rules import FloatRule, IntegerRule
from nca_hw.sim.run import Engine, Result, simulate
from nca_hw.sim.scenario import Scenario

UNIT = Scenario.interval
RULE = IntegerRule(shipped_size_genome(2, alive=0))
STRANGER = IntegerRule(shipped_size_genome(4))
TARGET = np.ones((4, 4, 4), np.float32)
FAULTS = (
    Kill(parse("40%"), 6 * UNIT, 4 * UNIT, memory="random"), Kill(parse("40%"), 8 * UNIT, 5 * UNIT), Kill(parse("1"), 25 * UNIT, None),
    Brownout(parse("1 tiles"), 15 * UNIT, 2 * UNIT, recovery=2 * UNIT), Stuck(parse("30%"), 7 * UNIT, 5 * UNIT, every=8 * UNIT, times=2),
    Babble(parse("3"), 9 * UNIT, 7 * UNIT), Slow(parse("50%"), 5 * UNIT, 12 * UNIT, factor=3.0), Slow(parse("50%"), 11 * UNIT, 9 * UNIT),
    Cut(parse("tile 1,1"), 10 * UNIT, 5 * UNIT), Cut(parse("all"), 12 * UNIT, 6 * UNIT, direction="out"),
    Stranger(parse("4"), 13 * UNIT, 8 * UNIT, genome="stranger"), Plant(parse("5"), 9 * UNIT), Plant(parse("seed"), 20 * UNIT),
)  # fmt: skip


def scenario(seed: int = 1, **changes: Any) -> Scenario:
    fields: dict[str, Any] = {"tile_width": 3, "tile_height": 2, "stagger": 3 * UNIT, "duration": 30 * UNIT, "faults": FAULTS, **changes}
    return Scenario(9, 6, seed=seed, sample_every=UNIT // 2, **fields)


def traced(world: Scenario, engine: Engine = "simpy", **choice: Any) -> tuple[Tracer, Result, list[tuple[int, int, list[int]]]]:
    """A run, its tracer, and by another way what the tracer should have heard: time, cell and codes of every update."""
    tracer, heard = Tracer(world, RULE, **choice), bytearray()

    def listen(records: bytes) -> None:
        heard.extend(records)
        tracer.listen(records)

    result = simulate(world, RULE, TARGET, engine=engine, strangers={"stranger": STRANGER}, listener=listen)
    rows = [struct.unpack_from("<QI16b", heard, at) for at in range(0, len(heard), 28)]
    return tracer, result, [(time, cell, list(codes)) for time, cell, *codes in rows]


def chrome(tracer: Tracer, result: Result, folder: Path, **how: Any) -> list[dict[str, Any]]:
    tracer.write(folder / "trace.json", result, **how)
    found = json.loads((folder / "trace.json").read_bytes())
    assert found["otherData"]["trajectory_hash"] == result.recording.trajectory.hexdigest()
    return list(found["traceEvents"])


def ns(event: dict[str, Any], name: str = "ts") -> int:
    return round(event[name] * 1000)


def end(event: dict[str, Any]) -> int:
    return ns(event) + ns(event, "dur")


# Chrome trace events.


def test_every_update_is_a_complete_event_in_the_order_of_the_trajectory(tmp_path: Path) -> None:
    tracer, result, heard = traced(scenario())
    events = [one for one in chrome(tracer, result, tmp_path) if one.get("cat") == "update"]
    assert len(heard) == result.recording.counters.updates > 800
    assert [(ns(one), one["tid"] - 1, one["args"]["codes"]) for one in events] == heard
    assert all(one["args"]["alpha"] == one["args"]["codes"][3] for one in events)
    assert {one["name"] for one in events} <= {"update", "update, no change"}


def test_updates_that_change_nothing_are_named_so(tmp_path: Path) -> None:
    """Nothing ever changes in a still genome but what babbles."""
    still = IntegerRule(shipped_size_genome(w2=np.zeros((128, 16), np.int8), b2=np.zeros(16, np.int16), alive=0))
    world = scenario(faults=(Babble(parse("1x1@0,0"), 5 * UNIT),), stagger=0)
    tracer = Tracer(world, still)
    result = simulate(world, still, listener=tracer.listen)
    updates = [one for one in chrome(tracer, result, tmp_path) if one.get("cat") == "update"]
    named = {name: {one["tid"] - 1 for one in updates if one["name"] == name} for name in ("update", "update, no change")}
    assert named["update"] == {0}
    assert named["update, no change"] == set(range(54))


def test_an_update_says_whether_it_changed_the_state(tmp_path: Path) -> None:
    tracer, result, heard = traced(scenario(faults=(), stagger=0))
    seed_cell = result.scenario.seed_cell
    now = {cell: [0] * 16 for cell in range(54)} | {seed_cell: RULE.genome.seed.tolist()}
    events = [one for one in chrome(tracer, result, tmp_path) if one.get("cat") == "update"]
    for event, (_, cell, codes) in zip(events, heard, strict=True):
        assert event["args"]["changed"] == (now[cell] != codes) == (event["name"] == "update")
        now[cell] = codes


def test_the_events_obey_the_rules_of_the_format(tmp_path: Path) -> None:
    tracer, result, _ = traced(scenario())
    events = chrome(tracer, result, tmp_path)
    needed = {"M": {"name", "args"}, "X": {"name", "cat", "ts", "dur"}, "i": {"name", "cat", "ts", "s"}, "C": {"name", "ts", "args"}}
    for event in events:
        assert needed[event["ph"]] | {"pid", "tid"} <= event.keys()
        assert all(type(event[name]) is int for name in ("pid", "tid"))
        assert event.get("ts", 0.0) >= 0
        assert event.get("dur", 0.0) >= 0
    timed = [one["ts"] for one in events if "ts" in one]
    assert timed == sorted(timed)
    named = {one["pid"]: one["args"]["name"] for one in events if one["name"] == "process_name"}
    assert named == {1: "array", **{2 + 3 * y + x: f"tile {x},{y}" for y in range(3) for x in range(3)}}
    threads = {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == "thread_name"}
    assert len(threads) == 54
    assert threads[2 + 3 * 2 + 1, 1 + 5 * 9 + 4] == "cell 4,5"
    assert {(one["pid"], one["tid"]) for one in events if one["ph"] == "X"} == set(threads)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("update_ns", [20_000_000, 70_000_000])
def test_spans_of_a_thread_lie_apart_or_within_one_another(tmp_path: Path, seed: int, update_ns: int) -> None:
    tracer, result, _ = traced(scenario(seed), engine="fast")
    threads: dict[int, list[dict[str, Any]]] = {}
    for event in chrome(tracer, result, tmp_path, update_ns=update_ns):
        if event["ph"] == "X":
            threads.setdefault(event["tid"], []).append(event)
            assert end(event) <= result.scenario.duration
    for events in threads.values():
        around: list[dict[str, Any]] = []
        for event in events:
            while around and end(around[-1]) <= ns(event):
                around.pop()
            assert not around or end(event) <= end(around[-1])
            assert not around or around[-1]["cat"] == "fault"
            around.append(event)


def test_an_update_lasts_as_stated_but_no_longer_than_to_the_next(tmp_path: Path) -> None:
    tracer, result, heard = traced(scenario(faults=(), stagger=0))
    for stated in (20_000_000, 10**12):
        events = [one for one in chrome(tracer, result, tmp_path, update_ns=stated) if one.get("cat") == "update"]
        for cell in (0, 30):
            own = [one for one in events if one["tid"] == cell + 1]
            times = [*(time for time, which, _ in heard if which == cell), result.scenario.duration]
            assert [ns(one, "dur") for one in own] == [min(stated, b - a) for a, b in itertools.pairwise(times)]


@pytest.mark.parametrize("seed", range(4))
def test_cells_are_without_power_where_the_recording_says_so(tmp_path: Path, seed: int) -> None:
    tracer, result, _ = traced(scenario(seed), engine="fast")
    dark = np.zeros((len(result.recording.times), 54), np.bool_)
    times = np.array(result.recording.times)
    for event in chrome(tracer, result, tmp_path):
        if event.get("cat") == "fault" and event["name"] in ("kill", "brownout", "no power"):
            last = end(event) == result.scenario.duration  # a span ends with power, but not the last one
            dark[(ns(event) <= times) & ((times < end(event)) | (last & (times == end(event)))), event["tid"] - 1] = True
    np.testing.assert_array_equal(dark, ~np.array(result.recording.powered).reshape(len(times), -1))


def test_faults_stand_on_their_cells_by_name_and_number(tmp_path: Path) -> None:
    """Told from the scenario alone: one fault of each kind on one cell, none at the time of another."""
    one = parse("1x1@4,3")
    faults = (
        Stuck(one, 2 * UNIT, UNIT), Babble(one, 4 * UNIT, UNIT), Slow(one, 6 * UNIT, UNIT, factor=4.0),
        Stranger(one, 8 * UNIT, UNIT, genome="stranger"), Kill(one, 10 * UNIT, UNIT), Plant(one, 12 * UNIT),
    )  # fmt: skip
    tracer, result, _ = traced(scenario(faults=faults, stagger=0))
    events = [event for event in chrome(tracer, result, tmp_path) if event.get("cat") == "fault" and event["tid"] == 1 + 3 * 9 + 4]
    spans = [(event["name"], ns(event) / UNIT, end(event) / UNIT, event["args"]["fault"]) for event in events if event["ph"] == "X"]
    assert spans == [("stuck", 2, 3, 0), ("babble", 4, 5, 1), ("slow", 6, 7, 2), ("stranger", 8, 9, 3), ("kill", 10, 11, 4)]
    details = {event["name"]: event["args"] for event in events if event["ph"] == "X"}
    assert details["slow"]["times_as_slow"] == 4
    assert details["stranger"]["genome"] == "stranger"
    plants = [(ns(event) / UNIT, event["args"]["fault"]) for event in events if event["ph"] == "i"]
    assert plants == [(0, None), (12, 5)]  # cell 4,3 is the seed cell


def test_a_cut_is_seen_at_the_cells_whose_frames_get_lost(tmp_path: Path) -> None:
    tracer, result, _ = traced(scenario(faults=(Cut(Tile(0, 0), 5 * UNIT, 5 * UNIT, direction="out"),), stagger=0))
    cut = {event["tid"] - 1: event["args"]["frames"] for event in chrome(tracer, result, tmp_path) if event["name"] == "cut"}
    assert set(cut) == {2, 9, 10, 11}  # the eastern and southern edge of the tile
    assert cut[11] == [2, 3, 4]  # to the east, the south-east and the south


def test_faults_of_one_kind_that_overlap_are_told_as_the_array_feels_them(tmp_path: Path) -> None:
    """The last to end frees what they share; what is in force already does not begin again."""
    faults = (
        Cut(Tile(1, 0), 5 * UNIT, 5 * UNIT, direction="in"), Cut(Tile(0, 0), 7 * UNIT, 5 * UNIT, direction="out"),
        Stuck(parse("1x1@0,0"), 20 * UNIT, 5 * UNIT), Stuck(parse("2x1@0,0"), 22 * UNIT, 6 * UNIT),
    )  # fmt: skip
    tracer, result, _ = traced(scenario(faults=faults, stagger=0))
    spans: dict[int, list[Any]] = {}
    for event in chrome(tracer, result, tmp_path):
        if event["name"] in ("cut", "stuck"):
            told = event["args"].get("frames", event["args"]["fault"])
            spans.setdefault(event["tid"] - 1, []).append((event["name"], ns(event) / UNIT, end(event) / UNIT, told))
    assert spans[11] == [("cut", 5, 7, [2]), ("cut", 7, 12, [2, 3, 4])]
    assert spans[0] == [("stuck", 20, 28, 2)]
    assert spans[1] == [("stuck", 22, 28, 3)]


def test_counters_are_the_samples(tmp_path: Path) -> None:
    tracer, result, _ = traced(scenario())
    events = [event for event in chrome(tracer, result, tmp_path) if event["ph"] == "C"]
    loss = [(ns(event), event["args"]["mse"]) for event in events if event["name"] == "pattern loss"]
    alive = [(ns(event), event["args"]["count"]) for event in events if event["name"] == "alive cells"]
    assert loss == list(zip(result.recording.times, result.losses, strict=True))
    assert alive == list(zip(result.recording.times, result.alive, strict=True))


def test_a_window_of_some_cells_is_cut_out_of_the_whole(tmp_path: Path) -> None:
    world = scenario(2)
    whole, result, heard = traced(world)
    part, again, _ = traced(world, cells=parse("4x3@2,1"), start_ns=9 * UNIT, end_ns=14 * UNIT)
    chosen = {row * 9 + column for row in range(1, 4) for column in range(2, 6)}
    all_events, events = chrome(whole, result, tmp_path), chrome(part, again, tmp_path)
    within = [row for row in heard if 9 * UNIT <= row[0] <= 14 * UNIT and row[1] in chosen]
    assert [(ns(one), one["tid"] - 1, one["args"]["codes"]) for one in events if one.get("cat") == "update"] == within
    changes = {(one["tid"], one["ts"]): one["args"]["changed"] for one in all_events if one.get("cat") == "update"}
    assert all(changes[one["tid"], one["ts"]] == one["args"]["changed"] for one in events if one.get("cat") == "update")

    def faulty(found: list[dict[str, Any]]) -> set[tuple[int, str, int]]:
        """Cell, fault and middle of every quarter of a unit of the window in which it is in force."""
        middles = range(9 * UNIT + UNIT // 8, 14 * UNIT, UNIT // 4)
        spans = [one for one in found if one.get("cat") == "fault" and one["ph"] == "X" and one["tid"] - 1 in chosen]
        return {(one["tid"], one["name"], middle) for one in spans for middle in middles if ns(one) <= middle < end(one)}

    assert faulty(events) == faulty(all_events)
    assert len(faulty(events)) > 50


def test_a_window_holds_what_happens_at_its_very_start_and_end(tmp_path: Path) -> None:
    world = scenario(3)
    _, _, heard = traced(world)
    first, last = heard[200][0], heard[300][0]
    tracer, result, _ = traced(world, start_ns=first, end_ns=last)
    found = [ns(event) for event in chrome(tracer, result, tmp_path) if event.get("cat") == "update"]
    assert found == [time for time, _, _ in heard if first <= time <= last]
    assert (found[0], found[-1]) == (first, last)


# VCD.


def vcd(tracer: Tracer, result: Result, folder: Path) -> VCDVCD:
    tracer.write(folder / "trace.vcd", result)
    return VCDVCD(str(folder / "trace.vcd"))


def scope(cell: int) -> str:
    row, column = divmod(cell, 9)
    return f"array.tile_{column // 3}_{row // 2}.cell_{column}_{row}"


NAMES = ["red", "green", "blue", "alpha", *(f"hidden_{channel:02d}" for channel in range(4, 16))]


def codes(waves: VCDVCD, cell: int, time: int) -> list[int]:
    values = [int(waves[f"{scope(cell)}.{name}"][time], 2) for name in NAMES]
    return [value - 256 * (value > 127) for value in values]


@pytest.mark.parametrize("seed", range(3))
def test_the_waves_hold_the_state_and_power_of_every_cell_at_every_sample(tmp_path: Path, seed: int) -> None:
    tracer, result, heard = traced(scenario(seed), engine="fast")
    waves, recording = vcd(tracer, result, tmp_path), result.recording
    assert float(waves.timescale["timescale"]) == 1e-9
    for number in range(0, len(recording.times), 3):
        time, states = recording.times[number], recording.states[number].reshape(54, 16)
        for cell in range(54):
            assert codes(waves, cell, time) == states[cell].tolist()
            assert waves[f"{scope(cell)}.power"][time] == str(int(recording.powered[number].reshape(-1)[cell]))
        assert float(waves["array.loss"][time]) == pytest.approx(result.losses[number], rel=1e-12)
        assert int(waves["array.alive"][time], 2) == result.alive[number]
    for cell in range(54):
        toggled = [time for time, _ in waves[f"{scope(cell)}.update"].tv[1:]]
        assert toggled == [time for time, which, _ in heard if which == cell]


def test_the_waves_of_faults_rise_and_fall_with_them(tmp_path: Path) -> None:
    faults = (Stuck(parse("1x1@4,3"), 2 * UNIT, 3 * UNIT), Cut(Tile(0, 0), 5 * UNIT, 5 * UNIT, direction="out"))
    tracer, result, _ = traced(scenario(faults=faults, stagger=0))
    waves = vcd(tracer, result, tmp_path)
    assert waves[f"{scope(31)}.stuck"].tv == [(0, "0"), (2 * UNIT, "1"), (5 * UNIT, "0")]
    assert waves[f"{scope(11)}.cut"].tv == [(0, "0"), (5 * UNIT, "1"), (10 * UNIT, "0")]
    assert waves[f"{scope(0)}.cut"].tv == [(0, "0")]
    assert not any("babble" in name for name in waves.signals)


def test_waves_of_a_window_begin_with_the_states_at_its_start(tmp_path: Path) -> None:
    world = scenario(1)
    tracer, result, _ = traced(world, cells=parse("2x2@3,2"), start_ns=12 * UNIT, end_ns=20 * UNIT)
    waves, recording = vcd(tracer, result, tmp_path), result.recording
    assert sum(name.endswith(".power") for name in waves.signals) == 4
    assert waves.begintime == 12 * UNIT
    assert waves.endtime == 20 * UNIT
    for units in (12, 15, 20):
        number = recording.times.index(units * UNIT)
        for cell in (21, 22, 30, 31):
            assert codes(waves, cell, units * UNIT) == recording.states[number].reshape(54, 16)[cell].tolist()
        assert float(waves["array.loss"][units * UNIT]) == pytest.approx(result.losses[number], rel=1e-12)


def test_a_run_from_known_states_begins_with_them(tmp_path: Path) -> None:
    start = np.random.default_rng(0).integers(-127, 128, (6, 9, 16)).astype(np.int8)
    tracer, result, _ = traced(scenario(start=start, stagger=0, faults=(), duration=UNIT))
    waves = vcd(tracer, result, tmp_path)
    assert [codes(waves, cell, 0) for cell in range(54)] == start.reshape(54, 16).tolist()


# Both.


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.vcd"])
@pytest.mark.parametrize("seed", range(3))
def test_both_engines_give_the_same_file_every_time(tmp_path: Path, name: str, seed: int) -> None:
    files = []
    for engine in ("simpy", "fast", "fast"):
        tracer, result, _ = traced(scenario(seed), engine=engine)
        tracer.write(tmp_path / name, result)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1] == files[2]
    assert len(files[0]) > 10_000


def test_the_compressed_json_is_the_json(tmp_path: Path) -> None:
    tracer, result, _ = traced(scenario())
    tracer.write(tmp_path / "t.json", result)
    tracer.write(tmp_path / "T.JSON.GZ", result)
    packed = (tmp_path / "T.JSON.GZ").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "t.json").read_bytes()
    assert len(packed) < (tmp_path / "t.json").stat().st_size / 4


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.vcd"])
@pytest.mark.parametrize("limit", [100, 950])
def test_too_many_events_are_refused_with_their_number_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    """Refused for its updates alone, and for what faults add to them."""
    monkeypatch.setattr(trace, "MAX_EVENTS", limit)
    tracer, result, heard = traced(scenario())
    if limit == 950:
        assert len(heard) < 950
    with pytest.raises(NcaHwError) as caught:
        tracer.write(tmp_path / name, result)
    assert (f"{len(heard):,} events of 54 cells from 0 s to 3 s" in caught.value.what) == (limit == 100)
    assert f"a trace may have {limit:,}" in caught.value.what
    assert all(option in (caught.value.cure or "") for option in ("--trace-cells", "--trace-from", "--trace-to"))
    assert list(tmp_path.iterdir()) == []


def test_a_tracer_keeps_nothing_that_it_will_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_EVENTS", 100)
    tracer, _, _ = traced(scenario())
    assert tracer._within == []
    monkeypatch.setattr(trace, "MAX_EVENTS", 10_000)
    tracer, _, _ = traced(scenario(), cells=parse("1x1@5,3"))
    assert 10 < sum(len(part) for part in tracer._within) < 45


@pytest.mark.parametrize("name", ["t.csv", "t", "json", "t.gz"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(NcaHwError, match=r"the ending of no known trace\n.*\.json or \.json\.gz .*, or \.vcd"):
        trace.check_ending(tmp_path / name)


@pytest.mark.parametrize(
    ("window", "message"),
    [({"start_ns": 31 * UNIT}, "from 3.1 s to 3 s of a run of 3 s"), ({"start_ns": 2, "end_ns": 1}, "there is nothing"),
     ({"start_ns": -1}, "there is nothing"), ({"cells": parse("9x9@1,1")}, "does not lie within the 9x6 grid")],
)  # fmt: skip
def test_a_window_outside_the_run_is_refused(window: dict[str, Any], message: str) -> None:
    with pytest.raises(NcaHwError, match=message):
        Tracer(scenario(), RULE, **window)


def test_floats_have_no_codes_to_trace() -> None:
    model = FloatModel(*(np.zeros(shape, np.float32) for shape in ((48, 4), (4,), (4, 16), (16,))))
    with pytest.raises(NcaHwError, match="state codes, which float has not"):
        Tracer(scenario(), FloatRule(model))


def test_a_tracer_that_has_not_listened_to_the_run_says_so(tmp_path: Path) -> None:
    _, result, _ = traced(scenario())
    with pytest.raises(ValueError, match="heard 0 of"):
        Tracer(scenario(), RULE).write(tmp_path / "t.vcd", result)
