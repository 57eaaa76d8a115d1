"""All elements of the LBP vector beside readers' scores, corrected for how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetalsynth.statistics.correlation import Permutations
from fetalsynth.statistics.multiplicity import benjamini_hochberg
from fetalsynth.studies.analysis_entry import Entry, number
from fetalsynth.studies.analysis_scores import Score, match
from fetalsynth.studies.analysis_sets import (
    ELEMENT,
    UNIT,
    common_caveats,
    exchanged,
    method_of,
    test_columns,
)
from fetalsynth.studies.analysis_settings import Readers
from fetalsynth.studies.analysis_table import Table


def elements_entry(
    tables: Sequence[Table], scores: Sequence[Score], item: Readers, rng: np.random.Generator
) -> Entry:
    """All elements together: the size of the difference from real should fall with the score."""
    own = match(scores, tables[0], path=Path(str(item.scores)))
    columns = np.stack([np.abs(own.values(table)) for table in tables], axis=1)
    blocks = exchanged(tables[0], own, item)
    signs = [-1] * len(tables)
    result = test_columns(columns, own, signs=signs, item=item, blocks=blocks, rng=rng)
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
    return Entry(
        name="LBP elements and readers",
        kind=item.kind,
        arm=tables[0].arm,
        metric=f"{ELEMENT}*",
        method=method_of(item, blocks=blocks, family=f"{tested} LBP elements")
        + " p_family holds the chance of one false positive (Westfall and Young 1993).",
        n=len(own.sets),
        unit=UNIT,
        statistic=f"elements with a false discovery rate below {number(item.alpha)}",
        value=len(found),
        p_value=float(np.nanmin(result.p_values)) if tested else None,
        p_adjusted=float(np.nanmin(adjusted)) if tested else None,
        verdict=_elements_verdict(found, tested, result, item),  # type: ignore[arg-type]
        caveats=(
            *common_caveats(own, tables[0], trainings_kept=blocks is not None),
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
