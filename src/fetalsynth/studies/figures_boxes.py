"""Box plots of metrics by the levels of a factor, as in both papers: dots are sets or volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fetalsynth.studies.figures_canvas import (
    INK,
    LINE,
    QUIET,
    SERIES,
    Sheet,
    panels,
    plain,
    styled,
    tidy,
)
from fetalsynth.studies.figures_data import Panel, Point, levels_on, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_FOR_A_BOX = 5
_BETTER = {"lower": " ↓", "higher": " ↑"}
_LONG_LABELS = 14


def boxes(
    shown: Sequence[Panel],
    *,
    axis: tuple[str, ...],
    hue: tuple[str, ...] | None,
    arm: str,
    stem: str,
    note: str = "",
) -> Sheet:
    """A panel for each metric with a box for each level on ``axis``, dots coloured by ``hue``.

    Boxes are quartiles with whiskers to 1.5 times their distance (Tukey 1977), for five values and
    more; below that a line at the median.
    """
    levels = levels_on(axis, [point for panel in shown for point in panel.points])
    colours = _colours(hue, shown)
    by_subject = any(point.subject for panel in shown for point in panel.points)
    with styled():
        long = max(len(level) for level in levels) * len(levels) > 2 * _LONG_LABELS
        figure, places = panels(len(shown), height=2.7 if long else 2.3)
        for panel, axes in zip(shown, places, strict=True):
            tidy(axes, title=panel.metric + _BETTER.get(panel.direction, ""))
            for place, level in enumerate(levels):
                own = [point for point in panel.points if point.at(axis) == level]
                _box(axes, place, [point.value for point in own])
                _dots(axes, place, own, hue, colours)
            _ticks(axes, levels, rotated=long)
            if np.isfinite(panel.floor) and _near(panel):
                axes.axhline(panel.floor, color=QUIET, linewidth=0.9, linestyle=":")
        figure.supxlabel(plain(named(axis)), fontsize=9)
        if colours and hue:
            _legend(figure, colours, title=named(hue))
    return Sheet(
        stem=stem,
        kind="boxes",
        arm=arm,
        heading=f"{arm}: by {named(axis)}",
        caption=_caption(shown, by_subject=by_subject, hue=hue if colours else None) + note,
        figure=figure,
        header=("metric", *axis, *(hue or ()), "seed", "subject", "value", "step"),
        rows=[
            (
                panel.metric,
                *(point.levels.get(name, "") for name in (*axis, *(hue or ()))),
                point.seed,
                point.subject,
                repr(point.value),
                point.step,
            )
            for panel in shown
            for point in panel.points
        ],
    )


def _caption(shown: Sequence[Panel], *, by_subject: bool, hue: tuple[str, ...] | None) -> str:
    dot = "volume made by one training" if by_subject else "set of images by one training"
    said = [f"Each dot is one {dot}" + (f", coloured by {named(hue)}" if hue else "") + "."]
    said.append(
        "Boxes are quartiles, whiskers reach 1.5 times their distance; fewer than five dots have "
        "their median only. ↓ lower is better, ↑ higher is better."
    )
    if any(np.isfinite(panel.floor) and _near(panel) for panel in shown):
        said.append("Dotted: what real images score against real ones.")
    if by_subject:
        said.append("Dots of one training are not independent of each other; tests count trainings")
        said[-1] += "."
    return " ".join(said)


def _near(panel: Panel) -> bool:
    """Whether the floor can be drawn without squeezing everything else."""
    values = [point.value for point in panel.points]
    low, high = min(values), max(values)
    room = 1.5 * (high - low) or abs(high)
    return low - room <= panel.floor <= high + room


def _colours(hue: tuple[str, ...] | None, shown: Sequence[Panel]) -> dict[str, str]:
    if hue is None:
        return {}
    levels = levels_on(hue, [point for panel in shown for point in panel.points])
    if len(levels) > len(SERIES):
        return {}
    return dict(zip(levels, SERIES, strict=False))


def _box(axes: Axes, place: int, values: list[float]) -> None:
    if len(values) < LEAST_FOR_A_BOX:
        if values:
            middle = float(np.median(values))
            axes.plot([place - 0.3, place + 0.3], [middle, middle], color=INK, linewidth=1.6)
        return
    axes.boxplot(
        values,
        positions=[place],
        widths=0.6,
        showfliers=False,
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": LINE, "alpha": 0.6, "edgecolor": QUIET},
        medianprops={"color": INK, "linewidth": 1.6},
        whiskerprops={"color": QUIET},
        capprops={"color": QUIET},
    )


def _dots(
    axes: Axes,
    place: int,
    own: Sequence[Point],
    hue: tuple[str, ...] | None,
    colours: dict[str, str],
) -> None:
    """Dots side by side in a fixed order, so that none hides another."""
    spread = np.linspace(-0.22, 0.22, len(own)) if len(own) > 1 else np.zeros(len(own))
    at = [colours.get(point.at(hue), SERIES[0]) if hue else SERIES[0] for point in own]
    for colour in dict.fromkeys(at):
        chosen = [k for k, own_colour in enumerate(at) if own_colour == colour]
        x, y = [place + spread[k] for k in chosen], [own[k].value for k in chosen]
        axes.plot(x, y, "o", color=colour, markersize=3.2, alpha=0.8, markeredgewidth=0)


def _ticks(axes: Axes, levels: Sequence[str], *, rotated: bool) -> None:
    axes.set_xticks(range(len(levels)), [plain(level) for level in levels])
    axes.set_xlim(-0.6, len(levels) - 0.4)
    if rotated:
        axes.tick_params(axis="x", labelrotation=40)
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")


def _legend(figure: object, colours: dict[str, str], *, title: str) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    assert isinstance(figure, Figure)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=plain(level), markersize=4)
        for level, colour in colours.items()
    ]
    figure.legend(handles=handles, title=plain(title), loc="outside upper left", ncols=len(handles))
