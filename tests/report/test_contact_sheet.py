"""The moments of a run that stand side by side in contact.png."""

from __future__ import annotations

import io
from pathlib import Path

from genome_strategies import shipped_size_genome
from PIL import Image

from nca_hw.report.simulation import SHEET_MAX, key_moments, write_report
from nca_hw.sim.faults import Kill
from nca_hw.sim.regions import parse
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import Result, simulate
from nca_hw.sim.scenario import Scenario

UNIT = Scenario.interval


def struck(times: int) -> Result:
    """A small array that loses half of its cells again and again."""
    kill = Kill(parse("50%"), 100 * UNIT, 10 * UNIT, every=150 * UNIT, times=times)
    return simulate(Scenario(4, 4, duration=600 * UNIT, faults=(kill,)), IntegerRule(shipped_size_genome()))


def test_the_end_of_a_run_is_shown_however_much_happened_before() -> None:
    result = struck(times=3)
    moments = key_moments(result)
    assert len(moments) == SHEET_MAX
    assert moments[-1] == len(result.recording.times) - 1


def test_the_sheet_tells_what_its_labels_mean(tmp_path: Path) -> None:
    write_report(struck(times=1), tmp_path, {})
    with Image.open(io.BytesIO((tmp_path / "contact.png").read_bytes())) as sheet:
        light = sheet.convert("L")
        caption = light.crop((0, light.height - 24, light.width, light.height))
    assert caption.getextrema()[1] > 150  # letters, not the dark ground
