"""Pictures come in premultiplied, go out as the same PNG, and bad ones are refused with the cure."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nca_hw.errors import NcaHwError
from nca_hw.formats.picture import MARGIN, dark_share, emoji, from_png_bytes, load_picture, to_png_bytes, turned


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def half_red():
    """4x6: half transparent red, with white hidden under a transparent column."""
    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[...] = (255, 0, 0, 128)
    pixels[:, 0] = (255, 255, 255, 0)
    return pixels


def test_colour_is_premultiplied(half_red):
    picture = from_png_bytes(png(half_red))
    assert picture.shape == (4, 6, 4)
    assert picture.dtype == np.float32
    np.testing.assert_array_equal(picture[:, 0], 0)
    np.testing.assert_allclose(picture[:, 1:], np.broadcast_to(np.array([128, 0, 0, 128]) / 255, (4, 5, 4)), atol=1e-7)


def test_any_rgba_picture_survives_png_and_back():
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 4), np.uint8)
    once = from_png_bytes(png(pixels))
    data = to_png_bytes(once)
    np.testing.assert_array_equal(from_png_bytes(data), once)
    assert to_png_bytes(once) == data


def test_fitted_picture_is_centred_inside_its_margin(half_red):
    picture = from_png_bytes(png(half_red), (40, 30))
    rows, columns = np.nonzero(picture[..., 3].any(1))[0], np.nonzero(picture[..., 3].any(0))[0]
    assert picture.shape == (40, 30, 4)
    assert (columns[0], columns[-1]) == (MARGIN, 30 - MARGIN - 1)
    assert rows[0] == 40 - 1 - rows[-1]
    assert picture[..., :3].max() <= picture[..., 3].max()
    np.testing.assert_allclose(picture[20, 15], np.array([128, 0, 0, 128]) / 255, atol=0.005)  # no white bleeds in
    np.testing.assert_array_equal(from_png_bytes(to_png_bytes(picture)), picture)


def test_picture_of_the_right_size_is_left_alone(half_red):
    np.testing.assert_array_equal(from_png_bytes(png(half_red), (4, 6)), from_png_bytes(png(half_red)))


def test_palette_with_transparency_is_read(tmp_path):
    image = Image.new("P", (3, 3), 0)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((1, 1), 1)
    path = tmp_path / "palette.gif"
    image.save(path, transparency=0)
    np.testing.assert_array_equal(load_picture(path)[1, 1], [1, 0, 0, 1])
    assert load_picture(path).sum() == 2


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not an image", "not an image"),
        (png(np.zeros((4, 4, 3), np.uint8)), "no alpha channel"),
        (png(np.zeros((4, 4, 4), np.uint8)), "wholly transparent"),
        (png(np.full((4, 5000, 4), 255, np.uint8)), "5000x4 pixels"),
        (png(np.full((4, 600, 4), 255, np.uint8)), "every pixel becomes a cell"),
        (png(np.full((40, 40, 4), 255, np.uint8))[:90], "damaged image"),
    ],
)
def test_bad_pictures_are_refused_with_place_and_cure(tmp_path, data, words):
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    with pytest.raises(NcaHwError, match=words) as caught:
        load_picture(path)
    assert caught.value.where == str(path)
    assert caught.value.cure


def test_missing_file_and_too_small_canvas_are_refused(tmp_path, half_red):
    with pytest.raises(NcaHwError, match="can't be read"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(NcaHwError, match="canvas of 4x40"):
        from_png_bytes(png(half_red), (40, 4))


def test_a_background_is_what_the_edge_shows_and_no_hole_inside():
    pixels = np.full((40, 60, 3), 250, np.uint8)
    pixels[10:30, 10:50] = (200, 30, 30)
    pixels[15:20, 20:30] = 250  # a white spot of the pattern itself
    pixels[0, 0] = (249, 251, 244)
    picture = from_png_bytes(png(pixels), background="auto")
    assert picture[..., 3].sum() == 20 * 40
    assert (picture[15:20, 20:30, 3] == 1).all()
    np.testing.assert_array_equal(from_png_bytes(png(pixels), background="#fafafa"), picture)


def test_a_background_of_another_colour_takes_nothing_away():
    pixels = np.full((8, 8, 3), 250, np.uint8)
    assert from_png_bytes(png(pixels), background="#000000")[..., 3].min() == 1
    with pytest.raises(NcaHwError, match="'white' is no background"):
        from_png_bytes(png(pixels), background="white")
    with pytest.raises(NcaHwError, match="--background auto"):
        from_png_bytes(png(pixels))
    with pytest.raises(NcaHwError, match="nothing to grow"):
        from_png_bytes(png(pixels), background="auto")


def test_small_canvases_have_small_margins(half_red):
    picture = from_png_bytes(png(half_red), (16, 16))
    assert np.flatnonzero(picture[..., 3].any(0)).tolist() == list(range(2, 14))


def test_dark_cells_are_told_apart_from_those_that_shine():
    picture = np.zeros((4, 4, 4), np.float32)
    picture[:2, :, 3] = 1
    picture[0, :, 1] = 0.6
    assert dark_share(picture) == 0.5


def test_emoji_are_pictures_by_name():
    assert len(emoji()) == 31
    for name in emoji():
        picture = load_picture(f"emoji:{name}", (32, 32))
        assert picture.shape == (32, 32, 4)
        assert dark_share(picture) < 0.15, name
    with pytest.raises(NcaHwError, match=r"there is no emoji 'octopuss'\. Did you mean 'octopus'\?"):
        load_picture("emoji:octopuss")


def dotted(height, width, *places):
    """White dots at places (down, right) of the pixel that stands on the seed."""
    picture = np.zeros((height, width, 4), np.float32)
    for down, right in places:
        picture[height // 2 + down, width // 2 + right] = 1
    return picture


@pytest.mark.parametrize(("degrees", "place"), [(90, (3, 2)), (180, (2, -3)), (270, (-3, -2)), (-90, (-3, -2)), (360, (-2, 3))])
def test_a_picture_turns_about_the_pixel_on_the_seed_by_quarters_exactly(degrees, place):
    for height, width in ((12, 8), (9, 9), (10, 11)):
        there, lost = turned(dotted(height, width, (-2, 3)), degrees)
        sides = (width, height) if degrees % 180 else (height, width)
        np.testing.assert_array_equal(there, dotted(*sides, place))
        assert lost == 0


def test_what_leaves_the_canvas_is_told():
    there, lost = turned(dotted(10, 10, (-5, 0), (0, 0)), 180)  # five rows above the middle, four below it
    np.testing.assert_array_equal(there, dotted(10, 10, (0, 0)))
    assert lost == 0.5
    assert turned(np.ones((40, 40, 4), np.float32), 45)[1] > 0.15


def test_a_picture_turned_by_any_angle_turns_clockwise_and_keeps_colour_below_alpha():
    down, right = np.mgrid[-15:15, -15:15]
    spot = np.exp(-((down + 8) ** 2 + right**2) / 8).astype(np.float32)  # in the north
    there, lost = turned(np.stack([spot * 0.5, spot, spot * 0, spot], axis=-1), 30)
    weight = there[..., 3].sum()
    middle = ((there[..., 3] * down).sum() / weight, (there[..., 3] * right).sum() / weight)
    np.testing.assert_allclose(middle, (-8 * np.cos(np.pi / 6), 8 * np.sin(np.pi / 6)), atol=0.05)
    assert abs(lost) < 1e-3
    assert np.all(there[..., :3] <= there[..., 3:])
    assert there.min() >= 0
