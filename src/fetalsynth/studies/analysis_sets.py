"""Sets of images beside readers' scores: what is exchanged, what is expected, what to know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.statistics.correlation import Permutations, Sign, permutation_table
from fetalsynth.studies.analysis_scores import Matched
from fetalsynth.studies.analysis_settings import Readers
from fetalsynth.studies.analysis_table import Table

ELEMENT = "LBPv-V"
UNIT = "set of images"
NAMES = {"spearman": "Spearman's rho", "kendall": "Kendall's tau-b", "pearson": "Pearson's r"}
LEAST_TRAININGS = 8
METHOD = (
    "{name} of the metric with the mean reader score over sets, one-sided in the stated direction, "
    "p from {permutations} permutations of {exchanged} (Phipson and Smyth 2010), percentile "
    "bootstrap interval over trainings; false discovery rate after "
    "Benjamini and Hochberg (1995) over {family}."
)
FEW = "With {n} sets only a correlation above about {least:.2f} can be told from chance."


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


def test_columns(
    columns: NDArray[np.float64],
    own: Matched,
    *,
    signs: Sequence[int],
    item: Readers,
    blocks: list[str] | None,
    rng: np.random.Generator,
) -> Permutations:
    """Correlation of columns (n, K) with the mean scores, ``blocks`` exchanged as wholes."""
    return permutation_table(
        columns,
        own.mean,
        kind=item.method,
        expected=signs,
        blocks=blocks,
        rng=rng,
        draws=item.permutations,
    )


def exchanged(table: Table, own: Matched, item: Readers) -> list[str] | None:
    """The training of every set where trainings are what is exchanged, else None."""
    trainings = trainings_of(table, own)
    sizes = Counter(trainings)
    if item.exchange == "sets" or len(sizes) == len(trainings):
        return None
    equal = len(set(sizes.values())) == 1
    enough = len(sizes) >= (LEAST_TRAININGS if item.exchange == "auto" else 2)
    return trainings if equal and enough else None


def trainings_of(table: Table, own: Matched) -> list[str]:
    """The training of every set; of several seeds that bear its name, all together."""
    return ["+".join(sorted({table.units[k] for k in place})) for place in own.places]


def method_of(item: Readers, *, blocks: list[str] | None, family: str) -> str:
    """The sentence for a methods section."""
    return METHOD.format(
        name=NAMES[item.method],
        permutations=item.permutations,
        exchanged="sets" if blocks is None else "trainings and of the cells within them",
        family=family,
    )


def common_caveats(own: Matched, table: Table, *, trainings_kept: bool = False) -> tuple[str, ...]:
    """What holds for every comparison of these sets with readers' scores."""
    n = len(own.sets)
    said = [FEW.format(n=n, least=critical_r(n))]
    if own.unmatched:
        said.append(f"No cell is called {', '.join(own.unmatched[:5])}; left out.")
    if any(len(place) > 1 for place in own.places):
        said.append("Several seeds bear the name of a set; their values were averaged.")
    if len(set(trainings_of(table, own))) < n and not trainings_kept:
        said.append(
            "Sets that are snapshots of one training are not independent: p may be too small."
        )
    return tuple(said)


def critical_r(n: int, alpha: float = 0.05) -> float:
    """The least |r| of n points with two-sided p below ``alpha``: 0.444 for 20."""
    from scipy.special import stdtrit

    t = float(stdtrit(n - 2, 1 - alpha / 2))
    return t / float(np.sqrt(n - 2 + t * t))
