"""Hostile bytes and wires against the receive path of main.c, link.c and wire.c, under AddressSanitizer and UBSan: fuzz/receive.c."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tools import missing

from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.firmware import render
from nca_hw.formats.boards import load_board

HARNESS = Path(__file__).parent / "fuzz"
SANITIZERS = "address,undefined"
WITHIN = ("main.c", "board.c", "array.c")  # part of the harness, or replaced by it
Changes = dict[str, tuple[str, str]]


def compiled(folder: Path, changes: Changes | None = None) -> Path:
    """The harness around the rendered sources, some of them changed; what is hostile is drawn by a generator."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler here (cc)")
    return _compiled(folder, compiler, "drawn", SANITIZERS, changes)


def guided(folder: Path, what: str, changes: Changes | None = None) -> Path:
    """The same, but what is hostile, "strings" or "peers", is evolved by libFuzzer."""
    compiler = next((path for name in ("clang", "clang-19", "clang-16", "clang-14") if (path := shutil.which(name))), None)
    if compiler is None:
        missing("there is no clang here: Debian's clang-14 and libclang-rt-14-dev")
    return _compiled(folder, compiler, f"guided_{what}", f"fuzzer,{SANITIZERS}", changes)


def _compiled(folder: Path, compiler: str, name: str, sanitizers: str, changes: Changes | None) -> Path:
    texts, sources = render.sources(load("lizard"), load_board("native"), None)
    core = [source for source in sources if source not in WITHIN]
    for source, (old, new) in (changes or {}).items():
        assert old in texts[source]
        texts[source] = texts[source].replace(old, new)
    for source, text in texts.items():
        (folder / source).write_text(text)
    for path in HARNESS.glob("*.[ch]"):
        (folder / path.name).write_text(path.read_text())
    (folder / "empty.c").write_text("#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n);\n"
                                    "int LLVMFuzzerTestOneInput(const char *d, size_t n) { return d == 0 && n; }\n"
                                    + ("int main(void) { return 0; }\n" if name == "drawn" else ""))  # fmt: skip
    flags = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    if subprocess.run([compiler, *flags, "-o", "empty", "empty.c"], cwd=folder, capture_output=True, check=False).returncode:
        missing(f"{Path(compiler).name} has no sanitizers {sanitizers} here")
    flags += ["-std=gnu99", "-ffreestanding", "-O2", "-g", "-Wall", "-Wextra", "-Wno-unused-function"]
    command = [compiler, *flags, "-o", name, f"{name}.c", *core]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert changes or "warning" not in done.stderr, done.stderr
    return folder / name


def fuzz(program: Path, strings: int, sessions: int, seed: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, str(strings), str(sessions), str(seed)], capture_output=True, text=True, check=False)


def evolve(program: Path, runs: int) -> subprocess.CompletedProcess[str]:
    """Let libFuzzer run from a sound frame, a broken one, and draws of a peer."""
    corpus = program.parent / "corpus"
    corpus.mkdir()
    sound = frames.encode(3, np.arange(16, dtype=np.int8))
    for number, start in enumerate((sound, sound[:-1] + b"\x80", bytes(range(256)), sound * 40)):
        (corpus / str(number)).write_bytes(start)
    command = [program, f"-runs={runs}", "-seed=1", "-max_len=1024", "-timeout=20", "-print_final_stats=1", corpus]
    return subprocess.run(command, cwd=program.parent, capture_output=True, text=True, check=False)


def test_hostile_bytes_and_wires_change_nothing_without_a_sound_frame(tmp_path: Path) -> None:
    done = fuzz(compiled(tmp_path), 50_000, 5_000, 1)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_million_hostile_strings_change_nothing_without_a_sound_frame(tmp_path: Path) -> None:
    program = compiled(tmp_path)
    for seed in range(4):
        done = fuzz(program, 250_000, 25_000, 100 + seed)
        assert done.returncode == 0, (seed, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "runs"), [("strings", 1_000_000), ("peers", 20_000)])
def test_evolved_inputs_change_nothing_without_a_sound_frame(what: str, runs: int, tmp_path: Path) -> None:
    done = evolve(guided(tmp_path, what), runs)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"stat::number_of_executed_units: {runs}" in done.stderr


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


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_faults_of_the_receive_path_are_found_by_evolution(name: str, tmp_path: Path) -> None:
    file, old, new, told = FAULTS[name]
    done = evolve(guided(tmp_path, "strings" if file == "link.c" else "peers", {file: (old, new)}), 20_000)
    assert done.returncode != 0
    assert any(word in done.stderr for word in told.split("|")), done.stderr[-2000:]
