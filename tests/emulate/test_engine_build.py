"""The engine of emulated chips is compiled where it runs: once, and with a word about what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import missing

from nca_hw.emulate import engine_build
from nca_hw.errors import ExitCode, NcaHwError, ToolMissing


def test_it_is_compiled_once(engine: None, tmp_path: Path) -> None:
    library = engine_build.compiled(tmp_path)
    made = library.stat().st_mtime_ns
    assert engine_build.compiled(tmp_path) == library and library.stat().st_mtime_ns == made
    assert [file.name for file in tmp_path.iterdir()] == [library.name]


def test_another_compiler_makes_another_library(engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = engine_build.compiled(tmp_path)
    monkeypatch.setattr(engine_build, "FLAGS", (*engine_build.FLAGS, "-DOTHER"))
    assert engine_build.compiled(tmp_path) != first


def test_a_missing_library_is_told_with_the_line_that_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine_build.compiler() is None:
        missing("there is no C compiler")
    monkeypatch.setattr(engine_build, "LIBRARY", "simavr-of-nobody")
    with pytest.raises(ToolMissing, match="libsimavr") as told:
        engine_build.compiled(tmp_path)
    assert engine_build.INSTALL in str(told.value) and told.value.exit_code is ExitCode.TOOL_MISSING
    assert list(tmp_path.iterdir()) == []


def test_a_missing_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_build, "compiler", lambda: None)
    with pytest.raises(ToolMissing, match="C compiler"):
        engine_build.compiled(tmp_path)


def test_a_cache_that_is_no_folder_is_told(engine: None, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(NcaHwError, match="cache"):
        engine_build.compiled(tmp_path / "cache")
