"""What differs between the cells of an arm, by ranks: between trainings and within them."""

from __future__ import annotations

from collections import Counter
from math import factorial, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.statistics import blocks, ranks
from fetalsynth.statistics.divisions import divisions
from fetalsynth.studies.analysis_entry import Entry, effect, number, spoken
from fetalsynth.studies.analysis_factors import factors_of, refused, said
from fetalsynth.studies.analysis_settings import Kruskal
from fetalsynth.studies.analysis_table import Table

BETWEEN = (
    "Kruskal–Wallis test of the training runs' values with p from all divisions into groups or "
    "9999 random ones, effect "
    "epsilon squared (Tomczak and Tomczak 2014), pairs by Dunn (1964), none with a p below that of "
    "all levels together; p-values after Holm (1979)."
)
WITHIN = (
    "Friedman test within training runs with p from 9999 permutations within runs, effect "
    "Kendall's W, pairs by mean ranks, none with a p below that of all levels together; p-values "
    "after Holm (1979)."
)


def kruskal_entries(tables: list[Table], item: Kruskal, rng: np.random.Generator) -> list[Entry]:
    """One entry for every metric and factor, pairs in its table."""
    entries = [
        _ranked(table, factor, item, rng) for table in tables for factor in factors_of(table, item)
    ]
    return said(entries, item.alpha)


def _ranked(table: Table, factor: str, item: Kruskal, rng: np.random.Generator) -> Entry:
    if factor not in table.factors:
        return refused("kruskal", table, f"{factor} does not vary in this arm")
    try:
        test = _friedman if table.within(factor) else _kruskal
        return test(table, factor, item, rng)
    except ValueError as error:
        return refused("kruskal", table, str(error))


def _kruskal(table: Table, factor: str, item: Kruskal, rng: np.random.Generator) -> Entry:
    levels, groups = table.groups(factor)
    if max(len(group) for group in groups) < 2:
        raise ValueError("one training per level; ranks need several: add seeds")
    found = ranks.kruskal_wallis(groups, rng=rng)
    return Entry(
        **_about(table, factor),
        method=BETWEEN,
        statistic=f"H({found.df})",
        value=found.statistic,
        p_value=None if np.isnan(found.p_value) else found.p_value,
        effect=effect("epsilon squared", found.epsilon_squared, None),
        table=_pairs(levels, ranks.dunn(groups), "Cliff's delta", overall=found.p_value),
        caveats=(*_too_few(_least_p(groups), item), *table.caveats),
    )


def _friedman(table: Table, factor: str, item: Kruskal, rng: np.random.Generator) -> Entry:
    levels, values = table.by_unit(factor)
    if not np.isfinite(values).all():
        raise ValueError(f"trainings were not measured at the same levels of {spoken(factor)}")
    if len(values) < 2:
        raise ValueError(
            "one training only, so that nothing tells its course from chance; add seeds"
        )
    found = blocks.friedman(values, rng=rng)
    return Entry(
        **_about(table, factor),
        method=WITHIN,
        statistic=f"chi-squared({found.df})",
        value=found.statistic,
        p_value=None if np.isnan(found.p_value) else found.p_value,
        effect=effect("Kendall's W", found.w, None),
        table=_pairs(
            levels,
            blocks.friedman_pairs(values),
            "trainings above less below",
            overall=found.p_value,
        ),
        caveats=(
            *_too_few(factorial(values.shape[1]) ** (1.0 - len(values)), item),
            *table.caveats,
        ),
    )


def _about(table: Table, factor: str) -> dict[str, Any]:
    return {
        "name": f"{table.metric}: ranks by {spoken(factor)}",
        "kind": "kruskal",
        "arm": table.arm,
        "metric": table.metric,
        "factors": (factor,),
        "n": table.n_units,
        "verdict": "",
    }


def _least_p(groups: list[NDArray[np.float64]]) -> float:
    """No p of the divisions into groups can be less: groups of one size can change names."""
    sizes = [len(group) for group in groups]
    return prod(map(factorial, Counter(sizes).values())) / divisions(sizes)


def _too_few(least: float, item: Kruskal) -> tuple[str, ...]:
    if least < item.alpha:
        return ()
    return (
        f"With so few trainings no order of the values gives a p below {number(least)}: this test "
        "cannot show an effect; add seeds.",
    )


def _pairs(
    levels: list[Any], found: tuple[ranks.Comparison, ...], delta: str, *, overall: float
) -> tuple[dict[str, Any], ...]:
    """Pairs, whose normal approximation must not show more than the exact test of all levels."""
    return tuple(
        {
            "first": levels[pair.first],
            "second": levels[pair.second],
            "z": pair.z,
            "p_value": pair.p_value,
            "p_adjusted": max(pair.p_holm, overall),
            delta: pair.delta,
        }
        for pair in found
    )
