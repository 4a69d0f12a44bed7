"""The map of a count: colours that mean what the bar says."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from nca_hw.report.heat import BAR_WIDTH, SIDE, VIRIDIS, colours, heat_map
from nca_hw.report.led import LABEL_HEIGHT, MARGIN


def opened(data: bytes) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_every_cell_has_its_colour_and_the_bar_has_them_all() -> None:
    counts = np.arange(20, dtype=np.int64).reshape(4, 5)
    pixels, top = SIDE // 5, MARGIN + LABEL_HEIGHT
    image = opened(heat_map(counts))
    cells = image[top + pixels // 2 : top + 4 * pixels : pixels, MARGIN + pixels // 2 : MARGIN + 5 * pixels : pixels]
    assert np.array_equal(cells, colours(counts / 19))
    bar = image[top : top + 4 * pixels, 2 * MARGIN + 5 * pixels + BAR_WIDTH // 2]
    assert bar[0].tolist() == VIRIDIS[-1].tolist()
    assert bar[-1].tolist() == VIRIDIS[0].tolist()


def test_counts_that_are_all_alike_and_arrays_of_one_cell_are_drawn_too() -> None:
    for shape in ((1, 1), (1, 90), (90, 1), (3, 3)):
        image = opened(heat_map(np.full(shape, 7, np.int64)))
        assert (image == VIRIDIS[0]).all(axis=-1).sum() > shape[0] * shape[1]


def test_a_large_array_has_a_pixel_a_cell() -> None:
    image = opened(heat_map(np.zeros((500, 700), np.int64)))
    assert 500 < image.shape[0] < 560
    assert 700 < image.shape[1] < 850


def test_equal_steps_look_equal() -> None:
    """Lightness rises evenly from dark to bright. Source: CIE 1976 L*, from linear sRGB."""
    c = colours(np.linspace(0, 1, 101)) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0.3
    assert steps.max() < 1.3
