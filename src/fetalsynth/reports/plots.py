"""Plots as inline SVG that take their colours from the page, so that they follow dark mode."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from markupsafe import Markup, escape

from fetalsynth.reports.wording import number

REACH = 3.0
_WIDTH, _HEIGHT = 168, 26
_SERIES = ("--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6")
_DASHES = ("-", "--", "-.", ":")
_MAX_POINTS = 300


def ratio_strip(
    *,
    value: float,
    floor: float,
    ci95: tuple[float, float] | None,
    direction: Literal["lower", "higher", "none"],
) -> Markup | None:
    """SVG of value and interval against the floor on a common scale, right of the middle = worse.

    The scale is log2 of value / floor (mirrored where higher is better), from ⅛ to 8; what lies
    beyond is drawn as an arrow at the edge. None where there is no ratio: the floor is not
    positive, or the value is not and has no better side.
    """
    if not floor > 0 or (direction == "none" and not value > 0):
        return None
    sign = -1.0 if direction == "higher" else 1.0
    at = sign * _log_ratio(value, floor)
    parts = [_grid()]
    if ci95 is not None:
        ends = sorted(sign * _log_ratio(end, floor) for end in ci95)
        left, right = (_x(end) for end in ends)
        parts.append(f'<line class="interval" x1="{left}" x2="{right}" y1="13" y2="13"/>')
    parts.append(_marker(at, hollow=direction == "none"))
    times = f"{number(value / floor)} times the floor"
    svg = (
        f'<svg class="strip" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{times}">{"".join(parts)}</svg>'
    )
    return Markup(svg)


def strip_axis() -> Markup:
    """The scale that belongs above a column of :func:`ratio_strip`."""
    labels = {-3: "8×", 0: "floor", 3: "8×"}
    anchors = {-3: "start", 0: "middle", 3: "end"}
    texts = [
        f'<text x="{_x(at)}" y="11" text-anchor="{anchors[at]}">{text}</text>'
        for at, text in labels.items()
    ]
    return Markup(
        f'<svg class="strip axis" viewBox="0 0 {_WIDTH} 14" aria-hidden="true">'
        f"{''.join(texts)}</svg>"
    )


def _log_ratio(value: float, floor: float) -> float:
    return math.log2(value / floor) if value > 0 else -math.inf


def _x(at: float) -> float:
    """Horizontal place of a log2 ratio, held inside the scale."""
    inside = min(max(at, -REACH), REACH)
    return round(_WIDTH / 2 + inside / REACH * (_WIDTH / 2 - 8), 1)


def _grid() -> str:
    lines = [_tick(_x(at), "zero" if at == 0 else "tick") for at in (-3, -2, -1, 0, 1, 2, 3)]
    return f'<line class="tick" x1="8" x2="{_WIDTH - 8}" y1="13" y2="13"/>{"".join(lines)}'


def _tick(x: float, name: str) -> str:
    return f'<line class="{name}" x1="{x}" x2="{x}" y1="3" y2="23"/>'


def _marker(at: float, *, hollow: bool) -> str:
    x = _x(at)
    name = "dot hollow" if hollow else "dot"
    if abs(at) <= REACH:
        return f'<circle class="{name}" cx="{x}" cy="13" r="5"/>'
    back = round(x - 10 * math.copysign(1, at), 1)
    tip = round(x + 5 * math.copysign(1, at), 1)
    return f'<path class="{name}" d="M{tip} 13 L{back} 6 L{back} 20 Z"/>'


def line_chart(
    *,
    name: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    x_label: str,
    y_label: str,
    description: str,
    logarithmic: bool = False,
) -> Markup:
    """SVG line chart; ``name`` (letters and dashes) keeps its ids apart from other charts'.

    Values that are not finite leave gaps. At most 300 points are drawn per line; with more, each
    is the mean of neighbours.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    style: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    del style["backend"]
    fixed = {"svg.fonttype": "none", "svg.hashsalt": name, "path.simplify": False}
    style.update(fixed | {"font.size": 10.5})
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(4.6, 2.7), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        step = thinning(len(x))
        for place, (label, values) in enumerate(series.items()):
            axes.plot(
                _means(x, step),
                _means(values, step),
                color=_stand_in(place),
                linestyle=_DASHES[place % len(_DASHES)],
                linewidth=1.5,
                label=_plain(label),
            )
        if logarithmic:
            axes.set_yscale("log")
        axes.set_xlabel(_plain(x_label))
        axes.set_ylabel(_plain(y_label))
        axes.grid(color="#0000f1", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        if len(series) > 1:
            figure.legend(frameon=False, loc="outside upper left", ncols=2, borderaxespad=0.0)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    return Markup(_adapt(stream.getvalue(), name=name, description=description))


def thinning(length: int) -> int:
    """How many neighbouring points of ``length`` make one point of a line chart."""
    return max(1, -(-length // _MAX_POINTS))


def _means(values: Sequence[float], step: int) -> list[float]:
    groups = [values[i : i + step] for i in range(0, len(values), step)]
    means = [sum(group) / len(group) for group in groups]
    return [mean if math.isfinite(mean) else math.nan for mean in means]


def _stand_in(place: int) -> str:
    return f"#0000a{place % len(_SERIES)}"


def _plain(label: str) -> str:
    """Without the characters that matplotlib would read as mathematics or as "no label"."""
    return label.replace("$", r"\$").lstrip("_") or "value"


def _adapt(svg: str, *, name: str, description: str) -> str:
    """matplotlib's file as an inline element: own ids, page colours and fonts, a title."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)[^>]*>.*?</\1>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(
        r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg class="chart" \1 role="img">', svg
    )
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"#0000a(\d)", lambda m: f"var({_SERIES[int(m[1])]})", svg)
    svg = svg.replace("#0000f1", "var(--line)").replace("#000000", "currentColor")
    svg = re.sub(r"font-family: [^;\"]*; ", "", svg)
    label = f"<title>{escape(description)}</title>"
    return re.sub(r"(<svg [^>]*>)", lambda m: m[1] + label, svg, count=1)
