"""Could a reader tell? Shares, d′, criterion, area; and was she at chance?

A synthetic image is the signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.statistics.detection import area, balanced_accuracy, detection
from fetalsynth.statistics.proportions import decisions_needed, wilson


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Of one reader: synthetic images shown and called synthetic, real ones shown and called so."""

    signals: int
    hits: int
    noises: int
    false_alarms: int

    @property
    def one_answer(self) -> str:
        """The answer given throughout, or "" (also of who gave none)."""
        said = self.hits + self.false_alarms
        if not self.signals + self.noises:
            return ""
        if said == self.signals + self.noises:
            return "synthetic"
        return "real" if said == 0 else ""


def counts_of(said: Floats, signal: NDArray[np.bool_]) -> Counts:
    """Counts of one reader's verdicts (images,), 1 for "synthetic", NaN unanswered."""
    known = np.isfinite(said)
    return Counts(
        signals=int((known & signal).sum()),
        hits=int(np.nansum(said[signal])),
        noises=int((known & ~signal).sum()),
        false_alarms=int(np.nansum(said[~signal])),
    )


def share(successes: int, n: int) -> dict[str, Any]:
    """A share with its Wilson interval; without a value where n is 0."""
    if n == 0:
        return {"value": None, "ci95": None, "successes": 0, "n": 0}
    return {
        "value": successes / n,
        "ci95": list(wilson(successes, n)),
        "successes": successes,
        "n": n,
    }


def each_reader(readings: Readings, *, margin: float) -> list[dict[str, Any]]:
    """One record per reader: shares, d′, criterion, area, balanced accuracy, equivalence."""
    return [one_reader(readings, place, margin=margin) for place in range(len(readings.readers))]


def one_reader(readings: Readings, place: int, *, margin: float) -> dict[str, Any]:
    """The record of the reader at this place; figures that she cannot have are None."""
    said, signal = readings.said_synthetic[place], readings.signal
    counts = counts_of(said, signal)
    record: dict[str, Any] = {
        "reader": readings.readers[place],
        "group": readings.groups[place],
        "decisions": counts.signals + counts.noises,
        "one_answer": counts.one_answer,
        "sensitivity": share(counts.hits, counts.signals),
        "specificity": share(counts.noises - counts.false_alarms, counts.noises),
        "judged_real_synthetic": share(counts.signals - counts.hits, counts.signals),
        "judged_real_real": share(counts.noises - counts.false_alarms, counts.noises),
        "d_prime": None,
        "criterion": None,
        "balanced_accuracy": None,
        "equivalence": None,
        "auc": _area(readings.rating[place], signal) if readings.rated else None,
    }
    if min(counts.signals, counts.noises) == 0:
        return record
    found = detection(
        hits=counts.hits,
        signals=counts.signals,
        false_alarms=counts.false_alarms,
        noises=counts.noises,
    )
    record["d_prime"] = {
        "value": found.d_prime,
        "ci95": list(found.d_prime_interval),
        "extreme": found.extreme,
    }
    record["criterion"] = {"value": found.criterion, "ci95": list(found.criterion_interval)}
    record["balanced_accuracy"] = balanced_record(counts)
    wide = balanced_record(counts, level=0.9)
    record["equivalence"] = equivalence(
        wide["value"], (wide["ci95"][0], wide["ci95"][1]), margin=margin, vacuous=counts.one_answer
    )
    return record


def balanced_record(counts: Counts, level: float = 0.95) -> dict[str, Any]:
    """Balanced accuracy of one reader; its interval stands under ``ci95`` whatever its level."""
    found = balanced_accuracy(
        hits=counts.hits,
        signals=counts.signals,
        correct_rejections=counts.noises - counts.false_alarms,
        noises=counts.noises,
        level=level,
    )
    return {"value": found.value, "ci95": list(found.interval)}


def _area(rating: Floats, signal: NDArray[np.bool_]) -> dict[str, Any] | None:
    known = np.isfinite(rating)
    if min((known & signal).sum(), (known & ~signal).sum()) < 2:
        return None
    found = area(signals=rating[known & signal], noises=rating[known & ~signal])
    return {"value": found.value, "ci95": list(found.interval), "degenerate": found.degenerate}


def equivalence(
    value: float, interval90: tuple[float, float], *, margin: float, vacuous: str = ""
) -> dict[str, Any]:
    """Whether the 90 % interval lies within 0.5 ± margin (two one-sided tests at 5 %).

    ``vacuous`` is an answer given throughout: then the accuracy is 0.5 by necessity, which shows
    nothing, and ``shown`` is None. An interval without width comes of answers that happen not to
    vary, and shows nothing either.
    """
    low, high = 0.5 - margin, 0.5 + margin
    return {
        "value": value,
        "ci90": list(interval90),
        "margin": margin,
        "shown": None if vacuous else bool(low < interval90[0] < interval90[1] < high),
        "decisions_needed": decisions_needed(margin=margin),
        "reason": f"gave the answer {vacuous!r} throughout" if vacuous else "",
    }
