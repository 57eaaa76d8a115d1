"""Which metrics go with the readers' scores: the expected sign stated, all elements corrected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fetalsynth.statistics.correlation import Permutations, cluster_bootstrap
from fetalsynth.statistics.multiplicity import benjamini_hochberg
from fetalsynth.studies.analysis_elements import elements_entry
from fetalsynth.studies.analysis_entry import Entry, effect, p_text
from fetalsynth.studies.analysis_ordinal import ordinal_table
from fetalsynth.studies.analysis_scores import Matched, Score, match
from fetalsynth.studies.analysis_sets import (
    NAMES,
    UNIT,
    common_caveats,
    exchanged,
    expected_sign,
    is_element,
    method_of,
    test_columns,
    trainings_of,
)
from fetalsynth.studies.analysis_settings import Readers
from fetalsynth.studies.analysis_table import Table


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
            entries.append(elements_entry(elements, scores, item, rng))
    return entries


def _each(
    tables: Sequence[Table], scores: Sequence[Score], item: Readers, rng: np.random.Generator
) -> list[Entry]:
    found = [match(scores, table, path=Path(str(item.scores))) for table in tables]
    entries = []
    for table, own in zip(tables, found, strict=True):
        result = test_columns(
            own.values(table)[:, None],
            own,
            signs=[expected_sign(table)],
            item=item,
            blocks=exchanged(table, own, item),
            rng=rng,
        )
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
    trainings = trainings_of(table, own)
    interval = (
        cluster_bootstrap(values, own.mean, kind=item.method, clusters=trainings, rng=rng)
        if known
        else None
    )
    odds, caveats = ordinal_table(table, own, scores)
    sign = expected_sign(table)
    return Entry(
        name=f"{table.metric} and readers",
        kind=item.kind,
        arm=table.arm,
        metric=table.metric,
        method=method_of(item, blocks=exchanged(table, own, item), family="all metrics"),
        n=len(own.sets),
        unit=UNIT,
        statistic=f"{NAMES[item.method]}, expected {'−' if sign < 0 else '+' if sign else '±'}",
        value=value,
        p_value=p if known else None,
        effect=effect(NAMES[item.method], value, interval),
        verdict="",
        caveats=(
            *common_caveats(own, table, trainings_kept=exchanged(table, own, item) is not None),
            *caveats,
        ),
        table=odds,
    )


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
