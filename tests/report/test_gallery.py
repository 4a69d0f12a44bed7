"""The gallery draws every genome at the same moments, whatever its grid."""

from __future__ import annotations

import io

import numpy as np
from genome_strategies import shipped_size_genome
from PIL import Image

from nca_hw.core.genome import load
from nca_hw.formats.picture import from_png_bytes
from nca_hw.report.gallery import MOMENTS, gallery


def test_grids_of_all_sizes_fill_a_row_each() -> None:
    lizard = load("lizard")
    targets = {"lizard": from_png_bytes(lizard.target), "small": np.zeros((6, 13, 4), np.float32)}
    done: list[int] = []
    with Image.open(io.BytesIO(gallery({"lizard": lizard, "small": shipped_size_genome(3)}, targets, done.append))) as sheet:
        assert sheet.width > len(MOMENTS) * 40 * 3
        assert sheet.height > 2 * 40 * 3
        grown, struck = (np.asarray(sheet)[45:160, 8 + k * 128 : 128 + k * 128].astype(int) for k in (2, 3))
    assert done == [1, 2]
    assert (grown[..., 1] > 60).sum() > 1.2 * (struck[..., 1] > 60).sum() > 0
