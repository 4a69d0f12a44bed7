"""Hostile offers, requests and parts against the receiver of new genomes, under AddressSanitizer and UBSan: fuzz/spread.c."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tools import missing

from nca_hw.core import slot
from nca_hw.core.genome import Genome, load
from nca_hw.firmware import render
from nca_hw.firmware.spread import Spread
from nca_hw.formats.boards import load_board

HARNESS = Path(__file__).parent / "fuzz"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMPILED = ("spread.c", "chaskey.c", "rounds.c", "link.c", "slots.S")


def narrow(genome: Genome) -> Genome:
    """Eight hidden units: a slot of 8 pages."""
    return replace(genome, w1=np.ascontiguousarray(genome.w1[:, :8]), b1=genome.b1[:8].copy(), w2=np.ascontiguousarray(genome.w2[:8]))


def compiled(folder: Path, *changes: tuple[str, str]) -> Path:
    """The harness around the rendered sources, spread.c changed."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler here (cc)")
    texts, _ = render.sources(narrow(load("lizard")), load_board("native"), None, Spread())
    for name, text in texts.items():
        (folder / name).write_text(text)
    text = texts["spread.c"]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "spread.c").write_text(text)
    (folder / "harness.c").write_text((HARNESS / "spread.c").read_text())
    (folder / "draw.h").write_text((HARNESS / "draw.h").read_text())
    (folder / "valid.inc").write_text(", ".join(map(str, slot.pack(narrow(load("heart")), 2))))
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, *SANITIZERS, "-o", "empty", "empty.c"], cwd=folder, capture_output=True, check=False).returncode:
        missing("this compiler has no sanitizers")
    sources = [name for name in COMPILED if name != "spread.c"]
    flags = ("-std=gnu99", "-O2", "-g", "-Wall", "-Wextra", "-Wl,-z,noexecstack")
    command = [compiler, *flags, *SANITIZERS, "-o", "fuzz", "harness.c", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert changes or "warning" not in done.stderr, done.stderr
    return folder / "fuzz"


def fuzz(program: Path, sessions: int, seed: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, str(sessions), str(seed)], capture_output=True, text=True, check=False)


def test_nothing_but_a_whole_genome_of_who_has_the_key_ever_runs(tmp_path: Path) -> None:
    done = fuzz(compiled(tmp_path), 3000, 1)
    assert done.returncode == 0, done.stderr
    told = re.fullmatch(r"3000 sessions, (\d+) genomes taken, (\d+) pages written\n", done.stdout)
    assert told is not None and 100 < int(told[1]) < 2700 and int(told[2]) > 3000  # many get there, many are damaged on the way


@pytest.mark.slow
def test_nothing_but_a_whole_genome_ever_runs_in_forty_thousand_tries(tmp_path: Path) -> None:
    done = fuzz(compiled(tmp_path), 40_000, 2)
    assert done.returncode == 0, done.stderr


FAULTS = {
    "the body is not proved": ("if (body_is_right(s.other, kept.head.body_tag)) {", "if (1) {", "nobody has made"),
    "the first page is not proved": ("return is_tag(v, slot->head_tag) && ", "return ", "nobody has made|nothing"),
    "a part is put anywhere": ("k < PART_BYTES && to < NCA_PAGE;", "k < PART_BYTES;", "out of bounds|overflow|Sanitizer"),
    "a part beyond the last": ("part >= PARTS || (s.missing >> part & 1) == 0", "0", "out of bounds|overflow|Sanitizer|shift"),
    "the running slot is written": ("s.other = best ^ 1u;", "s.other = best;", "none of the slot|not the first of the slot"),
    "a page too many": ("if (s.at != NCA_SLOT_PAGES) {", "if (s.at != NCA_SLOT_PAGES + 1) {", "none of the slot|never believed"),
    "a request beyond the slot": ("&& (uint8_t)codes[0] < NCA_SLOT_PAGES) {", ") {", "beyond the slot"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_receiver_are_found(name: str, tmp_path: Path) -> None:
    old, new, told = FAULTS[name]
    done = fuzz(compiled(tmp_path, (old, new)), 3000, 1)
    assert done.returncode != 0
    assert any(word in done.stderr for word in told.split("|")), done.stderr
