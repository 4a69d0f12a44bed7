"""Tiles, several cells on one chip: the image on an emulated chip, tiles wired to one another, and that the proof can fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from wired_chips import Wall

from nca_hw.core import frames, reference
from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.emulate.tile import Replay, run_tile
from nca_hw.emulate.verify import verify
from nca_hw.emulate.wire import WireEnd
from nca_hw.errors import NcaHwError
from nca_hw.firmware import build as building
from nca_hw.firmware import render
from nca_hw.firmware.build import Build, build
from nca_hw.formats.boards import Board, Tile, bundled_boards, load_board, parse
from nca_hw.formats.toml_file import TomlFile

BOARD = load_board("rp2040-matrix")
FRAME = 21


def board(width: int, height: int, *, serpentine: bool = False) -> Board:
    led = BOARD.led.model_copy(update={"serpentine": serpentine})
    return BOARD.model_copy(update={"tile": Tile(width=width, height=height), "led": led})


def equals_the_replay(genome: Genome, made: Build, updates: int) -> bool:
    """Whether whole updates of a tile give the states of the reference; whatever else it tells is compared on the way."""
    _, ran = run_tile(genome, made, np.random.default_rng(2), updates, None)
    expected, evaluated = reference.wake(genome, np.array(ran.before), np.array(ran.heard))
    assert evaluated.sum() > updates / 2
    return bool((expected == np.array(ran.sent)).all())


def symbol(made: Build, name: str) -> int:
    return next(s.address for s in made.image.symbols if s.name == name)


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def test_a_tile_equals_the_replay_of_its_updates(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=400, whole=120)
    assert proved.equal, proved.mismatch
    assert (proved.updates_compared, proved.whole_updates) == (400, 120)
    assert proved.frames_rejected > 40


@pytest.mark.slow
def test_ten_thousand_updates_of_random_states_equal_the_reference(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=10_000)
    assert proved.equal, proved.mismatch


@pytest.mark.parametrize(("width", "height"), [(6, 6), (1, 6), (6, 1), (2, 3), (1, 2)])
def test_tiles_of_other_sides_equal_the_replay(width: int, height: int) -> None:
    genome = load("lizard")
    assert equals_the_replay(genome, build(genome, board(width, height, serpentine=True)), 40)


def test_a_tile_of_another_automaton_equals_the_replay() -> None:
    rng = np.random.default_rng(1)
    kernels = (Kernel.IDENTITY, Kernel.LAPLACIAN)
    genome = shipped_size_genome(
        w1=rng.integers(-127, 128, (16, 40)).astype(np.int8), w2=rng.integers(-127, 128, (40, 8)).astype(np.int8),
        seed=rng.integers(-127, 128, 8).astype(np.int8), b1=rng.integers(-9000, 9000, 40).astype(np.int16),
        b2=rng.integers(-7000, 7000, 8).astype(np.int16), m2=rng.integers(0, 32767, 8).astype(np.int16), kernels=kernels, alive=0,
    )  # fmt: skip
    assert equals_the_replay(genome, build(genome, BOARD), 40)


MISTAKES = {
    "a corner that is not passed on": ("across |= 1u;", ";", "nobody is told edge and index"),
    "a cell that a neighbour sees and is not told of": ("if (column == WIDTH) {", "if (column == 9) {", "nobody is told edge and index"),
    "an index beyond the edge that is believed": ("(lines[edge_now].carries >> index & 1u)", "1", None),
    "an edge whose line is told backwards": ("{ 1, 0, ROW, ALL_OF_COLUMN }", "{ 2, 0, ROW, ALL_OF_COLUMN }", "was told of index"),
    "a neighbour looked for in the wrong place": ("-1, -ROW - 1 }", "-ROW - 1, -1 }", None),
    "a state that a tile tells under another index": ("NCA_LINK_EDGE | index,", "NCA_LINK_EDGE | (index ^ 2u),", "which it is not owed"),
    "lights before the update": ("copy(grid[place], STATE);\n    show();", "show();\n    copy(grid[place], STATE);", "the LEDs were told"),
    "lights in another order": ("grid[chain[i]]", "grid[chain[CELLS - 1 - i]]", "the LEDs were told"),
    "a report of another cell": ("(int8_t)number;", "(int8_t)(number ^ 1u);", None),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_firmware_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new, message = MISTAKES[name]
    sources = render.sources

    def mistaken(genome: Genome, *rest: Any) -> tuple[dict[str, str], tuple[str, ...]]:
        texts, compiled = sources(genome, *rest)
        assert texts["main.c"].count(old) == 1
        return {**texts, "main.c": texts["main.c"].replace(old, new)}, compiled

    genome = load("lizard")
    monkeypatch.setattr(building.render, "sources", mistaken)
    wrong = build(genome, BOARD)
    try:
        equal = equals_the_replay(genome, wrong, 200)
    except EmulationError as error:
        assert message is None or message in str(error)
    else:
        assert message is None
        assert not equal


def test_a_tile_reports_a_self_test_once(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    reported = run(made, 40 * FRAME)
    assert reported[:FRAME] == frames.self_test(made.image.binary, genome.cell_hash, genome.channels)
    heads = [head for head, _ in frames.decode_reports(reported, genome.channels)]
    assert heads.count(frames.REPORT_SELF_TEST) == 1
    assert set(heads[1::2]) == {frames.REPORT_CELL}


def run(made: Build, count: int, prepare: Callable[[Rp2040], None] = lambda chip: None, *, is_seed: bool = False) -> bytes:
    """The first bytes that a tile reports, nothing at its edges unless `prepare` puts it there."""
    noise = np.random.default_rng(3)
    chip, reported = Rp2040(made.image.binary, made.board, is_seed=is_seed, noise=lambda: int(noise.integers(2))), bytearray()

    def on_report(byte: int) -> None:
        reported.append(byte)
        if len(reported) == count:
            chip.stop()

    chip.on_report = on_report
    prepare(chip)
    chip.reset()
    chip.run(120)
    return bytes(reported)


def reports(data: bytes, channels: int = 16) -> list[tuple[int, list[int]]]:
    """(cell, state) of every update."""
    told = [codes.tolist() for head, codes in frames.decode_reports(data, channels) if head != frames.REPORT_SELF_TEST]
    return [(cell[0], state) for cell, state in zip(told[::2], told[1::2], strict=True)]


def test_the_strap_makes_the_centre_cell_the_seed_and_it_lets_two_wakes_pass(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    told = reports(run(made, FRAME * (1 + 2 * 150), is_seed=True))
    first = {cell: [c for c, _ in told].index(cell) for cell in range(25)}
    assert first[12] > max(n for cell, n in first.items() if cell != 12) - 25  # others are at their third update
    earlier = [cell for cell, _ in told[: first[12]]]
    assert np.mean([earlier.count(cell) for cell in range(25) if cell != 12]) > 1.5
    replay = Replay(BOARD, genome.channels)
    replay.states[3, 3] = genome.seed
    for cell, state in told:
        expected, _ = reference.wake(genome, replay.states[replay.place(cell)].copy(), replay.neighbours(cell))
        assert state == expected.tolist()
        replay.update(cell, expected)
    assert np.count_nonzero(replay.states[1:-1, 1:-1, genome.alpha]) > 20


def test_a_tile_is_planted_by_a_command(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard

    def command(chip: Rp2040) -> None:
        chip.ends = [WireEnd(edge, FRAME, lambda edge, data: None) for edge in range(4)]
        chip.ends[1].give(frames.frame(frames.COMMAND_SEED, np.zeros(genome.channels, np.int8)))

    assert not any(any(state) for _, state in reports(run(made, FRAME * 101)))
    assert any(any(state) for cell, state in reports(run(made, FRAME * (1 + 2 * 80), command)) if cell != 12)


def test_every_cell_has_its_own_waits(lizard: tuple[Genome, Build]) -> None:
    """Cells wake in an order that is not the same from one round to the next, none of them twice as often as another."""
    told = [cell for cell, _ in reports(run(lizard[1], FRAME * (1 + 2 * 500)))]
    counts = np.bincount(told, minlength=25)
    assert counts.min() >= 17
    assert counts.max() <= 23
    assert len({tuple(told[first : first + 25]) for first in (0, 25, 50)}) == 3


def test_a_chip_that_cannot_keep_up_goes_on(lizard: tuple[Genome, Build]) -> None:
    """A look at the time costs 0.4 s, 25 cells want one every 0.02 s: by 6,000 who forgets nothing is late by half a clock's turn."""
    times: list[int] = []

    def slow(chip: Rp2040) -> None:
        chip.step = 400_000
        chip.on_light = lambda word: times.append(chip.now)

    assert len(reports(run(lizard[1], FRAME * (1 + 2 * 7000), slow))) == 7000
    assert np.diff(times).max() < 10_000_000


def test_a_dead_neighbour_costs_no_update(lizard: tuple[Genome, Build]) -> None:
    """One holds a wire low for ever, one breaks off in the midst of every frame, two were never there."""
    genome, made = lizard

    def neighbours(chip: Rp2040) -> None:
        chip.ends = [None, WireEnd(1, FRAME, lambda edge, data: None), None, WireEnd(3, FRAME, lambda edge, data: None)]
        chip.ends[1].look = lambda pulls: 2  # wire 0 is low
        for _ in range(3):
            chip.ends[3].give(frames.frame(frames.EDGE | 2, genome.seed)[:9])

    assert len(reports(run(made, FRAME * 7, neighbours))) == 3


def test_the_chain_of_leds_is_sent_without_a_pause(lizard: tuple[Genome, Build]) -> None:
    """The SPI needs 64 cycles for 16 bits; the next word is there before, its two APB accesses taken as 3 cycles longer than the core's."""
    _, made = lizard
    at: list[int] = []

    def prepare(chip: Rp2040) -> None:
        meter = chip.meter(symbol(made, "board_chain"))
        chip.on_light = lambda word: at.append(meter.cycles[-1])

    run(made, FRAME * 9, prepare)
    chains = np.array(at[: len(at) // 150 * 150]).reshape(-1, 150)
    assert len(chains) >= 4
    assert (np.diff(chains, axis=1) + 2 * 3).max() < 64


def test_an_image_of_a_tile_fits_the_flash_cache(lizard: tuple[Genome, Build]) -> None:
    assert len(lizard[1].image.binary) <= lizard[1].board.budget.rom <= 16_384


def wall_equals_the_replay(genome: Genome, made: Build, rows: int, columns: int, updates: int) -> np.ndarray:
    """Run tiles that are wired to each other, one of them the seed: every update that they report, replayed in that order by the reference.

    A halo is what the chip's RAM holds; it must be a state that the cell out there has had, and never an older one than before.
    Returns the states at the end [rows, columns, C].
    """
    height, width, channels = made.board.tile.height, made.board.tile.width, genome.channels
    noise = np.random.default_rng(5)
    chips = [
        [Rp2040(made.image.binary, made.board, is_seed=(y, x) == (0, 0), noise=lambda: int(noise.integers(2))) for x in range(columns)]
        for y in range(rows)
    ]
    wall, grid_at = Wall(chips), symbol(made, "grid")
    states = np.zeros((rows * height + 2, columns * width + 2, channels), np.int8)
    states[1 + height // 2, 1 + width // 2] = genome.seed
    history = {place: [states[place].copy()] for place in np.ndindex(states.shape[:2])}
    heard: dict[tuple[int, ...], int] = {}  # which of the states of a cell a chip has heard last
    wrong: list[str] = []
    done = 0

    def hear(y: int, x: int) -> np.ndarray:
        """The chip's grid as its RAM has it, its halo checked; its own cells as the replay has them."""
        ram = np.frombuffer(chips[y][x].memory(grid_at, (height + 2) * 8 * channels), np.int8).reshape(height + 2, 8, channels)
        grid = ram[:, : width + 2].copy()
        grid[1:-1, 1:-1] = states[1 + y * height : 1 + (y + 1) * height, 1 + x * width : 1 + (x + 1) * width]
        for row, column in np.ndindex(grid.shape[:2]):
            if 1 <= row <= height and 1 <= column <= width:
                continue
            owner, key = (y * height + row, x * width + column), (y, x, row, column)
            while heard.get(key, 0) < len(history[owner]) and (history[owner][heard.get(key, 0)] != grid[row, column]).any():
                heard[key] = heard.get(key, 0) + 1
            if heard.get(key, 0) == len(history[owner]):
                wrong.append(f"tile {y},{x} has heard of row {row}, column {column} what is not so")
                heard[key] = 0
        return grid

    def listen(y: int, x: int) -> None:
        told = bytearray()
        replay = Replay(made.board, channels)

        def on_report(byte: int) -> None:
            nonlocal done
            told.append(byte)
            if len(told) == FRAME and told[1] == frames.REPORT_SELF_TEST:
                told.clear()
            if len(told) < 2 * FRAME:
                return
            ((cell, state),) = reports(bytes(told), channels)
            told.clear()
            replay.states[:] = hear(y, x)
            row, column = replay.place(cell)
            expected, _ = reference.wake(genome, replay.states[row, column].copy(), replay.neighbours(cell))
            if state != expected.tolist():
                wrong.append(f"tile {y},{x}: cell {cell} is {state}, not {expected.tolist()}")
            owner = (y * height + row, x * width + column)
            states[owner] = expected
            history[owner].append(expected)
            done += 1
            if done == updates or wrong:
                wall.over = True
                chips[y][x].stop()

        chips[y][x].on_report = on_report

    for y, x in np.ndindex(rows, columns):
        listen(y, x)
    wall.run()
    assert wrong == []
    assert done == updates
    late = [len(history[y * height + row, x * width + column]) - 1 - n for (y, x, row, column), n in heard.items()]
    assert max(late) <= 3
    assert np.mean(late) < 1
    return states[1:-1, 1:-1]


def test_two_tiles_side_by_side_grow_from_one_seed_as_the_replay_does(lizard: tuple[Genome, Build]) -> None:
    states = wall_equals_the_replay(*lizard, rows=1, columns=2, updates=600)
    assert np.count_nonzero(states[:, 5:, lizard[0].alpha]) > 20


@pytest.mark.slow
def test_four_tiles_hear_of_each_others_corners() -> None:
    genome = load("lizard")
    made = build(genome, board(3, 2))
    states = wall_equals_the_replay(genome, made, rows=2, columns=2, updates=300)
    assert np.count_nonzero(states[..., genome.alpha]) == 24


def test_one_cell_and_a_tile_are_not_neighbours(lizard: tuple[Genome, Build]) -> None:
    """A frame of a single cell says which place it has for a cell, not for a tile: it is taken, and its state goes nowhere."""
    genome, made = lizard
    chips: list[Rp2040] = []

    def cell(chip: Rp2040) -> None:
        chip.ends = [WireEnd(edge, FRAME, lambda edge, data: None) for edge in range(4)]
        for place in range(8):
            chip.ends[place % 4].give(frames.encode(place, np.full(genome.channels, 100, np.int8)))
        chips.append(chip)

    run(made, FRAME * 21, cell)
    assert sum(end.given for end in chips[0].ends) == 8
    assert not any(end.refused for end in chips[0].ends)
    assert not any(chips[0].memory(symbol(made, "grid"), 7 * 8 * genome.channels))


def test_a_tile_needs_sides_of_at_most_six_and_time_to_compute() -> None:
    text = bundled_boards()["rp2040-matrix"].read_text()
    for old, new, message in (
        ("width = 5", "width = 7", "tile.width: .*less than or equal to 6"),
        ("width = 5", "width = 0", "tile.width: .*greater than or equal to 1"),
        ("interval_us = 500_000", "interval_us = 100_000", "interval_us.*25 cells compute half of the time at 1[45][0-9]{4}"),
        ("serpentine = false", 'serpentine = "no"', "led.serpentine: .*boolean"),
    ):
        assert old in text
        with pytest.raises(NcaHwError, match=message):
            parse(TomlFile("mine.toml", text.replace(old, new, 1)), "mine")
    assert parse(TomlFile("mine.toml", text.replace("width = 5", "width = 3").replace("height = 5\n", "")), "mine").tile.cells == 3
    assert load_board("rp2040").tile.cells == 1
