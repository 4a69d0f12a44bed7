"""What the documents show works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nca_hw.formats.toml_file import TomlFile
from nca_hw.scenario_file import KINDS, Brownout, Cut, Kill, Slow, Stranger, Tables, describe

DOCS = Path(__file__).parents[2] / "docs"


def blocks(document: str, language: str) -> list[str]:
    """The code of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)


def test_the_scenario_file_of_the_documents_is_read() -> None:
    (text,) = blocks("scenario.md", "toml")
    described = describe(TomlFile("wall.toml", text))
    assert described.scenario.grid.chips == 64
    assert [fault.kind for fault in described.scenario.faults] == ["brownout", "kill", "stranger"]
    assert described.strangers == {"old": "lizard"}


@pytest.mark.slow
def test_the_command_of_the_documents_runs_that_file_within_its_limits(tmp_path: Path) -> None:
    (tmp_path / "wall.toml").write_text(blocks("scenario.md", "toml")[0])
    command = shlex.split(re.findall(r"^    nca-hw (simulate .*)$", (DOCS / "scenario.md").read_text(), re.MULTILINE)[0])
    program = Path(sys.executable).with_name("nca-hw")
    subprocess.run([program, *command], cwd=tmp_path, check=True, capture_output=True)


def test_every_kind_and_every_key_is_documented() -> None:
    text = (DOCS / "scenario.md").read_text()
    for kind in KINDS:
        assert f"| `{kind}` |" in text
    for table, field in Tables.model_fields.items():
        for key in getattr(field.annotation, "model_fields", {table: None}):
            assert f"`{key}" in text or f".{key}`" in text or f"[{key}]]`" in text, f"{table}.{key}"
    for fault in (Kill, Brownout, Slow, Cut, Stranger):
        for key in fault.model_fields:
            assert f"`{key}" in text, f"{fault.__name__}.{key}"


@pytest.mark.slow
def test_the_process_of_the_documents_is_a_fault_that_the_lizard_survives() -> None:
    (code,) = (block for block in blocks("simulation.md", "python") if "processes=" in block)
    assert len(code.strip().splitlines()) <= 25
    space: dict[str, object] = {}
    exec(compile(code, "simulation.md", "exec"), space)
    result = space["result"]
    powered = [int(sample.sum()) for sample in result.recording.powered]  # type: ignore[attr-defined]
    assert min(powered) == 1600 - 40
    assert result.losses[-1] < 0.001  # type: ignore[attr-defined]
