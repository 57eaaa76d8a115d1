"""Metrics against readers' scores, a dot for each set, with the published logarithmic line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fetalsynth.studies.analysis_published import published_fit
from fetalsynth.studies.analysis_scores import Matched, match, read_scores_of_sets
from fetalsynth.studies.analysis_settings import Kruskal
from fetalsynth.studies.analysis_table import Level, Origin, Row, Table, make_tables
from fetalsynth.studies.figures_canvas import (
    INK,
    SERIES,
    Sheet,
    panels,
    plain,
    short,
    styled,
    tidy,
)
from fetalsynth.studies.figures_data import MOST_PANELS, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PUBLISHED = ("FID", "FD-Inception*", "LBPv-V8", "LBPv-V20", "LBPv-V143", "LBPv-V240")


def against_readers(
    rows: Sequence[Row],
    *,
    scores: Path,
    origins: Mapping[str, Origin],
    arm: str,
    metrics: Sequence[str],
    stem: str,
) -> Sheet | None:
    """A panel for each metric as in Fig. 2 of Bautista et al. 2022; None where no metric is there.

    Lines are metric = a ln(score) + b by least squares. Raises UserError where the scores name
    fewer than four sets of the arm.
    """
    item = Kruskal.model_validate({"kind": "kruskal", "arm": arm, "metrics": tuple(metrics)})
    tables = make_tables(rows, item=item, origins=origins)[0][:MOST_PANELS]
    if not tables:
        return None
    given = read_scores_of_sets(scores)
    matched = [match(given, table, path=scores) for table in tables]
    factor = next(iter(tables[0].factors), "")
    drawn: list[tuple[Any, ...]] = []
    with styled():
        figure, places = panels(len(tables), height=2.5)
        for table, own, axes in zip(tables, matched, places, strict=True):
            drawn += _draw(axes, table, own, factor)
        figure.supxlabel("mean score of the readers", fontsize=9)
        _legend(figure, tables[0], factor)
    by = f", coloured by {named((factor,))}" if factor else ""
    return Sheet(
        stem=stem,
        kind="readers",
        arm=arm,
        heading=f"{arm}: metrics against readers’ scores",
        caption=f"Each dot is one set of images{by}. Lines as published: metric = a ln(score) + b "
        "by least squares, p for a = 0, r Pearson’s with the score; not adjusted for the number "
        "of metrics, and the line says what the metric is at a score, not what the score is at a "
        "metric.",
        figure=figure,
        header=("metric", "set", "level", "mean score", "value", "a", "b", "r", "p"),
        rows=drawn,
    )


def _draw(axes: Axes, table: Table, own: Matched, factor: str) -> list[tuple[Any, ...]]:
    values, levels = own.values(table), _levels(table, own, factor)
    colours = _colours(table, factor)
    for x, y, level in zip(own.mean, values, levels, strict=True):
        colour = colours.get(level, SERIES[0])
        axes.plot(x, y, "o", color=colour, markersize=4, alpha=0.85, mew=0)
    fit = _fit(own, values)
    if fit:
        x = np.linspace(own.mean.min(), own.mean.max(), 60)
        axes.plot(x, fit["slope"] * np.log(x) + fit["intercept"], color=INK, linewidth=1.3)
        said = f"a {short(fit['slope'])}, b {short(fit['intercept'])}\nr {fit['r']:+.2f}, "
        p = fit["p_value"]
        said += "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
        axes.text(
            0.03, 0.97, said.replace("-", "−"), transform=axes.transAxes, va="top", fontsize=7
        )
        axes.margins(y=0.28)
    tidy(axes, title=table.metric, grid="both")
    extra = [repr(float(fit[key])) if fit else "" for key in ("slope", "intercept", "r", "p_value")]
    return [
        (table.metric, name, level, repr(float(x)), repr(float(y)), *extra)
        for name, level, x, y in zip(own.sets, levels, own.mean, values, strict=True)
    ]


def _fit(own: Matched, values: Any) -> dict[str, float]:
    """The line, or nothing where there is none (scores of zero, or all the same)."""
    if min(own.mean) <= 0:
        return {}
    try:
        fit = published_fit(score=own.mean, values=values)
    except ValueError:
        return {}
    return fit if all(math.isfinite(value) for value in fit.values()) else {}


def _levels(table: Table, own: Matched, factor: str) -> list[Level]:
    if not factor:
        return [""] * len(own.sets)
    return [table.factors[factor][place[0]] for place in own.places]


def _colours(table: Table, factor: str) -> dict[Level, str]:
    levels = table.levels(factor) if factor else []
    return {level: SERIES[k % len(SERIES)] for k, level in enumerate(levels)}


def _legend(figure: Any, table: Table, factor: str) -> None:
    from matplotlib.lines import Line2D

    colours = _colours(table, factor)
    if not colours:
        return
    handles = [
        Line2D([], [], marker="o", linestyle="", color=c, label=plain(str(level)), markersize=4)
        for level, c in colours.items()
    ]
    figure.legend(
        handles=handles,
        title=plain(named((factor,))),
        loc="outside upper left",
        ncols=min(6, len(handles)),
    )
