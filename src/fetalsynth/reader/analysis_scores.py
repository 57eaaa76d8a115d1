"""Scores of the sets that readers saw: of whole sets, and of single images where tables have them.

Tables of single images are those with a column ``file`` (rows of role "synthetic") or
``synthetic_file``; maps of features are left out.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fetalsynth.artifacts.scores import read_scores
from fetalsynth.errors import UserError, explaining
from fetalsynth.statistics.correlation import Sign

_FILES = ("synthetic_file", "file")
_OTHERS = ("subject", "real_file", "nearest_file", "cluster", "space", "axis_1", "axis_2")
_SIGNS: dict[str, Sign] = {"lower": -1, "higher": 1, "none": 0}


@dataclass(frozen=True, kw_only=True)
class SetScores:
    """Scores of one set: ``metrics`` (value, expected sign), ``images`` (metric → file → value)."""

    set: str
    folder: Path
    metrics: dict[str, tuple[float, Sign]]
    images: dict[str, dict[str, float]]


def read_set_scores(
    folders: Sequence[Path], *, sets: Sequence[str], digests: Mapping[str, str]
) -> list[SetScores]:
    """Scores of the sets of a study, told apart by digest, else by the name of their folder.

    Raises UserError for scores of a set that no image of the study comes from, and for two scores
    of one set.
    """
    found: dict[str, SetScores] = {}
    for folder in folders:
        scores = read_scores(folder)
        named = _set_of(scores.inputs.get("synthetic", {}), sets=sets, digests=digests)
        if named is None:
            raise UserError(
                f"{folder}: scores of a set that is not in this study ({', '.join(sets)}); "
                "give the scores of the sets that the readers saw"
            )
        if named in found:
            raise UserError(f"{folder}: second scores of the set {named}; give one for each set")
        found[named] = SetScores(
            set=named,
            folder=folder,
            metrics={
                name: (metric.value, _SIGNS[metric.direction])
                for name, metric in scores.metrics.items()
            },
            images=_image_tables(folder),
        )
    return list(found.values())


def _set_of(
    read: Mapping[str, Any], *, sets: Sequence[str], digests: Mapping[str, str]
) -> str | None:
    for name in sets:
        if read.get("digest") and read["digest"] == digests.get(name):
            return name
    called = PurePath(str(read.get("path", ""))).name
    return called if called in sets and not digests.get(called) else None


def _image_tables(folder: Path) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = {}
    for path in sorted(folder.glob("*.csv")):
        with explaining(path), path.open(newline="", encoding="utf-8") as stream:
            rows = csv.DictReader(stream)
            key = next((name for name in _FILES if name in (rows.fieldnames or ())), None)
            if key is None or "space" in (rows.fieldnames or ()):
                continue
            for row in rows:
                if row.get("role", "synthetic") == "synthetic":
                    _take(values, row, key)
    return values


def _take(values: dict[str, dict[str, float]], row: dict[str, Any], key: str) -> None:
    for name, text in row.items():
        if name in (*_FILES, *_OTHERS, "role") or name.endswith("-baseline"):
            continue
        try:
            number = float(text)
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            values.setdefault(name, {})[row[key]] = number
