"""Sheets of pictures: what stands where, read back from the PNG."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nca_hw.core.genome import load
from nca_hw.errors import NcaHwError
from nca_hw.formats.picture import from_png_bytes
from nca_hw.report import led
from nca_hw.report.side_by_side import at_moments, side_by_side
from nca_hw.sim.regions import parse
from nca_hw.sim.rules import IntegerRule
from nca_hw.sim.run import simulate
from nca_hw.sim.scenario import Kill, Scenario


def plain(red: float, green: float, blue: float) -> np.ndarray:
    return np.broadcast_to(np.array([red, green, blue, 1], np.float32), (30, 40, 4))


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


LIGHTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))


def box(image: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of where a colour stands, which fills that box."""
    y, x = np.nonzero((image == colour).all(axis=-1))
    left, top, right, bottom = int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1
    assert len(x) == (right - left) * (bottom - top)
    return left, top, right, bottom


def test_a_kind_is_a_row_and_a_moment_a_column() -> None:
    red, green, blue = plain(1, 0, 0), plain(0, 1, 0), plain(0, 0, 1)
    image = read(side_by_side([("float", [("10 u", red), ("20 u", green)]), ("int8", [("10 u", blue)])]))
    a, b, c = (box(image, colour) for colour in LIGHTS)
    assert (a[1], a[0]) == (b[1], c[0])  # beside, and below
    assert b[0] > a[2]
    assert c[1] > a[3]
    assert b[2] < image.shape[1]
    assert c[3] < image.shape[0]


def test_headings_and_labels_stand_above_the_pictures_and_the_caption_below() -> None:
    def sheet(heading: str = "float", label: str = "10 u", caption: str = "u") -> np.ndarray:
        return read(side_by_side([(heading, [(label, plain(1, 0, 0))])], caption))

    _, top, _, bottom = box(sheet(), LIGHTS[0])
    others = sheet(heading="int8"), sheet(label="20 u"), sheet(caption="w")
    heading, label, caption = (np.nonzero((sheet() != other).any(axis=(1, 2)))[0] for other in others)
    assert heading.max() < label.min()
    assert label.max() < top
    assert caption.min() >= bottom


def test_no_words_are_cut_off_or_written_over_others() -> None:
    tiny = np.zeros((3, 3, 4), np.float32)
    long = "a label far wider than its picture"
    alone = read(side_by_side([("", [(long, tiny)])], ""))
    both = read(side_by_side([("", [(long, tiny), (long, tiny)])], ""))
    step = both.shape[1] - alone.shape[1]
    np.testing.assert_array_equal(both[:, : step + led.MARGIN], alone[:, : step + led.MARGIN])
    np.testing.assert_array_equal(both[:, step:], alone)
    for image in (read(side_by_side([(long * 3, [("", tiny)])], "")), read(side_by_side([("", [("", tiny)])], long * 3))):
        assert (image[:, -led.MARGIN :] == led.DARK).all()
        assert (image[:, -30:] != led.DARK).any()


def test_a_contact_sheet_goes_on_in_the_next_row() -> None:
    pictures = [("a", plain(1, 0, 0)), ("b", plain(0, 1, 0)), ("c", plain(0, 0, 1))]
    image = read(led.contact_sheet(pictures, columns=2))
    a, b, c = (box(image, colour) for colour in LIGHTS)
    assert (a[1], a[0]) == (b[1], c[0])
    assert c[1] >= a[3]


def test_moments_are_those_asked_for_with_losses_and_cells_without_power() -> None:
    genome, unit = load("lizard"), Scenario.interval
    scenario = Scenario(40, 40, seed=1, duration=12 * unit, faults=(Kill(parse("30%"), 8 * unit, 3 * unit),))
    result = simulate(scenario, IntegerRule(genome), from_png_bytes(genome.target))
    found = at_moments(result, (0, 5, 10, 80))
    assert [label for label, _ in found] == [f"{k} u, loss {result.losses[k]:.5f}{off}" for k, off in ((0, ""), (5, ""), (10, ", 30% off"))]
    for (_, picture), k in zip(found, (0, 5, 10), strict=True):
        np.testing.assert_array_equal(picture, result.rgba(k))
    assert at_moments(simulate(scenario, IntegerRule(genome)), (5,))[0][0] == "5 u"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "there are none"),
        ([("float", [("1 u", plain(1, 0, 0))]), ("int8", [])], "every row must have some"),
        ([("float", [("1 u", plain(1, 0, 0)), ("2 u", plain(1, 0, 0)[:5])])], "there are 40x5, 40x30"),
    ],
)
def test_what_cannot_stand_side_by_side_is_refused(rows: list[tuple[str, list[tuple[str, np.ndarray]]]], told: str) -> None:
    with pytest.raises(NcaHwError, match=told):
        side_by_side(rows)
