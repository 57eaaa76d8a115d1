"""Two-alternative forced choice: which of the two is real?"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np

from fetalsynth.reader.analysis_detection import equivalence, share
from fetalsynth.reader.analysis_readings import Readings
from fetalsynth.reader.analysis_together import mean_record
from fetalsynth.statistics.detection import forced_choice
from fetalsynth.statistics.mrmc import reader_mean, share_figures
from fetalsynth.statistics.proportions import equivalent_to


def each_reader_of_pairs(readings: Readings, *, margin: float) -> list[dict[str, Any]]:
    """One record per reader: share right, d′ = √2 z(share), how often left, equivalence."""
    records = []
    for place, reader in enumerate(readings.readers):
        correct = readings.correct[place]
        known = np.isfinite(correct)
        n, right = int(known.sum()), int(np.nansum(correct))
        rows = [row for (name, _), row in readings.first.items() if name == reader and row.choice]
        left = share(sum(row.choice == "left" for row in rows), len(rows))
        record: dict[str, Any] = {
            "reader": reader,
            "group": readings.groups[place],
            "decisions": n,
            "correct": share(right, n),
            "chose_left": left,
            "one_answer": {0.0: "right", 1.0: "left"}.get(left["value"], ""),
            "d_prime": None,
            "equivalence": None,
        }
        if n:
            found = forced_choice(correct=right, n=n)
            record["d_prime"] = {"value": found.d_prime, "ci95": list(found.d_prime_interval)}
            exact = equivalent_to(successes=right, n=n, margin=margin)
            record["equivalence"] = equivalence(
                exact.value, exact.interval, margin=margin, vacuous=record["one_answer"]
            )
        records.append(record)
    return records


def pairs_together(readings: Readings, *, margin: float) -> dict[str, Any]:
    """Readers together: mean share right; of one reader her own exact test."""
    known = np.isfinite(readings.correct).sum(axis=1)
    usable = known >= 2
    right, n = int(np.nansum(readings.correct)), int(np.isfinite(readings.correct).sum())
    each = each_reader_of_pairs(readings, margin=margin)
    record: dict[str, Any] = {
        "readers": len(readings.readers),
        "left_out": [r for r, use in zip(readings.readers, usable, strict=True) if not use],
        "one_answer": [one["reader"] for one in each if one["one_answer"]],
        "decisions": n,
        "counts": {"correct": share(right, n)},
        "figures": {},
        "equivalence": None,
    }
    if not usable.any():
        return record
    figures = share_figures(outcomes=readings.correct[usable])
    mean = mean_record(figures, "correct")
    record["figures"] = {"correct": mean, "d_prime": _d_prime(mean)}
    wide = reader_mean(figures, level=0.9)
    vacuous = "one side" if all(one["one_answer"] for one in each) else ""
    record["equivalence"] = equivalence(wide.value, wide.interval, margin=margin, vacuous=vacuous)
    if usable.sum() == 1:
        own = each[int(np.flatnonzero(usable)[0])]
        mean["ci95"] = own["correct"]["ci95"]
        record["figures"]["d_prime"] = own["d_prime"]
        record["equivalence"] = own["equivalence"]
    return record


def _d_prime(mean: dict[str, Any]) -> dict[str, Any]:
    """d′ at the mean share and at the ends of its interval."""
    from scipy.special import ndtri

    def at(p: float) -> float:
        return sqrt(2) * float(ndtri(min(max(p, 1e-3), 1 - 1e-3)))

    ends = mean["ci95"]
    return {
        "value": at(mean["value"]),
        "ci95": None if ends is None else [at(e) for e in ends],
        "random_readers": mean["random_readers"],
    }
