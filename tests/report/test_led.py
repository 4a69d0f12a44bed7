"""The LED look: what a state's colours become on a screen and in a terminal."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nca_hw.report.led import Look, contact_sheet, half_blocks, picture, shrunk, to_light

GREYS = np.repeat((np.arange(256, dtype=np.float32) / 256)[:, None], 4, 1)
WHITE, BLACK = np.ones(4, np.float32), np.zeros(4, np.float32)


def test_without_a_look_colour_is_light() -> None:
    assert to_light(np.array([[0.2, 0.5, 1.5, 1], [-1, 0, 1, 1]], np.float32)).tolist() == [[51, 128, 255], [0, 0, 255]]


@pytest.mark.parametrize("brightness", [256, 64, 16, 1])
def test_an_eye_that_has_adapted_sees_the_cap_as_white_and_no_power_as_black(brightness: int) -> None:
    look = Look(brightness)
    assert look.light(BLACK).tolist() == [0, 0, 0]
    assert look.light(WHITE).tolist() == ([255] * 3 if brightness > 1 else [0] * 3)  # at 1 of 256 not even white is a whole duty


def test_squared_for_the_eye_means_almost_todays_picture() -> None:
    difference = Look(256).light(GREYS).astype(int) - to_light(GREYS)
    assert np.abs(difference).max() <= 16
    assert np.abs(difference[128:]).max() <= 10


@pytest.mark.parametrize(("brightness", "levels"), [(256, 192), (64, 64), (16, 16)])
def test_a_cap_leaves_few_levels_and_the_darkest_colours_black(brightness: int, levels: int) -> None:
    seen = Look(brightness).light(GREYS)[:, 0]
    assert len(np.unique(seen)) == pytest.approx(levels, rel=0.2 if brightness == 256 else 0)
    first = int(np.flatnonzero(seen)[0])
    assert (first - 1) ** 2 * brightness < 65536 <= first**2 * brightness  # the first whole duty, by the firmware's formula


def test_beside_a_white_screen_the_cap_is_as_dim_as_its_light() -> None:
    # 63 of 255 duty is 0.247 of the light, which sRGB shows as 0.534 of 255.
    assert Look(64, "supply").light(WHITE).tolist() == [136, 136, 136]
    assert Look(256, "supply").light(WHITE).tolist() == [255, 255, 255]


@given(st.integers(2, 256), st.sampled_from(["adapted", "supply"]))
def test_a_look_never_turns_brighter_into_darker(brightness: int, exposure: str) -> None:
    assert (np.diff(Look(brightness, exposure).light(GREYS)[:, 0].astype(int)) >= 0).all()  # type: ignore[arg-type]


def test_a_look_takes_numbers_that_are_none() -> None:
    assert Look(64).light(np.array([np.nan, np.inf, -np.inf, 1], np.float32)).tolist() == [0, 255, 0]


def test_every_picture_can_be_looked_at() -> None:
    state = np.full((2, 3, 4), 0.5, np.float32)
    dim = Look(64, "supply")
    wanted = tuple(dim.light(state)[0, 0].tolist())
    assert picture(state, 2, dim).getpixel((0, 0)) == wanted != picture(state, 2).getpixel((0, 0))
    with Image.open(io.BytesIO(contact_sheet([("", state)], look=dim))) as sheet:
        assert wanted in {colour for _, colour in sheet.getcolors()}
    assert f"38;2;{wanted[0]};{wanted[1]};{wanted[2]};" in half_blocks(state, dim)


def test_half_blocks_say_every_cell() -> None:
    state = np.random.default_rng(0).random((5, 7, 4)).astype(np.float32).round()
    light = to_light(state)
    rows = half_blocks(state).split("\n")
    seen = np.zeros((6, 7, 3), int)
    for y, row in enumerate(rows):
        x = 0
        for codes, blocks in re.findall(r"\x1b\[38;2;([\d;]+)m(\u2580+)", row):
            upper_lower = [int(code) for code in codes.replace("48;2;", "").split(";")]
            seen[2 * y, x : x + len(blocks)], seen[2 * y + 1, x : x + len(blocks)] = upper_lower[:3], upper_lower[3:]
            x += len(blocks)
        assert x == 7
        assert row.endswith("\x1b[0m")
    assert (seen[:5] == light).all()
    assert (seen[5] == 0).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_shrinking_takes_means_also_at_the_edges(height: int, width: int, factor: int) -> None:
    light = np.random.default_rng(height * 10 + width).integers(0, 256, (height, width, 3)).astype(np.uint8)
    small = shrunk(light, factor)
    for y in range(small.shape[0]):
        for x in range(small.shape[1]):
            square = light[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
            assert np.abs(small[y, x] - square.mean(axis=(0, 1))).max() <= 0.5
    assert small.shape[:2] == (-(-height // factor), -(-width // factor))
