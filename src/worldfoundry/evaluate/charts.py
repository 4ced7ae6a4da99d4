"""Charts as inline SVG text: no library, no script, readable in light and dark and without colour.

Each series has its own colour (Okabe-Ito, through a CSS variable of the page with a fallback), dash and marker.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from worldfoundry.evaluate.config import CEILING, COPY_LAST, FLOW_WARP, MODEL

COLOURS = {MODEL: "#0072B2", CEILING: "#00875F", COPY_LAST: "#C85200", FLOW_WARP: "#A4478C"}
_DASHES = {MODEL: "", CEILING: "", COPY_LAST: "7 4", FLOW_WARP: "2 4"}
_WIDTHS = {MODEL: 3.0}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line of a chart."""

    key: str
    """Row name; picks the style."""
    label: str
    """Text at the end of the line."""
    line: Sequence[Point]
    """The curve, x increasing."""
    points: Sequence[tuple[float, float, float, float]] = field(default=())
    """Marked values ``(x, mean, low, high)`` with their interval."""


def colour(key: str) -> str:
    """CSS colour of a row, for the page and the charts alike."""
    return f"var(--row-{key}, {COLOURS.get(key, '#666')})"


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Round values inside ``[low, high]``, at most ``most`` of them.

    >>> ticks(17.2, 41.0)
    [20.0, 25.0, 30.0, 35.0, 40.0]
    """
    raw = max(high - low, 1e-9) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10, 20) if (high - low) / (s * power) < most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 10) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def line_chart(
    series: Sequence[Series], *, title: str, x_label: str, y_label: str, width: int = 720, height: int = 340
) -> str:
    """Lines with marked points and intervals, each named at its right end."""
    left, right, top, bottom = 52, 132, 30, 44
    xs = [x for s in series for x, _ in s.line] + [p[0] for s in series for p in s.points]
    ys = [y for s in series for _, y in s.line] + [y for s in series for p in s.points for y in p[2:]]
    x_low, x_high = 0.0, max(xs)
    margin = max((max(ys) - min(ys)) * 0.06, 1e-3)
    y_low, y_high = min(ys) - margin, max(ys) + margin

    def px(x: float) -> float:
        return round(left + (x - x_low) / (x_high - x_low) * (width - left - right), 1)

    def py(y: float) -> float:
        return round(top + (y_high - y) / (y_high - y_low) * (height - top - bottom), 1)

    parts = [_grid(ticks(y_low, y_high), py, left=left, right=width - right)]
    parts += [
        f'<text class="tick" x="{px(x)}" y="{height - bottom + 20}" text-anchor="middle">{x:g}</text>'
        for x in ticks(x_low, x_high, most=8)
    ]
    middle = left + (width - left - right) / 2
    parts.append(
        f'<text class="axis" x="{middle}" y="{height - 6}" text-anchor="middle">{escape(x_label)}</text>'
    )
    parts.append(f'<text class="axis" x="{left - 40}" y="14">{escape(y_label)}</text>')
    for place, s in reversed(list(enumerate(series))):
        aside = (place - (len(series) - 1) / 2) * 5  # px, so that intervals do not hide one another
        parts.append(_series(s, px, py, aside=aside))
    ends = [py(s.line[-1][1] if s.line else s.points[-1][1]) for s in series]
    for s, y in zip(series, spread(ends, gap=17.0), strict=True):
        parts.append(
            f'<text class="end" x="{width - right + 12}" y="{round(y + 4, 1)}" style="fill:{colour(s.key)}">'
            f"{escape(s.label)}</text>"
        )
    return _svg(parts, title=title, width=width, height=height)


def bar_chart(
    bars: Sequence[tuple[str, str, float, str]], *, title: str, width: int = 640, row_height: int = 34
) -> str:
    """Horizontal bars ``(label, key, value, text)`` from zero; ``text`` is written at the end of the bar."""
    left, right = 150, 150
    longest = max((value for _, _, value, _ in bars), default=0) or 1.0
    parts = []
    for i, (label, key, value, text) in enumerate(bars):
        y = i * row_height + 6
        length = round(value / longest * (width - left - right), 1)
        middle = y + (row_height - 12) / 2 + 5
        parts.append(
            f'<text class="tick" x="{left - 12}" y="{middle}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{left}" y="{y}" width="{max(length, 2)}" height="{row_height - 12}" rx="4" '
            f'style="fill:{colour(key)}"/>'
            f'<text class="end" x="{left + length + 10}" y="{middle}">{escape(text)}</text>'
        )
    return _svg(parts, title=title, width=width, height=len(bars) * row_height + 4)


def spread(places: Sequence[float], *, gap: float) -> list[float]:
    """The places moved apart to at least ``gap``, their order kept.

    >>> spread([10.0, 12.0, 40.0], gap=6.0)
    [8.0, 14.0, 40.0]
    """
    groups: list[tuple[float, list[int]]] = []
    for i in sorted(range(len(places)), key=places.__getitem__):
        centre, members = places[i], [i]
        while groups and centre - groups[-1][0] < gap * (len(members) + len(groups[-1][1])) / 2:
            members = groups.pop()[1] + members
            centre = sum(places[m] for m in members) / len(members)
        groups.append((centre, members))
    out = list(places)
    for centre, members in groups:
        for rank, m in enumerate(members):
            out[m] = centre + gap * (rank - (len(members) - 1) / 2)
    return out


def _grid(values: Sequence[float], py: Callable[[float], float], *, left: int, right: int) -> str:
    return "".join(
        f'<line class="grid" x1="{left}" x2="{right}" y1="{py(v)}" y2="{py(v)}"/>'
        f'<text class="tick" x="{left - 8}" y="{py(v) + 4}" text-anchor="end">{v:g}</text>'
        for v in values
    )


def _series(s: Series, px: Callable[[float], float], py: Callable[[float], float], *, aside: float) -> str:
    style = f"stroke:{colour(s.key)};stroke-width:{_WIDTHS.get(s.key, 2.0)};stroke-dasharray:{_DASHES.get(s.key) or 'none'}"
    path = " ".join(f"{px(x)},{py(y)}" for x, y in s.line)
    parts = [f'<polyline class="line" points="{path}" style="{style}"/>'] if path else []
    for x, mean, low, high in s.points:
        at = round(px(x) + aside, 1)
        parts.append(
            f'<g style="color:{colour(s.key)}"><line class="ci" x1="{at}" x2="{at}" y1="{py(low)}" y2="{py(high)}"/>'
            f"{_marker(s.key, at, py(mean))}<title>{escape(s.label)}: {mean:.2f} ({low:.2f} to {high:.2f})</title></g>"
        )
    return "".join(parts)


def _marker(key: str, x: float, y: float) -> str:
    if key == COPY_LAST:
        return f'<rect class="mark" x="{x - 4}" y="{y - 4}" width="8" height="8"/>'
    if key == FLOW_WARP:
        return f'<path class="mark" d="M{x - 5} {y + 4}h10l-5 -9z"/>'
    if key == CEILING:
        return f'<path class="mark" d="M{x} {y - 6}l6 6l-6 6l-6 -6z"/>'
    return f'<circle class="mark" cx="{x}" cy="{y}" r="5"/>'


def _svg(parts: Sequence[str], *, title: str, width: int, height: int) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )
