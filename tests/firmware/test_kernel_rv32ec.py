"""The RV32EC kernels by themselves, on unicorn: the reference's bits, no foreign instruction, nothing touched beside their own; a price."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import unicorn
from elftools.elf.elffile import ELFFile
from genome_strategies import random_codes, shipped_size_genome
from unicorn import riscv_const as riscv

import nca_hw.firmware_templates
from nca_hw.core import reference
from nca_hw.core.ccore import CCell
from nca_hw.core.genome import Genome, Kernel, companded_table, load
from nca_hw.firmware.families.ch32v0 import CH32V0
from nca_hw.firmware.kernels.rv32ec import DIGITS, LOOKUP, LOOPS, Rv32ecKernel
from nca_hw.firmware.rv32ec import foreign

KINDS = pytest.mark.parametrize("kernel", [LOOPS, DIGITS, LOOKUP], ids=lambda k: k.name)
LINKED = "SECTIONS { .text 0 : { KEEP(*(.start)) *(.low*) KEEP(*(.text.nca*)) *(.text*) *(.rodata*) } }\n"
CODE, CELL, STACK, RETURN = 0, 0x20000400, 0x20001000, 0x8000
PERCEPTION, NEIGHBOURS, ACCUMULATORS = 48, 128, 64


class Machine:
    """A kernel with a genome in memory, and nothing else."""

    def __init__(self, kernel: Rv32ecKernel, genome: Genome, folder: Path, counted: bool = False) -> None:
        templates = Path(nca_hw.firmware_templates.__file__).parent
        texts = {"start.S": '.section .start, "ax"\n.globl _start\n_start: .word 0\n', "image.ld": LINKED, **kernel.data(genome)}
        paths = (*(f"kernels/{name}" for name in kernel.sources), "ch32v0/multiply.S")
        texts |= {Path(path).name: (templates / path).read_text() for path in paths}
        for name, text in texts.items():
            (folder / name).write_text(text)
        CH32V0.compile_and_link(folder, tuple(name for name in texts if name.endswith(".S")), "kernel.elf")
        with (folder / "kernel.elf").open("rb") as file:
            elf = ELFFile(file)
            self.image = elf.get_section_by_name(".text").data()
            symbols = {s.name: (s["st_value"], s["st_size"]) for s in elf.get_section_by_name(".symtab").iter_symbols()}
        self.entry, self.size = symbols["nca_cell_wake"]
        self.instructions = 0
        self._mu = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        self._mu.mem_map(CODE, 0x10000, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._mu.mem_write(CODE, self.image)
        self._mu.mem_map(CELL & -0x1000, 0x2000)
        if counted:
            self._mu.hook_add(unicorn.UC_HOOK_CODE, self._count)

    def _count(self, mu: Any, address: int, size: int, data: Any) -> None:
        self.instructions += 1

    def wake(self, state: np.ndarray, heard: np.ndarray) -> tuple[np.ndarray, bool]:
        """One wake: new state, whether the network was evaluated. Registers and memory that belong to others must stand as before."""
        mu = self._mu
        mu.mem_write(CELL & -0x1000, b"\x5a" * 0x2000)
        mu.mem_write(CELL, state.tobytes() + bytes(PERCEPTION - 16) + heard.tobytes() + bytes(ACCUMULATORS))
        saved = {riscv.UC_RISCV_REG_SP: STACK, riscv.UC_RISCV_REG_S0: 0x1234567, riscv.UC_RISCV_REG_S1: 0x89ABCDE}
        arguments = {riscv.UC_RISCV_REG_A1: CELL, riscv.UC_RISCV_REG_RA: RETURN}
        for register, value in {**saved, **arguments}.items():
            mu.reg_write(register, value)
        self.instructions = 0
        mu.emu_start(self.entry, RETURN)
        assert {register: mu.reg_read(register) for register in saved} == saved
        memory = bytes(mu.mem_read(CELL & -0x1000, 0x2000))
        at, end = CELL & 0xFFF, (CELL & 0xFFF) + PERCEPTION + NEIGHBOURS + ACCUMULATORS
        assert memory[at + PERCEPTION : at + PERCEPTION + NEIGHBOURS] == heard.tobytes()
        stack = STACK - (CELL & -0x1000)
        assert set(memory[:at] + memory[end : stack - 36] + memory[stack:]) == {0x5A}
        return np.frombuffer(memory, np.int8, 16, at), bool(mu.reg_read(riscv.UC_RISCV_REG_A0))


@cache
def grown() -> tuple[np.ndarray, np.ndarray]:
    """Living cells of a grown lizard and their neighbours, [n, 16] and [n, 8, 16]."""
    cell, rng = CCell(load("lizard")), np.random.default_rng(0)
    states = np.zeros((40, 40, 16), np.int8)
    states[20, 20] = cell.genome.seed
    for _ in range(300):
        new, _ = cell.wake(states, reference.gather_neighbours(states))
        states = np.where(rng.random((40, 40, 1)) < 0.5, new, states)
    heard = reference.gather_neighbours(states)
    _, evaluated = cell.wake(states, heard)
    return states[evaluated], heard[evaluated]


def stimuli(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """States and neighbours of all magnitudes, and extremes, -128 among them."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([2, 8, 40, 127], (n, 1))
    own = np.clip(rng.integers(-127, 128, (n, 16)), -scale, scale).astype(np.int8)
    heard = np.clip(rng.integers(-127, 128, (n, 8, 16)), -scale[..., None], scale[..., None]).astype(np.int8)
    wild = rng.random(n) < 0.3
    own[wild], heard[wild] = random_codes(seed, (n, 16))[wild], random_codes(seed + 1, (n, 8, 16))[wild]
    return own, heard


def compare(machine: Machine, genome: Genome, own: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Compares every update with the reference; gives which of them evaluated the network."""
    expected, evaluated = reference.wake(genome, own, heard)
    for i in range(len(own)):
        got, ran = machine.wake(own[i], heard[i])
        assert got.tolist() == expected[i].tolist(), i
        assert ran == evaluated[i], i
    return evaluated


@KINDS
def test_the_lizard_is_the_reference_to_the_bit(kernel: Rv32ecKernel, tmp_path: Path) -> None:
    genome = load("lizard")
    machine = Machine(kernel, genome, tmp_path)
    evaluated = compare(machine, genome, *stimuli(600, seed=1))
    assert 200 < evaluated.sum() < 600
    assert compare(machine, genome, *(part[::4] for part in grown())).all()


@KINDS
@pytest.mark.slow
def test_the_lizard_is_the_reference_in_many_updates(kernel: Rv32ecKernel, tmp_path: Path) -> None:
    genome = load("lizard")
    assert compare(Machine(kernel, genome, tmp_path), genome, *stimuli(10_000, seed=2)).sum() > 4000


def odd_genomes() -> Iterator[Genome]:
    rng = np.random.default_rng(3)
    for draw, turn in enumerate((0, 90, 180, 270)):
        shifts = {"s1": (12, 3, 9, 16)[draw], "s2": (15, 16, 23, 30)[draw]}
        yield shipped_size_genome(draw, turn=turn, alpha=draw, alive=(0, 1, 7, 127)[draw], **shifts)
    yield shipped_size_genome(5, decode=np.arange(128, dtype=np.int16), s1=5)  # values from 1 on
    yield shipped_size_genome(6, decode=np.concatenate([[0], np.sort(rng.choice(4096, 127, replace=False) + 1)]).astype(np.int16))
    extreme = {"w1": rng.choice([-127, 127], (48, 256)), "w2": rng.choice([-127, 127], (256, 16))}
    yield shipped_size_genome(
        7, **{name: weights.astype(np.int8) for name, weights in extreme.items()}, b1=rng.choice([-32768, 30000], 256).astype(np.int16),
        b2=rng.choice([-32768, 32767], 16).astype(np.int16), m2=rng.choice([0, 32767], 16).astype(np.int16), decode=companded_table(40.0),
    )  # fmt: skip
    steep = {"w1": np.full((48, 8), 127, np.int8), "w2": np.full((8, 16), -127, np.int8)}
    yield shipped_size_genome(8, **steep, b1=np.full(8, -32768, np.int16), s1=13)


@KINDS
@pytest.mark.parametrize("number", range(8))
def test_other_genomes_are_the_reference_to_the_bit(kernel: Rv32ecKernel, number: int, tmp_path: Path) -> None:
    genome = list(odd_genomes())[number]
    assert kernel.supports(genome)
    assert compare(Machine(kernel, genome, tmp_path), genome, *stimuli(80, seed=number)).sum() > 5


@KINDS
def test_what_the_kernel_can_not_do_it_leaves_to_the_c_core(kernel: Rv32ecKernel) -> None:
    lizard = load("lizard")
    assert kernel.supports(lizard)
    assert kernel.supports(replace(lizard, turn=270))
    for other in (
        replace(lizard, turn=45), replace(lizard, s2=14), replace(lizard, kernels=(Kernel.IDENTITY, Kernel.SOBEL_Y, Kernel.SOBEL_X)),
    ):  # fmt: skip
        assert not kernel.supports(other)
    assert kernel.supports(replace(lizard, s1=2)) == (kernel is LOOKUP)
    hundred = replace(lizard, w1=lizard.w1[:, :100], b1=lizard.b1[:100], w2=lizard.w2[:100])
    assert kernel.supports(hundred) == (kernel is LOOPS)


@KINDS
def test_every_instruction_is_one_of_rv32ec(kernel: Rv32ecKernel, tmp_path: Path) -> None:
    machine = Machine(kernel, load("lizard"), tmp_path)
    code = machine.image[machine.entry : machine.entry + machine.size]
    assert foreign(code) == []
    assert foreign(struct.pack("<I", 0x02B50533)) != []  # mul a0, a0, a1
    assert foreign(struct.pack("<I", 0x00B50833)) != []  # add a6, a0, a1
    assert foreign(struct.pack("<H", 0x982E)) != []  # c.add a6, a1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "mean", "most", "size"), [(LOOPS, 240_000, 600_000, 472), (DIGITS, 73_000, 165_000, 798), (LOOKUP, 56_000, 115_000, 966)],
    ids=["loops", "digits", "lookup"],
)  # fmt: skip
def test_an_update_of_the_lizard_keeps_its_price(kernel: Rv32ecKernel, mean: int, most: int, size: int, tmp_path: Path) -> None:
    machine = Machine(kernel, load("lizard"), tmp_path, counted=True)
    assert machine.size <= size

    def price(own: np.ndarray, heard: np.ndarray) -> list[int]:
        counts = []
        for state, around in zip(own, heard, strict=True):
            machine.wake(state, around)
            counts.append(machine.instructions)
        return counts

    own, heard = grown()
    chosen = np.linspace(0, len(own) - 1, 40).astype(int)
    assert np.mean(price(own[chosen], heard[chosen])) <= mean
    assert max(price(*stimuli(20, seed=4)) + price(*costly())) <= most
    assert price(np.zeros((1, 16), np.int8), np.zeros((1, 8, 16), np.int8))[0] < 120  # dead among the dead


def costly() -> tuple[np.ndarray, np.ndarray]:
    """States whose perception has as many digits as can be: codes with six, in all of it."""
    lizard = load("lizard")
    worst = [code for code in range(128) if digits(int(lizard.decode[code])) == 6]
    rng = np.random.default_rng(0)
    own = rng.choice(worst, (5, 16)).astype(np.int8)
    found = {}
    for trial in rng.integers(0, 128, (4000, 3)):
        heard = np.zeros((1, 8, 16), np.int8)
        heard[0, [1, 2, 3], :] = trial[:, None]  # NE, E, SE: Sobel x
        code = reference.perceive(lizard, np.zeros((1, 16), np.int8), heard)[0, 16]
        if code in worst:
            found[int(code)] = trial
    heard = np.zeros((5, 8, 16), np.int8)
    for i in range(5):
        for c in range(16):
            heard[i, [1, 2, 3], c] = found[int(rng.choice(list(found)))]
    return own, heard


def digits(x: int) -> int:
    """Digits other than 0 of the non-adjacent form: bits in which x and 3 x differ."""
    return (x ^ 3 * x).bit_count()
