"""The commands as a user meets them: results on stdout, talk on stderr, exit codes, one clear message for bad input."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from genome_strategies import shipped_size_genome
from PIL import Image

from nca_hw.formats.picture import to_png_bytes
from nca_hw.report import states

NCA_HW = str(Path(sys.executable).with_name("nca-hw"))  # of this environment, active or not
QUICK = ["--grid", "12x12", "--duration", "20u"]
KILL = [*QUICK, "--kill-at", "10u", "--restart-after", "2u", "--kill"]


def run(*words: str | Path, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The installed command itself; a traceback is never an answer."""
    done = subprocess.run(
        [NCA_HW, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=300, env={**os.environ, **(env or {})}, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """A random genome with a small target."""
    picture = np.zeros((8, 8, 4), np.float32)
    picture[2:6, 2:6] = (0, 0.5, 0, 1)
    path = tmp_path / "random.genome"
    shipped_size_genome(target=to_png_bytes(picture)).save(path)
    return path


def test_simulate_prints_one_json_document_with_the_promised_keys(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *KILL, "30%", "--seed", "5", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["schema"] == "nca-hw/simulate/1"
    assert {"seed", "grid", "loss_before", "loss", "recovered", "recovery_updates", "updates", "evaluated_updates", "messages_sent",
            "messages_lost", "trajectory_hash", "report", "replay"} <= set(document)  # fmt: skip
    assert (document["seed"], document["grid"]) == (5, "12x12")
    assert document["loss_before"] > 0


def test_the_replay_line_repeats_the_run_environment_included(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *KILL, "5x5@2,2", "--loss", "10%", "--json", cwd=tmp_path, env={"NCA_HW_SIMULATE_SEED": "9"})
    first = json.loads(done.stdout)
    words = first["replay"].split()
    assert words[0] == "nca-hw"
    again = json.loads(run(*words[1:], "--json", "--report", tmp_path / "other", cwd=tmp_path).stdout)
    assert again["seed"] == 9
    assert again["trajectory_hash"] == first["trajectory_hash"]


def test_environment_variables_are_named_as_options_and_replayed_as_they_are_written(tmp_path: Path, genome: Path) -> None:
    said = {"RECORD": "1", "SAME_RANDOM": "no", "FAULT": "stuck 9 at=2u;slow 3 at=4u lasts=2u", "JSON": "1", "REPORT": "r"}
    environment = {f"NCA_HW_SIMULATE_{name}": value for name, value in said.items()}
    first = json.loads(run("simulate", "--grid", "12x12", "--duration", "20u", "--", genome, cwd=tmp_path, env=environment).stdout)
    assert (tmp_path / "r" / "states.npz").exists()
    assert [fault["kind"] for fault in first["faults"]] == ["stuck", "slow"]
    words = shlex.split(first["replay"])
    assert words[:7] == ["nca-hw", "simulate", "--fault", "stuck 9 at=2u", "--fault", "slow 3 at=4u lasts=2u", "--record"]
    again = json.loads(run("simulate", "--json", *words[2:], cwd=tmp_path).stdout)
    assert again["trajectory_hash"] == first["trajectory_hash"]


def test_a_run_needs_no_standard_error(tmp_path: Path, genome: Path) -> None:
    words = ["sh", "-c", '"$@" 2>&-', "sh", NCA_HW, "simulate", genome, *QUICK, "--json"]
    done = subprocess.run(words, cwd=tmp_path, stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["valid"]


def test_the_report_holds_pictures_a_curve_and_the_record(tmp_path: Path, genome: Path) -> None:
    run("simulate", genome, *KILL, "50", "--report", tmp_path / "report", cwd=tmp_path)
    report = tmp_path / "report"
    assert sorted(path.name for path in report.iterdir()) == ["contact.png", "grid.webp", "loss.svg", "run.json", "updates.png"]
    with Image.open(report / "contact.png") as sheet:
        assert sheet.width > 100
    with Image.open(report / "grid.webp") as movie:
        assert movie.n_frames == 21  # type: ignore[attr-defined]
    record = json.loads((report / "run.json").read_text())
    assert len(record["series"]["loss"]) == 21
    assert record["genome_hash"] == shipped_size_genome().cell_hash
    assert "</svg>" in (report / "loss.svg").read_text()


def test_the_firmware_runs_the_trajectory_of_the_integer_cell_side_by_side(tmp_path: Path, genome: Path) -> None:
    words = ["--grid", "8x8", "--duration", "6u", "--kill", "20", "--kill-at", "3u", "--restart-after", "1u", "--compare", "--json"]
    compared = json.loads(run("simulate", genome, *words, "--report", "r", cwd=tmp_path).stdout)["compared"]
    assert {name: end["equal"] for name, end in compared.items()} == {"float": False, "int8": True, "firmware rp2040": True}
    with Image.open(tmp_path / "r" / "compare.png") as sheet:
        assert sheet.height > 3 * 100


@pytest.mark.parametrize(
    ("fault", "message"),
    [("babble 3 at=2u", "bit errors, babbling cells and random memory"), ("stranger 3 at=2u genome=old", "a stranger speaks")],
)
def test_a_comparison_leaves_out_float_cells_where_they_cannot_suffer_the_fault(
    tmp_path: Path, genome: Path, fault: str, message: str
) -> None:
    (tmp_path / "old.toml").write_text('[genomes]\nold = "lizard"\n' if "old" in fault else "")
    words = ["--grid", "8x8", "--duration", "4u", "--scenario", "old.toml", "--fault", fault, "--compare", "--json"]
    done = run("simulate", genome, *words, "--report", "r", cwd=tmp_path)
    assert f"No float cells: {message}" in done.stderr
    assert set(json.loads(done.stdout)["compared"]) == {"int8", "firmware rp2040"}


def test_an_ablation_tells_what_every_effect_costs(tmp_path: Path, genome: Path) -> None:
    words = ["--grid", "8x8", "--duration", "8u", "--tile", "2x2", "--loss", "20%", "--fault", "stuck 9 at=2u"]
    words += ["--ablate", "--ablate-seeds", "2"]
    rows = json.loads(run("simulate", genome, *words, "--json", cwd=tmp_path).stdout)["ablation"]
    names = [row["effect"] for row in rows]
    assert {"tiles of 2x2", "messages lost: 0.2", "stuck 9 at 2 u", "the scenario as it is"} <= set(names)
    assert [row["cells"] for row in rows[:3]] == ["float", "float", "int8"]
    assert [row["ratio"] for row in rows if row["kind"] == "own clocks" and row["cells"] == "int8"] == [1.0]
    printed = run("simulate", genome, *words, cwd=tmp_path).stdout
    assert all(name in printed for name in names)
    assert not list(tmp_path.glob("out/*"))


def test_looks_and_movies_are_chosen_and_a_view_needs_a_terminal(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *QUICK, "--movie", "gif", "--look", "board", "--view", "--report", "r", cwd=tmp_path)
    assert "No live view: the output is no terminal." in done.stderr
    with Image.open(tmp_path / "r" / "grid.gif") as movie:
        assert movie.format == "GIF"


def test_an_mp4_without_its_extra_is_refused_before_the_run(tmp_path: Path, genome: Path) -> None:
    (tmp_path / "imageio_ffmpeg.py").write_text("raise ImportError")
    done = run("simulate", genome, *QUICK, "--movie", "mp4", "--report", "r", cwd=tmp_path, code=3, env={"PYTHONPATH": str(tmp_path)})
    assert "pip install 'nca-hw[mp4]'" in done.stderr
    assert not (tmp_path / "r").exists()


def test_states_and_a_trace_of_chosen_cells_are_written(tmp_path: Path, genome: Path) -> None:
    words = ["--record", "--report", "r", "--trace", "run.json", "--trace-cells", "2x2@5,5", "--trace-from", "9u", "--trace-to", "14u"]
    done = json.loads(run("simulate", genome, *KILL, "12x12@0,0", *words, "--json", cwd=tmp_path).stdout)
    recorded = states.load(tmp_path / "r" / "states.npz")
    assert recorded.trajectory_hash == done["trajectory_hash"]
    assert recorded.states.shape == (21, 12, 12, 16)
    events = json.loads((tmp_path / "run.json").read_text())["traceEvents"]
    named = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert named == {"cell 5,5", "cell 6,5", "cell 5,6", "cell 6,6"}


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--trace", "x.jsn"], "ending of no known trace"), (["--trace-cells", "3"], "--trace, which is not given"),
     (["--trace", "x.json", "--trace-to", "soon"], "--trace-to: 'soon' is no time"),
     (["--trace", "x.vcd", "--trace-cells", "9x"], "names no cells")],
)  # fmt: skip
def test_a_trace_that_cannot_be_is_refused_before_the_run(tmp_path: Path, genome: Path, words: list[str], message: str) -> None:
    assert message in run("simulate", genome, *QUICK, *words, cwd=tmp_path, code=2).stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_missed_limit_exits_with_one_and_says_how_to_replay(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *QUICK, "--fail-above", "0.0000001", cwd=tmp_path, code=1)
    assert re.search(r"pattern loss at the end is \d+\.\d+, the stated limit is 1e-07", done.stderr)
    assert "nca-hw simulate" in done.stderr
    run("simulate", genome, *QUICK, "--fail-above", "1000", cwd=tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--grid", "0x40"], "--grid: width is 0, allowed are 1 to"),
        (["--grid", "forty"], "Write WIDTHxHEIGHT"),
        (["--kill", "130%"], "allowed are 0% to 100%"),
        (["--kill", "9x9@9,9"], "does not lie within"),
        (["--loss", "2"], "0% to 100%"),
        (["--fault", "stuk 3 at=2u"], "Did you mean 'stuck'?"),
        (["--fault", "stuck 3 at="], "KEY=VALUE"),
        (["--kill", "3", "--no-restart", "--restart-after", "5u"], "--no-restart and --restart-after contradict each other"),
        (["--float", "missing.npz"], "--compare and --ablate, neither of which is given"),
        (["--ablate-seeds", "2"], "--ablate, which is not given"),
        (["--ablate", "--record"], "leave out --record"),
        (["--no-restart"], "--kill, which is not given"),
        (["--tile", "5x5"], "--tile: tiles of 5x5 cells do not fill"),
        (["--scenario", "missing.toml"], "missing.toml: can't be read"),
        (["--kill", "3", "--kill-at", "soon"], "200u"),
        (["--kill", "3", "--kill-at", "99u"], "never happens"),
        (["--restart-afte", "3"], "--restart-after"),
        (["--seed", "-1"], "0<=x<=4294967295"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tmp_path: Path, genome: Path, words: list[str], message: str) -> None:
    workplace = tmp_path / "workplace"
    workplace.mkdir()
    done = run("simulate", genome, *QUICK, *words, cwd=workplace, code=2)
    assert message in done.stderr.replace("\n", " ")
    assert not list(workplace.iterdir())


def test_a_scenario_file_runs_with_options_on_top_and_its_hash_is_kept(tmp_path: Path, genome: Path) -> None:
    (tmp_path / "walls").mkdir()
    text = 'genome = "mine.genome"\nduration = "20u"\n[array]\ngrid = "12x12"\ntile = "4x4"\n'
    text += '[[fault]]\nkind = "stuck"\ncells = 9\nat = "5u"\n'
    (tmp_path / "walls" / "wall.toml").write_text(text)
    genome.rename(tmp_path / "walls" / "mine.genome")
    document = json.loads(run("simulate", "--scenario", "walls/wall.toml", "--tile", "3x3", "--json", cwd=tmp_path).stdout)
    assert (document["grid"], document["tile"], document["genome"]) == ("12x12", "3x3", "walls/mine.genome")
    assert document["scenario_file"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert document["faults"] == [{"fault": 1, "kind": "stuck", "at_updates": 5, "changed": 9}]


def test_a_limit_needs_a_target_before_the_run(tmp_path: Path) -> None:
    shipped_size_genome(target=b"").save(tmp_path / "dark.genome")
    done = run("simulate", "dark.genome", *QUICK, "--fail-above", "1", cwd=tmp_path, code=2)
    assert "dark.genome: has no target picture to hold a limit against" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "place"), [('seed = 1\ngenome = "moth"\n', "genome: moth"), ('[genomes]\nold = "o.genome"\n', "genomes.old: o.genome")]
)
def test_a_genome_that_a_scenario_file_names_wrongly_is_told_at_its_line(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "wall.toml").write_text(text)
    assert f"line 2: {place}: can't be read" in run("simulate", "--scenario", "wall.toml", cwd=tmp_path, code=2).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk at hand")
def test_an_output_on_a_full_disk_is_one_message(tmp_path: Path, genome: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [NCA_HW, "simulate", genome, *QUICK], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "error: the output can't be written (No space left on device)\n")


def test_the_package_is_the_command_too(tmp_path: Path) -> None:
    module = subprocess.run([sys.executable, "-m", "nca_hw", "genomes"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert module.stdout == run("genomes", cwd=tmp_path).stdout


def test_a_report_folder_holds_one_run_and_all_that_it_was_made_from(tmp_path: Path, genome: Path) -> None:
    words = ["--report", "r", "--loss", "20%", "--fault", "slow 3 at=2u factor=3"]
    run("simulate", genome, *QUICK, *words, "--record", "--movie", "gif", cwd=tmp_path)
    (tmp_path / "r" / "mine.txt").write_text("not of any run")
    run("simulate", genome, *QUICK, *words, cwd=tmp_path)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "contact.png", "grid.webp", "loss.svg", "mine.txt", "run.json", "updates.png"]  # fmt: skip
    record = json.loads((tmp_path / "r" / "run.json").read_text())
    assert record["schema"] == "nca-hw/simulate/1"
    assert (record["scenario"]["loss"], record["scenario"]["interval"]) == (0.2, 100_000_000)
    (fault,) = record["scenario"]["faults"]
    assert fault == {"kind": "slow", "cells": "3", "at": 200_000_000, "lasts": None, "every": None, "times": 1, "factor": 3}


def test_a_planned_fault_that_never_fired_makes_the_run_invalid(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *KILL, "10", "--fault", "kill 0% at=3u", "--report", "report", cwd=tmp_path, code=1)
    assert "the run is invalid: fault 2 (kill) at 3 u changed nothing" in done.stderr
    assert json.loads((tmp_path / "report" / "run.json").read_text())["valid"] is False


def test_of_many_strikes_that_changed_nothing_the_first_are_told(tmp_path: Path, genome: Path) -> None:
    done = run("simulate", genome, *QUICK, "--fault", "kill 0% at=0 every=1u times=20", cwd=tmp_path, code=1)
    assert done.stderr.count("changed nothing") == 3
    assert "nor did 17 more strikes" in done.stderr


def test_more_states_than_a_file_may_hold_are_refused_before_the_run(tmp_path: Path, genome: Path) -> None:
    words = ["--grid", "1000x1000", "--duration", "100u", "--sample-every", "1u", "--record"]
    assert "more than a file may hold" in run("simulate", genome, *words, cwd=tmp_path, code=2).stderr
    assert not (tmp_path / "out").exists()


def test_a_run_that_recovers_too_late_misses_its_limit(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text('[limits]\nrecovery = "1u"\n')
    done = run("simulate", "--kill", "30%", "--scenario", "wall.toml", cwd=tmp_path, code=1)
    assert "the stated limit is 1 u" in done.stderr
    done = run("simulate", "--kill", "all", "--scenario", "wall.toml", cwd=tmp_path, code=1)
    assert "the array never recovered, the stated limit is 1 u" in done.stderr


def test_a_flipped_byte_in_a_genome_is_one_message_naming_the_file(tmp_path: Path, genome: Path) -> None:
    raw = bytearray(genome.read_bytes())
    raw[3000] ^= 4
    genome.write_bytes(bytes(raw))
    for command in ("simulate", "show"):
        done = run(command, genome, cwd=tmp_path, code=2)
        assert f"{genome}: is damaged" in done.stderr
        assert not done.stdout


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, genome: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run("simulate", genome, *QUICK, "--report", tmp_path / "file" / "report", cwd=tmp_path, code=2)
    assert "file/report: can't be written" in done.stderr


def test_a_misspelt_command_is_told_the_nearest(tmp_path: Path) -> None:
    assert "Did you mean 'simulate'?" in run("simulat", cwd=tmp_path, code=2).stderr


def test_help_lists_every_command(tmp_path: Path) -> None:
    text = run("--help", cwd=tmp_path).stdout
    for command in ("import", "train", "quantize", "show", "simulate", "build", "verify", "emulate", "boards", "genomes", "doctor"):
        assert re.search(rf"\b{command}\b", text), command


def test_import_quantize_show_and_simulate_make_one_way(tmp_path: Path, published: Path) -> None:
    imported = json.loads(run("import", published / "ex3_eye.json", "-o", "eye.npz", "--json", cwd=tmp_path).stdout)
    assert imported["layout"] == "blocked"
    assert imported["evidence"]["interleaved"].startswith("exploded")
    words = ["quantize", "eye.npz", "--target", published / "target_eye.png", "-o", "eye.genome", "--licence", "CC BY 4.0", "--json"]
    made = json.loads(run(*words, cwd=tmp_path).stdout)
    assert made["int8_loss_at_150"] < 0.005
    assert made["float_loss_at_150"] < 0.005
    card = json.loads(run("show", "eye.genome", "--json", cwd=tmp_path).stdout)
    assert card["genome_hash"] == made["genome_hash"]
    assert card["licence"] == "CC BY 4.0"
    assert card["quality"]["int8_loss_at_150"] == made["int8_loss_at_150"]


def test_import_reads_a_checkpoint_and_a_target_decides_about_its_axes(tmp_path: Path, published: Path) -> None:
    words = ["import", published / "planarian_float" / "8000", "-o", "p.npz", "--target", published / "target_planarian.png", "--json"]
    document = json.loads(run(*words, cwd=tmp_path).stdout)
    assert (document["format"], document["layout"], document["axes"]) == ("TensorFlow checkpoint", "interleaved", "xy")
    assert set(document["evidence"]) == {"blocked-xy", "blocked-yx", "interleaved-xy", "interleaved-yx"}
    assert document["tensors"]["w1"] == "dmodel/layer-0/kernel"
    again = json.loads(run("import", "p.npz", "-o", "q.npz", "--json", cwd=tmp_path).stdout)
    assert (again["layout"], again["evidence"]) == ("blocked", {})
    assert (tmp_path / "p.npz").read_bytes() == (tmp_path / "q.npz").read_bytes()
    yx = json.loads(run("import", "p.npz", "-o", "r.npz", "--axes", "yx", "--json", cwd=tmp_path).stdout)
    assert yx["axes"] == "yx"
    with np.load(tmp_path / "p.npz") as xy_file, np.load(tmp_path / "r.npz") as yx_file:
        np.testing.assert_array_equal(xy_file["w1"][16:32], yx_file["w1"][32:])


def test_what_growing_cannot_tell_is_drawn_and_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", w1=np.zeros((48, 8), np.float32), w2=np.zeros((8, 16), np.float32))
    done = run("import", "m.npz", "-o", "out.npz", cwd=tmp_path, code=2)
    assert "Pictures: out-blocked.png, out-interleaved.png" in done.stderr.replace("\n", " ")
    assert "--layout blocked|interleaved" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.npz", "out-blocked.png", "out-interleaved.png"]
    with Image.open(tmp_path / "out-blocked.png") as picture:
        assert picture.width > 100
    run("import", "m.npz", "-o", "out.npz", "--layout", "blocked", cwd=tmp_path)


def test_import_takes_the_arrays_that_the_user_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kernels = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in (("a", (48, 8)), ("b", (48, 8)), ("c", (8, 16)))}
    np.savez(tmp_path / "m.npz", **kernels)
    words = ["import", "m.npz", "-o", "out.npz", "--layout", "blocked"]
    assert "'a' [48, 8], 'b' [48, 8]" in run(*words, cwd=tmp_path, code=2).stderr
    run(*words, "--tensors", "w1=b,w2=c", cwd=tmp_path)
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["w1"], kernels["b"])
    for wrong in ("b", "w1=", "w1=a,w1=b"):
        assert "w1=NAME,b1=NAME" in run(*words, "--tensors", wrong, cwd=tmp_path, code=2).stderr


def test_weights_of_no_known_format_leave_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"\x93what is this")
    for command in ("import", "quantize"):
        done = run(command, "weights.bin", "-o", "out.x", cwd=tmp_path, code=2)
        assert "weights.bin: is of no known weight format" in done.stderr
        assert "web-demo JSON" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["weights.bin"]


def test_show_paints_the_picture_where_colour_is_wanted(tmp_path: Path, genome: Path) -> None:
    assert "\u2580" in run("show", genome, cwd=tmp_path, env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b" not in run("show", genome, cwd=tmp_path, env={"NO_COLOR": "1"}).stdout


def test_build_writes_an_image_that_verify_proves(tmp_path: Path) -> None:
    built = json.loads(run("build", "--board", "rp2040", "--json", cwd=tmp_path).stdout)
    assert "build/rp2040/platformio.ini" in built["files"]
    assert built["rom_bytes"] <= 10_240
    assert built["cell_ram_bytes"] <= 256
    assert {"board", "static_ram_bytes", "stack_bytes", "image_sha256", "files"} <= set(built)
    assert all((tmp_path / name).is_file() for name in built["files"])
    proved = json.loads(run("verify", "--board", "rp2040", "--updates", "50", "--json", cwd=tmp_path).stdout)
    assert proved["image_sha256"] == built["image_sha256"]
    assert proved["updates_compared"] == 50
    assert proved["cycles_per_update"] > 0
    assert all(rung["equal"] for rung in proved["rungs"])


def test_an_unknown_board_is_told_the_nearest(tmp_path: Path) -> None:
    for command in ("build", "verify"):
        assert "Did you mean 'rp2040'?" in run(command, "--board", "rp2400", cwd=tmp_path, code=2).stderr


def test_a_build_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    board = (Path(__file__).parents[2] / "boards" / "rp2040.toml").read_text().replace("rom = 11_264", "rom = 9_000")
    (tmp_path / "tight.toml").write_text(board)
    done = run("build", "--board", "tight.toml", "-o", "image", cwd=tmp_path, code=1)
    assert re.search(r"ROM 9\d\d\d B, \d+ B over the budget of 9000 B", done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["tight.toml"]


def test_boards_and_doctor_list_what_is_there(tmp_path: Path) -> None:
    boards = json.loads(run("boards", "--json", cwd=tmp_path).stdout)["boards"]
    files = (Path(__file__).parents[2] / "boards").glob("*.toml")
    assert {(board["name"], board["status"]) for board in boards} == {(path.stem, "emulated") for path in files}
    assert "25 cells (5x5) a chip" in run("boards", cwd=tmp_path).stdout
    findings = json.loads(run("doctor", "--json", cwd=tmp_path).stdout)["findings"]
    assert {finding["thing"]: bool(finding["found"]) for finding in findings if not finding["optional"]} == {
        "C core": True, "simpy": True, "ziglang": True, "PlatformIO": True, "unicorn": True, "pyserial": True,
    }  # fmt: skip


def test_the_bundled_lizard_grows_and_heals(tmp_path: Path) -> None:
    done = run("simulate", "--grid", "40x40", "--kill", "30%", "--seed", "1", "--fail-above", "0.001", "--json", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["loss_before"] < 0.001
    assert document["loss"] < 2 * document["loss_before"]
    assert document["recovered"]


def test_training_needs_a_picture_and_makes_a_genome(tmp_path: Path) -> None:
    (tmp_path / "opaque.png").write_bytes(b"no picture")
    assert "opaque.png: is not an image" in run("train", "opaque.png", "-o", "x.genome", cwd=tmp_path, code=2).stderr
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[6:14, 6:14] = 255
    Image.fromarray(pixels).save(tmp_path / "square.png")
    words = ["train", "square.png", "-o", "x.genome", "--size", "20x20", "--steps", "2", "--device", "cpu", "--json"]
    trained = json.loads(run(*words, cwd=tmp_path).stdout)
    shown = json.loads(run("show", "x.genome", "--json", cwd=tmp_path).stdout)
    assert (trained["steps"], trained["genome_hash"]) == (2, shown["genome_hash"])


def test_a_genome_turned_by_a_quarter_keeps_its_card_and_its_picture_turns_with_it(tmp_path: Path) -> None:
    done = json.loads(run("turn", "lizard", "--by", "-270", "-o", "east.genome", "--json", cwd=tmp_path).stdout)
    assert done["schema"] == "nca-hw/turn/1"
    assert (done["turn"], done["outside_canvas"]) == (90, 0)
    assert done["loss"] < 1.2 * done["loss_before"] < 0.0005
    shown = json.loads(run("show", "east.genome", "--json", cwd=tmp_path).stdout)
    first = json.loads(run("show", "lizard", "--json", cwd=tmp_path).stdout)
    assert (first["turn"], shown["turn"], shown["genome_hash"]) == (0, 90, done["genome_hash"])
    assert shown["command"] == first["command"] + " && nca-hw turn lizard --by -270 -o east.genome"
    assert (shown["name"], shown["licence"], shown["source"]) == ("east", first["licence"], first["source"])
    assert shown["hashes"] == {**first["hashes"], "turned_from": first["genome_hash"]}
    run("turn", "east.genome", "--by", "270", "-o", "back.genome", "--no-measure", cwd=tmp_path)
    back = json.loads(run("show", "back.genome", "--json", cwd=tmp_path).stdout)
    assert (back["turn"], back["genome_hash"]) == (0, first["genome_hash"])


def test_a_genome_turned_by_another_angle_tells_its_loss_and_does_not_boast_of_figures_measured_before(tmp_path: Path) -> None:
    done = json.loads(run("turn", "lizard", "--by", "30", "-o", "x.genome", "--json", cwd=tmp_path).stdout)
    assert 0.002 < done["loss"] < 0.02
    quality = json.loads(run("show", "x.genome", "--json", cwd=tmp_path).stdout)["quality"]
    before = json.loads(run("show", "lizard", "--json", cwd=tmp_path).stdout)["quality"]
    assert quality == {**{f"before_turning_{key}": value for key, value in before.items()}, "int8_loss_at_150": done["loss"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "noending"], "can't be both the genome and the folder of checkpoints"),
        (["-o", "there"], "there: is a folder"),
        (["-o", ""], "is a folder"),
        (["-o", "x.genome", "--checkpoint", "x.genome"], "can't be both"),
    ],
)
def test_a_genome_that_could_not_be_written_is_refused_before_it_is_trained(tmp_path: Path, words: list[str], message: str) -> None:
    Image.new("RGBA", (12, 12), (0, 200, 0, 255)).save(tmp_path / "square.png")
    (tmp_path / "there").mkdir()
    assert message in run("train", "square.png", "--size", "12x12", "--steps", "2", *words, cwd=tmp_path, code=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["square.png", "there"]
    assert not list((tmp_path / "there").iterdir())


def test_a_resumed_run_that_is_stopped_again_names_a_command_that_goes_on(tmp_path: Path) -> None:
    Image.new("RGBA", (12, 12), (0, 200, 0, 255)).save(tmp_path / "square.png")
    words = [NCA_HW, "train", "square.png", "-o", "x.genome", "--size", "12x12", "--steps", "5000"]
    checkpoint, seen = tmp_path / "x" / "losses.csv", 0
    for resume in ([], ["--resume"]):
        with subprocess.Popen([*words, *resume], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as training:
            while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == seen:  # until it has saved for the first time
                assert training.poll() is None
                time.sleep(0.05)
            seen = checkpoint.stat().st_mtime_ns
            training.send_signal(signal.SIGINT)
            said = training.communicate(timeout=60)[1]
        assert training.returncode == 130, said
        assert said.count("--resume") == 1
        seen = checkpoint.stat().st_mtime_ns
