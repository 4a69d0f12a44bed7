"""STM32G031 and RP2040 take a new genome from a neighbour and give it on, as an independent reading of the protocol has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nca_hw.core import frames, slot, spread
from nca_hw.core.feeder import Feeder
from nca_hw.core.genome import Genome, load
from nca_hw.emulate.chip import EmulationError
from nca_hw.emulate.rp2040 import Rp2040
from nca_hw.emulate.spread import chosen
from nca_hw.emulate.stm32g031 import Stm32g031
from nca_hw.emulate.wire import WireEnd
from nca_hw.firmware.build import Build, build
from nca_hw.firmware.families import family
from nca_hw.firmware.spread import Spread, stride
from nca_hw.formats.boards import load_board

CHIPS: dict[str, type[Stm32g031] | type[Rp2040]] = {"stm32g031": Stm32g031, "rp2040": Rp2040}
FRAME = frames.frame_bytes(slot.CHANNELS)
WEST = 3
ENOUGH = 60_000_000  # us


def narrow(genome: Genome) -> Genome:
    """64 hidden units: a slot of 37 pages, more than are erased at a time."""
    return replace(genome, w1=np.ascontiguousarray(genome.w1[:, :64]), b1=genome.b1[:64].copy(), w2=np.ascontiguousarray(genome.w2[:64]))


OLD, NEW = narrow(load("lizard")), narrow(load("heart"))
PACKED = slot.pack(NEW, 2)
FIRST = spread.name(slot.pack(OLD, 1))


@pytest.fixture(scope="module", params=CHIPS)
def image(request: pytest.FixtureRequest) -> Build:
    return build(OLD, load_board(request.param), spread=Spread())


class Bench:
    """A chip, a neighbour to the west of it, and what they tell each other."""

    def __init__(self, made: Build, flash: bytes | None = None) -> None:
        self.made = made
        self.family = family(made.board.family)
        self.chip = CHIPS[made.board.name](flash or made.image.binary, made.board)
        self.chip.step = 500
        self.end = WireEnd(WEST, FRAME, self.hear)
        self.chip.ends[WEST] = self.end
        self.reported = bytearray()
        self.chip.on_report = self.reported.append
        self.chip.on_idle = self.look
        self.taken: list[bytes] = []
        self.answer = self.say_nothing
        self.until = ENOUGH

    def say_nothing(self, head: int, codes: np.ndarray) -> None:
        """To a frame of this kind."""

    def hear(self, edge: int, data: bytes) -> None:
        self.taken.append(data)
        for head, codes in frames.decode_spread(data, slot.CHANNELS):
            self.answer(head, codes)

    def look(self) -> None:
        if self.chip.now > self.until:
            self.chip.stop()

    def run(self, us: int = ENOUGH) -> None:
        self.until = self.chip.now + us
        self.chip.reset()
        self.chip.run(timeout_s=60)

    def flash(self) -> bytes:
        return self.chip.memory(self.family.flash, len(self.made.image.binary))

    def slots(self) -> tuple[bytes, bytes]:
        """What lies in A and B."""
        apart, whole = stride(OLD, self.family.erased), slot.shape_of(OLD).slot_bytes
        at = len(self.made.image.binary) - 2 * apart
        flash = self.flash()
        return flash[at : at + whole], flash[at + apart : at + apart + whole]

    def hash_told(self, genome: Genome) -> bool:
        told = [codes for head, codes in frames.decode_reports(bytes(self.reported), slot.CHANNELS) if head == frames.REPORT_SELF_TEST]
        return len(told) == 1 and told[0].tolist()[4:] == frames.about(genome.cell_hash, slot.CHANNELS)[4:]


def offers(bench: Bench, packed: bytes) -> None:
    """The neighbour offers a genome, and gives what it is asked for."""
    name = spread.name(packed)

    def answer(head: int, codes: np.ndarray) -> None:
        if head == frames.WANT and (asked := spread.want(codes)).wanted == name[: spread.WANTED_CODES]:
            for number in asked.parts:
                bench.end.give(spread.part(packed, asked.page, number))

    bench.answer = answer
    bench.end.give(spread.offer(name))


def test_it_takes_a_genome_from_its_neighbour_and_starts_anew_with_it(image: Build) -> None:
    bench = Bench(image)
    offers(bench, PACKED)
    bench.run()
    assert bench.chip.restarted and bench.slots() == (slot.pack(OLD, 1), PACKED) and bench.hash_told(OLD)
    again = Bench(image, bench.flash())
    again.run(300_000)
    assert again.hash_told(NEW) and spread.offer(spread.name(PACKED), tell=True) in again.taken


def test_it_gives_a_genome_to_its_neighbour(image: Build) -> None:
    bench = Bench(image)
    got: dict[tuple[int, int], bytes] = {}
    pages = slot.shape_of(OLD).pages

    def answer(head: int, codes: np.ndarray) -> None:
        if head == frames.OFFER and not got:
            ask(0)
        elif head == frames.PART:
            page, number, mask = codes.astype(np.uint8).tolist()[:3]
            got[page, number] = bytes(code ^ mask for code in codes.astype(np.uint8).tolist()[3:])
            if number == spread.PARTS - 1 and page + 1 < pages:
                ask(page + 1)
            elif len(got) == pages * spread.PARTS:
                bench.chip.stop()

    def ask(page: int) -> None:
        codes = bytes([page, 0x7F, 7]) + FIRST[: spread.WANTED_CODES]
        bench.end.give(frames.frame(frames.WANT, np.frombuffer(codes, np.int8)))

    bench.answer = answer
    bench.run()
    whole = [b"".join(got[page, number] for number in range(spread.PARTS))[: slot.PAGE] for page in range(pages)]
    assert b"".join(whole) == slot.pack(OLD, 1)


def test_it_takes_a_genome_over_its_service_port(image: Build) -> None:
    bench = Bench(image)
    feeder, said = Feeder(PACKED), 0

    def look() -> None:
        nonlocal said
        feeder.hear(bench.chip.now * 1000, bytes(bench.reported[said:]))
        said = len(bench.reported)
        while len(bench.chip.hears) > 1:  # it looks at the time, and so it does not listen: what came is overrun
            bench.chip.hears.popleft()
        bench.chip.hears.extend(feeder.say(bench.chip.now * 1000))
        bench.look()

    bench.chip.on_idle = look
    bench.run()
    assert bench.chip.restarted and bench.slots()[1] == PACKED


@pytest.fixture(scope="module")
def operations(image: Build) -> int:
    """Erasures and writes of a transfer."""
    bench, count = Bench(image), 0

    def notice(address: int, size: int) -> None:
        nonlocal count
        count += 1

    bench.chip.on_flash = notice
    offers(bench, PACKED)
    bench.run()
    return count


SLOW = [pytest.param(part, marks=pytest.mark.slow) for part in (0.01, 0.05, 0.3, 0.45, 0.5, 0.55, 0.6, 0.8, 0.9, 0.97)]


@pytest.mark.parametrize("part", [0, 1, *SLOW])
def test_power_that_fails_while_flash_is_erased_or_written_costs_nothing(image: Build, operations: int, part: float) -> None:
    """What was being erased or written holds anything."""
    bench, count = Bench(image), 0
    struck: list[tuple[int, int]] = []

    def notice(address: int, size: int) -> None:
        nonlocal count
        if count == round(part * (operations - 1)):
            struck.append((address - bench.family.flash, size))
            bench.chip.stop()
        count += 1

    bench.chip.on_flash = notice
    offers(bench, PACKED)
    bench.run()
    assert len(struck) == 1 and not bench.chip.restarted
    (at, size), flash = struck[0], bytearray(bench.flash())
    flash[at : at + size] = np.random.default_rng(operations).integers(0, 256, size, np.uint8).tobytes()
    again = Bench(image, bytes(flash))
    offers(again, PACKED)
    again.run()
    assert again.hash_told(OLD) and again.chip.restarted and again.slots() == (slot.pack(OLD, 1), PACKED)


def test_states_of_a_neighbour_that_runs_another_genome_are_not_taken(image: Build) -> None:
    """A live neighbour makes a dead cell compute: what it reports then is not nothing."""
    alive = np.full(slot.CHANNELS, 60, np.int8)
    reports = []
    for name in (None, spread.name(slot.pack(NEW, 1)), FIRST):
        bench = Bench(image)
        if name is not None:
            bench.end.give(spread.offer(name))
        bench.end.give(frames.encode(6, alive))
        bench.run(1_000_000)
        told = [codes for head, codes in frames.decode_reports(bytes(bench.reported), slot.CHANNELS) if head == frames.REPORT_STATE]
        reports.append(any(codes.any() for codes in told))
    assert reports == [False, False, True]


def test_an_rp2040_that_can_not_read_its_flash_again_is_noticed() -> None:
    """The second of two settings of the SSI, that after a write, asks for another command of the flash."""
    made = build(OLD, load_board("rp2040"), spread=Spread())
    serial_read = (0x03 << 24 | 2 << 8 | 6 << 2).to_bytes(4, "little")
    at = made.image.binary.rindex(serial_read)
    assert at > 256
    bench = Bench(made, made.image.binary[:at] + bytes(4) + made.image.binary[at + 4 :])
    offers(bench, PACKED)
    with pytest.raises(EmulationError):
        bench.run()


def test_what_lies_in_flash_is_what_runs(image: Build) -> None:
    bench = Bench(image)
    bench.run(300_000)
    a, b = bench.slots()
    assert chosen(a + b, slot.PUBLIC_KEY) == slot.pack(OLD, 1) and bench.hash_told(OLD)
