"""Hostile bytes and wires against the receive path of main.c, link.c and wire.c, under AddressSanitizer and UBSan: fuzz/receive.c."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tools import missing

from nca_hw.core.genome import load
from nca_hw.firmware import render
from nca_hw.formats.boards import load_board

HARNESS = Path(__file__).parent / "fuzz" / "receive.c"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WITHIN = ("main.c", "board.c", "array.c")  # part of the harness, or replaced by it


def compiled(folder: Path, changes: dict[str, tuple[str, str]] | None = None) -> Path:
    """The harness around the rendered sources, some of them changed."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler here (cc)")
    texts, sources = render.sources(load("lizard"), load_board("native"), None)
    core = [name for name in sources if name not in WITHIN]
    for name, (old, new) in (changes or {}).items():
        assert old in texts[name]
        texts[name] = texts[name].replace(old, new)
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "receive.c").write_text(HARNESS.read_text())
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    if subprocess.run([compiler, *SANITIZERS, "-o", "empty", "empty.c"], cwd=folder, capture_output=True, check=False).returncode:
        missing("this compiler has no sanitizers")
    command = [compiler, "-std=gnu99", "-ffreestanding", "-O2", "-g", "-Wall", "-Wextra", *SANITIZERS, "-o", "receive", "receive.c", *core]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert changes or "warning" not in done.stderr, done.stderr
    return folder / "receive"


def fuzz(program: Path, strings: int, sessions: int, seed: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, str(strings), str(sessions), str(seed)], capture_output=True, text=True, check=False)


def test_hostile_bytes_and_wires_change_nothing_without_a_sound_frame(tmp_path: Path) -> None:
    done = fuzz(compiled(tmp_path), 50_000, 5_000, 1)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_million_hostile_strings_change_nothing_without_a_sound_frame(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    for seed in range(4):
        done = fuzz(program, 250_000, 25_000, 100 + seed)
        assert done.returncode == 0, (seed, done.stderr)


UNSOUND = "without a sound frame|not sound"
FAULTS = {
    "a byte of the CRC is not compared": ("link.c", "if (byte != known) {", "if (byte != known && at != body + 3) {", UNSOUND),
    "a start in the midst is a code": ("link.c", "if (byte == NCA_LINK_START) {", "if (0) {", UNSOUND),
    "any kind is a state": ("main.c", "(head & ~NCA_LINK_DETAIL) == NCA_LINK_STATE", "head", "changed something|something else"),
    "a place beyond the eighth": ("main.c", "neighbours[head & NCA_LINK_DETAIL]", "neighbours[head & 31]", "out of bounds|something else"),
    "one code too many": ("link.c", "codes[at - 2]", "codes[at - 1]", "AddressSanitizer|outside|as it is"),
    "an asker waits for ever": ("wire.c", "while (--looks != 0)", "while (--looks != 0 || 1)", "for ever"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_receive_path_are_found(name: str, tmp_path: Path) -> None:
    file, old, new, told = FAULTS[name]
    program = compiled(tmp_path, {file: (old, new)})
    done = fuzz(program, 50_000, 20_000, 1)
    assert done.returncode != 0
    assert any(word in done.stderr for word in told.split("|")), done.stderr
