"""Movies, read back by other programs' readers."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nca_hw.errors import ExitCode, NcaHwError, ToolMissing
from nca_hw.report.led import Look, picture
from nca_hw.report.movie import movie


def states(count: int = 4, height: int = 5, width: int = 7) -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    return [rng.random((height, width, 4)).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("ending", ["webp", "gif", ".GIF"])
@pytest.mark.parametrize("look", [None, Look(64)])
def test_every_frame_of_webp_and_gif_is_the_picture_of_its_state(ending: str, look: Look | None) -> None:
    shown = states()
    with Image.open(io.BytesIO(movie(shown, ending, pixels=3, look=look))) as read:
        assert (read.format, read.n_frames, read.size) == (ending.strip(".").upper(), 4, (21, 15))
        assert read.info["loop"] == 0
        for number, state in enumerate(shown):
            read.seek(number)
            read.load()
            assert read.info["duration"] == 60
            assert np.array_equal(read.convert("RGB"), picture(state, 3, look))


@pytest.mark.parametrize(("width", "shown"), [(9_000, 9_000), (40_000, 13_334)])
def test_a_very_wide_array_has_smaller_cells_or_not_all_of_them(width: int, shown: int) -> None:
    wide = np.ones((1, width, 4), np.float32)
    with Image.open(io.BytesIO(movie([wide, 0 * wide], "webp", pixels=2))) as read:
        assert (read.n_frames, read.size) == (2, (shown, 1))


def test_a_gif_of_more_than_256_colours_has_almost_those_of_the_picture() -> None:
    rng = np.random.default_rng(1)
    state = np.zeros((40, 40, 4), np.float32)
    state[5:35, 5:35, 0], state[5:35, 5:35, 1] = rng.uniform(0, 0.3, (30, 30)), rng.uniform(0.2, 0.9, (30, 30))
    state[20, 20] = (1, 0.2, 0.6, 1)  # one cell of a colour that no other has
    with Image.open(io.BytesIO(movie([state], "gif", pixels=3))) as read:
        assert np.abs(np.asarray(read.convert("RGB")).astype(int) - np.asarray(picture(state, 3))).max() <= 16


def test_an_unknown_ending_is_told_the_nearest() -> None:
    with pytest.raises(NcaHwError, match=r"'wepb'. Did you mean 'webp'\?"):
        movie(states(), "wepb")


def test_mp4_without_its_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ToolMissing, match=r"pip install 'nca-hw\[mp4\]'") as caught:
        movie(states(), "mp4")
    assert caught.value.exit_code == ExitCode.TOOL_MISSING


def test_mp4_has_all_frames_in_almost_their_colours(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    shown = [np.full((5, 7, 4), level, np.float32) for level in (0, 0.25, 0.5, 1)]
    (tmp_path / "x.mp4").write_bytes(movie(shown, "mp4", pixels=3))
    command = [ffmpeg.get_ffmpeg_exe(), "-i", str(tmp_path / "x.mp4"), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert b"h264" in done.stderr
    assert b"22x16" in done.stderr  # even sides
    assert b"16.67 fps" in done.stderr
    frames = np.frombuffer(done.stdout, np.uint8).reshape(4, 16, 22, 3)
    for frame, state in zip(frames, shown, strict=True):
        assert np.abs(frame[:15, :21].astype(int) - np.asarray(picture(state, 3))).max() <= 4
