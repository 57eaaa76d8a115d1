"""The rows of the metric table: texts to read and exact numbers to check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from fetalsynth.artifacts.scores import Metric
from fetalsynth.reports.plots import ratio_strip
from fetalsynth.reports.provenance import flat
from fetalsynth.reports.wording import number, p_value

DIRECTIONS = {
    "lower": ("↓", "lower is better"),
    "higher": ("↑", "higher is better"),
    "none": ("↔", "neither way is better"),
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A number as text, with the recorded one for whoever needs every digit."""

    text: str
    exact: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One metric. What was not recorded is None; ``baseline`` is what painted tissues score."""

    name: str
    unit: str
    value: Shown
    low: Shown | None
    high: Shown | None
    floor: Shown | None
    baseline: Shown | None
    p: Shown | None
    arrow: str
    direction: str
    n_real: int
    n_synthetic: int
    strip: Markup | None
    meaning: str
    settings: tuple[tuple[str, str], ...]


def metric_rows(metrics: Mapping[str, Metric]) -> tuple[Row, ...]:
    """One row per metric, in the recorded order."""
    return tuple(_row(name, metric) for name, metric in metrics.items())


def _row(name: str, metric: Metric) -> Row:
    group = (metric.value, *(metric.ci95 or ()))
    low, high = metric.ci95 or (None, None)
    arrow, direction = DIRECTIONS[metric.direction]
    strip = None
    if metric.floor is not None:
        strip = ratio_strip(
            value=metric.value, floor=metric.floor, ci95=metric.ci95, direction=metric.direction
        )
    return Row(
        name=name,
        unit=metric.unit or "",
        value=Shown(text=number(metric.value, beside=group), exact=repr(metric.value)),
        low=_shown(low, group),
        high=_shown(high, group),
        floor=_shown(metric.floor, (metric.floor or 0.0,)),
        baseline=_shown(_baseline(metric), group),
        p=None
        if metric.p_value is None
        else Shown(text=p_value(metric.p_value), exact=repr(metric.p_value)),
        arrow=arrow,
        direction=direction,
        n_real=metric.n_real,
        n_synthetic=metric.n_synthetic,
        strip=strip,
        meaning=metric.meaning,
        settings=flat(metric.settings),
    )


def _baseline(metric: Metric) -> float | None:
    recorded = metric.settings.get("baseline")
    return float(recorded) if isinstance(recorded, int | float) else None


def _shown(value: float | None, group: tuple[float, ...]) -> Shown | None:
    return None if value is None else Shown(text=number(value, beside=group), exact=repr(value))
