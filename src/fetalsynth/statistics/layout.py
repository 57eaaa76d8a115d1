"""Layout of a factorial study: trainings as rows, what was measured on each as columns.

A training that is judged at several epochs or in several planes gives values that belong
together. Factors that differ between trainings are told from factors that differ within one,
because only the spread between trainings says how far another training would lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fetalsynth.statistics.intervals import sample

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Term = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Values (U, w) of U trainings at w points within each.

    ``between`` and ``within`` hold the level of every factor by training (U,) or by point (w,), as
    positions in ``levels``.
    """

    table: Floats
    between: dict[str, Codes]
    within: dict[str, Codes]
    levels: dict[str, tuple[object, ...]]


def make_layout(
    *,
    values: ArrayLike,
    factors: Mapping[str, Sequence[object]],
    units: Sequence[object] | None = None,
) -> Layout:
    """Arrange values (n,) by training; ``units`` (n,) names it, every value its own by default.

    Raises ValueError where a factor has one level, or where trainings lack or repeat points that
    others have.
    """
    y = sample(values)
    codes, levels = {}, {}
    for name, column in factors.items():
        levels[name], codes[name] = _coded(column, len(y), name)
    which = np.arange(len(y)) if units is None else _coded(units, len(y), "units")[1]
    rows = [np.flatnonzero(which == unit) for unit in range(which.max() + 1)]
    inside = [name for name in codes if any(len(set(codes[name][row])) > 1 for row in rows)]
    order = [sorted(row, key=lambda k: [codes[name][k] for name in inside]) for row in rows]
    points = [[tuple(codes[name][k] for name in inside) for k in row] for row in order]
    if any(point != points[0] for point in points) or len(set(points[0])) < len(points[0]):
        raise ValueError(
            "every training must be measured once at the same points (such as the same epochs)"
        )
    first = np.array([row[0] for row in order])
    return Layout(
        table=y[np.array(order)],
        between={name: codes[name][first] for name in codes if name not in inside},
        within={name: codes[name][order[0]] for name in inside},
        levels=levels,
    )


def _coded(column: Sequence[object], n: int, name: str) -> tuple[tuple[object, ...], Codes]:
    """Levels in rising order (numbers by value) and the position (n,) of each value in them."""
    if len(column) != n:
        raise ValueError(f"{n} values but {len(column)} of {name}")
    levels: list[Any] = list(set(column))
    levels.sort(key=None if numeric(levels) else str)
    if name != "units" and len(levels) < 2:
        raise ValueError(f"the factor {name} has one level only")
    places = {level: k for k, level in enumerate(levels)}
    return tuple(levels), np.array([places[value] for value in column], np.intp)


def numeric(levels: Sequence[object]) -> bool:
    """Whether all levels are numbers."""
    return all(isinstance(level, int | float | np.number) for level in levels)


def terms_of(names: Sequence[str]) -> list[Term]:
    """All main effects and interactions of factors, the empty term first, small ones before."""
    return [term for size in range(len(names) + 1) for term in combinations(names, size)]


def columns(term: Term, codes: Mapping[str, Codes], count: int) -> Floats:
    """Columns (count, d) of a term, levels coded to sum to zero; the empty term is the mean."""
    out = np.ones((count, 1))
    for name in term:
        size = int(codes[name].max()) + 1
        own = (np.vstack([np.eye(size - 1), -np.ones(size - 1)]))[codes[name]]
        out = (out[:, :, None] * own[:, None, :]).reshape(count, -1)
    return out


def contrasts(term: Term, within: Mapping[str, Codes], points: int) -> Floats:
    """Orthonormal contrasts (w, d) of the points within a training that make up a term.

    The term's own columns less what smaller terms explain.
    """
    whole = columns(term, within, points)
    smaller = [columns(part, within, points) for part in terms_of(term)[:-1]]
    if smaller:
        basis = orthonormal(np.hstack(smaller))
        whole = whole - basis @ (basis.T @ whole)
    return orthonormal(whole)


def orthonormal(matrix: Floats) -> Floats:
    """Orthonormal basis (n, rank) of the columns of a matrix."""
    left, values, _ = np.linalg.svd(matrix, full_matrices=False)
    keep = values > 1e-9 * max(1.0, float(values.max(initial=0.0)))
    return np.asarray(left[:, keep], np.float64)
