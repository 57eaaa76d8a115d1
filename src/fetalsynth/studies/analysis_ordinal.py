"""Ordinal regression of readers' scores on a metric, readers and sets in the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.statistics.ordinal import OrdinalFit, proportional_odds
from fetalsynth.statistics.ordinal_mixed import LEAST_GROUPS, mixed_proportional_odds
from fetalsynth.studies.analysis_scores import Matched, Score
from fetalsynth.studies.analysis_table import Table


def ordinal_table(
    table: Table, own: Matched, scores: Sequence[Score]
) -> tuple[tuple[dict[str, object], ...], tuple[str, ...]]:
    """Odds of a higher score per standard deviation of the metric, readers in the model."""
    values = dict(zip(own.sets, own.values(table), strict=True))
    rows = [score for score in scores if score.set in values]
    x = np.array([values[row.set] for row in rows])
    if x.std() == 0:
        return (), ("The metric is the same for all sets.",)
    x = (x - x.mean()) / x.std()
    try:
        fit, model = _fit(x, rows)
    except (ValueError, np.linalg.LinAlgError) as error:
        return (), (f"No ordinal regression: {error}.",)
    slope = fit.coefficient("metric")
    low, high = slope.interval
    return (
        {
            "model": model,
            "odds_ratio_per_sd": slope.odds_ratio,
            "low": float(np.exp(low)),
            "high": float(np.exp(high)),
            "p_value": slope.p_value,
            "answers": fit.n,
        },
    ), ()


def _fit(x: NDArray[np.float64], rows: Sequence[Score]) -> tuple[OrdinalFit, str]:
    answers = [row.score for row in rows]
    names = [row.reader for row in rows]
    readers = names if len(set(names)) > 1 else None
    sets = [row.set for row in rows]
    if len(set(sets)) < len(sets) and len(set(sets)) >= LEAST_GROUPS:
        mixed = mixed_proportional_odds(
            answers=answers, covariates=x, names=["metric"], groups=sets, readers=readers
        )
        return mixed, "proportional odds, readers fixed, random intercept of sets"
    fit = proportional_odds(answers=answers, covariates=x, names=["metric"], readers=readers)
    return fit, "proportional odds" + (", readers fixed" if readers else "")
