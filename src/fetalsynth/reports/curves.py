"""Training curves from the rows of a ``stats.jsonl`` and of a ``watch.jsonl``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from fetalsynth.reports.plots import line_chart, thinning
from fetalsynth.reports.wording import listing, number, plural

_COUNTERS = ("images_seen", "epoch", "seconds")
_KINDS = (
    ("loss", "Losses", "loss"),
    ("accuracy", "Discriminator accuracy", "share right"),
    ("images_per_second", "Speed", "images per second"),
)
_WATCHED = (
    ("nearest_ratio", "Distance to training images", "1 = unseen patients"),
    ("loss", "Loss on unseen and on training images", "loss"),
    ("copy_share", "Samples that look like copies", "share"),
)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One chart with its heading and a caption that says in words where the lines end."""

    heading: str
    chart: Markup
    caption: str


def training_curves(rows: Sequence[Any]) -> tuple[Curve, ...]:
    """Losses, accuracies, speed and whatever else is recorded, over epochs or images seen.

    Rows that are not objects are left out, and so are values that are not numbers.
    """
    objects = [row for row in rows if isinstance(row, Mapping)]
    axis = next((name for name in ("epoch", "images_seen") if _complete(objects, name)), None)
    x = [float(row[axis]) for row in objects] if axis else [float(k) for k in range(len(objects))]
    keys = dict.fromkeys(key for row in objects for key in row if key not in _COUNTERS)
    series = {key: [_finite(row.get(key)) for row in objects] for key in keys}
    series = {key: values for key, values in series.items() if any(map(math.isfinite, values))}
    label = {"epoch": "epoch", "images_seen": "images seen", None: "log entry"}[axis]
    return tuple(
        _curve(
            f"curve-{place}",
            heading=heading,
            unit=unit,
            x=x,
            series={key: series[key] for key in members},
            x_label=label,
        )
        for place, (heading, unit, members) in enumerate(_panels(list(series)))
    )


def watch_curves(rows: Sequence[Any]) -> tuple[Curve, ...]:
    """What a watch on copying saw: distance to training images, losses, share of copies."""
    objects = [row for row in rows if isinstance(row, Mapping)]
    x = [_finite(row.get("epoch")) for row in objects]
    curves = []
    for place, (start, heading, unit) in enumerate(_WATCHED):
        keys = dict.fromkeys(key for row in objects for key in row if key.startswith(start))
        series = {key: [_finite(row.get(key)) for row in objects] for key in keys}
        series = {key: values for key, values in series.items() if any(map(math.isfinite, values))}
        if series:
            curves.append(
                _curve(
                    f"watch-{place}",
                    heading=heading,
                    unit=unit,
                    x=x,
                    series=series,
                    x_label="epoch",
                )
            )
    return tuple(curves)


def not_finite(rows: Sequence[Any]) -> int:
    """How many log entries hold a number that is infinite or not a number."""
    return sum(
        any(isinstance(value, float) and not math.isfinite(value) for value in row.values())
        for row in rows
        if isinstance(row, Mapping)
    )


def _complete(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    return bool(rows) and all(math.isfinite(_finite(row.get(name))) for row in rows)


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if math.isfinite(value) else math.nan


def _panels(keys: list[str]) -> list[tuple[str, str, list[str]]]:
    panels = []
    for start, heading, unit in _KINDS:
        members = [key for key in keys if key.startswith(start)]
        panels += [(heading, unit, members)] if members else []
        keys = [key for key in keys if key not in members]
    return panels + [(_words(key).capitalize(), _words(key), [key]) for key in keys]


def _words(key: str) -> str:
    return key.replace("_", " ")


def _curve(
    name: str,
    *,
    heading: str,
    unit: str,
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    x_label: str,
) -> Curve:
    named = {_line_name(key, series): values for key, values in series.items()}
    ends = [f"{line} {number(_last(values))}" for line, values in named.items()]
    step = thinning(len(x))
    thinned = f" Each point is the mean of {plural(step, 'log entry', 'log entries')}."
    return Curve(
        heading=heading,
        chart=line_chart(
            name=name,
            x=x,
            series=named,
            x_label=x_label,
            y_label=unit,
            description=f"{heading} over {x_label}",
        ),
        caption=f"Last: {listing(ends)}.{thinned if step > 1 else ''}",
    )


def _line_name(key: str, series: Mapping[str, Sequence[float]]) -> str:
    """The key in words; without its first one where that is the heading of the whole chart."""
    first, _, rest = key.partition("_")
    return _words(rest if len(series) > 1 and rest and first in ("loss", "accuracy") else key)


def _last(values: Sequence[float]) -> float:
    return next(value for value in reversed(values) if math.isfinite(value))
