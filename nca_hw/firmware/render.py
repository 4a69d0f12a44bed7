"""Genome and board to C sources. Templates are C with holes for data; nothing here decides what the code does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from nca_hw import __version__
from nca_hw.core import frames
from nca_hw.core.genome import Genome
from nca_hw.core.light import led_channels
from nca_hw.core.reference import SEED_QUIET
from nca_hw.core.slot import merged
from nca_hw.firmware import spread as spreading
from nca_hw.firmware.families import Family, family
from nca_hw.firmware.kernels import Kernel
from nca_hw.formats.boards import Board

CORE = ("cell.h", "cell.c", "random.c", "link.h", "link.c", "wire.h", "wire.c", "board.h")
GRID_ROW = 8  # ROW of tile.c.j2


@dataclass(frozen=True)
class Layout:
    """Where the cell is in an image: its update's symbol, and of its RAM the bytes at which the state and the neighbours are."""

    wake: str
    state_at: int
    heard_at: int


def layout(genome: Genome, kernel: Kernel | None) -> Layout:
    """Of the image that `sources` makes: main.c.j2."""
    if kernel is not None and kernel.header:
        return Layout(kernel.wake, kernel.state_at, genome.perception)
    return Layout("nca_cell_wake", 0, genome.perception + (0 if merged(genome) else genome.channels))


def sources(
    genome: Genome, board: Board, kernel: Kernel | None, spread: spreading.Spread | None = None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """All sources of an image, name to text, the core unchanged, the rest rendered; and the names of those that are compiled.

    Args:
        kernel: one that supports the genome, or None for the C core. spread: of an image that takes new genomes; it has the C core.
    """
    folder = _folder()

    def render(name: str, **holes: Any) -> str:
        return text(name, genome, board, spread=spread is not None, **holes)

    chips = family(board.family)
    texts = {name: (folder / "core" / name).read_text() for name in CORE}
    slots = {} if spread is None else spreading.holes(genome, spread, chips.erased)
    texts["genome.h"] = _genome_h(genome, board, "genome.h.j2" if spread is None else f"spread/{spreading.GENOME_HEADER}.j2", **slots)
    is_tile = board.tile.cells > 1
    if spread is not None:
        texts |= {name: (folder / "spread" / name).read_text() for name in spreading.SOURCES}
        texts[spreading.SLOTS] = render(f"spread/{spreading.SLOTS}.j2", **slots, **chips.spread_holes)
        cell: tuple[str, ...] = ("cell.c", *(name for name in spreading.SOURCES if name.endswith(".c")), spreading.SLOTS)
        links: tuple[str, ...] = ()
    elif kernel is None:
        texts["genome.c"] = _genome_c(genome, board)
        cell, links = ("cell.c", "genome.c"), ()
    else:
        links = () if is_tile else tuple(kernel.links)  # links in assembly know the RAM of one cell
        parts = {name: (folder / "kernels" / name).read_text() for name in (*kernel.sources, *links)} | dict(kernel.data(genome))
        texts |= parts
        cell = tuple(name for name in parts if name.endswith(".S"))
    texts["main.c"] = render(
        "tile.c.j2" if is_tile else "main.c.j2", **_tile(board),
        interval=round(max(board.interval_us, chips.spread_interval_us if spread else 0) * chips.ticks_per_second / 1e6),
        brightness=board.led.brightness, seed=genome.seed.tolist(),
        about=frames.about(genome.cell_hash, genome.channels),
        lights=led_channels(genome.channels),
        state_in_perception=merged(genome), kernel_header=kernel.header if kernel else None, links=bool(links),
        numbered=chips.number_at is not None,
        rom=chips.rom,
    )  # fmt: skip
    family_sources = (*chips.sources, *(chips.tile_sources if is_tile else ()), *(chips.spread_sources if spread else ()))
    for name in (*family_sources, chips.linker_script):
        path = name if "/" in name else f"{chips.name}/{name}"
        is_template = name.endswith(".j2")
        texts[_bare(name)] = render(path, **chips.holes(board), **_places(chips, slots)) if is_template else (folder / path).read_text()
    own = [_bare(name) for name in family_sources if not _bare(name).endswith((".h", ".inc"))]
    replaced = {f"{name[:-2]}.c" for name in own if name.endswith(".S")}
    compiled = (*own, "main.c", *(name for name in (*cell, "random.c", *(() if links else ("link.c", "wire.c"))) if name not in replaced))
    return texts, compiled


def _places(chips: Family, slots: dict[str, Any]) -> dict[str, int]:
    """Where the slots are: as high as they can be."""
    if not slots:
        return {}
    return {"boot_at": chips.boot_at, "slots_at": chips.boot_at - 2 * slots["stride"]}


def _bare(name: str) -> str:
    """The name of a source beside all others."""
    return name.rsplit("/", 1)[-1].removesuffix(".j2")


def grid_places(board: Board) -> list[int]:
    """Where the cells of a tile are in its grid of states, which has a halo, by number: tile.c.j2."""
    return [(y + 1) * GRID_ROW + x + 1 for y in range(board.tile.height) for x in range(board.tile.width)]


def _tile(board: Board) -> dict[str, Any]:
    places = grid_places(board)
    return {
        "width": board.tile.width, "height": board.tile.height, "places": places, "chain": [places[cell] for cell in board.chain()],
    }  # fmt: skip


def host_core(genome: Genome, board: Board) -> dict[str, str]:
    """The C core with a genome's tables, name to text, for a test of it on a computer; its headers are those of `sources`."""
    core = {name: (_folder() / "core" / name).read_text() for name in CORE if name.endswith(".c")}
    return {**core, "genome.c": _genome_c(genome, board)}


def text(template: str, genome: Genome, board: Board, **holes: Any) -> str:
    """A template, rendered. What is made says of which genome, and for which board."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_folder()), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(version=__version__, hash=genome.cell_hash, board=board.name, **holes)


def _folder() -> Path:
    return Path(str(resources.files("nca_hw.firmware_templates")))


def _genome_h(genome: Genome, board: Board, template: str = "genome.h.j2", **holes: Any) -> str:
    return text(
        template, genome, board, **holes, seed_quiet=SEED_QUIET, channels=genome.channels, hidden=genome.hidden,
        kernels=len(genome.kernels),
        perception=genome.perception, alpha=genome.alpha, alive=genome.alive, s1=genome.s1, s2=genome.s2, tap_shift=genome.tap_shift,
        arrays=[(name, ctype, len(values)) for name, ctype, values in _tables(genome)], rom=family(board.family).rom,
    )  # fmt: skip


def _genome_c(genome: Genome, board: Board) -> str:
    return text("genome.c.j2", genome, board, tables=_tables(genome))


def _tables(genome: Genome) -> list[tuple[str, str, list[int]]]:
    decode = np.append(genome.decode, genome.decode[-1])
    return [
        ("nca_units", "int8_t", genome.units.ravel().tolist()), ("nca_b2", "int16_t", genome.b2.tolist()),
        ("nca_m2", "int16_t", genome.m2.tolist()), ("nca_taps", "int8_t", genome.taps.ravel().tolist()),
        ("nca_decode", "int16_t", decode.tolist()),
    ]  # fmt: skip


def size_json(document: dict[str, Any]) -> str:
    """The text of size.json: sorted, so that equal sizes are equal files."""
    return json.dumps(document, indent=1, sort_keys=True) + "\n"
