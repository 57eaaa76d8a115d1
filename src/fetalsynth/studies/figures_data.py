"""What a study's figures and tables show: the values of a metric in an arm, by levels."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from fetalsynth.errors import explaining
from fetalsynth.studies.analysis_entry import spoken
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Arm, StudyRecipe
from fetalsynth.studies.results import AFTER, BEFORE

FUSION = "fusion"
MOST_PANELS = 12
Row = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Point:
    """One value: of a set, or of one ``subject`` of a set. ``levels`` are texts by factor."""

    levels: Mapping[str, str]
    seed: str
    step: str
    value: float
    ends: tuple[float, float] | None = None
    subject: str = ""

    def at(self, axis: Sequence[str]) -> str:
        """The level on an axis of one factor, or of several that go together."""
        return " / ".join(self.levels.get(name, "") for name in axis)


@dataclass(frozen=True, kw_only=True)
class Panel:
    """All values of a metric in an arm; ``floor`` is NaN where unknown."""

    metric: str
    direction: str
    floor: float
    points: tuple[Point, ...]


def factors_in(rows: Sequence[Row]) -> list[str]:
    """Columns of ``results.csv`` that are factors."""
    known = {*BEFORE, *AFTER}
    return [name for name in rows[0] if name not in known] if rows else []


def axes_of(arm: Arm, rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """What varies in an arm: each factor of its grid, those of its ``zip`` together."""
    own = [row for row in rows if row["arm"] == arm.name]

    def varies(name: str) -> bool:
        return len({row.get(name, "") for row in own}) > 1

    found: list[tuple[str, ...]] = [(name,) for name in arm.grid if varies(name)]
    together = tuple(name for name in arm.zip if varies(name))
    return [*found, together] if together else found


def levels_on(axis: Sequence[str], points: Sequence[Point]) -> list[str]:
    """Levels on an axis: by number where all are numbers, else in the order of the plan."""
    return in_order(point.at(axis) for point in points)


def in_order(levels: Iterable[str]) -> list[str]:
    """Each level once: by number where all are numbers, else as they come."""
    found = list(dict.fromkeys(levels))
    try:
        return sorted(found, key=lambda level: [float(part) for part in level.split(" / ")])
    except ValueError:
        return found


def named(axis: Sequence[str]) -> str:
    """The name of an axis in words."""
    return " / ".join(spoken(name) for name in axis)


def chosen_metrics(
    rows: Sequence[Row], *, study: StudyRecipe, arm: str, patterns: Sequence[str] = ()
) -> list[str]:
    """Metrics that figures of an arm show: as asked, else as analysed, else those with a better
    side; at most twelve.
    """
    wanted = list(patterns)
    if not wanted:
        items = [item for item in study.analysis if item.arm in (None, arm)]
        wanted = list(dict.fromkeys(pattern for item in items for pattern in item.metrics))
    known = {row["metric"]: row["direction"] for row in rows if row["arm"] == arm and row["value"]}
    if not wanted:
        found = [name for name, direction in known.items() if direction in ("lower", "higher")]
        return found[:MOST_PANELS]
    ordered = [name for pattern in wanted for name in known if fnmatchcase(name, pattern)]
    return list(dict.fromkeys(ordered))[:MOST_PANELS]


def panels_of_sets(
    rows: Sequence[Row], *, arm: str, metrics: Sequence[str], fusion: str | None = None
) -> list[Panel]:
    """Values by set; of volumes those of one rule of fusion where ``fusion`` names it."""
    factors = factors_in(rows)
    found = []
    for metric in metrics:
        own = [
            row
            for row in rows
            if row["arm"] == arm
            and row["metric"] == metric
            and row["value"]
            and (fusion is None or row.get(FUSION, "") in ("", fusion))
        ]
        points = [_point(row, factors) for row in own]
        points = [point for point in points if np.isfinite(point.value)]
        if points:
            found.append(_panel(metric, own, points))
    return found


def fusions_in(rows: Sequence[Row], *, study: StudyRecipe, arm: str) -> list[str]:
    """Rules of fusion that an arm's volumes were made by, in the recipe's order."""
    from fetalsynth.synthesis.fusion import parse_rule

    found = {row.get(FUSION, "") for row in rows if row["arm"] == arm} - {""}
    rules = dict.fromkeys(parse_rule(rule).name for rule in study.generate.fusion)
    return [name for name in rules if name in found]


def panels_of_subjects(
    folder: Path,
    plan: Plan,
    rows: Sequence[Row],
    *,
    arm: str,
    metrics: Sequence[str],
    fusions: Sequence[str] = (),
) -> list[Panel]:
    """Values by subject from ``pairs.csv`` of every assessment; none where it has no pairs.

    ``fusions`` are the rules to show, in order, where volumes were fused by several.
    """
    values = list(_subjects(folder, plan, arm=arm, fusions=fusions))
    found = []
    for metric in metrics:
        own = [row for row in rows if row["arm"] == arm and row["metric"] == metric]
        points = [
            Point(
                levels=levels,
                seed=seed,
                step=step,
                value=float(pair[metric]),
                subject=pair["subject"],
            )
            for levels, seed, step, pair in values
            if pair.get(metric) and np.isfinite(float(pair[metric]))
        ]
        if points and own:
            found.append(_panel(metric, own, points))
    return found


def _subjects(
    folder: Path, plan: Plan, *, arm: str, fusions: Sequence[str]
) -> Iterator[tuple[dict[str, str], str, str, dict[str, str]]]:
    from fetalsynth.studies.cells import text

    outs = {step.name: step.out for step in plan.steps}
    for cell in (one for one in plan.cells if one.arm == arm):
        levels = {name: text(value) for name, value in cell.factors.items()}
        scores = folder / outs[cell.assess]
        tables = [(scores / "pairs.csv", levels)]
        for name in fusions:
            tables.append((scores / "sets" / name / "pairs.csv", {**levels, FUSION: name}))
        for path, own in tables:
            for pair in _pairs(path) if path.is_file() else []:
                yield own, str(cell.seed), cell.assess, pair


def _pairs(path: Path) -> list[dict[str, str]]:
    with explaining(path), path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _point(row: Row, factors: Sequence[str]) -> Point:
    low, high = row["ci_low"], row["ci_high"]
    return Point(
        levels={name: row[name] for name in factors},
        seed=row["seed"],
        step=row["step"],
        value=float(row["value"]),
        ends=(float(low), float(high)) if low and high else None,
    )


def _panel(metric: str, rows: Sequence[Row], points: Sequence[Point]) -> Panel:
    floors = [float(row["floor"]) for row in rows if row.get("floor")]
    return Panel(
        metric=metric,
        direction=rows[0]["direction"],
        floor=float(np.median(floors)) if floors else float("nan"),
        points=tuple(points),
    )
