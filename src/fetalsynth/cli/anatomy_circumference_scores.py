"""Measured heads in a few numbers, for programs: sizes, and errors beside their floor."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from fetalsynth.artifacts.scores import Metric, Scores
from fetalsynth.cli.anatomy_circumference_rows import Measured

if TYPE_CHECKING:
    from fetalsynth.statistics.measurement import MeasurementError

_PREFIX = "head-circumference"


def scores_of(
    measured: Measured,
    error: MeasurementError | None,
    floor: MeasurementError | None,
    *,
    floor_of: str | None,
    pictures: dict[str, str],
) -> Scores:
    """Sizes, and where heads were asked for the errors with those of other images as floor.

    ``floor_of`` says in words what images those are.
    """
    source = measured.source
    read = {"path": source.path, "digest": source.digest, "count": len(measured.rows)}
    metrics = _sizes(measured)
    unjudged = {}
    if error is None:
        unjudged[f"{_PREFIX}-error"] = (
            "fewer than three images have both a head that was asked for and one that was found"
        )
    else:
        metrics |= _differences(error, floor, synthetic=measured.synthetic)
        metrics |= _agreement(error, floor, synthetic=measured.synthetic)
    metrics = {name: _labelled(metric, floor_of) for name, metric in metrics.items()}
    return Scores(metrics=metrics, inputs={"images": read}, unjudged=unjudged, pictures=pictures)


def _labelled(metric: Metric, floor_of: str | None) -> Metric:
    if metric.floor is None:
        return metric
    return metric.model_copy(update={"settings": {**metric.settings, "floor_of": floor_of}})


def _sizes(measured: Measured) -> dict[str, Metric]:
    """Share of images with a head, and the median circumference, in mm where known."""
    n_real, n_synthetic = _counts(len(measured.rows), measured.synthetic)
    metrics = {
        "heads-found": Metric(
            value=measured.found / len(measured.rows),
            direction="higher",
            n_real=n_real,
            n_synthetic=n_synthetic,
            meaning="Share of images on which a head was found.",
        )
    }
    unit, sizes = measured.sizes
    if sizes:
        n_real, n_synthetic = _counts(len(sizes), measured.synthetic)
        metrics[f"{_PREFIX}-median"] = Metric(
            value=float(median(sizes)),
            direction="none",
            n_real=n_real,
            n_synthetic=n_synthetic,
            unit=unit,
            settings={"lowest": sizes[0], "highest": sizes[-1]},
            meaning="Circumference along the outer border of the skull: the median.",
        )
    return metrics


def _differences(
    error: MeasurementError, floor: MeasurementError | None, *, synthetic: bool
) -> dict[str, Metric]:
    """Percent of what was asked."""
    n_real, n_synthetic = _counts(error.n, synthetic)
    return {
        f"{_PREFIX}-error-median": Metric(
            value=100 * error.median_absolute,
            ci95=_percent(error.median_interval),
            direction="lower",
            n_real=n_real,
            n_synthetic=n_synthetic,
            floor=None if floor is None else 100 * floor.median_absolute,
            unit="%",
            meaning="Difference, either way, of measured and asked circumference: the median.",
        ),
        f"{_PREFIX}-error-mean": Metric(
            value=100 * error.mean_absolute,
            direction="lower",
            n_real=n_real,
            n_synthetic=n_synthetic,
            floor=None if floor is None else 100 * floor.mean_absolute,
            unit="%",
            meaning="The same, the mean: a few failures weigh much.",
        ),
        f"{_PREFIX}-bias": Metric(
            value=100 * error.bias,
            ci95=_percent(error.bias_interval),
            direction="none",
            n_real=n_real,
            n_synthetic=n_synthetic,
            floor=None if floor is None else 100 * floor.bias,
            unit="%",
            settings={"limits_of_agreement_percent": [100 * end for end in error.limits]},
            meaning="Measured less asked circumference: the mean. The limits of agreement are "
            + f"{100 * error.limits[0]:+.1f} and {100 * error.limits[1]:+.1f} %.".replace("-", "−"),
        ),
    }


def _agreement(
    error: MeasurementError, floor: MeasurementError | None, *, synthetic: bool
) -> dict[str, Metric]:
    metrics = {}
    n_real, n_synthetic = _counts(error.n, synthetic)
    if error.r is not None:
        metrics[f"{_PREFIX}-r"] = Metric(
            value=error.r,
            ci95=error.r_interval,
            direction="higher",
            n_real=n_real,
            n_synthetic=n_synthetic,
            floor=None if floor is None else floor.r,
            meaning="Pearson's correlation of measured with asked circumference.",
        )
    n_real, n_synthetic = _counts(error.asked, synthetic)
    for k, share in enumerate(error.shares):
        metrics[f"{_PREFIX}-within-{100 * share.within:.0f}-percent"] = Metric(
            value=share.value,
            ci95=share.interval,
            direction="higher",
            n_real=n_real,
            n_synthetic=n_synthetic,
            floor=None if floor is None else floor.shares[k].value,
            meaning=f"Share of asked heads measured within {100 * share.within:.0f} %; images "
            "without a head count as outside.",
        )
    return metrics


def _counts(n: int, synthetic: bool) -> tuple[int, int]:
    """(real, synthetic)"""
    return (0, n) if synthetic else (n, 0)


def _percent(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    return None if interval is None else (100 * interval[0], 100 * interval[1])
