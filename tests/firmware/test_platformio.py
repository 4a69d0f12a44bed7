"""A built folder under PlatformIO: `pio run` and its targets are the real ones, with an empty home of their own, and the only way out of
the machine is a listener that counts who calls."""

from __future__ import annotations

import functools
import json
import os
import pty
import re
import select
import shutil
import socket
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from tools import missing

from nca_hw.cli.app import cli
from nca_hw.core import frames
from nca_hw.core.genome import load
from nca_hw.errors import ExitCode, NcaHwError
from nca_hw.firmware.build import Build, build, write
from nca_hw.firmware.families import FAMILIES
from nca_hw.firmware.steps import Project
from nca_hw.formats.boards import bundled_boards, load_board

QUICK = ("rp2040", "atmega328p", "native")
BOARDS = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in bundled_boards()]


class Outside:
    """All that is beyond the machine: a proxy on the loopback that answers nobody, and counts who asks."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.asked = 0
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()

    def _listen(self) -> None:
        try:
            while True:
                connection, _ = self._socket.accept()
                self.asked += 1
                connection.close()
        except OSError:  # closed
            pass


@dataclass
class Pio:
    """PlatformIO with an empty home."""

    home: Path
    outside: Outside

    def __call__(self, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "platformio", *words], cwd=folder, env={**self.surroundings(), **environment}, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip

    def surroundings(self) -> dict[str, str]:
        """Variables of its environment."""
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), self.outside.url)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PLATFORMIO") and name.upper() != "NO_PROXY"}
        zig = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))  # a compiler's cache is no state of PlatformIO
        own = {"HOME": str(self.home), "PLATFORMIO_CORE_DIR": str(self.home / "core"), "ZIG_GLOBAL_CACHE_DIR": zig, "CI": "true"}
        return {**kept, **proxies, **own}


@pytest.fixture
def pio(tmp_path: Path) -> Iterator[Pio]:
    home = tmp_path / "home"
    home.mkdir()
    outside = Outside()
    yield Pio(home, outside)
    outside.close()


def project(folder: Path, board: str = "stm32g031") -> Path:
    """A built folder; skipped where the compiler is missing."""
    compiler = FAMILIES[load_board(board).family].compile_and_link
    if compiler.module is None and shutil.which(compiler.program[0]) is None:
        missing(f"{compiler.program[0]} is not installed")
    write(built(board), folder)
    return folder


@functools.cache
def built(board: str) -> Build:
    """It is the same every time: test_build."""
    return build(load("lizard"), load_board(board))


def without(tmp_path: Path, *modules: str) -> dict[str, str]:
    """An environment in which Python does not find these modules."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({modules!r}))\n")
    return {"PYTHONPATH": str(tmp_path / "site")}


def change(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("board", BOARDS)
def test_pio_run_gives_the_bytes_of_build_without_nca_hw_and_asks_nobody(board: str, pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "a folder" / board, board)
    run = pio(folder, "run", **without(tmp_path, "nca_hw"))
    assert run.returncode == 0, run.stdout + run.stderr
    out = folder / ".pio" / "build" / board
    suffixes = {path.suffix for path in folder.glob("nca-hw.*")} - {".map"}
    assert {".elf", ".bin"} <= suffixes
    for suffix in suffixes:
        assert (out / f"firmware{suffix}").read_bytes() == (folder / f"nca-hw{suffix}").read_bytes(), suffix
    assert "byte for byte" in run.stdout
    assert pio.outside.asked == 0


def test_a_changed_source_is_compiled_and_an_unchanged_one_is_not(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    elf = folder / ".pio" / "build" / "stm32g031" / "firmware.elf"
    assert pio(folder, "run").returncode == 0
    first = elf.stat().st_mtime_ns
    again = pio(folder, "run")
    assert again.returncode == 0
    assert elf.stat().st_mtime_ns == first
    assert "Compiling" not in again.stdout
    change(folder / "src" / "board.h", "#endif", "#endif /* and nothing else */")
    commented = pio(folder, "run")
    assert elf.stat().st_mtime_ns > first
    assert "byte for byte" in commented.stdout
    change(folder / "src" / "main.c", "#define INTERVAL 100000u", "#define INTERVAL 50000u")
    changed = pio(folder, "run")
    assert changed.returncode == 0, changed.stderr
    assert "not that of 'nca-hw build'" in changed.stdout


def test_the_size_target_tells_what_size_json_holds(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    sizes = json.loads((folder / "size.json").read_text())
    told = dict(re.findall(r"^ *([\w -]+?) +(\d+)$", pio(folder, "run", "-t", "size").stdout, re.M))
    wanted = {"ROM": "rom_bytes", "static RAM": "static_ram_bytes", "cell RAM": "cell_ram_bytes", "worst-case stack": "stack_bytes"}
    assert {name: int(told[name]) for name in wanted} == {name: sizes[key] for name, key in wanted.items()}


def test_an_image_over_a_budget_fails_with_the_number_of_bytes(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    rom = json.loads((folder / "size.json").read_text())["rom_bytes"]
    change(folder / "platformio.ini", "board = stm32g031\n", f"board = stm32g031\nboard_upload.maximum_size = {rom - 1}\n")
    run = pio(folder, "run")
    assert run.returncode == 1
    assert f"ROM {rom} B, 1 B over the budget of {rom - 1} B" in run.stderr
    change(folder / "platformio.ini", f"{rom - 1}", f"{rom}")
    assert pio(folder, "run").returncode == 0
    change(folder / "src" / "main.c", "    board_start();", "    static volatile uint8_t more[7900];\n    more[0] = 1;\n    board_start();")
    run = pio(folder, "run")
    assert run.returncode == 1
    assert re.search(r"static RAM and stack \d+ B, \d+ B over the budget of 8192 B", run.stderr), run.stderr


@pytest.mark.parametrize("board", ["stm32g031", pytest.param("native", marks=pytest.mark.slow)])
def test_the_self_test_passes_on_this_computer(board: str, pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project", board)
    test = pio(folder, "test", "-e", "native", "--json-output-path", "told.json")
    assert test.returncode == 0, test.stdout + test.stderr
    told = json.loads((folder / "told.json").read_text())
    assert (told["testcase_nums"], told["failure_nums"], told["error_nums"]) == (6, 0, 0)
    assert pio.outside.asked == 0


@pytest.mark.parametrize(("file", "old", "new", "fails"), [
    ("src/random.c", "s >> 17", "s >> 16", "waits"), ("test/test_cell/link.c", "(x << 5)", "(x << 4)", "frames"),
    ("test/test_cell/cell.c", "a > 255 ? 255", "a > 255 ? 254", "wakes"),
    ("test/test_cell/test_cell.c", "    waits();", "    if (told) {\n        return 0;\n    }\n    waits();", "ended before"),
])  # fmt: skip
def test_a_fault_in_the_c_fails_the_self_test(file: str, old: str, new: str, fails: str, pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    change(folder / file, old, new)
    test = pio(folder, "test", "-e", "native")
    assert test.returncode == 1
    assert any(fails in line for line in (test.stdout + test.stderr).splitlines() if "FAILED" in line or "ended" in line), test.stdout


def test_two_projects_of_one_board_are_not_mixed_up(pio: Pio, tmp_path: Path) -> None:
    one = project(tmp_path / "one")
    assert pio(one, "run").returncode == 0
    other = tmp_path / "other"
    shutil.copytree(one, other)
    flags = other / "platforms" / "nca-hw" / "project.json"
    change(flags, '"-std=c99"', '"-std=c99x"')
    assert "c99x" in pio(tmp_path, "run", "-d", "other").stderr


def test_a_missing_compiler_is_one_error_that_names_the_cure(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    run = pio(folder, "run", **without(tmp_path, "ziglang"))
    assert run.returncode == 1
    assert "error: the compiler (ziglang) is not installed" in run.stderr
    assert "-m pip install ziglang==" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.slow
def test_a_missing_gcc_is_one_error_that_names_the_cure(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project", "atmega328p")
    run = pio(folder, "run", PATH=str(tmp_path))
    assert run.returncode == 1
    assert "error: the compiler (avr-gcc) is not installed\n  apt-get install --no-install-recommends gcc-avr" in run.stderr


def test_without_scons_and_without_the_registry_it_says_what_to_install_and_does_not_wait(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    begun = time.monotonic()
    run = pio(folder, "run", **without(tmp_path, "SCons"))
    assert time.monotonic() - begun < 30
    assert run.returncode == 1
    assert "-m pip install scons==4.11.1" in run.stderr
    assert pio.outside.asked > 0  # it has tried


def test_an_upload_without_a_board_or_the_command_is_one_error(pio: Pio, tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    run = pio(folder, "run", "-t", "upload", "--upload-port", str(tmp_path / "no port"))
    assert run.returncode == 1
    assert len(re.findall(r"^error: 'nca-hw flash'", run.stderr, re.M)) == 1, run.stderr
    assert "Traceback" not in run.stderr


def test_an_image_of_build_is_flashed_from_its_folder_and_a_changed_one_by_itself(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    steps = Project(folder / "platforms" / "nca-hw" / "project.json")
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(folder / "nca-hw.bin", out / "firmware.bin")
    assert steps.flash_words(folder, out, "") == ["flash", str(folder)]
    (out / "firmware.bin").write_bytes(b"another")
    by_itself = ["flash", str(out / "firmware.bin"), "--board", "stm32g031"]
    assert steps.flash_words(folder, out, "/dev/ttyUSB0") == [*by_itself, "--port", "/dev/ttyUSB0"]


def test_an_image_is_flashed_by_itself_where_another_build_lies_in_its_folder(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    steps = Project(folder / "platforms" / "nca-hw" / "project.json")
    shutil.copy(folder / "nca-hw.bin", tmp_path / "firmware.bin")
    other = build(load("heart"), load_board("stm32g031"))
    for name in ("nca-hw.bin", "size.json"):
        (folder / name).write_bytes(other.files[name])
    assert steps.flash_words(folder, tmp_path, "") == ["flash", str(tmp_path / "firmware.bin"), "--board", "stm32g031"]


def test_an_image_that_takes_new_genomes_is_not_written_into_a_project_of_another(tmp_path: Path) -> None:
    folder = project(tmp_path / "project")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = CliRunner().invoke(cli, ["build", "lizard", "--board", "stm32g031", "--spread", "-o", str(folder)])
    assert isinstance(done.exception, NcaHwError) and done.exception.exit_code == ExitCode.BAD_INPUT
    assert str(folder) in str(done.exception) and "-o" in str(done.exception.cure)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    beside = tmp_path / "project-spread"
    for _ in range(2):
        done = CliRunner().invoke(cli, ["build", "lizard", "--board", "stm32g031", "--spread", "-o", str(beside)])
        assert done.exit_code == 0 and "PlatformIO" not in done.output
    assert not (beside / "README.md").exists()


def test_a_second_opinion_over_its_budget_of_rom_is_a_warning_here_too(tmp_path: Path) -> None:
    """As `build --toolchain gcc` has it; the flash stays a limit."""
    if shutil.which("arm-none-eabi-gcc") is None:
        missing("arm-none-eabi-gcc is not installed")
    board = load_board("stm32g031")
    tight = board.model_copy(update={"budget": board.budget.model_copy(update={"rom": 9000})})
    made = build(load("lizard"), tight, "gcc")
    assert made.warnings
    folder = tmp_path / "project"
    write(made, folder)
    told = json.loads((folder / "platforms" / "nca-hw" / "boards" / "stm32g031.json").read_text())
    assert told["upload"]["maximum_size"] == board.memory.flash


def test_the_monitor_hears_the_service_port_at_its_speed(pio: Pio, tmp_path: Path) -> None:
    """PlatformIO's monitor wants a terminal, and gets one; the port is another."""
    folder = project(tmp_path / "project")
    board, port = pty.openpty()
    terminal, inside = pty.openpty()
    monitor = subprocess.Popen(
        [sys.executable, "-m", "platformio", "device", "monitor", "--port", os.ttyname(port)], cwd=folder, env=pio.surroundings(),
        stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
    )  # fmt: skip
    try:
        heard = _read_until(terminal, b"Quit")
        assert termios.tcgetattr(port)[4:6] == [termios.B115200, termios.B115200]
        genome = load("lizard")
        frame = frames.frame(frames.REPORT_STATE, genome.seed)
        os.write(board, frame)
        heard = _read_until(terminal, frame[-1:].hex().encode())
        assert bytes.fromhex(re.sub(r"[0-9A-F]{4} \|", "", heard.decode())) == frame  # without the addresses
        os.write(terminal, b"\x03")
        assert monitor.wait(20) == 0
    finally:
        monitor.kill()
        for end in (board, port, terminal, inside):
            os.close(end)


def _read_until(terminal: int, words: bytes) -> bytes:
    """What a terminal shows, up to these words and a little more."""
    shown, end = b"", time.monotonic() + 30
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 4096)
        elif words in shown:
            return shown
    raise AssertionError(shown)
