"""What a study may say of "no difference": equivalence within a margin, and the seeds it needs."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.statistics.equivalence import Equivalence as Tested
from fetalsynth.statistics.equivalence import equivalent_means, equivalent_pairs
from fetalsynth.statistics.intervals import sd_interval, t_interval
from fetalsynth.statistics.power import (
    detectable_difference,
    power_of_difference,
    seeds_for_difference,
)
from fetalsynth.studies.analysis_entry import (
    Entry,
    adjusted,
    effect,
    not_analysed,
    number,
    p_text,
    spoken,
)
from fetalsynth.studies.analysis_factors import factors_of
from fetalsynth.studies.analysis_settings import Equivalence, Power
from fetalsynth.studies.analysis_table import Table

TOST = (
    "Equivalence by two one-sided t tests (Schuirmann 1987) of all pairs of levels, Welch's "
    "standard error between training runs, paired within runs; all pairs must be equivalent "
    "(intersection–union); intervals of pairs at 1 − 2α; p-values after Holm (1979) over metrics "
    "and factors."
)
NEEDED = (
    "Seeds needed by the power of the two-sided t test between two groups of training runs "
    "(Cohen 1988), from the standard deviation between runs within cells and its 95 % interval."
)


def equivalence_entries(tables: list[Table], item: Equivalence) -> list[Entry]:
    """One entry for every metric and factor: the pair of levels furthest from equivalent."""
    found = [
        _equivalent(table, factor, item) for table in tables for factor in factors_of(table, item)
    ]
    return [
        replace(entry, verdict=_verdict(entry, item)) if not entry.verdict else entry
        for entry in adjusted(found)
    ]


def _equivalent(table: Table, factor: str, item: Equivalence) -> Entry:
    name = f"{table.metric}: equivalence over {spoken(factor)}"
    margin = item.margin * (table.floor if item.unit == "floor" else 1.0)
    if factor not in table.factors:
        return _refused("equivalence", name, table, f"{factor} does not vary in this arm")
    if not margin > 0:
        return _refused("equivalence", name, table, "its floor is unknown or not above 0")
    try:
        levels, pairs = _tested(table, factor, margin, item.alpha)
    except ValueError:
        return _refused("equivalence", name, table, "one training per level; add seeds")
    worst = max(pairs.values(), key=lambda pair: pair.p_value)
    return Entry(
        name=name,
        kind="equivalence",
        arm=table.arm,
        metric=table.metric,
        factors=(factor,),
        method=TOST,
        n=table.n_units,
        statistic="margin",
        value=margin,
        p_value=worst.p_value,
        effect=effect(
            "difference of the furthest pair",
            worst.difference,
            t_interval(value=worst.difference, se=worst.se, df=worst.df),
        ),
        verdict="",
        caveats=("The margin must have been chosen before looking.", *table.caveats),
        table=tuple(
            {
                "first": levels[a],
                "second": levels[b],
                "difference": pair.difference,
                "low": pair.interval[0],
                "high": pair.interval[1],
                "p_value": pair.p_value,
                "equivalent": pair.equivalent,
            }
            for (a, b), pair in pairs.items()
        ),
    )


def _tested(
    table: Table, factor: str, margin: float, alpha: float
) -> tuple[list[Any], dict[tuple[int, int], Tested]]:
    """Levels, and the test of each pair of them by position."""
    if table.within(factor):
        levels, values = table.by_unit(factor)
        return levels, {
            (a, b): equivalent_pairs(values[:, a] - values[:, b], margin=margin, alpha=alpha)
            for a, b in combinations(range(len(levels)), 2)
        }
    levels, groups = table.groups(factor)
    return levels, {
        (a, b): equivalent_means(groups[a], groups[b], margin=margin, alpha=alpha)
        for a, b in combinations(range(len(levels)), 2)
    }


def _verdict(entry: Entry, item: Equivalence) -> str:
    about, margin = spoken(entry.factors[0]), number(entry.value or 0.0)
    if (entry.p_adjusted or 0.0) < item.alpha:
        return (
            f"{entry.metric}: all levels of {about} are equivalent within ±{margin} "
            f"({p_text(entry.p_adjusted)})."
        )
    return (
        f"{entry.metric}: equivalence over {about} within ±{margin} was not shown "
        f"({p_text(entry.p_adjusted)}); a difference that large is not excluded."
    )


def power_entries(tables: list[Table], item: Power) -> list[Entry]:
    """One entry for every metric and factor."""
    return [_power(table, factor, item) for table in tables for factor in factors_of(table, item)]


def _power(table: Table, factor: str, item: Power) -> Entry:
    name = f"{table.metric}: seeds needed for {spoken(factor)}"
    if factor not in table.factors:
        return _refused("power", name, table, f"{factor} does not vary in this arm")
    spread = _spread(table, factor)
    if spread is None:
        return _refused("power", name, table, "one training per cell: the spread is unknown")
    sd, df, seeds = spread
    means = [float(group.mean()) for group in table.groups(factor)[1]]
    wanted = item.difference or max(means) - min(means)
    low, high = sd_interval(sd=sd, df=df)
    needed = _seeds(wanted, sd, item)
    return Entry(
        name=name,
        kind="power",
        arm=table.arm,
        metric=table.metric,
        factors=(factor,),
        method=NEEDED,
        n=table.n_units,
        statistic=f"seeds per level for power {item.power:g}",
        value=needed,
        effect=effect("standard deviation between training runs", sd, (low, high)),
        verdict=_needed_words(table, factor, item, wanted=wanted, spread=spread),
        caveats=(*_observed_caveat(item), *table.caveats),
        table=(
            {
                "difference": wanted,
                "seeds_now": seeds,
                "power_now": _power_now(seeds, wanted, sd, item),
                "seeds_needed": needed,
                "seeds_needed_if_sd_is_low": _seeds(wanted, low, item),
                "seeds_needed_if_sd_is_high": _seeds(wanted, high, item),
                "detectable_now": detectable_difference(
                    seeds=seeds, sd=sd, alpha=item.alpha, power=item.power
                ),
            },
        ),
    )


def _needed_words(
    table: Table, factor: str, item: Power, *, wanted: float, spread: tuple[float, int, int]
) -> str:
    sd, df, seeds = spread
    needed = _seeds(wanted, sd, item)
    unsure = _seeds(wanted, sd_interval(sd=sd, df=df)[1], item)
    reach = detectable_difference(seeds=seeds, sd=sd, alpha=item.alpha, power=item.power)
    many = "more than 100 000" if needed is None else f"{needed}"
    most = "more than 100 000" if unsure is None else f"{unsure}"
    return (
        f"{table.metric}: to show a difference of {number(wanted)} between two levels of "
        f"{spoken(factor)} you would need {many} seeds per level (up to {most}, because the spread "
        f"is known from {df} degrees of freedom only); the {seeds} there are can show "
        f"{number(reach)}."
    )


def _observed_caveat(item: Power) -> tuple[str, ...]:
    if item.difference is not None:
        return ()
    return (
        "The difference is the largest one observed, which is likely too large; name the one that "
        "matters as `difference`.",
    )


def _seeds(wanted: float, sd: float, item: Power) -> int | None:
    if wanted <= 0:
        return None
    return seeds_for_difference(difference=wanted, sd=sd, alpha=item.alpha, power=item.power)


def _power_now(seeds: int, wanted: float, sd: float, item: Power) -> float:
    return power_of_difference(seeds=seeds, difference=wanted, sd=sd, alpha=item.alpha)


def _spread(table: Table, factor: str) -> tuple[float, int, int] | None:
    """Standard deviation of trainings within cells, its degrees of freedom, least seeds a level.

    For a factor within trainings that of the trainings' profiles: √2 times it is the standard
    deviation of a difference, as for independent groups.
    """
    between = [name for name in table.factors if not table.within(name)]
    cells: dict[tuple[Any, ...], list[int]] = {}
    order = sorted(set(table.units))
    first = {unit: table.units.index(unit) for unit in order}
    for row, unit in enumerate(order):
        key = tuple(table.factors[name][first[unit]] for name in between)
        cells.setdefault(key, []).append(row)
    _, values = table.by_unit(factor)
    inside = table.within(factor)
    centred: NDArray[np.float64] = (
        values - values.mean(1, keepdims=True) if inside else np.nanmean(values, 1, keepdims=True)
    )
    squares = sum(
        float(((centred[rows] - centred[rows].mean(0)) ** 2).sum()) for rows in cells.values()
    )
    df = (len(order) - len(cells)) * (values.shape[1] - 1 if inside else 1)
    if df < 1 or not squares > 0:
        return None
    least = len(order) if inside else min(np.isfinite(values).sum(0))
    return float(np.sqrt(squares / df)), df, int(least)


def _refused(kind: str, name: str, table: Table, why: str) -> Entry:
    return not_analysed(kind=kind, name=name, why=f"{why}.", arm=table.arm, metric=table.metric)
