"""Cells of the unmodified firmware on this computer, wired edge to edge: what they grow, deliver, and survive."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from nca_hw.core.genome import Genome, load
from nca_hw.emulate.native import EVENT, NOT_TAKEN, TAKEN, NativeArray
from nca_hw.emulate.replay import Replay, replay
from nca_hw.emulate.verify import verify
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.image import read_image
from nca_hw.formats.boards import load_board

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here (cc)")
MS = 1_000_000
INTERVAL = 100 * MS
LOCKSTEP = {"same_noise": True, "stagger_ns": 0, "spread_ppm": 0}


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, load_board("native"))


def frames_per_update(width: int, height: int) -> float:
    """On average over the cells of an array: three over an edge to the north or south, one to the east or west."""
    return (6 * width * (height - 1) + 2 * height * (width - 1)) / (width * height)


def waits(played: Replay, since: int = 0) -> list[int]:
    """Between updates of a cell, ns, but for those that a seed lets pass."""
    return [after - before for times in played.updated_at for before, after in pairwise(times[1:]) if before >= since]


def test_an_array_wired_edge_to_edge_grows_the_pattern_of_the_reference(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    array = NativeArray(made, 7, 7)
    played = replay(genome, array.run(15 * INTERVAL), 7, 7)
    assert (played.different, played.wrong) == (0, 0)
    assert played.evaluated > 400
    assert (played.states[:, genome.alpha] >= genome.alive).sum() > 30
    assert 0.95 < played.given / (played.updates * frames_per_update(7, 7)) < 1.2
    assert played.not_given < played.given / 200
    assert played.not_taken < played.given / 50
    assert 6 * 168 < played.looks < 7 * 168  # bits of a frame: 21 bytes
    assert 0.4 * INTERVAL < min(waits(played)) < max(waits(played)) < 1.6 * INTERVAL  # a frame that is underway delays an update


def test_a_run_is_the_same_again(lizard: tuple[Genome, Build]) -> None:
    first, second = (NativeArray(lizard[1], 3, 3, seed=5).run(4 * INTERVAL) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != NativeArray(lizard[1], 3, 3, seed=6).run(4 * INTERVAL).tobytes()


def test_a_damaged_weight_in_the_image_is_found(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    wrong = bytearray(made.image.elf)
    wrong[made.image.elf.index(genome.units.tobytes()) + 40] ^= 0x40
    damaged = replace(made, image=read_image(bytes(wrong), 0))
    assert replay(genome, NativeArray(damaged, 4, 4).run(10 * INTERVAL), 4, 4).different > 0
    assert not verify(genome, damaged, updates=100).equal


def test_a_single_native_cell_is_verified_like_any_chip(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=200)
    assert proved.equal
    assert proved.frames_rejected > 10


@pytest.mark.parametrize(("width", "height"), [(2, 1), (1, 2), (3, 3)])
@pytest.mark.parametrize("jitter", [0.0, 0.01, 1.0])
def test_cells_that_do_everything_at_once_and_always_ask_together_deliver_every_frame(
    lizard: tuple[Genome, Build], width: int, height: int, jitter: float
) -> None:
    for seed in (1, 2):
        array = NativeArray(lizard[1], width, height, seed=seed, jitter=jitter, **LOCKSTEP)
        played = replay(lizard[0], array.run(10 * INTERVAL), width, height)
        assert (played.different, played.wrong) == (0, 0)
        assert played.given >= played.updates * frames_per_update(width, height)
        assert played.taken >= played.given


def test_two_cells_deliver_every_frame_whatever_the_order_of_their_steps(lizard: tuple[Genome, Build]) -> None:
    """Steps of 0 to 2 means, and chips up to four times slower: what one does falls between any two steps of the other."""
    for seed in range(40):
        width, height = (2, 1) if seed % 2 else (1, 2)
        array = NativeArray(lizard[1], width, height, seed=seed, jitter=1.0, slowest=3.0, step_ns=1_000)
        played = replay(lizard[0], array.run(8 * INTERVAL), width, height)
        assert (played.different, played.wrong) == (0, 0), seed
        last_updates = 2 * frames_per_update(width, height)  # what the last updates owe may still be on its way
        assert played.given >= played.updates * frames_per_update(width, height) - last_updates, seed


def test_a_neighbour_that_vanishes_in_the_midst_of_anything_holds_nobody_up(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    rng, victims = np.random.default_rng(0), (5, 6, 9)
    array = NativeArray(made, 4, 4)
    pieces = [array.run(3 * INTERVAL)]
    for _ in range(40):
        victim = int(rng.choice(victims))
        array.power(victim, False)
        pieces.append(array.run(int(rng.integers(1, 20 * MS))))
        array.power(victim, True)
        pieces.append(array.run(int(rng.integers(1, 30 * MS))))
    pieces.append(array.run(10 * INTERVAL))
    played = replay(genome, np.concatenate(pieces), 4, 4)
    assert (played.different, played.wrong) == (0, 0)
    others = [after - before for cell in range(16) if cell not in victims for before, after in pairwise(played.updated_at[cell][1:])]
    assert max(others) < 1.55 * INTERVAL
    assert all(times[-1] > array.now - 1.6 * INTERVAL for times in played.updated_at)


@pytest.mark.parametrize("wires", [1, 2, 3])
@pytest.mark.parametrize("edges", [(1,), (0, 1, 2, 3)])
def test_wires_that_are_stuck_low_keep_no_cell_from_its_updates(lizard: tuple[Genome, Build], wires: int, edges: tuple[int, ...]) -> None:
    genome, made = lizard
    array = NativeArray(made, 4, 4)
    pieces = [array.run(4 * INTERVAL)]
    for edge in edges:
        array.short(5, edge, wires)
    pieces.append(array.run(8 * INTERVAL))
    for edge in edges:
        array.short(5, edge, 0)
    shorted_until = array.now
    pieces.append(array.run(8 * INTERVAL))
    played = replay(genome, np.concatenate(pieces), 4, 4)
    assert (played.different, played.wrong) == (0, 0)
    assert max(waits(played)) < 1.6 * INTERVAL
    mended = pieces[2]
    assert (np.isin(mended["kind"], (TAKEN,)) & (mended["cell"] == 5) & (mended["time"] > shorted_until)).sum() > 6 * 8


def test_wires_that_are_read_wrongly_delay_frames_and_forge_none(lizard: tuple[Genome, Build]) -> None:
    """One look in a thousand, so that hardly a frame remains unharmed: what is told must be sound all the same, and the wall must go on."""
    genome, made = lizard
    array = NativeArray(made, 4, 4)
    pieces = [array.run(4 * INTERVAL)]
    array.glitches(1e-3)
    pieces.append(array.run(10 * INTERVAL))
    array.glitches(0)
    pieces.append(array.run(4 * INTERVAL))
    played = replay(genome, np.concatenate(pieces), 4, 4)
    assert (pieces[1]["kind"] == NOT_TAKEN).sum() > 500
    assert (pieces[1]["kind"] == TAKEN).sum() > 0.4 * 16 * 10 * frames_per_update(4, 4)
    assert (played.different, played.wrong) == (0, 0)
    assert max(waits(played)) < 2 * INTERVAL
    assert (pieces[2]["kind"] == NOT_TAKEN).sum() < 20


def test_events_have_the_layout_of_the_image() -> None:
    assert EVENT.itemsize == 40
    assert [EVENT.fields[name][1] for name in EVENT.names] == [0, 8, 12, 16, 17, 18, 19]  # type: ignore[index, union-attr]
