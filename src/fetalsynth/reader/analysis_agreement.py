"""Do readers agree with each other, and each with herself on hidden repeats?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np

from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.reader.analysis_rows import Row
from fetalsynth.statistics.agreement import (
    Kappa,
    Level,
    Weights,
    bootstrap_over_items,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from fetalsynth.statistics.intraclass import Model, intraclass

DRAWS = 500
_LEAST_ITEMS = 5


def between_readers(readings: Readings, *, seed: int) -> dict[str, Any] | None:
    """Agreement on verdicts and on quality; None for one reader and for pairs."""
    if len(readings.readers) < 2 or readings.pairs:
        return None
    verdict, quality = readings.said_synthetic, readings.quality
    record: dict[str, Any] = {
        "verdict": {
            "pairs": _kappas(readings.readers, verdict, categories=[0, 1], weights="none"),
            "fleiss": _fleiss(verdict, categories=[0, 1], seed=seed),
            "alpha": _alpha(verdict, level="nominal", seed=seed),
            "share_synthetic": float(np.nanmean(verdict)),
        },
        "quality": None,
    }
    if np.isfinite(quality).any():
        scale = list(range(1, int(np.nanmax(quality)) + 1))
        record["quality"] = {
            "pairs": _kappas(readings.readers, quality, categories=scale, weights="quadratic"),
            "alpha_ordinal": _alpha(quality, level="ordinal", seed=seed),
            "alpha_interval": _alpha(quality, level="interval", seed=seed),
            "icc": _iccs(quality),
        }
    return record


def _kappas(
    readers: Sequence[str], answers: Floats, *, categories: Sequence[float], weights: Weights
) -> list[dict[str, Any]]:
    records = []
    for i, j in combinations(range(len(readers)), 2):
        if len(categories) < 2 or not (np.isfinite(answers[i]) & np.isfinite(answers[j])).any():
            continue
        found = cohen_kappa(
            first=answers[i], second=answers[j], categories=categories, weights=weights
        )
        record = {"first": readers[i], "second": readers[j], **kappa_record(found)}
        for word, name in (("the first", readers[i]), ("the second", readers[j])):
            record["remark"] = record["remark"].replace(word, name)
        records.append(record)
    return records


def kappa_record(found: Kappa) -> dict[str, Any]:
    """κ with everything that it must be read beside."""
    return {
        "kappa": _number(found.value),
        "ci95": _ends(found.interval),
        "observed": found.observed,
        "pabak": found.pabak,
        "prevalence": _number(found.prevalence),
        "bias": _number(found.bias),
        "n": found.n,
        "remark": found.remark,
    }


def _fleiss(answers: Floats, *, categories: Sequence[float], seed: int) -> dict[str, Any] | None:
    whole = answers[:, np.isfinite(answers).all(axis=0)]
    if whole.shape[1] < _LEAST_ITEMS:
        return None

    def statistic(ratings: Floats) -> float:
        return fleiss_kappa(ratings=ratings, categories=categories)

    rng = numpy_rng(seed=seed, stream="reader/fleiss")
    return _with_interval(
        statistic(whole),
        bootstrap_over_items(statistic, whole, rng=rng, draws=DRAWS),
        whole.shape[1],
    )


def _alpha(answers: Floats, *, level: Level, seed: int) -> dict[str, Any] | None:
    used = answers[:, np.isfinite(answers).sum(axis=0) > 1]
    if used.shape[1] < _LEAST_ITEMS:
        return None

    def statistic(ratings: Floats) -> float:
        return krippendorff_alpha(ratings=ratings, level=level)

    rng = numpy_rng(seed=seed, stream=f"reader/alpha/{level}")
    return _with_interval(
        statistic(used), bootstrap_over_items(statistic, used, rng=rng, draws=DRAWS), used.shape[1]
    )


def _with_interval(value: float, interval: tuple[float, float], n: int) -> dict[str, Any]:
    remark = "" if np.isfinite(value) else "all answers are the same: undefined (0/0)"
    return {"value": _number(value), "ci95": _ends(interval), "n": n, "remark": remark}


def _iccs(quality: Floats) -> list[dict[str, Any]]:
    """ICC(1,1), (2,1) and (3,1) from images that all readers rated."""
    whole = quality[:, np.isfinite(quality).all(axis=0)].T
    if len(whole) < _LEAST_ITEMS:
        return []
    models: tuple[Model, ...] = ("1", "2", "3")
    records = []
    for model in models:
        found = intraclass(ratings=whole, model=model)
        records.append(
            {
                "name": f"ICC({model},1)",
                "value": _number(found.value),
                "ci95": _ends(found.interval),
                "n": found.items,
                "remark": "" if np.isfinite(found.value) else "ratings do not vary: undefined",
            }
        )
    return records


def within_readers(readings: Readings) -> list[dict[str, Any]]:
    """Agreement of each reader with herself, over what she was shown twice."""
    records = []
    for reader in readings.readers:
        twice = [(a, b) for a, b in readings.repeats if a.reader == reader]
        if not twice:
            continue
        record: dict[str, Any] = {"reader": reader, "repeats": len(twice)}
        record["verdict"] = None if readings.pairs else _intra(twice, "verdict")
        record["quality"] = _intra(twice, "quality")
        record["same_answer"] = _same(twice, pairs=readings.pairs)
        records.append(record)
    return records


def _same(twice: Sequence[tuple[Row, Row]], *, pairs: bool) -> dict[str, Any]:
    from fetalsynth.reader.analysis_detection import share

    same = [a.correct == b.correct if pairs else a.verdict == b.verdict for a, b in twice]
    return share(sum(same), len(same))


def _intra(twice: Sequence[tuple[Row, Row]], what: str) -> dict[str, Any] | None:
    values = np.array([[_value(row, what) for row in pair] for pair in twice], np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return None
    top = int(values.max()) if what == "quality" else 1
    categories = list(range(1, max(top, 2) + 1)) if what == "quality" else [0, 1]
    found = cohen_kappa(
        first=values[:, 0],
        second=values[:, 1],
        categories=categories,
        weights="quadratic" if what == "quality" else "none",
    )
    return kappa_record(found)


def _value(row: Row, what: str) -> float:
    if what == "quality":
        return float("nan") if row.quality is None else float(row.quality)
    return float(row.verdict == "synthetic") if row.verdict else float("nan")


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _ends(interval: tuple[float, float]) -> list[float] | None:
    return [float(v) for v in interval] if np.isfinite(interval).all() else None
