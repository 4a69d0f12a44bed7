"""The loss curve of a run as SVG, with its faults and its recovery marked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 700, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 688, 38, 256  # of the plot, in pixels
LABEL_ROWS = 2  # of faults, above the plot
LETTER = 6.5  # pixels, of the widest letters but a few
CURVE, FAULT, BACK, FRAME, FAINT = "#2a8a3c", "#b03030", "#2060b0", "#444", "#ddd"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

Fault = tuple[str, float, float | None]
Point = tuple[float, float]


@dataclass(frozen=True)
class Scale:
    """Where times, mean updates from `start` to `end`, and losses, 10^low to 10^high, stand on the picture."""

    start: float
    end: float
    low: int
    high: int

    def x(self, time: float) -> float:
        """Pixels from the left; what lies outside stands on the edge."""
        return LEFT + (RIGHT - LEFT) * min(max((time - self.start) / (self.end - self.start), 0), 1)

    def y(self, loss: float) -> float:
        """Pixels from the top; no loss at all stands on the lower edge."""
        decades = math.log10(loss) - self.low if loss > 0 else 0
        return BOTTOM - (BOTTOM - TOP) * min(max(decades / (self.high - self.low), 0), 1)


def loss_curve(updates: Sequence[float], losses: Sequence[float], faults: Sequence[Fault], recovered: float | None = None) -> bytes:
    """SVG of pattern loss over time; the loss is on a logarithmic scale.

    Args:
        updates: time of every sample in mean updates. losses: pattern loss of every sample; what is not finite leaves a gap.
        faults: (kind, strike, end) of every fault in mean updates; the end is None where it lasts to the end of the run.
        recovered: the time from which on the array had recovered, in mean updates.
    """
    scale = _scale(updates, losses)
    points = [(scale.x(t), scale.y(loss)) if math.isfinite(loss) else None for t, loss in zip(updates, losses, strict=True)]
    middle = (TOP + BOTTOM) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="DejaVu Sans, Verdana, sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *_ticks(scale),
        *_faults(scale, faults),
        f'<path d="{_path(points)}" fill="none" stroke="{CURVE}" stroke-width="1.4" stroke-linejoin="round"/>',
        *([] if recovered is None else _recovery(scale, recovered, points)),
        f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" fill="none" stroke="{FRAME}"/>',
        _text((LEFT + RIGHT) / 2, HEIGHT - 8, "time in mean updates of a cell", "middle"),
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">pattern loss</text>',
        "</svg>",
    ]
    return ("\n".join(parts) + "\n").encode()


def _scale(updates: Sequence[float], losses: Sequence[float]) -> Scale:
    start, end = (updates[0], updates[-1]) if updates else (0.0, 0.0)
    drawn = [loss for loss in losses if math.isfinite(loss) and loss > 0] or [0.1]
    low, high = math.floor(math.log10(min(drawn))), math.ceil(math.log10(max(drawn)))
    return Scale(start, end if end > start else start + 1, low, max(high, low + 1))


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#000") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{more}/>'


def _ticks(scale: Scale) -> Iterator[str]:
    decades = scale.high - scale.low
    for power in range(scale.low, scale.high + 1):
        y = scale.y(10.0**power)
        yield _line(LEFT, y, RIGHT, y, FAINT)
        if (power - scale.low) % max(1, decades // 8) == 0:
            yield _line(LEFT - 4, y, LEFT, y, FRAME)
            yield _text(LEFT - 7, y + 4, f"10{str(power).translate(SUPERSCRIPT)}", "end")
        if power < scale.high and decades <= 8:
            minor = "".join(f"M{LEFT - 2},{scale.y(n * 10.0**power):.1f}h2" for n in range(2, 10))
            yield f'<path d="{minor}" stroke="{FRAME}"/>'
    step = _round_step((scale.end - scale.start) / 8)
    for n in range(math.ceil(scale.start / step), math.floor(scale.end / step) + 1):
        x = scale.x(n * step)
        yield _line(x, TOP, x, BOTTOM, FAINT)
        yield _line(x, BOTTOM, x, BOTTOM + 4, FRAME)
        yield _text(round(x, 1), BOTTOM + 17, f"{n * step:g}", "middle")


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * 0.999)


def _faults(scale: Scale, faults: Sequence[Fault]) -> Iterator[str]:
    """Red spans and their kinds above them. Strikes that can't be told apart are drawn once, and a kind is written where there is room."""
    seen: set[tuple[int, int]] = set()
    free_from = [0.0] * LABEL_ROWS
    for kind, strike, end in sorted(faults, key=lambda fault: fault[1]):
        left, right = scale.x(strike), RIGHT if end is None else scale.x(end)
        if (place := (round(left), round(right))) in seen:
            continue
        seen.add(place)
        opacity = 0.1 if end is None else 0.25
        yield f'<rect x="{left:.1f}" y="{TOP}" width="{right - left:.1f}" height="{BOTTOM - TOP}" fill="{FAULT}" fill-opacity="{opacity}"/>'
        yield _line(left, TOP, left, BOTTOM, FAULT, ' stroke-width="0.8"')
        width = LETTER * len(kind)
        at = min(left, RIGHT - width)
        row = next((row for row in range(LABEL_ROWS) if free_from[row] <= at), None)
        if row is not None:
            free_from[row] = at + width + LETTER
            yield _text(round(at, 1), TOP - 5 - 13 * row, kind, "start", FAULT)


def _recovery(scale: Scale, recovered: float, points: Sequence[Point | None]) -> Iterator[str]:
    x = scale.x(recovered)
    y = min((point for point in points if point is not None), key=lambda point: abs(point[0] - x), default=(x, BOTTOM))[1]
    told = f"recovered at {recovered:g}"
    fits = x + 8 + LETTER * len(told) < RIGHT  # to the right, where the curve stays down
    anchor, aside = ("start", 8) if fits else ("end", -8)
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#fff" stroke="{BACK}" stroke-width="1.6"/>'
    yield _text(round(x + aside, 1), round(y - 8, 1), told, anchor, BACK)


def _path(points: Sequence[Point | None]) -> str:
    """Path data. Of points on one column of pixels the first, lowest, highest and last are drawn: nothing else could be seen."""
    drawn: list[str] = []
    pen_is_up = True
    for column in _columns(points):
        if column[0] is None:
            pen_is_up = True
            continue
        whole = [point for point in column if point is not None]
        kept = {id(p): p for p in (whole[0], min(whole, key=lambda p: p[1]), max(whole, key=lambda p: p[1]), whole[-1])}
        for x, y in sorted(kept.values(), key=whole.index):
            drawn.append(f"{'M' if pen_is_up else 'L'}{x:.1f},{y:.1f}")
            pen_is_up = False
    return "".join(drawn)


def _columns(points: Sequence[Point | None]) -> Iterator[list[Point | None]]:
    """Stretches of points on the same column of pixels, and of gaps."""
    column: list[Point | None] = []
    for point in points:
        same = bool(column) and (point is None) == (column[0] is None) and (point is None or int(point[0]) == int((column[0] or point)[0]))
        if column and not same:
            yield column
            column = []
        column.append(point)
    if column:
        yield column
