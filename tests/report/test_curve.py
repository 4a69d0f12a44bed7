"""The loss curve: SVG that other programs read, with everything in its place."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest

from nca_hw.report.curve import BACK, BOTTOM, CURVE, FAULT, LEFT, RIGHT, TOP, Fault, loss_curve

SVG = "{http://www.w3.org/2000/svg}"


def read(
    updates: list[float], losses: list[float], faults: list[Fault] | None = None, recovered: float | None = None
) -> ElementTree.Element:
    return ElementTree.fromstring(loss_curve(updates, losses, faults or [], recovered))


def curve(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    """The points of the curve, stretch by stretch."""
    data = next(path.attrib["d"] for path in svg.iter(f"{SVG}path") if path.attrib["stroke"] == CURVE)
    stretches = [re.findall(r"([\d.]+),([\d.]+)", part) for part in data.split("M")[1:]]
    return [[(float(x), float(y)) for x, y in points] for points in stretches]


def texts(svg: ElementTree.Element, colour: str | None = None) -> list[str]:
    return [str(text.text) for text in svg.iter(f"{SVG}text") if colour is None or text.attrib.get("fill") == colour]


def spans(svg: ElementTree.Element) -> list[tuple[float, float]]:
    rects = [rect.attrib for rect in svg.iter(f"{SVG}rect") if rect.attrib["fill"] == FAULT]
    return [(float(rect["x"]), float(rect["width"])) for rect in rects]


def test_a_loss_that_falls_by_the_same_factor_is_a_straight_line() -> None:
    svg = read([0, 100, 200, 300], [1e-1, 1e-2, 1e-3, 1e-4])
    third_x, third_y = (RIGHT - LEFT) / 3, (BOTTOM - TOP) / 3
    (points,) = curve(svg)
    assert points == [pytest.approx((LEFT + n * third_x, TOP + n * third_y), abs=0.06) for n in range(4)]
    assert [text for text in texts(svg) if text.startswith("10⁻")] == ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]
    assert {"0", "50", "100", "150", "200", "250", "300", "pattern loss", "time in mean updates of a cell"} <= set(texts(svg))


def test_faults_are_red_spans_with_their_kind_the_last_to_the_end_of_the_run() -> None:
    svg = read([0, 400], [0.1, 0.1], [("kill", 200, 210), ("cut", 300, None)])
    one = (RIGHT - LEFT) / 400
    assert spans(svg) == [
        pytest.approx((LEFT + 200 * one, 10 * one), abs=0.06),
        pytest.approx((LEFT + 300 * one, 100 * one), abs=0.06),
    ]
    assert texts(svg, FAULT) == ["kill", "cut"]


def test_labels_of_faults_do_not_overlap_and_a_kind_is_text_not_markup() -> None:
    svg = read([0, 100], [0.1, 0.1], [("stuck", 50, 60), ("slow", 51, 55), ("kill", 51.5, 53), ("<&>", 99.9, None)])
    labels = [(float(t.attrib["x"]), t.attrib["y"]) for t in svg.iter(f"{SVG}text") if t.attrib.get("fill") == FAULT]
    assert texts(svg, FAULT) == ["stuck", "slow", "<&>"]  # two rows, and no room for a third
    assert len({y for _, y in labels}) == 2
    assert all(x + 3 * 6 < RIGHT for x, _ in labels)


def test_a_fault_that_strikes_all_the_time_does_not_fill_the_file() -> None:
    many: list[Fault] = [("brownout", n / 100, n / 100 + 0.001) for n in range(50_000)]
    svg = loss_curve([0, 500], [0.1, 0.1], many)
    assert len(svg) < 300_000


def test_the_recovery_is_marked_on_the_curve() -> None:
    svg = read([0, 100, 200], [1e-1, 1e-2, 1e-2], [("kill", 10, 20)], recovered=100)
    circle = next(svg.iter(f"{SVG}circle")).attrib
    assert (float(circle["cx"]), float(circle["cy"])) == pytest.approx(curve(svg)[0][1])
    assert texts(svg, BACK) == ["recovered at 100"]


def test_what_is_not_finite_leaves_a_gap_and_no_loss_stands_at_the_bottom() -> None:
    points = curve(read([0, 1, 2, 3, 4], [0.1, math.nan, 0.1, math.inf, 0.0]))
    assert [len(stretch) for stretch in points] == [1, 1, 1]
    assert points[-1][-1] == (RIGHT, BOTTOM)


@pytest.mark.parametrize(("updates", "losses"), [([], []), ([0.0], [0.5]), ([0.0, 1.0], [0.0, 0.0]), ([0.0, 1.0], [math.nan, math.nan])])
def test_the_smallest_runs_have_a_curve_too(updates: list[float], losses: list[float]) -> None:
    assert read(updates, losses).tag == f"{SVG}svg"


def test_many_samples_are_thinned_but_no_peak_is_lost() -> None:
    losses = [0.01] * 100_000
    losses[54_321] = 0.1
    svg = loss_curve(list(range(100_000)), losses, [])
    assert len(svg) < 50_000
    assert min(y for _, y in curve(ElementTree.fromstring(svg))[0]) == TOP


def test_the_same_run_gives_the_same_bytes() -> None:
    arguments = ([0, 1, 2], [0.1, 0.02, 0.003], [("kill", 1.0, None)])
    assert loss_curve(*arguments) == loss_curve(*arguments)
