"""The ledger of the simulator, docs/fidelity.md: every line of it is proved by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER = (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8")
FILES = {file.name: file for file in (ROOT / "tests").rglob("test_*.py")}


def names_in(file: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse(FILES[file].read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def named() -> list[tuple[str, str, str]]:
    """(line, file, test) of every test that the ledger names."""
    found, heading = [], ""
    for line in LEDGER.splitlines():
        if line.startswith("#"):
            heading = next(iter(re.findall(r"`(test_\w+\.py)`", line)), "")
        found += [(line, file or heading, test) for file, test in re.findall(r"`(?:(test_\w+\.py)::)?(test_\w+)`", line)]
    return found


def test_every_test_that_the_ledger_names_exists() -> None:
    assert len(named()) > 60
    missing = [(file, test) for _, file, test in named() if file not in FILES or test not in names_in(file)]
    assert missing == []
    assert set(re.findall(r"`(test_\w+\.py)`", LEDGER)) <= set(FILES)


def test_every_effect_of_the_ledger_has_a_source_and_a_test() -> None:
    rows = [line for line in LEDGER.splitlines() if line.startswith("| ") and not line.startswith(("| effect |", "| --- |"))]
    assert len(rows) > 40
    proved = {line for line, _, _ in named()}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert len(cells) == 4
        assert all(cells)
        assert row in proved
        assert "`test_" in cells[3]


def test_every_test_of_clocks_links_and_faults_stands_in_the_ledger() -> None:
    listed = {(file, test) for _, file, test in named()}
    for file in ("test_clocks.py", "test_links.py", "test_faults.py"):
        assert {test for test in names_in(file) if (file, test) not in listed} == set()
