"""New genomes on walls of emulated chips: they get everywhere, nothing that is not whole and right ever runs, and no chip is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nca_hw.core import chaskey, frames, slot, spread
from nca_hw.core.feeder import Feeder
from nca_hw.core.genome import Genome, load
from nca_hw.core.reference import Codes
from nca_hw.emulate import simavr
from nca_hw.emulate.spread import MILLISECOND, NOTHING, SpreadWall, chosen
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import load_board
from nca_hw.sim.scenario import Scenario

BOARD = load_board("atmega328p")
SECOND = 1000 * MILLISECOND
KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
NARROW = 8  # hidden units of most cells here: an eighth of the pages and of the time


def narrow(genome: Genome, hidden: int = NARROW) -> Genome:
    """The first hidden units of a genome: as good as any, for bits."""
    w1, w2 = np.ascontiguousarray(genome.w1[:, :hidden]), np.ascontiguousarray(genome.w2[:hidden])
    return replace(genome, w1=w1, b1=genome.b1[:hidden].copy(), w2=w2)


OLD, NEW = narrow(load("lizard")), narrow(load("heart"))
PAGES = slot.shape_of(OLD).pages


@pytest.fixture(scope="session")
def image(engine: None) -> Build:
    """With the old genome, as version 1; anybody may hand it new ones."""
    return build(OLD, BOARD, spread=Spread())


@pytest.fixture(scope="session")
def keyed(engine: None) -> Build:
    """The same, for those who have the key."""
    return build(OLD, BOARD, spread=Spread(key=KEY))


def packed(version: int = 2, key: bytes = slot.PUBLIC_KEY, genome: Genome = NEW) -> bytes:
    return slot.pack(genome, version, key)


def wall(image: Build, width: int, height: int, *others: bytes, seed: int = 1, old: Genome = OLD, new: Genome = NEW) -> SpreadWall:
    """Chips with power, in their first second; `others`: what may run beside versions 1 and 2."""
    assert image.spread is not None
    key = image.spread.key
    genomes = {spread.name(slot.pack(old, 1, key)): old, spread.name(slot.pack(new, 2, key)): new}
    genomes |= {spread.name(it): new for it in others}
    scenario = Scenario(width, height, seed=seed, wiring="edges", rate_spread=0.01)
    made = SpreadWall(genomes, old, image, scenario)
    made.start()
    made.go(SECOND)
    return made


def done(made: SpreadWall, name: bytes, seconds: int) -> bool:
    """Whether all cells run a genome within some seconds."""
    made.go(made.array.now + seconds * SECOND, lambda: made.all_run(name))
    return made.all_run(name)


def others(made: SpreadWall) -> dict[str, int]:
    """What should not happen."""
    counts = made._counts.others
    return {"crashed": counts[simavr.CRASHED], "driven high": counts[simavr.PUSHED]}


FINE = {"crashed": 0, "driven high": 0}


def hash_told(codes: Codes | None, genome: Genome) -> bool:
    """Whether a self-test tells a genome's hash."""
    return codes is not None and codes.tolist()[4:] == frames.about(genome.cell_hash, slot.CHANNELS)[4:]


def spreads(image: Build, old: Genome, new: Genome, seconds: int) -> None:
    """A genome handed in at a corner of 4x4 chips gets to all; they are then equal to chips that were flashed with it."""
    made, name = wall(image, 4, 4, old=old, new=new), spread.name(slot.pack(new, 2))
    made.feed(0, slot.pack(new, 2))
    assert done(made, name, seconds)
    made.go(made.array.now + SECOND)
    assert made.difference() is None and others(made) == FINE
    updates = made.replay.compared.states
    for cell in range(16):
        assert [runs[4] for _, runs in made.taken[cell]] == [1, 2]
        pages = slot.shape_of(new).pages
        assert (made.writes[cell].erased, made.writes[cell].written) == (pages + 1, pages)  # the first one is erased before all others, too
        assert hash_told(made.self_tests[cell], new)
        assert slot.pack(new, 2) in made.flash(cell) and slot.pack(old, 1) in made.flash(cell)

    # Power fails and comes again; from then on the wall is one that was flashed with the new genome: its reference knows no other.
    for cell in range(16):
        made.power_off([cell])
    made.replay.genomes = {name: new}
    for cell in range(16):
        made.switch_on(cell)
    made.go(made.array.now + 3 * SECOND)
    assert made.difference() is None and made.replay.compared.states > updates + 100
    assert all(hash_told(codes, new) for codes in made.self_tests)
    assert (made.replay.states != 0).any(axis=1).sum() > 1  # and it grows


def test_a_genome_handed_in_at_a_corner_gets_to_all(image: Build) -> None:
    spreads(image, OLD, NEW, 15)


@pytest.mark.slow
def test_a_whole_genome_handed_in_at_a_corner_gets_to_all(engine: None) -> None:
    old, new = load("lizard"), load("heart")
    spreads(build(old, BOARD, spread=Spread()), old, new, 60)


def test_cells_live_on_while_a_genome_spreads(image: Build) -> None:
    made = wall(image, 3, 3)
    before = made._updates.copy()
    began = made.array.now
    made.feed(0, packed())
    assert done(made, spread.name(packed()), 12)
    a_second = (made._updates - before) / ((made.array.now - began) / SECOND)
    assert a_second.min() > 0.7 * 5 and made.difference() is None  # the mean wait is 200 ms; proving and starting anew takes a wake or two


def cut_at(image: Build, operation: int) -> SpreadWall:
    """Two chips; power of the second fails a little after it has begun to erase or write flash for the n-th time."""
    made = wall(image, 2, 1)
    count = 0
    struck: list[int] = []

    def notice(cell: int, address: int, what: int) -> None:
        nonlocal count
        if cell == 1 and count == operation:
            struck.append(address)
        count += cell == 1

    made.on_flash = notice
    made.feed(0, packed())
    end = made.array.now + 12 * SECOND
    while not struck and made.array.now < end:
        made.go(made.array.now + MILLISECOND // 2)
    assert struck
    before = made.flash(1)
    made.power_off([1])
    assert made.flash(1) != before  # the page under way is destroyed
    made.on_flash = None
    made.go(made.array.now + 100 * MILLISECOND)
    made.switch_on(1)
    return made


@pytest.mark.parametrize("operation", [0, 1, 2, 3, 9, 14, 15, 16])
def test_power_that_fails_while_a_page_is_erased_or_written_costs_nothing(image: Build, operation: int) -> None:
    lives(image, operation)


@pytest.mark.slow
@pytest.mark.parametrize("operation", range(2 * PAGES + 1))
def test_power_that_fails_at_any_page_costs_nothing(image: Build, operation: int) -> None:
    lives(image, operation)


def lives(image: Build, operation: int) -> None:
    """The chip runs its old genome still, and takes the new one in the end."""
    made = cut_at(image, operation)
    assert made.taken[1][-1][1][4] == 1
    made.go(made.array.now + SECOND)
    assert (made._updates[1] > 3 and hash_told(made.self_tests[1], OLD)) or made.taken[1][-1][1][4] == 2
    assert done(made, spread.name(packed()), 8)
    made.go(made.array.now + SECOND)
    assert made.difference() is None and others(made) == FINE and hash_told(made.self_tests[1], NEW)


@pytest.mark.slow
def test_power_that_fails_at_fifty_moments_costs_no_cell(image: Build) -> None:
    made, name = wall(image, 4, 4, seed=3), spread.name(packed())
    rng = np.random.default_rng(7)
    made.feed(0, packed())
    dark: dict[int, int] = {}  # until when
    cuts = under_way = 0
    busy: list[int] = []  # chips that have begun to erase or write within the last step
    made.on_flash = lambda cell, address, what: busy.append(cell)
    end = made.array.now + 60 * SECOND
    while (cuts < 50 or dark or not made.all_run(name)) and made.array.now < end:
        busy.clear()
        made.go(made.array.now + MILLISECOND)
        for cell in [cell for cell, until in dark.items() if until <= made.array.now]:
            del dark[cell]
            made.switch_on(cell)
            assert made.taken[cell][-1][1] in (name, spread.name(packed(1, genome=OLD)))
        if cuts < 50 and rng.random() < (0.1 if busy else 0.004):
            cell = int(rng.choice(busy) if busy else rng.integers(16))
            if made.array.has_power(cell):
                made.power_off([cell])
                dark[cell] = made.array.now + int(rng.integers(1, 300)) * MILLISECOND
                cuts += 1
                under_way += bool(busy)
    assert cuts == 50 and under_way > 2
    assert made.all_run(name) and not dark
    made.go(made.array.now + SECOND)
    assert made.difference() is None and others(made) == FINE
    assert all(hash_told(codes, NEW) for codes in made.self_tests)


class Flipping(Feeder):
    """Flips a bit of a part, under a CRC that is right."""

    def __init__(self, whole: bytes, flipped: bytes) -> None:
        super().__init__(whole)
        self.packed = flipped


def flipped(whole: bytes, at: int, bit: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]


HEAD_BITS = [(0, 0), (4, 1), (8, 0), (12, 3), (15, 0), (16, 7), (18, 6), (40, 2), (100, 5), (127, 7)]
BODY_BITS = [(128, 0), (200, 7), (700, 4), (1023, 1)]


@pytest.mark.parametrize(("at", "bit"), HEAD_BITS + BODY_BITS)
def test_a_genome_with_a_flipped_bit_never_runs(image: Build, at: int, bit: int) -> None:
    made = wall(image, 1, 1)
    feed = Flipping(packed(), flipped(packed(), at, bit))
    made._fed = 0, feed
    made.go(made.array.now + 4 * SECOND)
    # What is wrong with the first page is known before anything is erased.
    assert feed.pages == ({0} if at < slot.PAGE else set(range(PAGES)))
    assert (made.writes[0].erased == 0) == (at < slot.PAGE)
    assert [runs[4] for _, runs in made.taken[0]] == [1] and made.difference() is None
    assert not made._counts.others[simavr.WATCHDOG] and chosen(made.flash(0), slot.PUBLIC_KEY) == packed(1, genome=OLD)


def test_a_bit_that_flips_in_flash_before_the_end_is_found(image: Build) -> None:
    made = wall(image, 1, 1)
    made.feed(0, packed())
    made.go(made.array.now + 4 * SECOND, lambda: made.writes[0].written == PAGES - 3)
    at = made.slots_at + made.slot_bytes + 2 * slot.PAGE + 5
    made.array.spoil(0, at, made.array.flash(0, at, 1)[0] ^ 0x10)
    made.go(made.array.now + 3 * SECOND)
    assert made.writes[0].written >= PAGES - 1 and [runs[4] for _, runs in made.taken[0]] == [1]
    assert made.difference() is None


def test_a_genome_that_rots_gives_way_to_the_one_before_and_is_fetched_anew(image: Build) -> None:
    made, name = wall(image, 2, 1), spread.name(packed())
    made.feed(0, packed())
    assert done(made, name, 8)
    made._fed = None
    at = made.slots_at + made.slot_bytes + 3 * slot.PAGE
    made.array.spoil(1, at, made.array.flash(1, at, 1)[0] ^ 1)
    made.switch_on(1)
    assert made.taken[1][-1][1][4] == 1
    assert done(made, name, 8) and made.difference() is None


def test_a_cell_without_any_genome_waits_dark_and_takes_its_neighbours(image: Build) -> None:
    made = wall(image, 2, 1)
    made.power_off([1])
    made.array.spoil(1, made.slots_at + 30, 0x5A)
    made.switch_on(1)
    assert made.taken[1][-1][1] == NOTHING
    assert done(made, spread.name(packed(1, genome=OLD)), 8)
    made.go(made.array.now + SECOND)
    assert made.difference() is None and hash_told(made.self_tests[1], OLD)


@pytest.mark.parametrize("key", [slot.PUBLIC_KEY, bytes(15) + b"\1"])
def test_a_wall_with_a_key_refuses_a_genome_without_it(keyed: Build, key: bytes) -> None:
    made = wall(keyed, 1, 1)
    feed = made.feed(0, packed(9, key))
    made.go(made.array.now + 4 * SECOND)
    assert feed.pages == {0} and made.writes[0].erased == 0
    assert [runs[4] for _, runs in made.taken[0]] == [1] and made.difference() is None


def test_a_wall_with_a_key_takes_a_genome_with_it(keyed: Build) -> None:
    made = wall(keyed, 2, 1)
    made.feed(0, packed(2, KEY))
    assert done(made, spread.name(packed(2, KEY)), 8) and made.difference() is None


@pytest.mark.parametrize("version", [1, 5])
def test_versions_never_go_back(engine: None, version: int) -> None:
    image = build(OLD, BOARD, spread=Spread(version=5))
    scenario = Scenario(1, 1, wiring="edges")
    made = SpreadWall({spread.name(packed(5, genome=OLD)): OLD}, OLD, image, scenario)
    made.start()
    feed = made.feed(0, packed(version))
    made.go(4 * SECOND)
    assert not feed.pages and made.writes[0].erased == 0 and len(made.taken[0]) == 1


GIVEN_UP = 16 * SECOND  # after 64 waits, of 200 ms in the mean: 12.8 s, give or take 0.6


def test_a_hand_in_that_was_given_up_can_be_repeated(image: Build) -> None:
    made, name = wall(image, 1, 1), spread.name(packed())
    first = made.feed(0, packed())
    made.go(made.array.now + 4 * SECOND, lambda: len(first.pages) == 3)
    made._fed = None
    made.go(made.array.now + GIVEN_UP)
    again = made.feed(0, packed())
    assert done(made, name, 8) and again.pages == set(range(PAGES)) and made.difference() is None


def test_a_neighbour_that_was_given_up_is_asked_again_as_soon_as_it_is_back(image: Build) -> None:
    made, name = wall(image, 2, 1), spread.name(packed())
    made.feed(0, packed())
    made.go(made.array.now + 8 * SECOND, lambda: made.writes[1].written == 3)
    made._fed = None
    made.power_off([0])
    made.go(made.array.now + GIVEN_UP)
    assert made.taken[1][-1][1][4] == 1
    made.switch_on(0)
    assert done(made, name, 8) and made.difference() is None


SHAPES: dict[str, Callable[[], Genome]] = {
    "wider": lambda: narrow(load("heart"), 16),
    "other kernels": lambda: replace(NEW, kernels=(NEW.kernels[1], NEW.kernels[0], NEW.kernels[2])),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_genome_of_another_shape_is_refused_before_anything_is_erased(image: Build, shape: str) -> None:
    made = wall(image, 1, 1)
    feed = made.feed(0, packed(2, genome=SHAPES[shape]()))
    made.go(made.array.now + 3 * SECOND)
    assert feed.pages == {0} and made.writes[0].erased == 0 and len(made.taken[0]) == 1


def signed(head: bytes, body: bytes, key: bytes = slot.PUBLIC_KEY) -> bytes:
    """A slot of any contents, rightly signed."""
    head = head[:-slot.TAG] + chaskey.tag(key, body)
    return head + chaskey.tag(key, head) + body


@pytest.mark.parametrize("seed", range(4))
def test_a_genome_of_noise_does_no_harm_and_gives_way_to_the_next(image: Build, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = packed()
    head = bytearray(whole[: slot.PAGE - slot.TAG])
    head[20:88] = rng.integers(0, 256, 68, np.uint8).tobytes()  # self-test, seed, taps
    s1, s2, alpha, alive, tap_shift = [1, 24][seed & 1], [12, 30][seed >> 1], int(rng.integers(16)), 0, [0, 2][seed & 1]
    head[15:20] = bytes([s1, s2, alpha, alive, tap_shift])
    noise = signed(bytes(head), rng.integers(0, 256, len(whole) - slot.PAGE, np.uint8).tobytes())
    made = wall(image, 1, 1, noise)
    made.feed(0, noise)
    assert done(made, spread.name(noise), 8)
    before = made._updates[0]
    made.go(made.array.now + 2 * SECOND)
    assert made._updates[0] > before + 5 and others(made) == FINE and made._counts.others[simavr.WATCHDOG] == 1
    made.feed(0, packed(3))
    made.replay.genomes |= {spread.name(packed(3)): NEW}  # type: ignore[operator]
    assert done(made, spread.name(packed(3)), 8)


def test_a_third_genome_takes_the_place_of_the_first(image: Build) -> None:
    third = packed(70_000, genome=NEW)
    made = wall(image, 2, 1, third)
    made.feed(0, packed())
    assert done(made, spread.name(packed()), 8)
    made.feed(0, third)
    assert done(made, spread.name(third), 8) and made.difference() is None
    assert packed() in made.flash(1) and third in made.flash(1)
