"""Maps of images as inline SVG: one dot per image, coloured by the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup, escape

Point = tuple[float, float]
MOST_POINTS = 400
_WIDTH, _HEIGHT, _MARGIN, _KEY = 460, 300, 14, 22
_COLOURS = ("--series-6", "--series-1", "--series-2")


def scatter(
    *,
    series: Mapping[str, Sequence[Point]],
    x_label: str,
    y_label: str,
    description: str,
) -> Markup:
    """SVG of the points of up to three sets, drawn over each other in the order given.

    The last two have the colours of the first two lines of a line chart.

    Both axes have one scale. At most 400 points of each set are drawn, evenly taken from the
    record.
    """
    shown = {label: _thinned(points) for label, points in series.items()}
    every = [point for points in shown.values() for point in points]
    place = _Placing(every)
    dots = [
        f'<path class="dots" style="stroke:var({colour})" d="{_dots(points, place)}"/>'
        for colour, points in zip(_colours(shown), shown.values(), strict=True)
    ]
    frame = (
        f'<rect class="frame" x="1" y="{_KEY}" width="{_WIDTH - 2}" height="{_HEIGHT - _KEY - 22}" '
        'rx="4"/>'
    )
    labels = (
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(x_label)} →</text>'
        f'<text x="{_WIDTH - 3}" y="14" text-anchor="end">↑ {escape(y_label)}</text>'
    )
    return Markup(
        f'<svg class="chart map" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">'
        f"<title>{escape(description)}</title>{frame}{''.join(dots)}{labels}{_key(shown)}</svg>"
    )


def _colours(shown: Mapping[str, Sequence[Point]]) -> tuple[str, ...]:
    if len(shown) > len(_COLOURS):
        raise ValueError(f"a map shows at most {len(_COLOURS)} sets, not {len(shown)}")
    return _COLOURS[len(_COLOURS) - len(shown) :]


def _thinned(points: Sequence[Point]) -> list[Point]:
    step = max(1, -(-len(points) // MOST_POINTS))
    return list(points[::step])


class _Placing:
    """Data to pixels: one scale for both axes, everything inside the frame."""

    def __init__(self, points: Sequence[Point]) -> None:
        xs, ys = zip(*points, strict=True) if points else ((0.0,), (0.0,))
        self._low = min(xs), min(ys)
        self._high = max(xs), max(ys)
        self._inner = _WIDTH - 2 * _MARGIN, _HEIGHT - _KEY - 22 - 2 * _MARGIN
        spans = [high - low for low, high in zip(self._low, self._high, strict=True)]
        ratios = [inner / span for inner, span in zip(self._inner, spans, strict=True) if span > 0]
        self._scale = min(ratios, default=1.0)

    def __call__(self, point: Point) -> tuple[int, int]:
        offsets = [
            (value - (low + high) / 2) * self._scale
            for value, low, high in zip(point, self._low, self._high, strict=True)
        ]
        middle = _KEY + _MARGIN + self._inner[1] / 2
        return round(_WIDTH / 2 + offsets[0]), round(middle - offsets[1])


def _dots(points: Sequence[Point], place: _Placing) -> str:
    return "".join(f"M{x} {y}h0" for x, y in map(place, points))


def _key(shown: Mapping[str, Sequence[Point]]) -> str:
    parts, x = [], 10
    for colour, label in zip(_colours(shown), shown, strict=True):
        parts.append(f'<path class="dots solid" style="stroke:var({colour})" d="M{x} 10h0"/>')
        parts.append(f'<text x="{x + 8}" y="14">{escape(label)}</text>')
        x += 24 + round(6.4 * len(label))
    return "".join(parts)
