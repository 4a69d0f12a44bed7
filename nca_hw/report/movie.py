"""Moving pictures of the array: WebP (lossless, small), GIF (opens everywhere), MP4 (what phones and slides want; an extra)."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nca_hw.errors import NcaHwError, ToolMissing
from nca_hw.formats.words import did_you_mean
from nca_hw.report.led import Look, picture

SIDE_MAX = 16_383  # pixels of a WebP's side; an H.264 movie has hardly more
Ending = Literal["webp", "gif", "mp4"]
ENDINGS: tuple[str, ...] = get_args(Ending)


def movie(
    states: Sequence[NDArray[np.float32]], ending: str, *, milliseconds: int = 60, pixels: int = 5, look: Look | None = None
) -> bytes:
    """A movie of states, each premultiplied RGBA [height, width, 4].

    Args:
        ending: of the file's name: webp, gif or mp4, with or without a dot before it.
        milliseconds: a frame; a GIF counts them in tens.
    Raises:
        NcaHwError: another ending.
        ToolMissing: mp4 without the extra.
    """
    kind = check(ending)
    states, pixels = _fitting(states, pixels)
    if kind == "mp4":
        return _mp4(states, milliseconds, pixels, look)
    frames = [picture(rgba, pixels, look) for rgba in states]
    if kind == "gif":
        return _saved([_with_palette(frame) for frame in frames], "GIF", duration=max(20, round(milliseconds, -1)), loop=0, disposal=1)
    return _saved(frames, "WEBP", duration=milliseconds, loop=0, lossless=True, quality=0, method=0)


def check(ending: str) -> str:
    """The kind of movie that an ending stands for, if it can be written here; before a run of hours, say.

    Raises:
        NcaHwError: another ending.
        ToolMissing: mp4 without the extra.
    """
    kind = ending.lower().removeprefix(".")
    if kind not in ENDINGS:
        told = f"a movie can't be written as {ending!r}.{did_you_mean(kind, ENDINGS)}"
        raise NcaHwError(told, cure=f"Known: {', '.join(ENDINGS)}.")
    if kind == "mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            cure = "Install it with: pip install 'nca-hw[mp4]'. Or take .webp or .gif."
            raise ToolMissing("an MP4 needs imageio-ffmpeg, which is not installed", cure=cure) from None
    return kind


def _fitting(states: Sequence[NDArray[np.float32]], pixels: int) -> tuple[Sequence[NDArray[np.float32]], int]:
    """Smaller cells, and in the end not every cell, where a side would be longer than a movie's can be."""
    longest = max(states[0].shape[:2])
    every = -(-longest // SIDE_MAX)
    return [rgba[::every, ::every] for rgba in states], min(pixels, max(1, SIDE_MAX // longest))


def _with_palette(frame: Image.Image) -> Image.Image:
    """256 colours. The median cut keeps them all if they are no more, but else turns rare ones into quite others; the octree does not."""
    few = frame.getcolors(256) is not None
    method = Image.Quantize.MEDIANCUT if few else Image.Quantize.FASTOCTREE
    return frame.quantize(256, method, dither=Image.Dither.NONE)  # cells are squares of one colour: dithering would only add noise


def _saved(frames: Sequence[Image.Image], kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], **options)
    return out.getvalue()


def _mp4(states: Sequence[NDArray[np.float32]], milliseconds: int, pixels: int, look: Look | None) -> bytes:
    import imageio_ffmpeg

    height, width = (n * pixels for n in states[0].shape[:2])
    size = (width + width % 2, height + height % 2)  # H.264 halves its colours: sides are even
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "movie.mp4"
        writer = imageio_ffmpeg.write_frames(
            str(path), size, fps=1000 / milliseconds, codec="libx264", macro_block_size=2, ffmpeg_log_level="error",
            output_params=["-crf", "16", "-preset", "veryfast", "-movflags", "+faststart", "-map_metadata", "-1"],
        )  # fmt: skip
        writer.send(None)
        for rgba in states:
            frame = np.asarray(picture(rgba, pixels, look))
            writer.send(np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge").tobytes())
        writer.close()
        return path.read_bytes()
