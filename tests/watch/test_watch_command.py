"""`nca-hw watch` as its user meets it: 16 emulated chips behind 16 pseudo-terminals."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
from importlib import resources
from pathlib import Path

import pytest
from emulated_ports import Ports, Told

NCA_HW = str(Path(sys.executable).with_name("nca-hw"))
WATCH = [NCA_HW, "watch", "--genome", "heart", "--board", "atmega328p", "--grid", "4x4"]
QUICKER = 1.5  # than the chips were: their reports come sooner, and so do these tests


def started(words: list[str], ports: Ports, folder: Path) -> subprocess.Popen[str]:
    """The command, once it reads its ports: what it records then is more than its header."""
    running = subprocess.Popen(
        [*WATCH, *words, "--record", "run.rec", *ports.names], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for(folder / "run.rec", running)
    return running


def wait_for(path: Path, running: subprocess.Popen[str] | None = None) -> None:
    for _ in range(600):
        if path.is_file() and path.stat().st_size:
            return
        assert running is None or running.poll() is None, running.communicate()
        time.sleep(0.05)
    pytest.fail(f"{path} was never written")


def test_a_wall_is_watched_recorded_and_seen_again(tmp_path: Path, wall: Told) -> None:
    with Ports(16) as ports:
        running = started(["--json", "--compare", "--for", "4"], ports, tmp_path)
        noise = [(0.9, 7, bytes(range(200)))]
        ports.play(sorted([*(one for one in wall if not (one[1] == 5 and one[0] > 1)), *noise]), QUICKER)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    told = json.loads(out)
    assert told["schema"] == "nca-hw/watch/1" and err == ""
    assert (told["grid"], told["watched_tiles"], told["watched_cells"], told["told_cells"]) == ("4x4", 16, 16, 16)
    assert told["reports"] > 400 and told["self_tests"] == 17 and told["line"]["damaged"] + told["line"]["stray"] > 0
    assert "1,1" in told["silent"] and told["other_genomes"] == [] and told["other_images"] == []
    assert told["compare"]["holds"] and told["compare"]["checked"] > 50
    assert told["compare"]["expected_loss"][0] <= told["compare"]["expected_loss"][2]
    done = subprocess.run([NCA_HW, "watch", "--replay", "run.rec", "--speed", "0", "--json"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    again = json.loads(done.stdout)
    same = ("grid", "reports", "self_tests", "line", "pauses", "alive", "told_cells", "genome_hash", "board", "loss")
    assert {name: again[name] for name in same} == {name: told[name] for name in same}
    before = (tmp_path / "run.rec").read_bytes()
    for words, said in ((["--record", "run.rec"], "overwrite"), (["--board", "rp2040-matrix"], "of 1x1 cells; rp2040-matrix has 5x5")):
        refused = subprocess.run(
            [NCA_HW, "watch", "--replay", "run.rec", "--speed", "0", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2 and said in " ".join(refused.stderr.split()), refused.stderr
    assert (tmp_path / "run.rec").read_bytes() == before


def test_control_c_leaves_the_terminal_clean_and_the_record_whole(tmp_path: Path, wall: Told) -> None:
    with Ports(16) as ports:
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(tmp_path)
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
            os.execv(NCA_HW, [*WATCH, "--record", "run.rec", *ports.names])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 130, 0, 0))
        os.set_blocking(terminal, False)
        shown, deadline = b"", time.monotonic() + 30
        while not (tmp_path / "run.rec").is_file():
            assert time.monotonic() < deadline, shown
            with contextlib.suppress(BlockingIOError):  # who draws waits until somebody has looked
                shown += os.read(terminal, 1 << 16)
            time.sleep(0.01)
        ports.play([one for one in wall if one[0] < 2], 2.0)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            with contextlib.suppress(BlockingIOError):
                shown += os.read(terminal, 1 << 16)
            time.sleep(0.01)
        os.kill(child, signal.SIGINT)
        status, deadline = None, time.monotonic() + 60
        while status is None:
            assert time.monotonic() < deadline, shown
            with contextlib.suppress(BlockingIOError, OSError):
                shown += os.read(terminal, 1 << 16)
            done, code = os.waitpid(child, os.WNOHANG)
            status = code if done else None
        with contextlib.suppress(OSError):
            shown += os.read(terminal, 1 << 16)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    screen, after = shown.rsplit(b"\x1b[?1049l", 1)  # the terminal's own screen is back
    assert b"\x1b[?1049h" in screen and screen.count(b"\x1b[?25l") <= shown.count(b"\x1b[?25h")  # and so is its cursor
    assert "▀".encode() in screen and b"cells alive" in screen
    assert b"cells alive" in after and b"\x1b[" not in after and b"Traceback" not in shown
    done = subprocess.run([NCA_HW, "watch", "--replay", "run.rec", "--speed", "0", "--json"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=True)  # fmt: skip
    assert json.loads(done.stdout)["reports"] > 100 and "warning" not in done.stderr


def ask(address: str, **headers: str) -> tuple[int, bytes, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
            return answer.status, answer.read(), answer.headers["Content-Security-Policy"]
    except urllib.error.HTTPError as error:
        return error.code, error.read(), ""


def test_the_page_is_for_this_computer_and_needs_no_network(tmp_path: Path, wall: Told) -> None:
    with Ports(16) as ports:
        running = started(["--page", "--page-port", "0"], ports, tmp_path)
        assert running.stderr is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", running.stderr.readline())
        assert found
        ports.play([one for one in wall if one[0] < 2], 2.0).join()
        time.sleep(0.5)
        address = found[0]
        status, told, policy = ask(f"{address}status")
        page = [ask(f"{address}{name}") for name in ("", "page.css", "page.js")]
        elsewhere = ask(f"{address}status", Host="wall.example:80")[0], ask(f"{address}../../etc/passwd")[0]
        listening = Path("/proc/net/tcp").read_text() if Path("/proc/net/tcp").exists() else ""
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=30)
    assert running.returncode == 130
    assert status == 200 and [code for code, *_ in page] == [200] * 3 and elsewhere == (403, 404)
    document = json.loads(told)
    assert (document["width"], document["height"]) == (4, 4) and document["figures"]["reports"] > 100
    assert "default-src 'none'" in policy and "connect-src 'self'" in policy
    assert not any(re.search(rb"https?:|//[a-z]", body) for _, body, _ in page[:2])
    at = f":{int(found[1]):04X} "
    assert [line.split()[1] for line in listening.splitlines() if at in line and " 0A " in line] in ([f"0100007F{at.strip()}"], [])


def test_a_port_that_is_not_there_is_exit_code_4(tmp_path: Path) -> None:
    done = subprocess.run([*WATCH, str(tmp_path / "ttyUSB9")], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4 and "ttyUSB9: can't be opened (No such file or directory)" in done.stderr
    assert re.search("Ports here: |no serial port on this computer", done.stderr.splitlines()[1])


def test_neither_a_port_nor_a_replay_is_a_usage_error(tmp_path: Path) -> None:
    done = subprocess.run(WATCH, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "--replay" in done.stderr


def test_there_is_no_option_for_another_address() -> None:
    assert (resources.files("nca_hw.watch") / "page.py").read_text().count("127.0.0.1") >= 2
    done = subprocess.run([NCA_HW, "watch", "--help"], capture_output=True, text=True, timeout=60, check=True)
    assert not re.search(r"--(host|bind|address|listen)", done.stdout)
