"""The plots behind the scorecard, drawn from the tables beside ``scores.json``.

Maps of the feature spaces, distances to the nearest image, and how often each texture pattern
occurs. A table that is missing or damaged leaves its plot out and is told.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fetalsynth.reports.plots import line_chart
from fetalsynth.reports.scatter import MOST_POINTS, Point, scatter
from fetalsynth.reports.wording import listing, number

Row = dict[str, str]
ROLE_WORDS = {"train": "training", "real": "real", "synthetic": "synthetic"}
_GRID = 160


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot with its heading and what to look for in it."""

    heading: str
    chart: Markup
    caption: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The plots that could be drawn, and a sentence for each table that could not be read."""

    plots: tuple[Plot, ...]
    problems: tuple[str, ...]


def evidence(folder: Path) -> Evidence:
    """All plots that the tables in ``folder`` allow."""
    plots: list[Plot] = []
    problems: list[str] = []
    drawers: tuple[tuple[str, Callable[[Path, list[Row]], list[Plot]]], ...] = (
        ("feature_map.csv", _maps),
        ("nearest_distances.csv", _distances),
        ("lbp_vector.csv", _spectra),
    )
    for name, draw in drawers:
        if not (folder / name).is_file():
            continue
        try:
            plots += draw(folder, _read(folder / name))
        except (OSError, ValueError, KeyError, csv.Error) as error:
            problems.append(f"{name} is damaged ({type(error).__name__}), so it is not drawn.")
    return Evidence(plots=tuple(plots), problems=tuple(problems))


def _read(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError("no rows")
    return rows


def _number(row: Row, name: str) -> float:
    text = row[name]
    value = float(text) if text else math.nan
    if math.isinf(value):
        raise ValueError(f"{name} is infinite")
    return value


def _maps(folder: Path, rows: list[Row]) -> list[Plot]:
    explained = _explained(folder)
    spaces = list(dict.fromkeys(row["space"] for row in rows))
    return [
        _map(space, [row for row in rows if row["space"] == space], explained) for space in spaces
    ]


def _explained(folder: Path) -> dict[tuple[str, str], float]:
    path = folder / "feature_map_axes.csv"
    if not path.is_file():
        return {}
    return {
        (row["space"], row["axis"]): _number(row, "share_of_real_variance") for row in _read(path)
    }


def _map(space: str, rows: list[Row], explained: dict[tuple[str, str], float]) -> Plot:
    points: dict[str, list[Point]] = {}
    for role, words in ROLE_WORDS.items():
        found = [(_number(r, "axis_1"), _number(r, "axis_2")) for r in rows if r["role"] == role]
        if found:
            points[words] = found
    labels = [_axis(axis, explained.get((space, str(axis)))) for axis in (1, 2)]
    thinned = any(len(found) > MOST_POINTS for found in points.values())
    few = f" At most {MOST_POINTS} images of each kind are drawn." if thinned else ""
    return Plot(
        heading=f"Map of the images: {space}",
        chart=scatter(
            series=points,
            x_label=labels[0],
            y_label=labels[1],
            description=f"Every image as a dot in the two main directions of {space} features",
        ),
        caption="Each dot is an image, placed by the two directions in which real images differ "
        "most. Synthetic dots should lie among the real ones and fill the same area; clumps are "
        "repeated pictures. Two directions show only a part: trust the scores, not the map." + few,
    )


def _axis(axis: int, share: float | None) -> str:
    name = ("first", "second")[axis - 1]
    part = "" if share is None else f", {100 * share:.0f} % of real variance"
    return f"{name} direction{part}"


def _distances(folder: Path, rows: list[Row]) -> list[Plot]:
    values = {
        words: sorted(_number(row, "relative_distance") for row in rows if row["role"] == role)
        for role, words in (("held-out", "unseen real"), ("synthetic", "synthetic"))
    }
    if not all(values.values()):
        return []
    most = max(found[-1] for found in values.values()) or 1.0
    grid = [most * k / (_GRID - 1) for k in range(_GRID)]
    shares = {
        words: [sum(v <= x for v in found) / len(found) for x in grid]
        for words, found in values.items()
    }
    least = [f"{words} {number(found[0])}" for words, found in values.items()]
    return [
        Plot(
            heading="Distance to the nearest training or real image",
            chart=line_chart(
                name="nearest",
                x=grid,
                series=shares,
                x_label="distance, 1 = usual for unseen real images",
                y_label="share of images nearer",
                description="Cumulative distances to the nearest image, synthetic and unseen real",
            ),
            caption="Copies show as a synthetic line that leaves the bottom further left than the "
            f"line of unseen real images does. Nearest of all: {listing(least)}.",
        )
    ]


def _spectra(folder: Path, rows: list[Row]) -> list[Plot]:
    ordered = sorted(rows, key=lambda row: -_number(row, "reference"))
    series = {
        words: [_number(row, column) or math.nan for row in ordered]
        for words, column in (("real", "reference"), ("synthetic", "synthetic"))
    }
    if not any(math.isfinite(value) for found in series.values() for value in found):
        return []
    return [
        Plot(
            heading="Texture patterns (LBP spectrum)",
            chart=line_chart(
                name="spectrum",
                x=[float(rank) for rank in range(1, len(ordered) + 1)],
                series=series,
                x_label="256 local patterns, commonest in real images first",
                y_label="pixels per image",
                description="Mean count of each local binary pattern, real and synthetic",
                logarithmic=True,
            ),
            caption="How many pixels of an image show each of 256 local patterns. Where the "
            "synthetic line strays from the real one, the grain differs: blur thins out the rare "
            "patterns on the right, noise fills them.",
        )
    ]
