"""Each synthetic set against the same real images, and the sets against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.randomness import numpy_rng
from fetalsynth.reader.analysis_detection import share
from fetalsynth.reader.analysis_readings import Floats, Readings
from fetalsynth.reader.analysis_together import mean_record
from fetalsynth.statistics.mrmc import (
    Figures,
    area_figures,
    balanced_figures,
    bootstrap_over_images,
    share_figures,
)
from fetalsynth.statistics.mrmc_sets import compare_sets, covariances_of_sets
from fetalsynth.statistics.multiplicity import holm

DRAWS = 1000


def each_set(readings: Readings, *, seed: int) -> list[dict[str, Any]]:
    """One record per synthetic set, and one for the real images: share judged real, how well told.

    Shares and areas are means over readers; ``counts`` pools all decisions, with Wilson's interval
    as if they were independent and ``ci95_images`` from drawing whole images again.
    """
    real = ~readings.signal
    records = [_set(readings, "real images", real, told=False, seed=seed)]
    for name in readings.synthetic_sets:
        chosen = _of_set(readings, name)
        records.append(_set(readings, name or "synthetic", chosen, told=True, seed=seed))
    return records


def _of_set(readings: Readings, name: str) -> NDArray[np.bool_]:
    named: NDArray[np.bool_] = np.array([each == name for each in readings.sets])
    return readings.signal & named


def _set(
    readings: Readings, name: str, chosen: NDArray[np.bool_], *, told: bool, seed: int
) -> dict[str, Any]:
    judged = (1 - readings.said_synthetic)[:, chosen]
    known = np.isfinite(judged)
    record: dict[str, Any] = {
        "set": name,
        "synthetic": told,
        "images": int(chosen.sum()),
        "counts": {
            **share(int(np.nansum(judged)), int(known.sum())),
            "ci95_images": _over_images(judged, seed=seed, stream=name),
        },
        "judged_real": None,
        "told": None,
        "measure": _measure(readings),
    }
    enough = known.sum(axis=1) >= 2
    if enough.any():
        figures = share_figures(outcomes=judged[enough])
        record["judged_real"] = mean_record(figures, "judged_real")
    real_enough = np.isfinite(readings.said_synthetic[:, ~readings.signal]).sum(axis=1) >= 2
    if told and (enough & real_enough).any():
        figures = _told(readings, chosen, enough & real_enough)
        record["told"] = mean_record(figures, "told")
    return record


def _over_images(judged: Floats, *, seed: int, stream: str) -> list[float] | None:
    """Interval of the share of all decisions, an image going with all that was said about it."""
    ones, known = np.nansum(judged, axis=0), np.isfinite(judged).sum(axis=0)

    def statistic(places: NDArray[np.intp]) -> float:
        return float(ones[places].sum() / max(known[places].sum(), 1))

    if len(ones) < 2:
        return None
    rng = numpy_rng(seed=seed, stream=f"reader/sets/{stream}")
    every = np.ones(len(ones), bool)
    return list(bootstrap_over_images(statistic, signal=every, rng=rng, draws=DRAWS))


def _measure(readings: Readings) -> str:
    return "area under the ROC curve" if readings.rated else "balanced accuracy"


def _told(readings: Readings, chosen: NDArray[np.bool_], readers: NDArray[np.bool_]) -> Figures:
    used = chosen | ~readings.signal
    signal = readings.signal[used]
    if readings.rated:
        return area_figures(scores=readings.rating[readers][:, used], signal=signal)
    return balanced_figures(correct=readings.correct[readers][:, used], signal=signal)


def sets_against_each_other(readings: Readings) -> dict[str, Any] | None:
    """F test over sets and differences of all pairs, adjusted by Holm's method; None without two.

    Readers are random, so that at least two are needed; areas where confidence was asked. None as
    well where some reader did not rate two images of every set and of the real ones.
    """
    names = readings.synthetic_sets
    n = len(readings.readers)
    if len(names) < 2 or n < 2 or not readings.rated:
        return None
    stacked = _stacked(readings, names)
    real = ~readings.signal
    if min(np.isfinite(stacked[:, readings.signal]).sum(1)) < 2 or (
        min(np.isfinite(stacked[:, real]).sum(1)) < 2
    ):
        return None
    figures = area_figures(scores=stacked, signal=readings.signal)
    _, _, cov2, cov3 = covariances_of_sets(figures.covariance, sets=len(names), readers=n)
    values = figures.values.reshape(len(names), n)
    found = compare_sets(values=values, cov2=cov2, cov3=cov3)
    adjusted = holm([p for *_, p in found.differences])
    return {
        "measure": _measure(readings),
        "f": found.f,
        "df": [found.df[0], found.df[1] if np.isfinite(found.df[1]) else None],
        "p_value": found.p_value,
        "readers": n,
        "random_readers": True,
        "differences": [
            {
                "first": names[i],
                "second": names[j],
                "value": gap,
                "ci95": list(interval),
                "p_value": p,
                "p_adjusted": float(adjusted[place]),
            }
            for place, (i, j, gap, interval, p) in enumerate(found.differences)
        ],
    }


def _stacked(readings: Readings, names: tuple[str, ...]) -> Floats:
    """Ratings (sets · readers, images): each set's synthetic images with all real ones."""
    blocks = []
    for name in names:
        used = _of_set(readings, name) | ~readings.signal
        blocks.append(np.where(used, readings.rating, np.nan))
    return np.concatenate(blocks)
