"""Quality as the readers rated it: by set, with readers' habits taken out, and against metrics.

Answers of several readers on one image are not independent: the ordinal regressions have readers as
fixed effects (or, from five on, still fixed: each has rated every image) and a random intercept for
the image where images were rated more than once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.tables import csv_text
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.statistics.intervals import mean_interval
from fetalsynth.statistics.ordinal import OrdinalFit, proportional_odds
from fetalsynth.statistics.ordinal_mixed import LEAST_GROUPS, mixed_proportional_odds

_UNDETERMINED = 30.0  # log-odds: beyond, an interval says no more than that there is none


def quality_by_set(readings: Readings) -> dict[str, Any] | None:
    """Means and distributions by set, and how much lower synthetic images are rated.

    None where quality was not asked or never varied.
    """
    known = np.isfinite(readings.quality)
    if readings.pairs or not known.any():
        return None
    top = int(np.nanmax(readings.quality))
    records = [
        _of(readings, name or "synthetic", chosen, top) for name, chosen in _groups(readings)
    ]
    return {
        "points": top,
        "sets": [record for record in records if record["n"]],
        "regression": _set_effects(readings),
    }


def _groups(readings: Readings) -> list[tuple[str, NDArray[np.bool_]]]:
    groups: list[tuple[str, NDArray[np.bool_]]] = [("real images", ~readings.signal)]
    for name in readings.synthetic_sets:
        named: NDArray[np.bool_] = np.array([each == name for each in readings.sets])
        groups.append((name, readings.signal & named))
    return groups


def _of(readings: Readings, name: str, chosen: NDArray[np.bool_], top: int) -> dict[str, Any]:
    ratings = readings.quality[:, chosen]
    answers = ratings[np.isfinite(ratings)]
    images = _means(ratings)
    interval = mean_interval(images).interval if len(images) > 1 else None
    return {
        "set": name,
        "images": len(images),
        "n": len(answers),
        "mean": float(images.mean()) if len(images) else None,
        "ci95": None if interval is None else list(interval),
        "counts": [int((answers == point).sum()) for point in range(1, top + 1)],
    }


def _means(ratings: Floats) -> Floats:
    """Mean over readers of each image that was rated."""
    kept = ratings[:, np.isfinite(ratings).any(axis=0)]
    return np.asarray(np.nanmean(kept, axis=0), np.float64) if kept.size else np.zeros(0)


def _set_effects(readings: Readings) -> dict[str, Any]:
    """Proportional odds of quality on the set (against real images), readers as fixed effects."""
    names = list(readings.synthetic_sets)
    columns = np.zeros((len(readings.images), len(names)))
    for place, name in enumerate(names):
        columns[:, place] = readings.signal & (np.array(readings.sets) == name)
    return regress(readings, columns, [name or "synthetic" for name in names])


def regress(
    readings: Readings,
    columns: Floats,
    names: Sequence[str],
    *,
    only: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Quality on covariates of images (images, p); ``problem`` says why there is no estimate."""
    used = np.isfinite(readings.quality) & np.isfinite(columns).all(axis=1)
    if only is not None:
        used &= only
    rows, images = np.nonzero(used)
    base = {"n": len(rows), "images": len(set(images)), "coefficients": [], "problem": ""}
    if not len(rows):
        return {**base, "model": "", "problem": "no quality ratings of these images"}
    answers = readings.quality[rows, images]
    readers = [readings.readers[row] for row in rows] if len(set(rows)) > 1 else None
    repeated = len(set(images)) < len(rows) and len(set(images)) >= LEAST_GROUPS
    try:
        with np.errstate(invalid="ignore"):  # a standard error that does not exist is said below
            fit = (
                mixed_proportional_odds(
                    answers=answers,
                    covariates=columns[images],
                    groups=[str(image) for image in images],
                    names=names,
                    readers=readers,
                )
                if repeated
                else proportional_odds(
                    answers=answers, covariates=columns[images], names=names, readers=readers
                )
            )
    except ValueError as error:
        return {**base, "model": "", "problem": str(error)}
    if any(not abs(end) <= _UNDETERMINED for each in fit.coefficients for end in each.interval):
        return {**base, "model": "", "problem": "too few ratings to determine the odds"}
    model = "proportional odds" + (", readers as fixed effects" if readers else "")
    return {
        **base,
        "model": model + (", random intercept of the image" if repeated else ""),
        "p_value": fit.p_value,
        "coefficients": _coefficients(fit, names),
    }


def _coefficients(fit: OrdinalFit, names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "value": each.value,
            "ci95": list(each.interval),
            "p_value": each.p_value,
            "odds_ratio": float(np.exp(each.value)),
            "odds_ratio_ci95": [float(np.exp(end)) for end in each.interval],
        }
        for each in fit.coefficients
        if each.name in names
    ]


def reader_scores_csv(readings: Readings, *, what: str) -> str:
    """``set,reader,score,n``: mean of what each reader said of each set, real images too.

    ``what``: "quality" or "judged_real" (share). Studies read it as the readers' scores of sets.
    """
    values = readings.quality if what == "quality" else 1 - readings.said_synthetic
    rows: list[tuple[object, ...]] = []
    for name, chosen in _groups(readings):
        for reader, answers in zip(readings.readers, values[:, chosen], strict=True):
            known = answers[np.isfinite(answers)]
            if len(known):
                rows.append((name or "synthetic", reader, float(known.mean()), len(known)))
    return csv_text(("set", "reader", "score", "n"), rows)
