"""From rows of ``results.csv`` to the values, factors and trainings of one metric in one arm."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.studies.analysis_settings import CELL, Item
from fetalsynth.studies.results import AFTER, BEFORE

SEEDS = (
    "Compared within seeds, not trainings: some cells are snapshots of one training, others are "
    "not; those of one seed share their choice of data."
)
Row = Mapping[str, str]
Level = int | float | str


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The training and the generating step that the results of an assessing step come from."""

    train: str
    generate: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Values (n,) of one metric: their factors' levels, the training of each, the set of each.

    ``aliases`` are the names by which each set may be called, the fullest first; ``floor`` is the
    median of what real images score against real ones, NaN where unknown.
    """

    arm: str
    metric: str
    direction: str
    values: NDArray[np.float64]
    factors: dict[str, list[Level]]
    units: list[str]
    aliases: list[tuple[str, ...]]
    floor: float
    caveats: tuple[str, ...]

    @property
    def n_units(self) -> int:
        """How many trainings there are."""
        return len(set(self.units))

    def levels(self, factor: str) -> list[Level]:
        """Levels of a factor in rising order."""
        found = self.factors[factor]
        numeric = all(not isinstance(level, str) for level in found)
        return sorted(set(found), key=None if numeric else str)

    def within(self, factor: str) -> bool:
        """Whether the factor differs within trainings, as epochs do that are snapshots of one."""
        seen: dict[str, set[Level]] = defaultdict(set)
        for unit, level in zip(self.units, self.factors[factor], strict=True):
            seen[unit].add(level)
        return any(len(levels) > 1 for levels in seen.values())

    def by_unit(self, factor: str) -> tuple[list[Level], NDArray[np.float64]]:
        """Mean value of each training at each level of the factor: levels (k,), (units, k)."""
        levels, units = self.levels(factor), sorted(set(self.units))
        table = np.full((len(units), len(levels)), np.nan)
        for i, unit in enumerate(units):
            for j, level in enumerate(levels):
                chosen = [
                    value
                    for value, own, at in zip(
                        self.values, self.units, self.factors[factor], strict=True
                    )
                    if own == unit and at == level
                ]
                table[i, j] = np.mean(chosen) if chosen else np.nan
        return levels, table

    def groups(self, factor: str) -> tuple[list[Level], list[NDArray[np.float64]]]:
        """Means of trainings at each level: levels (k,), k arrays of one value per training."""
        levels, table = self.by_unit(factor)
        return levels, [column[np.isfinite(column)] for column in table.T]


def make_tables(
    rows: Sequence[Row], *, item: Item, origins: Mapping[str, Origin]
) -> tuple[list[Table], list[str]]:
    """Tables of every arm and metric that the item asks for, and sentences on what is missing.

    ``origins`` maps the step of a row to the steps that it came from; rows of unknown steps count
    as a training of their own for each seed and cell.
    """
    chosen = [row for row in rows if item.arm in (None, row["arm"]) and _kept(row, item.where)]
    arms = list(dict.fromkeys(row["arm"] for row in chosen))
    tables, missing = [], []
    for pattern in item.metrics:
        if "*" not in pattern and all(row["metric"] != pattern for row in chosen):
            missing.append(f"there is no metric {pattern} among the results")
    for arm in arms:
        own = [row for row in chosen if row["arm"] == arm]
        for metric in dict.fromkeys(row["metric"] for row in own):
            of_metric = [row for row in own if row["metric"] == metric and _finite(row["value"])]
            if of_metric and _wanted(metric, of_metric[0]["direction"], item.metrics):
                by_cell = getattr(item, "factor", None) == CELL
                tables.append(_table(arm, metric, of_metric, origins, by_cell=by_cell))
    if not chosen:
        missing.append("no cell has results" + (f" in arm {item.arm}" if item.arm else ""))
    return tables, missing


def _wanted(metric: str, direction: str, patterns: Sequence[str]) -> bool:
    if patterns:
        return any(fnmatchcase(metric, pattern) for pattern in patterns)
    return direction in ("lower", "higher")


def _finite(text: str) -> bool:
    return bool(text) and math.isfinite(float(text))


def _kept(row: Row, where: Mapping[str, Any]) -> bool:
    return all(level(row.get(name, "")) == level(str(value)) for name, value in where.items())


def _table(
    arm: str, metric: str, rows: Sequence[Row], origins: Mapping[str, Origin], *, by_cell: bool
) -> Table:
    factors, caveats = _factors(rows)
    if by_cell:  # one factor instead of those that cells are made of; each cell still has its sets
        inside = {name: column for name, column in factors.items() if name == "fusion"}
        factors, caveats = {CELL: [row["cell"] for row in rows], **inside}, []
    own = [origins.get(row["step"]) for row in rows]
    units = [
        f"{row['cell']}/{row['seed']}" if origin is None else origin.train
        for row, origin in zip(rows, own, strict=True)
    ]
    if by_cell and _uneven(units, factors[CELL]):
        units, caveats = [f"seed {row['seed']}" for row in rows], [SEEDS]
    keep, dropped = _complete(units, factors)
    caveats += dropped
    floors = [float(row["floor"]) for row in rows if row.get("floor")]
    return Table(
        arm=arm,
        metric=metric,
        direction=rows[0]["direction"],
        values=np.array([float(rows[k]["value"]) for k in keep]),
        factors={name: [column[k] for k in keep] for name, column in factors.items()},
        units=[units[k] for k in keep],
        aliases=[_aliases(rows[k], own[k]) for k in keep],
        floor=float(np.median(floors)) if floors else np.nan,
        caveats=tuple(caveats),
    )


def _factors(rows: Sequence[Row]) -> tuple[dict[str, list[Level]], list[str]]:
    """Columns that vary; one that is a function of another is left out, with a sentence."""
    names = [name for name in rows[0] if name not in (*BEFORE, *AFTER)][::-1]
    columns = {name: [level(row.get(name) or "") for row in rows] for name in names}
    varying = {name: column for name, column in columns.items() if len(set(column)) > 1}
    caveats = []
    for name in sorted(varying, key=lambda name: len(set(columns[name]))):
        others = [other for other in varying if other != name]
        leading = [other for other in others if _function_of(columns[name], columns[other])]
        if leading:
            caveats.append(f"{name} goes with {leading[0]}: their effects cannot be told apart.")
            del varying[name]
    return dict(reversed(varying.items())), caveats


def _function_of(column: list[Level], other: list[Level]) -> bool:
    return len(set(zip(other, column, strict=True))) == len(set(other))


def _uneven(units: list[str], cells: list[Level]) -> bool:
    """Whether some trainings serve several cells but none serves all."""
    served: dict[str, set[Level]] = defaultdict(set)
    for unit, cell in zip(units, cells, strict=True):
        served[unit].add(cell)
    return 1 < max(map(len, served.values())) < len(set(cells))


def _complete(units: list[str], factors: dict[str, list[Level]]) -> tuple[list[int], list[str]]:
    """Positions of the trainings that were measured at all points, and what was left out."""
    inside = [
        name
        for name, column in factors.items()
        if len(set(zip(units, column, strict=True))) > len(set(units))
    ]
    points: dict[str, set[tuple[Level, ...]]] = defaultdict(set)
    for k, unit in enumerate(units):
        points[unit].add(tuple(factors[name][k] for name in inside))
    whole = set().union(*points.values())
    left_out = [unit for unit, found in points.items() if found != whole]
    if not left_out or len(left_out) == len(points):
        return list(range(len(units))), []
    said = f"{len(left_out)} of {len(points)} trainings lack some of the cells and are left out."
    return [k for k, unit in enumerate(units) if unit not in left_out], [said]


def _aliases(row: Row, origin: Origin | None) -> tuple[str, ...]:
    cell, seed = row["cell"], row["seed"]
    made = (origin.generate,) if origin else ()
    return (f"{cell} seed {seed}", f"{cell}/{seed}", cell, row["step"], *made)


def level(text: str) -> Level:
    """A factor's level as a number where it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
