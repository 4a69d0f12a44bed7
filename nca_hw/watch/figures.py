"""The figures of a watch: one document, which terminal, page and --json show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nca_hw.report.led import Look, to_light
from nca_hw.watch.array import LiveArray, known_genome, longest_pause, mean_rate
from nca_hw.watch.expected import Expected
from nca_hw.watch.follow import Follower
from nca_hw.watch.ports import SerialLine

UNKNOWN = (44, 44, 62)  # of a cell that has told nothing, beside one that is dark
TROUBLE_MAX = 200  # tiles that are named
UNLIKE_SHARE = 0.01  # of checked states: with more that do not follow, the comparison has failed; docs/watching.md tells why not with one


def figures(
    array: LiveArray, *, target: NDArray[np.float32] | None = None, lines: Sequence[SerialLine] = (), follower: Follower | None = None,
    expected: Expected | None = None,
) -> dict[str, Any]:  # fmt: skip
    """All that can be told now; docs/watching.md says what each figure is."""
    places, watched = array.places, array.watched
    cells = array.watched_cells
    rates = array.rates()[cells]
    known = rates.size > 0 and not np.isnan(rates).any()
    counts = array.line_counts()
    ended = counts.sound + counts.damaged
    crc = array.usual_crc()
    return {
        "seconds": array.now - (array.began or 0.0), "grid": f"{places.width}x{places.height}",
        "tiles": places.columns * places.rows, "watched_tiles": int(watched.sum()), "watched_cells": int(cells.sum()),
        "told_cells": int(array.told.sum()), "alive": array.alive(), "loss": None if target is None else array.loss(target),
        "reports": int(array.counts.sum()),
        "rate": {"mean": float(rates.mean()), "least": float(rates.min()), "most": float(rates.max())} if known else None,
        "board_rate": mean_rate(array.board), "pauses": int(array.pauses.sum()), "longest_pause": longest_pause(array.board),
        "line": {**asdict(counts), "damaged_share": counts.damaged / ended if ended else 0.0, "unplaced": array.unplaced},
        "held_up": array.held_up, "self_tests": int(array.tests.sum()), "restarts": int(array.restarts.sum()),
        "image_crc": None if crc is None else f"{crc:04x}",
        "silent": [_named(array, tile) for tile in array.silent()],
        "other_images": [_named(array, tile) for tile in array.other_images()],
        "other_genomes": [_named(array, tile) for tile in array.other_genomes()],
        "gone": [line.name for line in lines if not line.is_open],
        "reopened": sum(line.opened - 1 for line in lines if line.opened > 1),
        "trouble": trouble(array, lines),
        "compare": None if follower is None else _compared(follower, expected),
    }  # fmt: skip


def _named(array: LiveArray, tile: int) -> str:
    row, column = divmod(tile, array.places.columns)
    return f"{column},{row}"


def _port_of(array: LiveArray, tile: int) -> str:
    for port, (name, at) in enumerate(zip(array.places.ports, array.places.tiles, strict=True)):
        if at == tile or array.hubs[port]:
            return name
    return ""


def trouble(array: LiveArray, lines: Sequence[SerialLine] = ()) -> list[dict[str, Any]]:
    """Tiles with which something is not as it should be, the worst first: where, on which port, and what in words."""
    silent, images, genomes = set(array.silent()), set(array.other_images()), set(array.other_genomes())
    gone = {line.name for line in lines if not line.is_open}
    found: list[tuple[int, int, dict[str, Any]]] = []
    for tile in np.flatnonzero(array.watched).tolist():
        port, told_at = _port_of(array, tile), array.tile_told_at[tile]
        words: list[str] = []
        if port in gone:
            words.append("its port is gone")
        if tile in silent:
            words.append("never told anything" if np.isnan(told_at) else f"silent for {array.now - told_at:.1f} s")
        if tile in genomes:
            test = array.self_tests[tile]
            words.append(f"has another genome ({known_genome(test) or f'a hash that ends with {test.genome[-8:]}'})")
        if tile in images:
            words.append(f"has another image ({array.self_tests[tile].image_crc:04x})")
        worst = len(words)
        if restarts := int(array.restarts[tile]):
            words.append("began anew" if restarts == 1 else f"began anew {restarts} times")
        if pauses := int(array.pauses[array.cells_of[tile]].sum()):
            words.append(f"{pauses} pause{'s' * (pauses > 1)} too long")
        if words:
            found.append((-worst, tile, {"tile": _named(array, tile), "port": port, "what": ", ".join(words)}))
    for number, (name, decoder) in enumerate(zip(array.places.ports, array.decoders, strict=True)):
        if decoder.counts.damaged:
            ended = decoder.counts.sound + decoder.counts.damaged
            told = f"{decoder.counts.damaged:,} damaged frame{'s' * (decoder.counts.damaged > 1)}"
            told += f", {decoder.counts.damaged / ended:.1%} of the line"
            where = "hub" if array.hubs[number] else _named(array, array.places.tiles[number])
            found.append((0, array.places.tiles[number], {"tile": where, "port": name, "what": told}))
    found.sort(key=lambda one: one[:2])
    return [told for _, _, told in found[:TROUBLE_MAX]]


def _compared(follower: Follower, expected: Expected | None) -> dict[str, Any]:
    done = follower.done
    used = done.newest + done.older
    first = done.first
    return {
        "holds": done.unlike <= UNLIKE_SHARE * done.checked, "checked": done.checked,
        "follow": done.follow, "of_dead_cells": done.dead, "unlike": done.unlike, "unknown": done.unknown,
        "skipped": done.skipped, "older_share": done.older / used if used else None,
        "first_unlike": None if first is None else asdict(first),
        "expected_loss": None if expected is None else expected.loss, "expected_alive": None if expected is None else expected.alive,
    }  # fmt: skip


def picture(array: LiveArray) -> NDArray[np.uint8]:
    """The LEDs as they look, 8-bit RGB [height, width, 3]; who has told nothing, or is silent, is grey."""
    light = to_light(array.rgba(), Look(array.board.led.brightness))
    unknown = ~array.told
    unknown[array.cells_of[array.silent()].ravel()] = True
    light[unknown.reshape(light.shape[:2])] = UNKNOWN
    return light
