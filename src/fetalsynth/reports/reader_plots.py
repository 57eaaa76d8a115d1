"""Charts of a reader study as inline SVG that take their colours from the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from fetalsynth.reports.wording import number

_WIDTH, _ROW, _FOOT, _RIGHT, _LETTER, _KEY = 820, 25, 34, 24, 6.8, 24
_COLOURS = ("--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6")
_SHADES = (0.12, 0.3, 0.5, 0.72, 1.0)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A value with its interval (None: not known); ``series`` picks colour and shape."""

    value: float
    ends: tuple[float, float] | None
    series: int = 0


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of an interval chart; ``strong`` sets it apart from the rows above."""

    label: str
    marks: tuple[Mark, ...]
    strong: bool = False


def interval_chart(
    lines: Sequence[Line],
    *,
    low: float,
    high: float,
    ticks: Mapping[float, str],
    description: str,
    reference: float | None = None,
    band: tuple[float, float] | None = None,
    series: Sequence[str] = (),
) -> Markup:
    """SVG with one row per line: marks with intervals on one scale from ``low`` to ``high``.

    ``reference`` is drawn as a line and ``band`` as a shade behind; ``series`` names the colours in
    a key. What lies beyond the scale is drawn at its edge.
    """
    left = _gutter([line.label for line in lines])
    top = _KEY if series else 4
    foot = top + _ROW * len(lines)

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return round(left + (inside - low) / (high - low) * (_WIDTH - left - _RIGHT), 1)

    parts = [_key(series, left)] if series else []
    if band is not None:
        parts.append(
            f'<rect x="{x(band[0])}" y="{top}" width="{x(band[1]) - x(band[0]):.1f}" '
            f'height="{foot - top}" style="fill:var(--line);fill-opacity:.55"/>'
        )
    for value, text in ticks.items():
        strong = reference is not None and abs(value - reference) < 1e-9
        colour = "--quiet" if strong else "--line"
        parts.append(
            f'<line x1="{x(value)}" x2="{x(value)}" y1="{top}" y2="{foot}" '
            f'style="stroke:var({colour});stroke-width:{1.6 if strong else 1}"/>'
            f'<text x="{x(value)}" y="{foot + 17}" text-anchor="middle">{escape(text)}</text>'
        )
    for place, line in enumerate(lines):
        y = top + _ROW * place + _ROW / 2
        weight = "650" if line.strong else "400"
        if line.strong:
            parts.append(
                f'<line x1="0" x2="{_WIDTH}" y1="{y - _ROW / 2}" y2="{y - _ROW / 2}" '
                'style="stroke:var(--line)"/>'
            )
        parts.append(
            f'<text x="{left - 10:.0f}" y="{y + 4}" text-anchor="end" font-weight="{weight}">'
            f"{escape(_short(line.label))}</text>"
        )
        count = len(line.marks)
        for order, mark in enumerate(line.marks):
            offset = (order - (count - 1) / 2) * 9
            parts.append(_mark(mark, x=x, y=y + offset, strong=line.strong))
    return Markup(
        f'<svg class="chart boxes" viewBox="0 0 {_WIDTH} {foot + _FOOT - 10}" role="img">'
        f"<title>{escape(description)}</title>{''.join(parts)}</svg>"
    )


def _gutter(labels: Sequence[str]) -> float:
    """Width that the labels at the left take."""
    return 16 + _LETTER * max(len(_short(label)) for label in labels)


def _short(label: str) -> str:
    return label if len(label) <= 30 else label[:29] + "…"


def _key(series: Sequence[str], left: float) -> str:
    parts, x = [], left
    for place, label in enumerate(series):
        parts.append(_shape(x + 4, 9, place, size=4.5))
        parts.append(f'<text x="{x + 13:.0f}" y="13">{escape(label)}</text>')
        x += 30 + _LETTER * len(label)
    return "".join(parts)


def _mark(mark: Mark, *, x: Callable[[float], float], y: float, strong: bool) -> str:
    colour = f"var({_COLOURS[mark.series % len(_COLOURS)]})"
    bar = ""
    if mark.ends is not None:
        low, high = x(mark.ends[0]), x(mark.ends[1])
        bar = (
            f'<line x1="{low}" x2="{high}" y1="{y}" y2="{y}" '
            f'style="stroke:{colour};stroke-width:{3 if strong else 2};stroke-linecap:round"/>'
        )
    return bar + _shape(x(mark.value), y, mark.series, size=5.5 if strong else 4.5)


def _shape(x: float, y: float, series: int, *, size: float) -> str:
    """Circle, square or diamond, so that colours are not needed to tell them apart."""
    fill = f'style="fill:var({_COLOURS[series % len(_COLOURS)]})"'
    if series % 3 == 0:
        return f'<circle cx="{x}" cy="{y}" r="{size}" {fill}/>'
    if series % 3 == 1:
        s = size * 0.9
        return f'<rect x="{x - s:.1f}" y="{y - s:.1f}" width="{2 * s}" height="{2 * s}" {fill}/>'
    d = size * 1.25
    return f'<path d="M{x} {y - d} L{x + d} {y} L{x} {y + d} L{x - d} {y} Z" {fill}/>'


def share_bars(
    rows: Mapping[str, Sequence[int]], *, labels: Sequence[str], description: str
) -> Markup:
    """SVG with one bar of 100 % per row, cut by how many answers each point of a scale got."""
    left = _gutter(list(rows))
    inner, top = _WIDTH - left - _RIGHT, _KEY
    parts, x = [], left
    for place, label in enumerate(labels):
        parts.append(f'<rect x="{x:.0f}" y="4" width="11" height="11" {_shade(place, labels)}/>')
        parts.append(f'<text x="{x + 16:.0f}" y="13">{escape(label)}</text>')
        x += 34 + _LETTER * len(label)
    for order, (name, counts) in enumerate(rows.items()):
        y, total, at = top + _ROW * order + 4, sum(counts) or 1, float(left)
        parts.append(
            f'<text x="{left - 10:.0f}" y="{y + 13}" text-anchor="end">'
            f"{escape(_short(name))}</text>"
        )
        for place, count in enumerate(counts):
            width = inner * count / total
            parts.append(
                f'<rect x="{at:.1f}" y="{y}" width="{width:.1f}" height="18" '
                f"{_shade(place, labels)}><title>{escape(labels[place])}: {count} of {total}"
                "</title></rect>"
            )
            at += width
    height = top + _ROW * len(rows) + 6
    return Markup(
        f'<svg class="chart boxes" viewBox="0 0 {_WIDTH} {height}" role="img">'
        f"<title>{escape(description)}</title>{''.join(parts)}</svg>"
    )


def _shade(place: int, labels: Sequence[str]) -> str:
    step = round(place * (len(_SHADES) - 1) / max(len(labels) - 1, 1))
    return (
        f'style="fill:var(--series-1);fill-opacity:{_SHADES[step]};'
        'stroke:var(--page);stroke-width:1"'
    )


def dot_chart(
    points: Sequence[Sequence[float]], *, x_label: str, y_label: str, description: str
) -> Markup:
    """SVG scatter of (x, y), each axis with its own scale and its ends written."""
    width, height, left, foot, top = 340, 240, 46, 40, 12
    xs, ys = [p[0] for p in points], [p[1] for p in points]

    def at(value: float, values: Sequence[float], start: float, end: float) -> float:
        span = max(values) - min(values)
        return round(
            start + (0.5 if span == 0 else (value - min(values)) / span) * (end - start), 1
        )

    dots = "".join(
        f"M{at(px, xs, left + 8, width - 12)} {at(py, ys, height - foot - 8, top + 8)}h0"
        for px, py in points
    )
    ends = (
        f'<text x="{left}" y="{height - foot + 16}">{number(min(xs))}</text>'
        f'<text x="{width - 4}" y="{height - foot + 16}" text-anchor="end">{number(max(xs))}</text>'
        f'<text x="{left - 5}" y="{height - foot - 4}" text-anchor="end">{number(min(ys))}</text>'
        f'<text x="{left - 5}" y="{top + 14}" text-anchor="end">{number(max(ys))}</text>'
    )
    labels = (
        f'<text x="{(left + width) / 2}" y="{height - 6}" text-anchor="middle">'
        f"{escape(_short(x_label))}</text>"
        f'<text x="12" y="{(height - foot) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 12 {(height - foot) / 2})">{escape(y_label)}</text>'
    )
    frame = (
        f'<rect class="frame" x="{left}" y="{top}" width="{width - left - 4}" '
        f'height="{height - foot - top}" rx="3"/>'
    )
    return Markup(
        f'<svg class="chart map" viewBox="0 0 {width} {height}" role="img">'
        f"<title>{escape(description)}</title>{frame}"
        f'<path class="dots" style="stroke:var(--series-1)" d="{dots}"/>{ends}{labels}</svg>'
    )
