"""Tables of a study: every cell's mean, spread over trainings and interval, alarms, costs."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.errors import explaining
from fetalsynth.statistics.intervals import mean_interval
from fetalsynth.studies.analysis_entry import spoken
from fetalsynth.studies.costs import costs_table
from fetalsynth.studies.figures_data import (
    FUSION,
    Panel,
    Point,
    axes_of,
    chosen_metrics,
    fusions_in,
    panels_of_sets,
)
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Arm, StudyRecipe
from fetalsynth.studies.results import read_results
from fetalsynth.studies.steps import is_whole

FOLDER = "tables"
INDEX = "tables.json"
PLANES = ("sagittal", "coronal", "axial")
IN_PLANES = ("MSE", "SSIM", "correlation", "combined")
_CSV = ("metric", "n", "mean", "sd", "ci_low", "ci_high", "interval", "floor")


def write_tables(folder: Path, *, study: StudyRecipe, plan: Plan) -> int:
    """Write ``tables/`` with a CSV file for each and an index; returns how many there are.

    A cell's interval is the t interval of its trainings' mean; of a single training it is the
    metric's own, which holds for other images of the same network only. Needs ``results.csv``.
    """
    rows = read_results(folder)
    found = [table for arm in study.arms for table in _tables_of(arm, rows, study)]
    found += [_alarms(folder, plan), costs_table(folder, plan)]
    with explaining(folder / FOLDER):
        (folder / FOLDER).mkdir(exist_ok=True)
    for table in found:
        write_text(folder / FOLDER / table["csv"], _as_csv(table))
    write_text(folder / FOLDER / INDEX, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return len(found)


def _tables_of(
    arm: Arm, rows: Sequence[dict[str, str]], study: StudyRecipe
) -> Iterator[dict[str, Any]]:
    own = [row for row in rows if row["arm"] == arm.name]
    if not own:
        return
    metrics = chosen_metrics(own, study=study, arm=arm.name)
    factors = [name for axis in axes_of(arm, rows) for name in axis]
    fusions = fusions_in(rows, study=study, arm=arm.name)
    factors += [FUSION] if len(fusions) > 1 else []
    yield _table(arm, factors, panels_of_sets(rows, arm=arm.name, metrics=metrics))
    planes = [f"{name}-{plane}" for name in IN_PLANES for plane in PLANES]
    if any(row["metric"] in planes for row in own):
        kept = next(iter(fusions), None)
        shown = panels_of_sets(rows, arm=arm.name, metrics=planes, fusion=kept)
        yield _table(arm, [name for name in factors if name != FUSION], shown, of="slices")


def _table(
    arm: Arm, factors: Sequence[str], shown: Sequence[Panel], *, of: str = "sets"
) -> dict[str, Any]:
    """Rows by levels of ``factors``, columns by metric; every entry with its spread and n."""
    cells: dict[tuple[str, ...], dict[str, Any]] = defaultdict(dict)
    for panel in shown:
        groups: dict[tuple[str, ...], list[Point]] = defaultdict(list)
        for point in panel.points:
            groups[tuple(point.levels.get(name, "") for name in factors)].append(point)
        for key, points in groups.items():
            cells[key][panel.metric] = _summary(points)
    trainings = {each["n"] for row in cells.values() for each in row.values()}
    return {
        "kind": of,
        "arm": arm.name,
        "csv": f"{arm.name}-{of}.csv",
        "caption": _caption(trainings, of=of),
        "factors": [spoken(name) for name in factors],
        "columns": [
            {
                "metric": panel.metric,
                "direction": panel.direction,
                "floor": panel.floor if np.isfinite(panel.floor) else None,
            }
            for panel in shown
        ],
        "rows": [
            {"levels": list(key), "cells": [cells[key].get(panel.metric) for panel in shown]}
            for key in _sorted(cells)
        ],
    }


def _sorted(keys: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """By number where all are numbers, else as they come."""
    found = list(keys)
    try:
        return sorted(found, key=lambda key: [float(level) for level in key])
    except ValueError:
        return found


def _summary(points: Sequence[Point]) -> dict[str, Any]:
    values = np.array([point.value for point in points])
    found: dict[str, Any] = {"n": len(values), "mean": float(values.mean())}
    if len(values) > 1:
        low, high = mean_interval(values).interval
        return found | {
            "sd": float(values.std(ddof=1)),
            "low": low,
            "high": high,
            "of": "trainings",
        }
    ends = points[0].ends
    known = (None, None) if ends is None else ends
    return found | {"sd": None, "low": known[0], "high": known[1], "of": "images" if ends else ""}


def _caption(trainings: set[int], *, of: str) -> str:
    what = "Means of slices by plane. " if of == "slices" else ""
    if trainings and max(trainings) > 1:
        return (
            f"{what}Mean ± standard deviation over trainings (seeds) of a cell, below it the 95 % "
            "t interval of the mean. The last row is what real images score against real ones."
        )
    return (
        f"{what}One training per cell: the interval is the metric's own (95 %), for other images "
        "of the same network; it says nothing of another training."
    )


def _alarms(folder: Path, plan: Plan) -> dict[str, Any]:
    """How many sets of each cell raised each alarm."""
    steps = {step.name: step for step in plan.steps}
    raised: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    sets: Counter[tuple[str, str]] = Counter()
    for cell in plan.cells:
        step = steps[cell.assess]
        if is_whole(step, folder):
            scores = read_scores(folder / step.out)
            sets[cell.arm, cell.cell] += 1
            raised[cell.arm, cell.cell].update({alarm.name for alarm in scores.alarms})
    names = sorted({name for counter in raised.values() for name in counter})
    return {
        "kind": "alarms",
        "arm": None,
        "csv": "alarms.csv",
        "caption": "How many sets of each cell raised an alarm in their own assessment.",
        "factors": ["arm", "cell", "sets"],
        "columns": [{"metric": name} for name in names],
        "rows": [
            {"levels": [*key, str(count)], "cells": [{"n": raised[key][name]} for name in names]}
            for key, count in sets.items()
        ],
    }


def _as_csv(table: dict[str, Any]) -> str:
    """Long form: a line for each cell and metric."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    counted = table["kind"] == "alarms"
    writer.writerow([*table["factors"], *(("alarm", "raised") if counted else _CSV)])
    for row in table["rows"]:
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            if cell is None:
                continue
            more = [cell["n"]]
            if not counted:
                numbers = [cell["mean"], cell["sd"], cell["low"], cell["high"]]
                more += [
                    *(_cell(value) for value in numbers),
                    cell["of"],
                    _cell(column.get("floor")),
                ]
            writer.writerow([*row["levels"], column["metric"], *more])
    return stream.getvalue()


def _cell(value: float | None) -> str:
    return "" if value is None else repr(value)
