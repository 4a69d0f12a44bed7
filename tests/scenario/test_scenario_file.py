"""Scenario files: words become a scenario, every mistake is told with its line, and nothing that a file may hold is a traceback."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from genome_strategies import shipped_size_genome

from nca_hw.errors import NcaHwError
from nca_hw.formats.toml_file import TomlFile, read
from nca_hw.scenario_file import BYTES_A_SAMPLE, RECORDING_BYTES, Described, describe, fault_words
from nca_hw.sim.faults import Babble, Brownout, Cut, Kill, Plant, Slow, Stranger, Stuck
from nca_hw.sim.regions import Everybody, RandomCount, RandomFraction, RandomTiles, Rectangle, SeedCell, Tile
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Scenario

WALL = """\
# A wall of 4x3 tiles.
genome = "lizard"
seed = 7
duration = "40u"
sample_every = "2u"

[array]
grid = "8x6"
tile = "2x2"
wiring = "edges"

[clocks]
interval = "10ms"
waits = "fixed"
jitter = "20%"
spread = "200ppm"
oscillator = "rc"
stagger = "50ms"
same_random = true

[links]
latency = "200us"
latency_jitter = "100us"
baud = 1_000_000
loss = "10%"
loss_spread = 0.5
bit_errors = "10ppm"
broken = "2%"

[genomes]
moth = "moths/moth.genome"

[[fault]]
kind = "kill"
cells = "30%"
at = "20u"
lasts = "2u"
memory = "random"

[[fault]]
kind = "brownout"
cells = "4x4@0,0"
at = 0.1
lasts = "30ms"
recovery = "20ms"

[[fault]]
kind = "stuck"
cells = 5
at = "5u"
every = "5u"
times = 3

[[fault]]
kind = "babble"
cells = "tile 1,0"
at = "9u"

[[fault]]
kind = "slow"
cells = "25% tiles"
at = "1u"
factor = 4

[[fault]]
kind = "cut"
cells = "2 tiles"
at = "3u"
direction = "out"
border = true

[[fault]]
kind = "stranger"
cells = "all"
at = "4u"
genome = "moth"

[[fault]]
kind = "plant"
cells = "seed"
at = "6u"

[limits]
loss = 0.001
recovery = "15u"
"""
MS = 1_000_000


def told(text: str) -> str:
    with pytest.raises(NcaHwError) as caught:
        describe(TomlFile("wall.toml", text))
    return str(caught.value)


def test_every_word_of_a_file_becomes_what_it_says() -> None:
    described = describe(TomlFile(Path("walls") / "wall.toml", WALL))
    assert described.scenario == Scenario(
        8, 6, seed=7, tile_width=2, tile_height=2, wiring="edges", interval=10 * MS, waits="fixed", wait_jitter=0.2, rate_spread=0.0002,
        oscillator="rc", stagger=50 * MS, same_random=True, latency=MS // 5, latency_jitter=MS // 10, baud=1_000_000, loss=0.1,
        loss_spread=0.5, bit_errors=1e-5, broken=0.02, duration=400 * MS, sample_every=20 * MS,
        faults=(
            Kill(RandomFraction(0.3), 200 * MS, 20 * MS, memory="random"),
            Brownout(Rectangle(4, 4, 0, 0), 100 * MS, 30 * MS, recovery=20 * MS),
            Stuck(RandomCount(5), 50 * MS, every=50 * MS, times=3),
            Babble(Tile(1, 0), 90 * MS),
            Slow(RandomTiles(None, 0.25), 10 * MS, factor=4),
            Cut(RandomTiles(2), 30 * MS, direction="out", border=True),
            Stranger(Everybody(), 40 * MS, genome="moth"),
            Plant(SeedCell(), 60 * MS),
        ),
    )  # fmt: skip
    assert (described.genome, described.loss_limit, described.recovery_limit) == ("lizard", 0.001, 150 * MS)
    assert described.strangers == {"moth": "walls/moths/moth.genome"}


def test_an_empty_file_is_the_default_run() -> None:
    unit = Scenario.interval
    assert describe(TomlFile("x", "")).scenario == Scenario(40, 40, seed=1, duration=400 * unit, sample_every=unit)


def test_clocks_of_a_stated_kind_have_no_other_spread_unless_stated() -> None:
    rates = [describe(TomlFile("x", text)).scenario.rate_spread for text in ("", 'clocks.oscillator = "rc"', "clocks.spread = 0.2")]
    assert rates == [0.01, 0, 0.2]


def test_options_come_on_top_of_the_file_and_faults_after_its_own() -> None:
    options = {("links", "loss"): ("--loss", "0%"), ("fault", 0): ("--kill", {"kind": "kill", "cells": "7", "at": "1u"})}
    scenario = describe(TomlFile("wall.toml", WALL), options).scenario
    assert scenario.loss == 0
    assert len(scenario.faults) == 9
    assert scenario.faults[-1] == Kill(RandomCount(7), 10 * MS)


def test_mistakes_of_options_are_told_by_their_names() -> None:
    options = {("links", "loss"): ("--loss", "200%"), ("fault", 0): ("--kill", {"kind": "kill", "cells": "9x9@9,9", "at": "1u"})}
    with pytest.raises(NcaHwError) as caught:
        describe(TomlFile("wall.toml", WALL), options)
    assert "--loss: '200%' is no fraction" in str(caught.value)
    with pytest.raises(NcaHwError, match="--kill: region 9x9@9,9 does not lie within the 8x6 grid"):
        describe(TomlFile("wall.toml", WALL), {("fault", 0): options["fault", 0]})


def test_all_mistakes_of_a_file_are_told_in_the_order_of_their_lines() -> None:
    text = WALL.replace('seed = 7', 'sed = 7').replace('wiring = "edges"', 'wiring = "corners"').replace("factor = 4", "facto = 4")
    text = text.replace('loss = "10%"', "loss = 10").replace('kind = "stuck"', 'kind = "stuk"').replace('at = "9u"', 'when = "9u"')
    message = told(text)
    lines = [int(number) for number in re.findall(r"^  line (\d+):", message, re.MULTILINE)]
    wrong = ["sed = 7", 'wiring = "corners"', "loss = 10", 'kind = "stuk"', "[[fault]]", 'when = "9u"', "facto = 4"]
    assert lines == sorted(lines)
    assert [text.splitlines()[number - 1] for number in lines] == wrong
    for hint in ("Did you mean 'seed'?", "'eight' or 'edges'", "10 is no fraction", "Did you mean 'stuck'?", "Did you mean 'factor'?"):
        assert hint in message


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('tile = "2x2"', 'tile = "3x2"', 'tile = "3x2"', "do not fill a grid of 8x6"),
        ('at = "20u"', 'at = "41u"', 'at = "41u"', "never happens in a run of 0.4 s"),
        ('cells = "4x4@0,0"', 'cells = "4x4@5,0"', 'cells = "4x4@5,0"', "does not lie within"),
        ('cells = "tile 1,0"', 'cells = "tile 4,0"', 'cells = "tile 4,0"', "no tile 4,0 among 4x3"),
        ('genome = "moth"', 'genome = "math"', 'genome = "math"', "there is no genome 'math'. Name it in [genomes]. Did you mean 'moth'?"),
        ('interval = "10ms"', 'interval = "10u"', 'interval = "10u"', "can't be given in mean updates"),
        ("factor = 4", "factor = 400.0", "factor = 400.0", "allowed are 0.015625 to 64"),
        ("times = 3", "times = 30", 'at = "5u"', "never happens"),
        ('grid = "8x6"', 'grid = "8000x6000"', 'grid = "8000x6000"', "cells is 48000000, allowed are 1 to 4000000"),
        ("baud = 1_000_000", "baud = 200", "baud = 200", "allowed are 300 to"),
        ('oscillator = "rc"', 'oscillator = "trace"', 'oscillator = "trace"', "no traces"),
        ('oscillator = "rc"', 'trace = "nowhere"', 'trace = "nowhere"', "can't be read"),
        ('sample_every = "2u"', 'sample_every = "1ns"', 'sample_every = "1ns"', "GiB of memory"),
        ("[links]", "[links", "[links", "is not TOML"),
        ('at = "6u"', 'at = "6u"\nlasts = "1u"', 'lasts = "1u"', "a plant has no end"),
        ("times = 3", "", 'every = "5u"', "not how many there are"),
        ("times = 3", "times = 0", "times = 0", "Let it strike at least once"),
        ('kind = "stuck"', "kind = 7", "kind = 7", "7 is none of kill, brownout"),
        ('interval = "10ms"', 'interval = "2us"', 'interval = "2us"', "interval is 2 us, allowed are 10 us to 1.048576 s"),
    ],
)
def test_what_cannot_work_is_told_at_its_line(old: str, new: str, line: str, message: str) -> None:
    assert WALL.count(old) == 1
    text = WALL.replace(old, new)
    said = told(text)
    assert message in said
    assert f"line {text.splitlines().index(line) + 1}" in said


def test_mistakes_that_only_the_whole_shows_are_told_in_the_order_of_their_lines_too() -> None:
    text = '[[fault]]\nkind = "kill"\ncells = 5\nat = "900u"\n[links]\nbaud = 10\n[clocks]\nspread = 0.9\n'
    assert re.findall(r"line (\d+)", told(text)) == ["4", "6", "8"]


def test_a_table_where_a_list_belongs_or_no_table_is_told_how_it_is_written() -> None:
    assert "Write [[fault]]." in told('[fault]\nkind = "kill"\ncells = 5\nat = 1\n')
    assert "Write [array]." in told("array = 3")
    assert "fault.0: 3 is no table" in told("fault = [3]")
    assert "Field required, one of kill, brownout" in told("[[fault]]\ncells = 5\nat = 1\n")


def test_a_limit_of_recovery_needs_something_to_recover_from() -> None:
    assert "line 2: limits.recovery: there is no fault to recover from" in told('[limits]\nrecovery = "5u"\n')


def test_what_an_option_lacks_is_told_by_its_key_and_no_line_of_a_file_that_is_not_there() -> None:
    def said(words: str) -> str:
        with pytest.raises(NcaHwError) as caught:
            describe(TomlFile("command line", ""), {("fault", 0): ("--fault", fault_words(words))})
        return str(caught.value)

    assert "--fault: at: Field required" in said("stuck 5")
    assert "--fault: memory: Input should be 'zero' or 'random'" in said("kill 5 at=1 memory=rom")
    assert "line" not in said("kill 5 at=1 every=1ns times=200000")


def test_what_is_recorded_of_a_large_array_fits_into_memory() -> None:
    for grid, every in (("40x40", 1), ("1000x1000", 12)):
        scenario = describe(TomlFile("x", f'array.grid = "{grid}"')).scenario
        assert scenario.sample_every == every * scenario.interval
        samples = scenario.duration // scenario.sample_every
        assert samples * scenario.cells * BYTES_A_SAMPLE <= 1.01 * RECORDING_BYTES


def test_a_fault_in_one_line() -> None:
    assert fault_words("slow 2 tiles at=100u factor=3") == {"kind": "slow", "cells": "2 tiles", "at": "100u", "factor": 3}
    assert fault_words("cut all at=3 border=true")["border"] is True
    for text in ("", "stuck", "stuck 5% at=", "stuck =3"):
        try:
            table = fault_words(text)
        except ValueError:
            continue
        with pytest.raises(NcaHwError, match="--fault"):
            describe(TomlFile("x", ""), {("fault", 0): ("--fault", table)})


@pytest.mark.parametrize("line", ["stuck 5 at=1u at=2u", "stuck 5 at=1u cells=6", "stuck 5 at=1u kind=kill"])
def test_a_fault_in_one_line_says_everything_once(line: str) -> None:
    with pytest.raises(ValueError, match="a second time"):
        fault_words(line)


def test_a_file_that_begins_with_a_byte_order_mark_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xef\xbb\xbfseed = 1\n")
    with pytest.raises(NcaHwError, match="byte order mark"):
        read(tmp_path / "x.toml")


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(NcaHwError, match=r"missing.toml: can't be read"):
        read(tmp_path / "missing.toml")
    (tmp_path / "binary.toml").write_bytes(b"seed = 1\n# \xff\n")
    with pytest.raises(NcaHwError, match=r"binary.toml: line 2 is not UTF-8"):
        read(tmp_path / "binary.toml")


# What a file may hold instead of what it should.
NASTY = [
    "0", "-1", "1", "3", "1e400", "-0.0", "nan", "inf", "1" * 30, "1" * 5000, "0x7fffffffffffffff", "true", "1_0", "+5", "1979-05-27",
    '""', '"100%"', '"0%"', '"101%"', '"1u"', '"0u"', '"9999999999999999u"', '"5ms"', '"1ns"', '"-3s"', '"all"', '"seed"', '"0"',
    '"1 tiles"', '"tile 0,0"', '"9x9@0,0"', '"2x2@0,0"', '"1x1"', '"8x6"', '"0x0"', '"2000x2000"', '"99999999x1"', '"edges"', '"eight"',
    '"kill"', '"cut"', '"plant"', '"stranger"', '"moth"', '"rc"', '"trace"', '"crystal"', '"uniform"', '"exponential"', '"random"',
    '"both"', '"lizard"', "[]", "[1, 2]", "{}", '{kind = "kill"}', '[{kind = "kill", cells = "all", at = 0}]', "[[[[]]]]",
    "[" * 2000 + "]" * 2000, '"\\u0000"', '"\\u00e9\\n"', "'''\nx\n'''", '"../x"', '"/dev/null"', '"a.genome"',
]  # fmt: skip


def malformed(rng: random.Random) -> str:
    """A wall with one to three changes: values, keys, lines, characters."""
    lines = WALL.splitlines()
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(lines))
        key, equals, _ = lines[at].partition("=")
        kind = rng.randrange(12)
        if kind < 5 and equals:
            lines[at] = f"{key}= {rng.choice(NASTY)}"
        elif kind == 5 and equals:
            lines[at] = f"{key.strip()}{rng.choice('sx_.')} = {rng.choice(NASTY)}"
        elif kind == 6:
            del lines[at]
        elif kind == 7:
            lines.insert(at, rng.choice(lines))
        elif kind == 8 and lines[at]:
            where = rng.randrange(len(lines[at]))
            lines[at] = lines[at][:where] + chr(rng.choice([*range(1, 127), 0xE9, 0x2028])) + lines[at][where + 1 :]
        elif kind == 9:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        else:  # a comment, a blank line: nothing is wrong with it
            lines.insert(at, rng.choice(["", "# [fault]", "  \t# x = 1"]))
    text = "\n".join(lines)
    return text[: rng.randrange(len(text))] if rng.random() < 0.05 else text


def outcome(described: Described) -> None:
    """Run what is short enough."""
    scenario = described.scenario
    if scenario.cells * scenario.duration // scenario.interval <= 4000:
        rule = IntegerRule(shipped_size_genome(2, alive=0))
        simulate(scenario, rule, strangers=dict.fromkeys(described.strangers, rule))


@pytest.mark.parametrize("part", range(4))
def test_ten_thousand_malformed_files_give_an_error_with_a_line_or_run(part: int, tmp_path: Path) -> None:
    rng = random.Random(part)
    runs = errors = 0
    for _ in range(2500):
        text = malformed(rng)
        try:
            described = describe(TomlFile(tmp_path / "wall.toml", text))
        except NcaHwError as error:
            assert re.search(r"line \d+", str(error)), f"{error}\n{text}"
            errors += 1
            continue
        outcome(described)
        runs += 1
    assert min(runs, errors) > 200
