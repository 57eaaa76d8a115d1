"""How the reading went: catch trials, time, order, and who finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fetalsynth.reader.analysis_detection import share
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.reader.analysis_rows import Row

HASTY_SECONDS = 1.0


def conduct(readings: Readings) -> list[dict[str, Any]]:
    """One record per reader.

    ``hasty`` counts answers in less than a second; ``early`` and ``late`` are the shares right in
    the first and second half of her reading (practice or fatigue); ``revised`` counts answers that
    were changed.
    """
    return [_one(readings, place) for place in range(len(readings.readers))]


def _one(readings: Readings, place: int) -> dict[str, Any]:
    reader = readings.readers[place]
    seconds = readings.seconds[place]
    known = seconds[np.isfinite(seconds)]
    rows = [row for (name, _), row in readings.first.items() if name == reader]
    early, late = _halves(readings.correct[place], readings.positions[place])
    return {
        "reader": reader,
        "answered": len(rows),
        "of": len(readings.images),
        "catch": _catch([row for row in readings.catch if row.reader == reader]),
        "median_seconds": float(np.median(known)) if len(known) else None,
        "total_seconds": float(known.sum()) if len(known) else None,
        "hasty": int((known < HASTY_SECONDS).sum()),
        "hidden": sum((row.hidden_seconds or 0) > 1 for row in rows),
        "revised": sum(row.revision > 0 for row in rows),
        "early": early,
        "late": late,
        "tags": _tags(rows),
    }


def _catch(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Obvious trials that were answered wrongly."""
    judged = [row for row in rows if row.correct is not None]
    return share(sum(row.correct == 0 for row in judged), len(judged)) if judged else None


def _halves(correct: Floats, positions: Floats) -> tuple[dict[str, Any], dict[str, Any]]:
    known = np.isfinite(correct) & np.isfinite(positions)
    order = np.argsort(positions[known])
    answers = correct[known][order]
    middle = len(answers) // 2
    early, late = answers[:middle], answers[middle:]
    return share(int(early.sum()), len(early)), share(int(late.sum()), len(late))


def _tags(rows: Sequence[Row]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        for tag in filter(None, row.tags.split(";")):
            counts[tag] = counts.get(tag, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
