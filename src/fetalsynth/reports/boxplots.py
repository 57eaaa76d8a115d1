"""Box plots as inline SVG: one row per set, so that long names fit, coloured by the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from markupsafe import Markup, escape

from fetalsynth.reports.wording import number

LEAST_FOR_A_BOX = 5
MOST_POINTS = 60
_WIDTH, _ROW, _TOP, _FOOT, _RIGHT = 460, 30, 6, 40, 26
_LETTER = 6.6


@dataclass(frozen=True, kw_only=True)
class Box:
    """Quartiles (linear interpolation), and whiskers to the furthest values within 1.5 times the
    distance of the quartiles (Tukey 1977).
    """

    low: float
    middle: float
    high: float
    whiskers: tuple[float, float]


def box_of(values: Sequence[float]) -> Box:
    """The box of at least two values."""
    low, middle, high = quantiles(values, n=4, method="inclusive")
    reach = 1.5 * (high - low)
    near = [value for value in values if low - reach <= value <= high + reach]
    return Box(low=low, middle=middle, high=high, whiskers=(min(near), max(near)))


def box_chart(
    groups: Mapping[str, Sequence[float]], *, label: str, description: str, apart: str = ""
) -> Markup:
    """SVG with a box and dots per group; the group ``apart`` has another colour.

    Groups of fewer than five values have dots and a median only; of more than sixty, only the
    values beyond the whiskers are dots. Values that are not finite are left out. Raises ValueError
    where no group has any.
    """
    finite = {name: [v for v in each if math.isfinite(v)] for name, each in groups.items()}
    finite = {name: each for name, each in finite.items() if each}
    if not finite:
        raise ValueError("there is nothing to chart")
    scale = _Scale([value for each in finite.values() for value in each], names=list(finite))
    rows = [
        _row(_TOP + _ROW * place + _ROW // 2, name, each, scale, apart=name == apart)
        for place, (name, each) in enumerate(finite.items())
    ]
    foot = _TOP + _ROW * len(finite)
    return Markup(
        f'<svg class="chart boxes" viewBox="0 0 {_WIDTH} {foot + _FOOT}" role="img">'
        f"<title>{escape(description)}</title>"
        f"{scale.axis(_TOP, foot, label)}{''.join(rows)}</svg>"
    )


class _Scale:
    """From values to pixels: a little wider than the values, round numbers at the ticks."""

    def __init__(self, values: Sequence[float], *, names: Sequence[str]) -> None:
        longest = max(len(name) for name in names)
        self.left = round(min(_WIDTH / 2, 16 + _LETTER * longest))
        low, high = min(values), max(values)
        room = 0.04 * (high - low) or abs(high) * 0.05 or 0.5
        self.low, self.high = low - room, high + room

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.left + share * (_WIDTH - self.left - _RIGHT), 1)

    def axis(self, top: int, foot: int, label: str) -> str:
        """Vertical lines at round values, their numbers and the label below."""
        ticks = round_ticks(self.low, self.high)
        largest = max(map(abs, ticks))
        parts = [
            f'<line class="tick" x1="{self(at)}" x2="{self(at)}" y1="{top}" y2="{foot}"/>'
            f'<text x="{self(at)}" y="{foot + 15}" text-anchor="middle">'
            f"{_tick(at, largest, ticks)}</text>"
            for at in ticks
        ]
        middle = (self.left + _WIDTH - _RIGHT) / 2
        parts.append(
            f'<text x="{middle}" y="{foot + 33}" text-anchor="middle">{escape(label)}</text>'
        )
        return "".join(parts)


def round_ticks(low: float, high: float) -> list[float]:
    """Three to six multiples of 1, 2 or 5 times a power of ten between the ends."""
    span = high - low
    power = 10.0 ** math.floor(math.log10(span / 3))
    step = next(factor * power for factor in (1, 2, 5, 10) if span / (factor * power) < 6)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _tick(value: float, largest: float, ticks: Sequence[float]) -> str:
    """All ticks with the decimals that tell neighbours apart."""
    step = ticks[1] - ticks[0] if len(ticks) > 1 else largest or 1.0
    if largest and (largest < 1e-3 or largest >= 1e6):
        return number(value, beside=(largest,)) if value else "0"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{decimals}f}".replace("-", "−")


def _row(y: int, name: str, values: Sequence[float], scale: _Scale, *, apart: bool) -> str:
    parts = [
        f'<g class="{"apart" if apart else "set"}">',
        f'<text x="{scale.left - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>',
    ]
    beyond = list(values)
    if len(values) >= LEAST_FOR_A_BOX:
        box = box_of(values)
        parts.append(_box(y, box, scale))
        if len(values) > MOST_POINTS:
            beyond = [v for v in values if not box.whiskers[0] <= v <= box.whiskers[1]]
    else:
        at = scale(median(values))
        parts.append(f'<line class="median" x1="{at}" x2="{at}" y1="{y - 9}" y2="{y + 9}"/>')
    parts += [f'<circle class="point" cx="{scale(v)}" cy="{y}" r="2.2"/>' for v in beyond]
    return "".join([*parts, "</g>"])


def _box(y: int, box: Box, scale: _Scale) -> str:
    left, middle, right = scale(box.low), scale(box.middle), scale(box.high)
    ends = [scale(end) for end in box.whiskers]
    whiskers = "".join(
        f'<line class="whisker" x1="{a}" x2="{b}" y1="{y}" y2="{y}"/>'
        f'<line class="whisker" x1="{a}" x2="{a}" y1="{y - 5}" y2="{y + 5}"/>'
        for a, b in ((ends[0], left), (ends[1], right))
    )
    return (
        f'{whiskers}<rect class="box" x="{left}" y="{y - 9}" '
        f'width="{round(max(right - left, 1.0), 1)}" height="18"/>'
        f'<line class="median" x1="{middle}" x2="{middle}" y1="{y - 9}" y2="{y + 9}"/>'
    )
