"""Target pictures: any image file with an alpha channel to premultiplied RGBA, and back to PNG."""

from __future__ import annotations

import io
import re
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, UnidentifiedImageError

from nca_hw.errors import NcaHwError
from nca_hw.formats.words import did_you_mean

Picture = NDArray[np.float32]
SIDE_MAX = 4096  # pixels of an image file's longer side: more is a mistake, or a bomb
CANVAS_MAX = 512  # cells
MARGIN = 4  # transparent cells around a fitted picture, so that the pattern is not shaped by the grid's edge
SMALL, SMALL_MARGIN = 24, 2  # a canvas that is narrower, and its margin
CUT_SIDE = 768  # pixels of an image's longer side, to which it is scaled before its background is taken away
CUT_REACH = 60  # colours that differ from the background by less, summed over red, green and blue of 0..255, belong to it
LIGHT_LEAST = 0.2  # of the brightest colour of a visible cell: what is darker looks like a hole on an array


def load_picture(path: str | Path, size: tuple[int, int] | None = None, background: str = "alpha") -> Picture:
    """A picture as the automaton shows it, float32 [H, W, 4], RGBA premultiplied, 0 to 1.

    Args:
        path: an image file that Pillow reads, with an alpha channel; or `emoji:NAME`, a bundled picture.
        size: (height, width) of the canvas in cells. The visible part of the picture is scaled to fit inside it with a margin of four
            cells (two on small canvases) and centred, unless the picture has this size already. None takes the picture as it is.
        background: what is no part of the pattern: "alpha", what is transparent; "auto", what is connected with the edge and has its
            colour; or "#rrggbb", what is connected with the edge and has that one.
    Raises:
        NcaHwError: the file can't be read, is no image, has no alpha channel, is empty, or is too large.
    """
    try:
        data = locate(path).read_bytes()
    except OSError as error:
        raise NcaHwError(f"can't be read ({error.strerror or error})", where=path, cure="Name an image file, PNG for example.") from None
    return from_png_bytes(data, size, where=path, background=background)


def emoji() -> dict[str, Path]:
    """The bundled pictures: name to file."""
    folder = Path(str(resources.files("nca_hw"))) / "emoji"
    return {path.stem: path for path in sorted(folder.glob("*.png"))}


def locate(path: str | Path) -> Path:
    """The file of a picture, or of a bundled one by `emoji:NAME`.

    Raises:
        NcaHwError: there is no such emoji.
    """
    prefix, colon, name = str(path).partition(":")
    if prefix != "emoji" or not colon:
        return Path(path)
    known = emoji()
    if name not in known:
        raise NcaHwError(f"there is no emoji {name!r}.{did_you_mean(name, known)}", cure=f"Known: {', '.join(known)}.")
    return known[name]


def from_png_bytes(
    data: bytes, size: tuple[int, int] | None = None, *, where: str | Path = "picture", background: str = "alpha"
) -> Picture:
    """The same from the bytes of an image file; `where` names it in errors."""
    picture = _premultiply(_open(data, where, background), where)
    if size is not None and picture.shape[:2] != size:
        picture = _premultiply(_open(to_png_bytes(fit(picture, size, where=where)), where), where)  # 8 bits, as its PNG will hold it
    height, width = picture.shape[:2]
    if max(height, width) > CANVAS_MAX:
        raise NcaHwError(
            f"is {width}x{height} pixels, and every pixel becomes a cell: allowed are up to {CANVAS_MAX}x{CANVAS_MAX}",
            where=where,
            cure="Scale it down, or give the size of the grid: 40x40 is common.",
        )
    return picture


def to_png_bytes(picture: Picture) -> bytes:
    """PNG bytes of a premultiplied picture, float [H, W, 4]; values outside 0 to 1 are clipped.

    The pixels are a function of the picture alone, and so are the bytes for one version of Pillow and zlib.
    """
    alpha = np.clip(picture[..., 3:4], 0, 1)
    visible = np.round(alpha * 255) > 0
    colour = np.divide(picture[..., :3], alpha, out=np.zeros(picture[..., :3].shape, np.float64), where=visible)
    straight = np.concatenate([np.clip(colour, 0, 1), alpha], axis=-1)
    out = io.BytesIO()
    Image.fromarray(np.round(straight * 255).astype(np.uint8)).save(out, "PNG", optimize=False, compress_level=9)
    return out.getvalue()


def fit(picture: Picture, size: tuple[int, int], *, where: str | Path = "picture") -> Picture:
    """The visible part of a premultiplied picture, scaled to fit a canvas (height, width) less its margin, and centred.

    Scaling premultiplied values keeps the colour of transparent pixels out of the edges.
    """
    height, width = size
    margin = MARGIN if min(size) >= SMALL else SMALL_MARGIN
    inner_height, inner_width = height - 2 * margin, width - 2 * margin
    if min(inner_height, inner_width) < 1 or max(size) > CANVAS_MAX:
        low = 2 * SMALL_MARGIN + 1
        raise NcaHwError(
            f"a canvas of {width}x{height} cells does not do: allowed are {low}x{low} to {CANVAS_MAX}x{CANVAS_MAX}", where=where
        )
    rows, columns = np.any(picture[..., 3] > 0, axis=1), np.any(picture[..., 3] > 0, axis=0)
    top, bottom, left, right = rows.argmax(), len(rows) - rows[::-1].argmax(), columns.argmax(), len(columns) - columns[::-1].argmax()
    visible = picture[top:bottom, left:right]
    scale = min(inner_height / visible.shape[0], inner_width / visible.shape[1])
    new_height, new_width = (max(1, round(n * scale)) for n in visible.shape[:2])
    channels = [Image.fromarray(visible[..., c]).resize((new_width, new_height), Image.Resampling.LANCZOS) for c in range(4)]
    scaled = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)
    scaled[..., 3] = np.clip(scaled[..., 3], 0, 1)
    scaled[..., :3] = np.clip(scaled[..., :3], 0, scaled[..., 3:])  # Lanczos overshoots; colour never exceeds alpha
    canvas = np.zeros((height, width, 4), np.float32)
    y, x = (height - new_height) // 2, (width - new_width) // 2
    canvas[y : y + new_height, x : x + new_width] = scaled
    return canvas


def turned(picture: Picture, degrees: int) -> tuple[Picture, float]:
    """A picture turned clockwise about the pixel that stands on the seed, and the share of it that has left its canvas.

    Multiples of 90 degrees are exact, and the canvas of a quarter turn has the sides exchanged; what lies between is interpolated, on the
    same canvas. Turning premultiplied values keeps the colour of transparent pixels out of the edges.
    """
    height, width = picture.shape[:2]
    reach = max(height, width)
    around = np.zeros((2 * reach + 1, 2 * reach + 1, 4), np.float32)  # the seed's pixel is its middle
    top, left = reach - height // 2, reach - width // 2
    around[top : top + height, left : left + width] = picture
    quarters, rest = divmod(degrees % 360, 90)
    if rest:
        channels = [Image.fromarray(around[..., c]).rotate(-degrees, Image.Resampling.BICUBIC) for c in range(4)]
        around = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=-1)
        around[..., 3] = np.clip(around[..., 3], 0, 1)
        around[..., :3] = np.clip(around[..., :3], 0, around[..., 3:])  # bicubic overshoots; colour never exceeds alpha
    else:
        around = np.rot90(around, -quarters)
        height, width = (width, height) if quarters % 2 else (height, width)
    top, left = reach - height // 2, reach - width // 2
    cut = np.ascontiguousarray(around[top : top + height, left : left + width])
    return cut, float(1 - cut[..., 3].sum(dtype=np.float64) / around[..., 3].sum(dtype=np.float64))


def dark_share(picture: Picture) -> float:
    """Share of the visible cells that are too dark to be seen as light on black: they will look like holes."""
    visible = picture[..., 3] > 0.5
    dark = picture[..., :3].max(-1) < LIGHT_LEAST
    return float((visible & dark).sum() / max(1, visible.sum()))


def _open(data: bytes, where: str | Path, background: str = "alpha") -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        if max(image.size) > SIDE_MAX:
            raise NcaHwError(
                f"is {image.width}x{image.height} pixels, allowed are up to {SIDE_MAX}x{SIDE_MAX}", where=where, cure="Scale it down."
            )
        if background != "alpha":
            return _cut_out(image.convert("RGB"), background, where)
        if "A" not in image.getbands() and "transparency" not in image.info:
            raise NcaHwError(
                f"has no alpha channel (its mode is {image.mode}): nothing says which cells are alive",
                where=where,
                cure="Make its background transparent and save it as RGBA PNG, or have it taken away: --background auto.",
            )
        return image.convert("RGBA")
    except UnidentifiedImageError:
        raise NcaHwError("is not an image that Pillow can read", where=where, cure="Save the picture as PNG with transparency.") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise NcaHwError(f"is a damaged image ({error})", where=where, cure="Save the picture again as PNG.") from None


def _cut_out(image: Image.Image, background: str, where: str | Path) -> Image.Image:
    """The image without its background: what is connected with the edge and has nearly the background's colour becomes transparent."""
    image.thumbnail((CUT_SIDE, CUT_SIDE))
    pixels = np.asarray(image)
    if background == "auto":
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        colour = tuple(int(c) for c in np.median(edge, axis=0))
    elif match := re.fullmatch(r"#([0-9a-fA-F]{6})", background):
        colour = tuple(bytes.fromhex(match[1]))
    else:
        raise NcaHwError(f"{background!r} is no background", where=where, cure="Write alpha, auto, or a colour: #ffffff.")
    distance = np.abs(pixels.astype(np.int64) - colour).sum(-1)
    near = Image.fromarray(np.where(np.pad(distance, 1) < CUT_REACH, 255, 0).astype(np.uint8)).copy()  # its border is all background
    ImageDraw.floodfill(near, (0, 0), 128)
    outside = np.asarray(near)[1:-1, 1:-1] == 128
    return Image.fromarray(np.dstack([pixels, np.where(outside, 0, 255).astype(np.uint8)]))


def _premultiply(image: Image.Image, where: str | Path) -> Picture:
    straight = np.asarray(image, np.float32) / 255
    if not np.any(straight[..., 3] > 0):
        raise NcaHwError("is wholly transparent: there is nothing to grow", where=where, cure="Choose a picture with visible pixels.")
    return np.concatenate([straight[..., :3] * straight[..., 3:], straight[..., 3:]], axis=-1)
