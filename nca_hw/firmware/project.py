"""The PlatformIO project around an image: a platform of its own inside the folder, which builds the same bytes and downloads nothing.

The project stands alone: it holds the compiler's flags as data, and copies of the modules that compile and make an image of an ELF.
So it needs PlatformIO and the compiler, and not nca-hw.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from nca_hw.core import frames, reference
from nca_hw.core.genome import CODE_MAX, Genome
from nca_hw.core.reference import Codes
from nca_hw.firmware import render, toolchain
from nca_hw.firmware.compiler import Compiler
from nca_hw.firmware.families import Family, family
from nca_hw.firmware.families.base import untouched
from nca_hw.formats.boards import Board
from nca_hw.formats.chips import CHIPS

WAKES, WAITS = 96, 32  # of the self-test on the host
TEST = "test_cell"
FACTS = "platforms/nca-hw/project.json"  # what a project is built from; no folder without a project has it
COPIED = (  # modules, into the platform's package nca_hw_image; they import each other and what PlatformIO itself needs, nothing else
    "errors.py", "firmware/armv6m.py", "firmware/budget.py", "firmware/compiler.py", "firmware/image.py", "firmware/steps.py",
    "formats/boot2.py", "formats/intel_hex.py", "formats/uf2.py",
)  # fmt: skip
HOST = toolchain.host("-std=c99", "-O1", "-Wno-unknown-attributes")  # those are of a GCC for a chip
HOST_SOURCES = ("cell.c", "genome.c", "random.c", "link.c", "test_cell.c")


@dataclass(frozen=True)
class Made:
    """What a project is told of the image it builds.

    Attributes:
        texts: all sources, name to text. compiled: names of those that are. compiler: of the image. binary: the image.
        told: what size.json holds, for people.
    """

    genome: Genome
    board: Board
    texts: Mapping[str, str]
    compiled: tuple[str, ...]
    compiler: Compiler
    binary: bytes
    told: Mapping[str, Any]


def files(made: Made) -> dict[str, bytes]:
    """The project's files, path to bytes; they belong beside the image."""
    chips = family(made.board.family)
    texts = {f"src/{name}": text for name, text in made.texts.items() if name in made.compiled or not name.endswith((".c", ".S"))}
    texts["platforms/nca-hw/platform.json"] = _json(_platform(made.board))
    texts[f"platforms/nca-hw/boards/{made.board.name}.json"] = _json(_board(made.board, made.told["warnings"]))
    texts[FACTS] = _json(_project(made, chips))
    own = _folder("nca_hw.firmware_templates") / "platformio"
    texts["platforms/nca-hw/platform.py"] = (own / "platform.py").read_text()
    texts["platforms/nca-hw/builder/main.py"] = (own / "main.py").read_text()
    texts["platforms/nca-hw/builder/size.py"] = (own / "size.py").read_text()
    package = "platforms/nca-hw/builder/nca_hw_image"
    texts |= {f"{package}/{folder}__init__.py": '"""Modules of nca-hw, unchanged."""\n' for folder in ("", "firmware/", "formats/")}
    texts |= {f"{package}/{name}": (_folder("nca_hw") / name).read_text() for name in COPIED}
    texts["test/test_custom_runner.py"] = (own / "test_custom_runner.py").read_text()
    texts |= {f"test/{TEST}/{name}": text for name, text in _self_test(made).items()}
    texts[".gitignore"] = ".pio/\n"
    holes = {"title": made.board.title, "baud": frames.BAUD}
    texts["platformio.ini"] = render.text("platformio/platformio.ini.j2", made.genome, made.board, **holes)
    texts["README.md"] = render.text("platformio/README.md.j2", made.genome, made.board, **holes, files=_contents(chips, made))
    return {name: text.encode() for name, text in texts.items()}


def limits(board: Board) -> dict[str, int]:
    """Of an image for a board, bytes; as `budget` wants them."""
    return {"rom": board.budget.rom, "cell_ram": board.budget.cell_ram, "flash": board.memory.flash, "ram": board.memory.ram}


def _platform(board: Board) -> dict[str, Any]:
    return {
        "name": "nca-hw", "title": f"nca-hw for {board.name}", "description": "One board and its image; nothing is downloaded",
        "version": "1.0.0", "license": "Apache-2.0", "engines": {"platformio": "^6"}, "frameworks": {}, "packages": {},
    }  # fmt: skip


def _board(board: Board, warnings: Sequence[str]) -> dict[str, Any]:
    """As PlatformIO has boards; of the board file. The budget of ROM is no limit where `build` has but warned of it: a second opinion."""
    bounds = limits(board)
    bounds["rom"] = bounds["flash"] if warnings else bounds["rom"]
    return {
        "name": board.title, "vendor": "nca-hw", "url": "", "frameworks": [],
        "build": {"mcu": board.family, "f_cpu": f"{CHIPS[board.family].clock_hz}L"},
        "upload": {"maximum_size": bounds["rom"], "maximum_ram_size": bounds["ram"], "protocol": "nca-hw", "protocols": ["nca-hw"]},
        "nca_hw": {"flash": bounds["flash"], "cell_ram": bounds["cell_ram"]},
    }  # fmt: skip


def _project(made: Made, chips: Family) -> dict[str, Any]:
    host = replace(HOST, flags=(*HOST.flags, *((f"-D{chips.rom}=",) if chips.rom else ())))
    return {
        "board": made.board.name, "genome": made.genome.cell_hash, "kernel": made.told["kernel"], "compiler": asdict(made.compiler),
        "sources": list(made.compiled), "address": chips.flash, "boot2": chips.seal is not untouched,
        "stack_from": "reset" if chips.stack else None, "container": _container(chips, made.binary),
        "image_sha256": hashlib.sha256(made.binary).hexdigest(),
        "self_test": {"compiler": asdict(host), "sources": list(HOST_SOURCES), "folder": TEST},
    }  # fmt: skip


def _container(chips: Family, binary: bytes) -> str | None:
    return next((name.rsplit(".", 1)[1] for name in chips.containers(binary)), None)


def _self_test(made: Made) -> dict[str, str]:
    """What the self-test needs beside `src/`: itself, its vectors, and of the core what the image has in assembly."""
    own = _folder("nca_hw.firmware_templates") / "platformio"
    core = render.host_core(made.genome, made.board)
    beside = {name: text for name, text in core.items() if name not in made.compiled and name in HOST_SOURCES}
    vectors = render.text("platformio/vectors.h.j2", made.genome, made.board, **_vectors(made.genome))
    return {**beside, "test_cell.c": (own / "test_cell.c").read_text(), "vectors.h": vectors}


def _vectors(genome: Genome) -> dict[str, Any]:
    """Inputs of all magnitudes and what the reference makes of them, for the template."""
    c = genome.channels
    drawn = np.stack([codes for _, codes in zip(range(WAKES), _inputs(genome), strict=False)])  # [WAKES, 9, C]
    states, neighbours = drawn[:, 0], drawn[:, 1:]
    new, evaluated = reference.wake(genome, states, neighbours)
    heads = [frames.STATE | i % 8 for i in range(16)]
    start, mean = 0x2545F491, 100_000
    numbers = [start]
    for _ in range(WAITS):
        numbers.append(reference.random_next(numbers[-1]))
    return {
        "channels": c, "perception": genome.perception, "states": states.tolist(), "neighbours": neighbours.reshape(WAKES, 8 * c).tolist(),
        "new": new.tolist(), "evaluated": evaluated.astype(int).tolist(), "wait_start": start, "wait_mean": mean,
        "waits": [reference.random_wait(number, mean) for number in numbers[1:]], "heads": heads,
        "frames": [list(frames.frame(head, codes)) for head, codes in zip(heads, new, strict=False)],
    }  # fmt: skip


def _inputs(genome: Genome) -> Iterator[Codes]:
    """A cell and its neighbours, int8 [9, C]: drawn by SHAKE-256, the same everywhere; of three magnitudes, with extremes, some dead."""
    bytes_of_one = 9 * genome.channels
    for number in range(1 << 16):
        stream = hashlib.shake_256(b"nca-hw self-test %d" % number).digest(2 * bytes_of_one)
        drawn = np.frombuffer(stream[:bytes_of_one], np.int8).astype(np.int64)
        chance = np.frombuffer(stream[bytes_of_one:], np.uint8)
        scaled = np.clip(drawn >> (0, 2, 5)[number % 3], -CODE_MAX, CODE_MAX)
        scaled = np.where(chance < 24, CODE_MAX, np.where(chance > 231, -CODE_MAX, scaled))
        codes = scaled.astype(np.int8).reshape(9, genome.channels)
        if number % 8 == 7:  # nobody alive
            codes[:, genome.alpha] = np.minimum(codes[:, genome.alpha], 0)
        yield codes


def _contents(chips: Family, made: Made) -> list[tuple[str, str]]:
    """For the README."""
    flashed = _container(chips, made.binary)
    told = made.told
    return [
        *([(f"nca-hw.{flashed}", "what is flashed")] if flashed else []),
        ("nca-hw.elf", f"the image with its symbols, by {made.compiler.name}"),
        ("nca-hw.bin", f"the image alone, {told['rom_bytes']} bytes; it begins at {chips.flash:#x}"),
        ("nca-hw.map", "addresses and sizes of what is in it"), ("size.json", "its sizes and budgets"),
        ("src/", f"its sources, rendered; the cell's kernel is {told['kernel']}"),
        ("test/", "the self-test on this computer"), ("platformio.ini", "the project"),
        ("platforms/", "how PlatformIO builds it: flags, sources and budgets are in its `project.json` and `boards/`"),
    ]  # fmt: skip


def _folder(package: str) -> Path:
    return Path(str(resources.files(package)))


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1) + "\n"
