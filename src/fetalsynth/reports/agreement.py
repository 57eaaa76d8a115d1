"""Measured against asked as two plots: how they go together, and how their difference is spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

Point = tuple[float, float]  # asked, measured

_PANEL, _LEFT, _TOP, _FOOT, _GAP = 250, 52, 26, 40, 34
_WIDTH = 2 * (_PANEL + _LEFT) + _GAP + 8
_HEIGHT = _PANEL + _TOP + _FOOT
_INK, _LINE = "var(--ink, #1d2327)", "var(--line, #d9dcd8)"
_DOT, _RULE = "var(--series-1, #0b6170)", "var(--series-2, #b5480f)"
_TICKS = 5


def agreement_plots(
    points: Sequence[Point],
    *,
    unit: str,
    bias: float,
    limits: tuple[float, float],
    description: str,
) -> Markup:
    """SVG of two panels for (asked, measured) points, both above 0.

    Left: measured against asked with the line of identity. Right: relative difference against
    asked, with ``bias`` and ``limits`` of agreement (relative); differences beyond the panel are
    drawn at its edge as triangles. Stands alone as a file, and in a page takes its colours.
    """
    asked = [x for x, _ in points]
    every = [value for point in points for value in point]
    low, high = _rounded(min(every), max(every))
    across = _Axis(low, high)
    reach = _reach([y / x - 1 for x, y in points], limits)
    parts = [
        _panel(_LEFT, f"asked, {unit}", f"measured, {unit}", across, across, percent=False),
        f'<line x1="{_LEFT}" y1="{_TOP + _PANEL}" x2="{_LEFT + _PANEL}" y2="{_TOP}" '
        f'stroke="{_RULE}" stroke-width="1.2"/>',
        *(_dot(_LEFT + across(x), _TOP + _PANEL - across(y)) for x, y in points),
    ]
    left = 2 * _LEFT + _PANEL + _GAP
    wide = _Axis(*_rounded(min(asked), max(asked)))
    tall = _Axis(-reach, reach)
    parts += [
        _panel(left, f"asked, {unit}", "measured − asked, %", wide, tall, percent=True),
        *(_rule(left, tall(at), dashed=at != bias) for at in (bias, *limits)),
        *(_difference(left + wide(x), y / x - 1, tall, reach) for x, y in points),
    ]
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" font-family="sans-serif" font-size="11" fill="{_INK}">'
        f"<title>{escape(description)}</title>{''.join(parts)}</svg>"
    )


class _Axis:
    """Values to pixels from the panel's lower left corner."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def __call__(self, value: float) -> float:
        return round(_PANEL * (value - self.low) / (self.high - self.low), 1)

    def ticks(self) -> list[float]:
        step = _step(self.high - self.low)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [k * step for k in range(first, last + 1)]


def _step(span: float) -> float:
    """A round step that divides the span into about five."""
    raw = span / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    rounds = (power, 2 * power, 5 * power, 10 * power)
    return next(one for one in rounds if one >= 0.999 * raw)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """The range with some room, ending on round numbers."""
    if high <= low:
        low, high = low * 0.95, high * 1.05
    step = _step(high - low) / 2
    return step * math.floor(low / step), step * math.ceil(high / step)


def _reach(errors: Sequence[float], limits: tuple[float, float]) -> float:
    """Half the height of the right panel: the limits, and nearly all points."""
    sizes = sorted(abs(error) for error in errors)
    most = sizes[min(len(sizes) - 1, int(0.97 * len(sizes)))]
    return 1.15 * max(most, abs(limits[0]), abs(limits[1]), 0.01)


def _panel(
    left: float, below: str, above: str, across: _Axis, upwards: _Axis, *, percent: bool
) -> str:
    bottom = _TOP + _PANEL
    parts = []
    for at in across.ticks():
        x = left + across(at)
        parts.append(_segment(x, _TOP, x, bottom))
        parts.append(f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{at:g}</text>')
    for at in upwards.ticks():
        y = bottom - upwards(at)
        text = f"{100 * at:.3g}".replace("-", "−") if percent else f"{at:g}"
        parts.append(_segment(left, y, left + _PANEL, y))
        parts.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    middle = left + _PANEL / 2
    parts.append(
        f'<text x="{middle}" y="{bottom + 32}" text-anchor="middle">{escape(below)}</text>'
    )
    parts.append(f'<text x="{left - 6}" y="{_TOP - 12}">{escape(above)}</text>')
    return "".join(parts)


def _segment(x1: float, y1: float, x2: float, y2: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke="{_LINE}" stroke-width="0.8"/>'
    )


def _rule(left: float, height: float, *, dashed: bool) -> str:
    y = _TOP + _PANEL - height
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    return (
        f'<line x1="{left}" y1="{y:.1f}" x2="{left + _PANEL}" y2="{y:.1f}" '
        f'stroke="{_RULE}" stroke-width="1.4"{dashes}/>'
    )


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.2" fill="{_DOT}" fill-opacity="0.55"/>'


def _difference(x: float, error: float, tall: _Axis, reach: float) -> str:
    if abs(error) <= reach:
        return _dot(x, _TOP + _PANEL - tall(error))
    y, way = (_TOP, 1) if error > 0 else (_TOP + _PANEL, -1)
    return f'<path d="M{x:.1f} {y}l-4 {7 * way}h8z" fill="{_DOT}" fill-opacity="0.7"/>'
