"""Which metrics go with the readers' scores: the expected sign stated, all elements corrected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.statistics.correlation import (
    Permutations,
    Sign,
    cluster_bootstrap,
    permutation_table,
)
from fetalsynth.statistics.multiplicity import benjamini_hochberg
from fetalsynth.statistics.ordinal import OrdinalFit, proportional_odds
from fetalsynth.statistics.ordinal_mixed import LEAST_GROUPS, mixed_proportional_odds
from fetalsynth.studies.analysis_entry import Entry, effect, number, p_text
from fetalsynth.studies.analysis_scores import Matched, Score, match
from fetalsynth.studies.analysis_settings import Readers
from fetalsynth.studies.analysis_table import Table

ELEMENT = "LBPv-V"
UNIT = "set of images"
NAMES = {"spearman": "Spearman's rho", "kendall": "Kendall's tau-b", "pearson": "Pearson's r"}
METHOD = (
    "{name} of the metric with the mean reader score over sets, one-sided in the stated direction, "
    "p from {permutations} permutations (Phipson and Smyth 2010), percentile bootstrap interval "
    "over sets; false discovery rate after Benjamini and Hochberg (1995) over {family}."
)
FEW = "With {n} sets only a correlation above about {least:.2f} can be told from chance."


def reader_entries(
    tables: Sequence[Table], scores: Sequence[Score], item: Readers, rng: np.random.Generator
) -> list[Entry]:
    """One entry for every metric and one for the LBP elements of each arm together."""
    by_arm = defaultdict(list)
    for table in tables:
        by_arm[table.arm].append(table)
    entries = []
    for own in by_arm.values():
        elements = [table for table in own if is_element(table.metric)]
        others = [table for table in own if not is_element(table.metric)]
        if others:
            entries += _each(others, scores, item, rng)
        if elements:
            entries.append(_elements(elements, scores, item, rng))
    return entries


def is_element(metric: str) -> bool:
    """Whether the metric is one element of the LBP vector."""
    return metric.startswith(ELEMENT) and metric.removeprefix(ELEMENT).isdigit()


def expected_sign(table: Table) -> Sign:
    """−1 where lower is better or a difference from real is taken, +1 where higher is, else 0."""
    if is_element(table.metric):
        return -1
    if table.direction == "lower":
        return -1
    return 1 if table.direction == "higher" else 0


def _each(
    tables: Sequence[Table], scores: Sequence[Score], item: Readers, rng: np.random.Generator
) -> list[Entry]:
    found = [match(scores, table, path=Path(str(item.scores))) for table in tables]
    entries = []
    for table, own in zip(tables, found, strict=True):
        result = _test(own.values(table)[:, None], own, [expected_sign(table)], item, rng)
        entries.append(_entry(table, own=own, result=result, item=item, scores=scores, rng=rng))
    adjusted = benjamini_hochberg([np.nan if e.p_value is None else e.p_value for e in entries])
    return [
        replace(
            entry,
            p_adjusted=None if np.isnan(p) else float(p),
            verdict=_verdict(entry, float(p), expected_sign(table), item.alpha),
        )
        for entry, p, table in zip(entries, adjusted, tables, strict=True)
    ]


def _test(
    columns: NDArray[np.float64],
    own: Matched,
    signs: Sequence[int],
    item: Readers,
    rng: np.random.Generator,
) -> Permutations:
    return permutation_table(
        columns, own.mean, kind=item.method, expected=signs, rng=rng, draws=item.permutations
    )


def _entry(
    table: Table,
    *,
    own: Matched,
    result: Permutations,
    item: Readers,
    scores: Sequence[Score],
    rng: np.random.Generator,
) -> Entry:
    values = own.values(table)
    value, p = float(result.values[0]), float(result.p_values[0])
    known = np.isfinite(value)
    interval = cluster_bootstrap(values, own.mean, kind=item.method, rng=rng) if known else None
    odds, caveats = _ordinal(table, own, scores)
    sign = expected_sign(table)
    return Entry(
        name=f"{table.metric} and readers",
        kind=item.kind,
        arm=table.arm,
        metric=table.metric,
        method=METHOD.format(
            name=NAMES[item.method], permutations=item.permutations, family="all metrics"
        ),
        n=len(own.sets),
        unit=UNIT,
        statistic=f"{NAMES[item.method]}, expected {'−' if sign < 0 else '+' if sign else '±'}",
        value=value,
        p_value=p if known else None,
        effect=effect(NAMES[item.method], value, interval),
        verdict="",
        caveats=(*common_caveats(own, table), *caveats),
        table=odds,
    )


def common_caveats(own: Matched, table: Table) -> tuple[str, ...]:
    """What holds for every comparison of these sets with readers' scores."""
    n = len(own.sets)
    said = [FEW.format(n=n, least=critical_r(n))]
    if own.unmatched:
        said.append(f"No cell is called {', '.join(own.unmatched[:5])}; left out.")
    if any(len(place) > 1 for place in own.places):
        said.append("Several seeds bear the name of a set; their values were averaged.")
    units = [table.units[k] for place in own.places for k in place]
    if len(set(units)) < len(units):
        said.append("Sets from snapshots of one training are not independent: p may be too small.")
    return tuple(said)


def critical_r(n: int, alpha: float = 0.05) -> float:
    """The least |r| of n points with two-sided p below ``alpha``: 0.444 for 20."""
    from scipy.special import stdtrit

    t = float(stdtrit(n - 2, 1 - alpha / 2))
    return t / float(np.sqrt(n - 2 + t * t))


def _ordinal(
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


def _verdict(entry: Entry, p: float, sign: int, alpha: float) -> str:
    if entry.p_value is None or entry.value is None:
        return f"{entry.metric}: the same for all sets, so that it goes with nothing."
    numbers = (
        f"{(entry.effect or {})['name']} {entry.value:+.2f}, {p_text(p)} after Benjamini–Hochberg"
    )
    if p < alpha:
        return f"{entry.metric} goes with the readers' scores as it should ({numbers})."
    if sign and entry.value * sign < 0:
        return (
            f"{entry.metric} goes the wrong way: sets that it calls better were scored worse, if "
            f"anything ({numbers})."
        )
    return f"{entry.metric}: no relation with the readers' scores was shown ({numbers})."


def _elements(
    tables: Sequence[Table], scores: Sequence[Score], item: Readers, rng: np.random.Generator
) -> Entry:
    """All elements together: the size of the difference from real should fall with the score."""
    own = match(scores, tables[0], path=Path(str(item.scores)))
    columns = np.stack([np.abs(own.values(table)) for table in tables], axis=1)
    result = _test(columns, own, [-1] * len(tables), item, rng)
    adjusted = benjamini_hochberg(result.p_values)
    rows = [
        {
            "metric": table.metric,
            "value": float(result.values[k]),
            "p_value": float(result.p_values[k]),
            "p_adjusted": float(adjusted[k]),
            "p_family": float(result.p_max[k]),
        }
        for k, table in enumerate(tables)
    ]
    found = [row["metric"] for row in rows if row["p_adjusted"] < item.alpha]  # type: ignore[operator]
    tested = int(np.isfinite(result.p_values).sum())
    name = NAMES[item.method]
    return Entry(
        name="LBP elements and readers",
        kind=item.kind,
        arm=tables[0].arm,
        metric=f"{ELEMENT}*",
        method=METHOD.format(
            name=name, permutations=item.permutations, family=f"{tested} LBP elements"
        )
        + " p_family holds the chance of one false positive (Westfall and Young 1993).",
        n=len(own.sets),
        unit=UNIT,
        statistic=f"elements with a false discovery rate below {number(item.alpha)}",
        value=len(found),
        p_value=float(np.nanmin(result.p_values)) if tested else None,
        p_adjusted=float(np.nanmin(adjusted)) if tested else None,
        verdict=_elements_verdict(found, tested, result, item),  # type: ignore[arg-type]
        caveats=(
            *common_caveats(own, tables[0]),
            "The absolute difference from real images is tested, expected to fall as scores rise.",
            "LBP codes depend on the order of neighbours: numbers differ between programs.",
        ),
        table=tuple(rows),
    )


def _elements_verdict(found: list[str], tested: int, result: Permutations, item: Readers) -> str:
    nominal = int((result.p_values < item.alpha).sum())
    said = (
        f"{nominal} of {tested} LBP elements have p below {number(item.alpha)} one by one, where "
        f"about {number(item.alpha * tested)} would by chance; "
    )
    if not found:
        return said + "none is left after Benjamini–Hochberg."
    return said + f"{len(found)} are left after Benjamini–Hochberg: {', '.join(found[:8])}."
