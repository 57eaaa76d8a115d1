"""All readers together: means over readers, and equivalence to guessing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.reader.analysis_detection import (
    Counts,
    balanced_record,
    counts_of,
    equivalence,
    one_reader,
    share,
)
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.statistics.mrmc import (
    FEW_READERS,
    Figures,
    ReaderMean,
    area_figures,
    balanced_figures,
    jackknife_figures,
    reader_mean,
    share_figures,
)

UNBOUNDED = (float("-inf"), float("inf"))


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
    """The mean over readers as a record.

    Of two to four readers the interval is for them; ``ci95_other_readers`` is what it would be for
    others too, which few readers make wide.
    """
    free = name in ("d_prime", "criterion")
    chance, bounds = (0.0, UNBOUNDED) if free else (0.5, (0.0, 1.0))
    found = reader_mean(figures, chance=chance, bounds=bounds)
    record = _mean(found, tested=not name.startswith("judged_real"))
    record["ci95_other_readers"] = None
    if 1 < found.readers < FEW_READERS:
        wider = reader_mean(figures, chance=chance, bounds=bounds, random_readers=True)
        record["ci95_other_readers"] = list(wider.interval) if wider.se > 0 else None
    return record


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
    own = one_reader(readings, int(np.flatnonzero(usable)[0]), margin=margin)
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
            wide = balanced_record(counts[int(np.flatnonzero(used)[0])], level=0.9)["ci95"]
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
