"""Metrics of ``fetalsynth assess`` against what the readers said, image by image and set by set.

Image by image two-sided; set by set one-sided, with the sign that the metric's direction promises.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.analysis_quality import regress
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.reader.analysis_scores import SetScores
from fetalsynth.statistics.correlation import Sign, cluster_bootstrap, permutation_table
from fetalsynth.statistics.multiplicity import benjamini_hochberg

LEAST_IMAGES, LEAST_SETS, MOST_REGRESSIONS, MOST_INTERVALS = 10, 4, 8, 40


def against_metrics(
    readings: Readings, scores: Sequence[SetScores], *, seed: int
) -> dict[str, Any] | None:
    """Correlations image by image and set by set; None without scores."""
    if not scores:
        return None
    answers = _answers(readings)
    return {
        "folders": [str(each.folder) for each in scores],
        "answer": answers[0],
        "images": _by_image(readings, scores, answers, seed=seed),
        "sets": _by_set(readings, scores, answers, seed=seed),
    }


def _answers(readings: Readings) -> tuple[str, Floats]:
    """What metrics are set against: mean quality, else the share judged real, of each image."""
    quality = np.isfinite(readings.quality).any()
    values = readings.quality if quality else 1 - readings.said_synthetic
    known = np.isfinite(values).any(axis=0)
    means = np.full(values.shape[1], np.nan)
    means[known] = np.nanmean(values[:, known], axis=0)
    return ("mean quality" if quality else "share judged real"), means


def image_table(readings: Readings, scores: Sequence[SetScores]) -> dict[str, Floats]:
    """Metrics (images,) by name, NaN where an image has none."""
    names = dict.fromkeys(name for each in scores for name in each.images)
    table = {name: np.full(len(readings.images), np.nan) for name in names}
    by_set = {each.set: each for each in scores}
    about = zip(readings.sets, readings.files, readings.signal, strict=True)
    for place, (name, file, synthetic) in enumerate(about):
        if synthetic and name in by_set:
            for metric, values in by_set[name].images.items():
                table[metric][place] = values.get(file, np.nan)
    return {name: column for name, column in table.items() if np.isfinite(column).any()}


def _by_image(
    readings: Readings, scores: Sequence[SetScores], answers: tuple[str, Floats], *, seed: int
) -> dict[str, Any]:
    table, y = image_table(readings, scores), answers[1]
    table = {
        n: c for n, c in table.items() if (np.isfinite(c) & np.isfinite(y)).sum() >= LEAST_IMAGES
    }
    if not table:
        return {
            "rows": [],
            "points": {},
            "note": f"no metric of single images is known for {LEAST_IMAGES} images or more",
        }
    rows = _image_rows(table, y, seed=seed)
    _adjust(rows)
    rows.sort(key=lambda row: row["p_value"] if row["p_value"] is not None else 2.0)
    for row in rows[:MOST_INTERVALS]:
        row["ci95"] = _interval(table[row["metric"]], y, seed=seed, stream=row["metric"])
    for row in rows[:MOST_REGRESSIONS]:
        row["regression"] = _slope(readings, table[row["metric"]], row["metric"])
    known = {name: np.isfinite(column) & np.isfinite(y) for name, column in table.items()}
    return {
        "rows": rows,
        "points": {
            row["metric"]: [
                [float(a), float(b)]
                for a, b in zip(
                    table[row["metric"]][known[row["metric"]]],
                    y[known[row["metric"]]],
                    strict=True,
                )
            ]
            for row in rows[:MOST_REGRESSIONS]
        },
        "note": "",
    }


def _image_rows(table: Mapping[str, Floats], y: Floats, *, seed: int) -> list[dict[str, Any]]:
    """Spearman's ρ of each metric with y; metrics known for the same images share permutations."""
    together: dict[bytes, list[str]] = {}
    for name, column in table.items():
        together.setdefault((np.isfinite(column) & np.isfinite(y)).tobytes(), []).append(name)
    rows = []
    for mask, names in together.items():
        known = np.frombuffer(mask, bool)
        columns = np.stack([table[name][known] for name in names], axis=1)
        signs: list[Sign] = [0] * len(names)
        rows += _rows(names, columns, y[known], signs, seed=seed, stream="images")
    return [{**row, "regression": None} for row in rows]


def _rows(
    names: Sequence[str],
    columns: Floats,
    y: Floats,
    expected: Sequence[Sign],
    *,
    seed: int,
    stream: str,
) -> list[dict[str, Any]]:
    rng = numpy_rng(seed=seed, stream=f"reader/metrics/{stream}")
    found = permutation_table(columns, y, kind="spearman", expected=expected, rng=rng)
    return [
        {
            "metric": name,
            "spearman": float(value) if math.isfinite(value) else None,
            "ci95": None,
            "p_value": float(p) if math.isfinite(p) else None,
            "p_adjusted": None,
            "expected": sign,
            "n": len(y),
        }
        for name, value, p, sign in zip(names, found.values, found.p_values, expected, strict=True)
    ]


def _interval(x: Floats, y: Floats, *, seed: int, stream: str) -> list[float] | None:
    """Interval of Spearman's ρ over resampled images (or sets)."""
    known = np.isfinite(x) & np.isfinite(y)
    if len(np.unique(x[known])) < 2 or len(np.unique(y[known])) < 2:
        return None
    rng = numpy_rng(seed=seed, stream=f"reader/metrics/interval/{stream}")
    ends = cluster_bootstrap(x[known], y[known], kind="spearman", rng=rng, draws=499)
    return None if ends is None else list(ends)


def _adjust(rows: list[dict[str, Any]]) -> None:
    p = [math.nan if row["p_value"] is None else row["p_value"] for row in rows]
    for row, adjusted in zip(rows, benjamini_hochberg(p), strict=True):
        row["p_adjusted"] = float(adjusted) if math.isfinite(adjusted) else None


def _slope(readings: Readings, column: Floats, name: str) -> dict[str, Any] | None:
    """Ordinal regression of quality on the metric in standard deviations; None without quality."""
    if not np.isfinite(readings.quality).any():
        return None
    spread = np.nanstd(column)
    scaled = (column - np.nanmean(column)) / (spread if spread > 0 else 1.0)
    return regress(readings, scaled[:, None], [name])


def _by_set(
    readings: Readings, scores: Sequence[SetScores], answers: tuple[str, Floats], *, seed: int
) -> dict[str, Any]:
    means = {
        each.set: float(np.nanmean(answers[1][_of(readings, each.set)]))
        for each in scores
        if np.isfinite(answers[1][_of(readings, each.set)]).any()
    }
    shared = [each for each in scores if each.set in means]
    names = [n for n in shared[0].metrics if all(n in s.metrics for s in shared)] if shared else []
    rows: list[dict[str, Any]] = [
        {"metric": name, "expected": shared[0].metrics[name][1]} for name in names
    ]
    if names and len(shared) >= LEAST_SETS:
        columns = np.array([[each.metrics[name][0] for name in names] for each in shared])
        y = np.array([means[each.set] for each in shared])
        signs = [shared[0].metrics[name][1] for name in names]
        rows = _rows(names, columns, y, signs, seed=seed, stream="sets")
        for place, row in enumerate(rows[:MOST_INTERVALS]):
            row["ci95"] = _interval(columns[:, place], y, seed=seed, stream=f"sets/{names[place]}")
    for row in rows:
        row["values"] = {each.set: each.metrics[row["metric"]][0] for each in shared}
    if rows and "p_value" in rows[0]:
        _adjust(rows)
    enough = len(shared) >= LEAST_SETS
    note = (
        ""
        if enough
        else f"correlations over sets need {LEAST_SETS} sets; scores of {len(shared)} were given"
    )
    return {"rows": rows, "means": means, "note": note}


def _of(readings: Readings, name: str) -> Any:
    return readings.signal & (np.array(readings.sets) == name)
