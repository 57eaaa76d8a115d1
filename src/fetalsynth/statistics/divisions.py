"""p from the divisions of values into groups: all of them where they are few, else random ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TIE = 1e-9


def permutation_p(
    ranks: Floats,
    sizes: Floats,
    statistic: Callable[[Floats], Floats],
    rng: np.random.Generator,
    permutations: int,
) -> float:
    """Share of divisions of ranks (n,) into groups with a statistic of at least the observed."""
    observed = float(statistic(ranks[None])[0])
    target = observed - _TIE * max(1.0, abs(observed))
    counts = [int(size) for size in sizes]
    block, hits = max(1, (1 << 22) // len(ranks) ** 2), 0
    if divisions(counts) <= permutations:
        rows = ranks[_all_divisions(counts)]
        for start in range(0, len(rows), block):
            hits += int((statistic(rows[start : start + block]) >= target).sum())
        return hits / len(rows)
    for start in range(0, permutations, block):
        rows = _shuffled(ranks, min(block, permutations - start), rng)
        hits += int((statistic(rows) >= target).sum())
    return (1 + hits) / (1 + permutations)


def divisions(sizes: Sequence[int]) -> int:
    """In how many ways so many values can be divided into groups of these sizes."""
    total, ways = 0, 1
    for size in sizes:
        total += size
        ways *= comb(total, size)
    return ways


def _all_divisions(sizes: Sequence[int]) -> NDArray[np.intp]:
    """Every division as a row of positions (ways, n), the groups one after the other."""

    def parts(left: tuple[int, ...], place: int) -> Iterator[tuple[int, ...]]:
        if place == len(sizes):
            yield ()
            return
        for own in combinations(left, sizes[place]):
            taken = set(own)
            rest = tuple(k for k in left if k not in taken)
            yield from (own + more for more in parts(rest, place + 1))

    return np.array(list(parts(tuple(range(sum(sizes))), 0)), np.intp)


def _shuffled(values: Floats, count: int, rng: np.random.Generator) -> Floats:
    return rng.permuted(np.tile(values, (count, 1)), axis=1)
