"""Could the readers tell? Each reader, all readers together, each set; and were they at chance?

A synthetic image is the signal. Readers together are the mean over readers, with an interval that
holds for other readers too from five readers on, and for these readers and other images below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.statistics.detection import area, balanced_accuracy, detection
from fetalsynth.statistics.mrmc import (
    Figures,
    ReaderMean,
    area_figures,
    balanced_figures,
    jackknife_figures,
    reader_mean,
    share_figures,
)
from fetalsynth.statistics.proportions import decisions_needed, wilson

UNBOUNDED = (float("-inf"), float("inf"))


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Of one reader: synthetic images shown and called synthetic, real ones shown and called so."""

    signals: int
    hits: int
    noises: int
    false_alarms: int

    @property
    def one_answer(self) -> str:
        """The answer given throughout, or ""."""
        said = self.hits + self.false_alarms
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
    return [_one_reader(readings, place, margin=margin) for place in range(len(readings.readers))]


def _one_reader(readings: Readings, place: int, *, margin: float) -> dict[str, Any]:
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
    record["balanced_accuracy"] = _balanced(counts)
    wide = _balanced(counts, level=0.9)
    record["equivalence"] = equivalence(
        wide["value"], (wide["ci95"][0], wide["ci95"][1]), margin=margin, vacuous=counts.one_answer
    )
    return record


def _balanced(counts: Counts, level: float = 0.95) -> dict[str, Any]:
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
    nothing, and ``shown`` is None.
    """
    low, high = 0.5 - margin, 0.5 + margin
    return {
        "value": value,
        "ci90": list(interval90),
        "margin": margin,
        "shown": None if vacuous else bool(low < interval90[0] and interval90[1] < high),
        "decisions_needed": decisions_needed(margin=margin),
        "reason": f"gave the answer {vacuous!r} throughout" if vacuous else "",
    }


def together(readings: Readings, *, margin: float) -> dict[str, Any]:
    """Readers together. A figure that some reader cannot have (no image of a class) is None."""
    signal, said = readings.signal, readings.said_synthetic
    real = 1 - said
    counts = [counts_of(row, signal) for row in said]
    usable = np.array([min(c.signals, c.noises) >= 2 for c in counts])
    varied = np.array([not c.one_answer for c in counts])
    record: dict[str, Any] = {
        "readers": len(counts),
        "left_out": [r for r, use in zip(readings.readers, usable, strict=True) if not use],
        "one_answer": [r for r, v in zip(readings.readers, varied, strict=True) if not v],
        "decisions": int(np.isfinite(said).sum()),
        "counts": {
            "judged_real_synthetic": share(
                sum(c.signals - c.hits for c in counts), sum(c.signals for c in counts)
            ),
            "judged_real_real": share(
                sum(c.noises - c.false_alarms for c in counts), sum(c.noises for c in counts)
            ),
        },
    }
    if not usable.any():
        return {**record, "figures": {}, "equivalence": None}
    figures = {
        "judged_real_synthetic": share_figures(outcomes=real[usable][:, signal]),
        "judged_real_real": share_figures(outcomes=real[usable][:, ~signal]),
        "balanced_accuracy": balanced_figures(correct=readings.correct[usable], signal=signal),
        "d_prime": _jackknifed(said[usable], signal, "d_prime"),
        "criterion": _jackknifed(said[usable], signal, "criterion"),
    }
    if readings.rated:
        figures["auc"] = area_figures(scores=readings.rating[usable], signal=signal)
    record["figures"] = {name: mean_record(each, name) for name, each in figures.items()}
    if usable.sum() == 1:
        record["figures"] = _of_one_reader(record["figures"], readings, usable, margin=margin)
    record["equivalence"] = _equivalence(readings, usable & varied, counts, margin=margin)
    return record


def mean_record(figures: Figures, name: str) -> dict[str, Any]:
    """The mean over readers as a record, by how it was found."""
    free = name in ("d_prime", "criterion")
    found = reader_mean(
        figures, chance=0.0 if free else 0.5, bounds=UNBOUNDED if free else (0.0, 1.0)
    )
    return _mean(found, tested=not name.startswith("judged_real"))


def _mean(found: ReaderMean, *, tested: bool) -> dict[str, Any]:
    known = found.se > 0  # no spread at all: readers who never differ tell nothing about others
    return {
        "value": found.value,
        "ci95": list(found.interval) if known else None,
        "se": found.se,
        "df": found.df if np.isfinite(found.df) else None,
        "p_value": found.p_value if known and tested else None,
        "random_readers": found.random_readers,
        "readers": found.readers,
    }


def _of_one_reader(
    figures: dict[str, Any], readings: Readings, usable: NDArray[np.bool_], *, margin: float
) -> dict[str, Any]:
    """One reader alone: her own intervals, which hold for few images as well."""
    own = _one_reader(readings, int(np.flatnonzero(usable)[0]), margin=margin)
    return {
        name: {**record, "ci95": own[name]["ci95"]} if own.get(name) else record
        for name, record in figures.items()
    }


def _jackknifed(said: Floats, signal: NDArray[np.bool_], what: str) -> Figures:
    def statistic(places: NDArray[np.intp]) -> Floats:
        return signal_detection(said[:, places], signal[places], what)

    return jackknife_figures(statistic, images=len(signal))


def signal_detection(said: Floats, signal: NDArray[np.bool_], what: str) -> Floats:
    """d′ or criterion of every reader (J,), log-linearly corrected."""
    from scipy.special import ndtri

    known = np.isfinite(said)
    ones = np.where(known, said, 0.0)
    hit = (ones[:, signal].sum(1) + 0.5) / (known[:, signal].sum(1) + 1)
    alarm = (ones[:, ~signal].sum(1) + 0.5) / (known[:, ~signal].sum(1) + 1)
    z: tuple[Floats, Floats] = ndtri(hit), ndtri(alarm)
    return z[0] - z[1] if what == "d_prime" else -(z[0] + z[1]) / 2


def _equivalence(
    readings: Readings, used: NDArray[np.bool_], counts: list[Counts], *, margin: float
) -> dict[str, Any]:
    """Equivalence to chance of those readers who used both answers."""
    if not used.any():
        record = equivalence(0.5, (float("nan"),) * 2, margin=margin, vacuous="one and the same")
        return {**record, "ci90": None, "reason": "no reader used both answers"}
    measures: dict[str, Callable[[], Figures]] = {
        "balanced accuracy": lambda: balanced_figures(
            correct=readings.correct[used], signal=readings.signal
        )
    }
    if readings.rated:
        measures["area under the ROC curve"] = lambda: area_figures(
            scores=readings.rating[used], signal=readings.signal
        )
    parts = {}
    for name, figures in measures.items():
        found = reader_mean(figures(), level=0.9)
        interval = found.interval
        if name == "balanced accuracy" and used.sum() == 1:
            wide = _balanced(counts[int(np.flatnonzero(used)[0])], level=0.9)["ci95"]
            interval = (wide[0], wide[1])
        parts[name] = equivalence(found.value, interval, margin=margin)
    first = parts["balanced accuracy"]
    return {
        **first,
        "shown": all(part["shown"] for part in parts.values()),
        "measures": parts,
        "readers": int(used.sum()),
        "reason": "",
    }
