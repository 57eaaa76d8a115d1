"""Readers' scores of the sets of a study, read from CSV and matched with its cells."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.analysis_table import Table

LEAST_SETS = 4


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one reader (or all together, reader "") gave one set."""

    set: str
    reader: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Sets (n,) with the mean score of the readers, and positions in a table for each set.

    They come in the order of the table, in which all trainings have their epochs alike.
    """

    sets: tuple[str, ...]
    mean: NDArray[np.float64]
    places: tuple[tuple[int, ...], ...]
    unmatched: tuple[str, ...]

    def values(self, table: Table) -> NDArray[np.float64]:
        """The metric of each set (n,): the mean where several cells bear the name."""
        return np.array([table.values[list(place)].mean() for place in self.places])


def read_scores_of_sets(path: Path) -> tuple[Score, ...]:
    """Read columns set, score and optionally reader; UserError where they are not there."""
    with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        rows, header = list(reader), reader.fieldnames or []
    if "set" not in header or "score" not in header:
        raise UserError(f"{path}: needs the columns set and score; it has {', '.join(header)}")
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            score = float(row["score"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{path}: line {number}: {row['score']!r} is no score") from error
        if not np.isfinite(score):
            raise UserError(f"{path}: line {number}: a score must be finite")
        name = Path(row["set"].strip()).name if "/seed" not in row["set"] else row["set"].strip()
        found.append(Score(set=name, reader=(row.get("reader") or "").strip(), score=score))
    return tuple(found)


def of_scored_arms(tables: Sequence[Table], scores: Sequence[Score]) -> list[Table]:
    """Tables of the arms that have enough scored sets; all of them where no arm has."""
    names = {score.set for score in scores}
    arms = set()
    for table in tables:
        known = {name for aliases in table.aliases for name in aliases}
        if len(names & known) >= LEAST_SETS:
            arms.add(table.arm)
    return [table for table in tables if table.arm in arms] or list(tables)


def match(scores: Sequence[Score], table: Table, *, path: Path) -> Matched:
    """Find each set's cells by its name; UserError where fewer than four sets are found.

    A set may be called by its cell ("images=100 epochs=300", then all seeds are averaged), by cell
    and seed ("images=100 epochs=300 seed 0"), or by the step that made or assessed it.
    """
    names = list(dict.fromkeys(score.set for score in scores))
    places = {
        name: tuple(k for k, known in enumerate(table.aliases) if name in known) for name in names
    }
    sets = tuple(sorted((name for name in names if places[name]), key=lambda name: places[name]))
    if len(sets) < LEAST_SETS:
        known = [each[0] for each in table.aliases]
        raise UserError(
            f"{path}: {len(sets)} of its sets ({', '.join(names[:3])} …) are sets of arm "
            f"{table.arm}; at least {LEAST_SETS} are needed, called like {', '.join(known[:3])}"
        )
    mean = [np.mean([score.score for score in scores if score.set == name]) for name in sets]
    return Matched(
        sets=sets,
        mean=np.array(mean),
        places=tuple(places[name] for name in sets),
        unmatched=tuple(name for name in names if not places[name]),
    )
