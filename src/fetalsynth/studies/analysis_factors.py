"""What differs between the cells of an arm: analysis of variance and trends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from fetalsynth.statistics.factorial import Effect, factorial
from fetalsynth.statistics.trend import LogTrend, log_trends
from fetalsynth.studies.analysis_entry import (
    Entry,
    adjusted,
    effect,
    not_analysed,
    number,
    p_text,
    spoken,
)
from fetalsynth.studies.analysis_settings import ByFactor, Factorial, Trend
from fetalsynth.studies.analysis_table import Table

ANOVA = (
    "Factorial analysis of variance by least squares, training run (seed) as the unit of "
    "replication, sums of squares of type II; factors within a training run (its epochs) tested "
    "against the spread of profiles between runs with Greenhouse and Geisser's correction "
    "(Psychometrika 24:95, 1959); effect: partial omega squared (Olejnik and Algina 2003) with the "
    "noncentral-F interval of the share of variance (Smithson 2001); p-values after Holm (1979)."
)
TREND = (
    "Linear trend over the logarithm (base 2) of the level, as change per doubling with its t "
    "interval, training run (seed) as the unit; p-values after Holm (1979)."
)
ABSENCE = (
    "That no difference was shown is not the same as no difference; see equivalence and power."
)


def factorial_entries(tables: list[Table], item: Factorial) -> list[Entry]:
    """One entry for every term of every metric."""
    return said([entry for table in tables for entry in _anova(table)], item.alpha)


def _anova(table: Table) -> Iterator[Entry]:
    if not table.factors:
        yield refused("factorial", table, "nothing varies between the cells")
        return
    try:
        found = factorial(values=table.values, factors=table.factors, units=table.units)
    except ValueError as error:
        yield refused("factorial", table, str(error))
        return
    for each in found.effects:
        yield _of_effect(each, table)


def _of_effect(each: Effect, table: Table) -> Entry:
    said = " × ".join(spoken(factor) for factor in each.factors)
    share = each.share
    return Entry(
        name=f"{table.metric}: {said}",
        kind="factorial",
        arm=table.arm,
        metric=table.metric,
        factors=each.factors,
        method=ANOVA,
        n=table.n_units,
        statistic=f"F({number(each.df)}, {number(each.df_error)})",
        value=each.f,
        p_value=None if np.isnan(each.p_value) else each.p_value,
        effect=None
        if share is None
        else effect("partial omega squared", share.omega_squared, share.interval),
        verdict="",
        caveats=(*([each.note] if each.note else []), *table.caveats),
        table=_means(table, each.factors[0]) if len(each.factors) == 1 else (),
    )


def trend_entries(tables: list[Table], item: Trend) -> list[Entry]:
    """One entry for every metric and numeric factor."""
    entries = []
    for table in tables:
        try:
            found = log_trends(values=table.values, factors=table.factors, units=table.units)
        except ValueError as error:
            entries.append(refused("trend", table, str(error)))
            continue
        wanted = [one for one in found if item.factor in (None, one.factor)]
        entries += [_of_trend(one, table, item) for one in wanted]
        if not wanted:
            entries.append(refused("trend", table, "there is no such factor with numbers"))
    return said(entries, item.alpha)


def _of_trend(one: LogTrend, table: Table, item: Trend) -> Entry:
    p, sign = one.p_value, {"lower": -1, "higher": 1}.get(table.direction, 0)
    if item.expected == "better" and sign:
        p = p / 2 if one.slope * sign > 0 else 1 - p / 2
    caveats = [f"Error of the slope: {one.error}."]
    if item.expected == "better" and sign:
        caveats.append(f"One-sided: {table.direction} was expected.")
    return Entry(
        name=f"{table.metric}: trend over {spoken(one.factor)}",
        kind="trend",
        arm=table.arm,
        metric=table.metric,
        factors=(one.factor,),
        method=TREND,
        n=table.n_units,
        statistic=f"t({number(one.df)})",
        value=one.t,
        p_value=None if np.isnan(p) else p,
        effect=effect(f"change per {one.per} of {spoken(one.factor)}", one.slope, one.interval),
        verdict="",
        caveats=(*caveats, *table.caveats),
        table=_means(table, one.factor),
    )


def factors_of(table: Table, item: ByFactor) -> list[str]:
    """The factor that the item names, or all of the table."""
    return [item.factor] if item.factor else list(table.factors)


def _means(table: Table, factor: str) -> tuple[dict[str, Any], ...]:
    """Mean and spread over trainings at each level."""
    levels, groups = table.groups(factor)
    return tuple(
        {
            factor: level,
            "mean": float(group.mean()),
            "sd": float(group.std(ddof=1)) if len(group) > 1 else None,
            "trainings": len(group),
        }
        for level, group in zip(levels, groups, strict=True)
    )


def refused(kind: str, table: Table, why: str) -> Entry:
    name = f"{table.metric} ({table.arm})"
    return not_analysed(kind=kind, name=name, why=f"{why}.", arm=table.arm, metric=table.metric)


def said(entries: list[Entry], alpha: float) -> list[Entry]:
    """Entries with adjusted p and a verdict in words."""
    return [
        entry if entry.verdict else replace(entry, verdict=_verdict(entry, alpha))
        for entry in adjusted(entries)
    ]


def _verdict(entry: Entry, alpha: float) -> str:
    about = " × ".join(spoken(factor) for factor in entry.factors)
    p = entry.p_adjusted
    if p is None:
        return f"{entry.metric}: {about} could not be tested, see the caveats."
    numbers = f"{entry.statistic} = {number(entry.value or 0.0)}, {p_text(p)} after Holm"
    if p >= alpha:
        what = "trend over" if entry.kind == "trend" else "effect of"
        return f"{entry.metric}: no {what} {about} was shown ({numbers}). {ABSENCE}"
    if len(entry.factors) > 1:
        return (
            f"{entry.metric}: the effect of one factor depends on the other: {about} ({numbers})."
        )
    if entry.kind == "trend" and entry.effect is not None:
        way = "rises" if entry.effect["value"] > 0 else "falls"
        return (
            f"{entry.metric} {way} by {number(abs(entry.effect['value']))} "
            f"{entry.effect['name'].removeprefix('change ')} ({numbers})."
        )
    return f"{entry.metric} differs by {about}{_course(entry)} ({numbers})."


def _course(entry: Entry) -> str:
    """Whether the means rise or fall along numeric levels, or which is least and greatest."""
    means = [row["mean"] for row in entry.table if "mean" in row]
    if len(means) < 2:
        return ""
    steps = [b - a for a, b in pairwise(means)]
    from_to = f" from {number(means[0])} to {number(means[-1])}"
    if all(step > 0 for step in steps):
        return f", rising{from_to}"
    return f", falling{from_to}" if all(step < 0 for step in steps) else ""
