"""The proof: the real image on an emulated chip, and that the proof can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core import frames
from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.emulate.verify import verify
from nca_hw.emulate.wire import WireEnd
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.families.rp2040 import FLASH
from nca_hw.formats.boards import load_board
from nca_hw.formats.boot2 import boot_crc

BOARD = load_board("rp2040")


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def with_binary(made: Build, binary: bytes) -> Build:
    return replace(made, image=replace(made.image, binary=binary))


def test_the_shipped_image_equals_the_reference(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=1000, whole=30)
    assert proved.equal
    assert proved.mismatch is None
    assert proved.updates_compared == 1000
    assert proved.whole_updates == 30
    assert proved.frames_rejected > 10
    assert proved.stack_bytes <= lizard[1].stack  # the bound from the call graph holds
    assert 30_000 < proved.cycles_per_update < 37_500


def test_a_single_flipped_weight_in_the_image_is_found(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    at = next(s.address for s in made.image.symbols if s.name == "nca_units") - FLASH
    wrong = bytearray(made.image.binary)
    wrong[at + 40] ^= 0x40
    proved = verify(genome, with_binary(made, bytes(wrong)), updates=300, whole=5)
    assert not proved.equal
    assert proved.mismatch is not None
    assert [rung.equal for rung in proved.rungs] == [True, True, True, True, False]


def test_a_damaged_boot_block_is_what_the_boot_rom_would_refuse(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    wrong = bytearray(made.image.binary)
    wrong[100] ^= 1
    with pytest.raises(EmulationError, match=r"CRC is wrong"):
        verify(genome, with_binary(made, bytes(wrong)), updates=10)


def test_an_access_outside_the_memory_map_is_an_error(lizard: tuple[Genome, Build]) -> None:
    """The crystal's address among main's literals, changed: the image touches a block it has no business with."""
    genome, made = lizard
    wrong = made.image.binary.replace(bytes.fromhex("00400240"), bytes.fromhex("00400540"), 1)
    assert wrong != made.image.binary
    with pytest.raises(EmulationError, match=r"no business with|outside its memory map"):
        verify(genome, with_binary(made, wrong), updates=10)


def test_a_seed_tells_its_neighbours_at_once_and_lets_two_wakes_pass(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    chip = Rp2040(made.image.binary, BOARD, is_seed=True)
    told: list[tuple[int, list[int]]] = []

    def on_take(edge: int, data: bytes) -> None:
        ((place, state),) = frames.decode_all(data, genome.channels)
        if place == 2:
            told.append((chip.now, state.tolist()))
            if len(told) == 4:
                chip.stop()

    chip.ends = [WireEnd(edge, 21, on_take) for edge in range(4)]
    chip.reset()
    chip.run()
    times, states = [time for time, _ in told], [state for _, state in told]
    assert times[0] <= 10 * chip.step
    assert states[0] == states[1] == states[2] == genome.seed.tolist()
    assert states[3] != states[2]
    waits = np.diff(times)
    assert waits.min() >= 50_000 - 10 * chip.step
    assert waits.max() <= 150_000 + 10 * chip.step


def test_a_cell_is_planted_by_a_command(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    chip, told = Rp2040(made.image.binary, BOARD), []

    def on_take(edge: int, data: bytes) -> None:
        told.extend(state.tolist() for place, state in frames.decode_all(data, genome.channels) if place == 6)
        if genome.seed.tolist() in told:
            chip.stop()

    chip.ends = [WireEnd(edge, 21, on_take) for edge in range(4)]
    chip.ends[0].give(frames.frame(frames.COMMAND_SEED, np.zeros(genome.channels, np.int8)))
    chip.reset()
    chip.run(30)


def test_a_dead_neighbour_costs_no_update(lizard: tuple[Genome, Build]) -> None:
    """One holds a wire low for ever, one breaks off in the midst of every frame, one was never there."""
    genome, made = lizard
    chip, reported = Rp2040(made.image.binary, BOARD), bytearray()
    chip.ends = [None, WireEnd(1, 21, lambda edge, data: None), None, WireEnd(3, 21, lambda edge, data: None)]
    chip.ends[1].look = lambda pulls: 2  # wire 0 is low
    for _ in range(3):
        chip.ends[3].give(frames.encode(2, genome.seed)[:9])

    def on_report(byte: int) -> None:
        reported.append(byte)
        if len(reported) == 5 * 21:
            chip.stop()

    chip.on_report = on_report
    chip.reset()
    chip.run(60)
    assert len(frames.decode_reports(bytes(reported), genome.channels)) == 5


OTHERS = {
    "Laplacian, no alive mask": {"channels": 8, "hidden": 40, "kernels": (Kernel.IDENTITY, Kernel.LAPLACIAN), "alive": 0, "alpha": 3},
    "no identity": {"channels": 16, "hidden": 32, "kernels": (Kernel.SOBEL_Y, Kernel.SOBEL_X), "alive": 7, "alpha": 3},
    "all kernels": {"channels": 12, "hidden": 64, "kernels": tuple(Kernel), "alive": 1, "alpha": 0},
    "one channel": {"channels": 1, "hidden": 5, "kernels": (Kernel.LAPLACIAN,), "alive": 0, "alpha": 0},
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_automata_build_and_verify(name: str) -> None:
    sizes = dict(OTHERS[name])
    channels, hidden = sizes.pop("channels"), sizes.pop("hidden")
    rng = np.random.default_rng(1)

    def codes(*shape: int) -> np.ndarray:
        return rng.integers(-127, 128, shape).astype(np.int8)

    genome = shipped_size_genome(
        w1=codes(len(sizes["kernels"]) * channels, hidden), w2=codes(hidden, channels), seed=codes(channels),
        b1=rng.integers(-9000, 9000, hidden).astype(np.int16), b2=rng.integers(-7000, 7000, channels).astype(np.int16),
        m2=rng.integers(0, 32767, channels).astype(np.int16), **sizes,
    )  # fmt: skip
    made = build(genome, BOARD)
    proved = verify(genome, made, updates=200, whole=5)
    assert proved.equal, proved.mismatch


@pytest.mark.parametrize("turn", [90, 180, 30])
def test_a_turned_lizard_fits_and_verifies(lizard: tuple[Genome, Build], turn: int) -> None:
    """By quarters the kernel turns its weights, and the image has the same bytes; any other angle is left to the C core."""
    genome = replace(lizard[0], turn=turn)
    made = build(genome, BOARD)
    assert len(made.image.binary) <= BOARD.budget.rom
    assert (len(made.image.binary) == len(lizard[1].image.binary)) == (turn % 90 == 0)
    proved = verify(genome, made, updates=200, whole=5)
    assert proved.equal, proved.mismatch


def test_the_chip_refuses_what_it_does_not_know() -> None:
    """A program of three instructions that writes to an unmapped address."""
    code = bytes.fromhex("01480160fee7") + b"\0\0" + (0x60000000).to_bytes(4, "little")
    block = code.ljust(252, b"\0")
    flash = block + boot_crc(block).to_bytes(4, "little")
    chip = Rp2040(flash, BOARD)
    chip.reset()
    with pytest.raises(EmulationError, match="0x60000000"):
        chip.run(5)
    assert chip.memory(FLASH, 2) == code[:2]


def test_a_wire_on_another_pin_is_found(lizard: tuple[Genome, Build]) -> None:
    """The image of another board file, whose eastern wires are elsewhere."""
    genome, _ = lizard
    edges = BOARD.edges.model_copy(update={"east": ("GP10", "GP11")})
    other = build(genome, BOARD.model_copy(update={"edges": edges}))
    with pytest.raises(EmulationError, match="pin 4 has function None, not 5"):
        verify(genome, replace(other, board=BOARD), updates=3)
