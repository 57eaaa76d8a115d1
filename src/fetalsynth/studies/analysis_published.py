"""The analysis of Bautista et al. 2022 as published, with what it can and cannot show beside it.

There, Pearson's r > 0.2 with the clinician's score chose among 256 LBP elements, and logarithmic
trend lines were drawn through metric against score (Fig. 2); no test, interval or correction is
reported. Which elements are chosen depends on the convention for LBP codes, which is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fetalsynth.statistics.correlation import coefficient
from fetalsynth.statistics.regression import log_fit
from fetalsynth.studies.analysis_entry import Entry, effect, number, p_text
from fetalsynth.studies.analysis_factors import refused
from fetalsynth.studies.analysis_scores import Score, match
from fetalsynth.studies.analysis_sets import (
    ELEMENT,
    UNIT,
    common_caveats,
    critical_r,
    is_element,
)
from fetalsynth.studies.analysis_settings import Published
from fetalsynth.studies.analysis_table import Table

PAPER_CODES = (8, 20, 143, 240)
PAPER = "Bautista et al. 2022 (arXiv 2206.01731)"
METHOD = (
    f"As published by {PAPER}: Pearson's r of the metric with the mean reader score over sets, and "
    "the line metric = a ln(score) + b by least squares. Intervals and p are added here."
)
BACKWARDS = (
    "The line predicts the metric from the score, not the score from the metric, and a trend line "
    "by itself tests nothing."
)
CODES = (
    "V8, V20, V143 and V240 were picked after looking at 256 elements, and their numbers mean "
    "other patterns where the order of neighbours differs."
)


def published_fit(*, score: ArrayLike, values: ArrayLike) -> dict[str, float]:
    """Pearson's r with the score, and slope, intercept, intervals and p of the logarithmic line."""
    line = log_fit(score, values)
    return {
        "r": coefficient(score, values, kind="pearson"),
        "slope": line.slope,
        "slope_low": line.slope_interval[0],
        "slope_high": line.slope_interval[1],
        "intercept": line.intercept,
        "intercept_low": line.intercept_interval[0],
        "intercept_high": line.intercept_interval[1],
        "r_log": line.r,
        "p_value": line.p_value,
    }


def chance_of_r_above(*, threshold: float, n: int) -> float:
    """P(r > threshold) for n independent points without any relation: 0.20 for 0.2 and 20."""
    from scipy.special import stdtr

    t = threshold * np.sqrt((n - 2) / (1 - threshold**2))
    return float(stdtr(n - 2, -t))


def published_entries(
    tables: Sequence[Table], scores: Sequence[Score], item: Published
) -> list[Entry]:
    """An entry for every Fréchet distance and each of the four codes, and one for the choice."""
    shown = [table for table in tables if _is_shown(table.metric)]
    entries = [_fitted(table, scores, item) for table in shown]
    for arm in dict.fromkeys(table.arm for table in tables):
        elements = [t for t in tables if t.arm == arm and is_element(t.metric)]
        if len(elements) > len(PAPER_CODES):
            entries.append(_choice(elements, scores, item))
    return entries


def _is_shown(metric: str) -> bool:
    codes = {f"{ELEMENT}{code}" for code in PAPER_CODES}
    return metric in codes or metric == "FID" or metric.startswith("FD-Inception")


def _fitted(table: Table, scores: Sequence[Score], item: Published) -> Entry:
    own = match(scores, table, path=Path(str(item.scores)))
    if not np.ptp(table.values) > 0:
        return refused(item.kind, table, "the value is the same for all sets")
    try:
        fit = published_fit(score=own.mean, values=own.values(table))
    except ValueError as error:
        return refused(item.kind, table, str(error))
    one_sided = is_element(table.metric)  # elements were chosen by r, not by |r|
    passes = (fit["r"] if one_sided else abs(fit["r"])) > item.threshold
    wrong = table.direction in ("lower", "higher") and fit["r"] * _sign(table) < 0
    caveats = [BACKWARDS, *common_caveats(own, table)]
    if is_element(table.metric):
        caveats.append(CODES)
    if wrong:
        caveats.append("The sign is the wrong one: sets with better values were scored worse.")
    return Entry(
        name=f"{table.metric} as published",
        kind=item.kind,
        arm=table.arm,
        metric=table.metric,
        method=METHOD,
        n=len(own.sets),
        unit=UNIT,
        statistic="Pearson's r",
        value=fit["r"],
        p_value=fit["p_value"],
        effect=effect("slope of ln(score)", fit["slope"], (fit["slope_low"], fit["slope_high"])),
        verdict=f"{table.metric} = {number(fit['slope'])} ln(score) {fit['intercept']:+.4g}, r "
        f"{fit['r']:+.2f}: {'passes' if passes else 'does not pass'} the published rule "
        f"{'r' if one_sided else '|r|'} > {item.threshold:g}, which is no test "
        f"({p_text(fit['p_value'])} for the line)"
        + (", and points the wrong way." if wrong else "."),
        caveats=tuple(caveats),
        table=(fit,),
    )


def _sign(table: Table) -> int:
    return -1 if table.direction == "lower" else 1


def _choice(tables: Sequence[Table], scores: Sequence[Score], item: Published) -> Entry:
    """How many elements the published rule chooses, and how many it would choose from noise."""
    own = match(scores, tables[0], path=Path(str(item.scores)))
    n = len(own.sets)
    r = {t.metric: _pearson(own.mean, own.values(t)) for t in tables}
    chosen = [name for name, value in r.items() if value > item.threshold]
    share = chance_of_r_above(threshold=item.threshold, n=n)
    rows: list[dict[str, Any]] = [
        {"metric": name, "r": value, "chosen": name in chosen} for name, value in r.items()
    ]
    return Entry(
        name="Choice of LBP elements as published",
        kind=item.kind,
        arm=tables[0].arm,
        metric=f"{ELEMENT}*",
        method=METHOD,
        n=n,
        unit=UNIT,
        statistic=f"elements with r > {item.threshold:g}",
        value=len(chosen),
        verdict=f"{len(chosen)} of {len(tables)} LBP elements pass the published rule r > "
        f"{item.threshold:g}; of as many without any relation about {share * len(tables):.0f} "
        f"would. At {n} sets r must exceed {critical_r(n):.2f} for p below 0.05 even for one "
        "element named beforehand.",
        caveats=(*common_caveats(own, tables[0]), CODES),
        table=tuple(rows),
    )


def _pearson(score: ArrayLike, values: ArrayLike) -> float:
    return coefficient(score, values, kind="pearson")
