"""The proof: the real image on an emulated chip, and that the proof can fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from genome_strategies import shipped_size_genome

from nca_hw.core.genome import Genome, Kernel, load
from nca_hw.emulate.rp2040 import EmulationError, Rp2040
from nca_hw.emulate.verify import verify
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.image import FLASH, boot_crc
from nca_hw.formats.boards import load_board

BOARD = load_board("rp2040")


@pytest.fixture(scope="module")
def lizard() -> tuple[Genome, Build]:
    genome = load("lizard")
    return genome, build(genome, BOARD)


def with_binary(made: Build, binary: bytes) -> Build:
    return replace(made, image=replace(made.image, binary=binary))


def test_the_shipped_image_equals_the_reference(lizard: tuple[Genome, Build]) -> None:
    proved = verify(*lizard, updates=1000)
    assert proved.equal
    assert proved.mismatch is None
    assert proved.updates_compared == 1000
    assert proved.frames_rejected > 400
    assert proved.stack_bytes <= lizard[1].image.stack  # the bound from the call graph holds
    assert 50_000 < proved.cycles_per_update < 1_000_000


def test_a_single_flipped_weight_in_the_image_is_found(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    at = made.image.binary.index(genome.units.tobytes())
    wrong = bytearray(made.image.binary)
    wrong[at + 40] ^= 0x40
    proved = verify(genome, with_binary(made, bytes(wrong)), updates=300)
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


def test_a_seed_sends_its_state_at_once_and_lets_two_wakes_pass(lizard: tuple[Genome, Build]) -> None:
    genome, made = lizard
    chip = Rp2040(made.image.binary, seed_pin=BOARD.seed.pin, is_seed=True)
    sent = bytearray()
    times: list[int] = []

    def on_send(port: int, byte: int) -> None:
        if port == 1:
            sent.append(byte)
            if byte == 0x80:
                times.append(chip.now)
            if len(sent) == 4 * 21:
                chip.stop()

    chip.on_send = on_send
    chip.reset()
    chip.run()
    states = [np.frombuffer(sent[21 * i + 2 : 21 * i + 18], np.int8).tolist() for i in range(4)]
    assert times[0] <= chip.step
    assert states[0] == states[1] == states[2] == genome.seed.tolist()
    assert states[3] != states[2]
    waits = np.diff(times)
    assert waits.min() >= 50_000
    assert waits.max() <= 150_000 + 2 * chip.step


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
    proved = verify(genome, made, updates=200)
    assert proved.equal, proved.mismatch


@pytest.mark.parametrize(("turn", "more_rom"), [(90, 0), (180, 0), (30, 4)])
def test_a_turned_lizard_fits_and_verifies(lizard: tuple[Genome, Build], turn: int, more_rom: int) -> None:
    genome = replace(lizard[0], turn=turn)
    made = build(genome, BOARD)
    assert len(made.image.binary) == len(lizard[1].image.binary) + more_rom
    proved = verify(genome, made, updates=200)
    assert proved.equal, proved.mismatch


def test_the_chip_refuses_what_it_does_not_know() -> None:
    """A program of three instructions that writes to an unmapped address."""
    code = bytes.fromhex("01480160fee7") + b"\0\0" + (0x60000000).to_bytes(4, "little")
    block = code.ljust(252, b"\0")
    flash = block + boot_crc(block).to_bytes(4, "little")
    chip = Rp2040(flash, seed_pin=22)
    chip.reset()
    with pytest.raises(EmulationError, match="0x60000000"):
        chip.run(5)
    assert chip.memory(FLASH, 2) == code[:2]


def test_a_wrong_baud_rate_is_found(lizard: tuple[Genome, Build]) -> None:
    """The image of another board file: 9,600 baud where 115,200 were asked for."""
    genome, _ = lizard
    slow = build(genome, BOARD.model_copy(update={"links": BOARD.links.model_copy(update={"baud": 9600})}))
    with pytest.raises(EmulationError, match=r"runs at 96\d\d baud, not 115200"):
        verify(genome, replace(slow, board=BOARD), updates=3)
