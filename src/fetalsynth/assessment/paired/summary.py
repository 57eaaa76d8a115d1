"""The scores of all pairs together: means over subjects, intervals and the trivial baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm, Metric
from fetalsynth.assessment.metrics.mutual_information import BINS
from fetalsynth.assessment.paired.pair import PairScores
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.resampling import Interval

FEW_SUBJECTS = 10
UNJUDGED = (
    "pairs say how near each image is to its own real one and nothing about the set as a whole; "
    "run fetalsynth assess without --paired for that"
)
_UNJUDGED = ("shift", "texture", "intensity", "collapse", "copying")
_PLACES = {
    "full": "over the whole image",
    "box": "over the box around the foreground",
    "mask": "over the foreground",
    "axial": "over whole axial planes that hold foreground",
    "coronal": "over whole coronal planes that hold foreground",
    "sagittal": "over whole sagittal planes that hold foreground",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a reader must know of a metric: ``least`` and ``most`` are the ends of its range."""

    words: str
    direction: Literal["lower", "higher", "none"] = "higher"
    least: float = -np.inf
    most: float = np.inf
    unit: str | None = None
    settings: dict[str, Any]


_GAUSSIAN = {"window": "Gaussian, σ 1.5, 11 pixels a side", "K1": 0.01, "K2": 0.03}
_UNIFORM = {"window": "uniform, 7 pixels a side, sample variances", "K1": 0.01, "K2": 0.03}
_BINNED = {"bins": BINS}
METRICS: dict[str, Facts] = {
    "SSIM": Facts(words="Likeness of local structure", least=-1, most=1, settings=_GAUSSIAN),
    "SSIM-uniform7": Facts(
        words="Likeness of local structure", least=-1, most=1, settings=_UNIFORM
    ),
    "MS-SSIM": Facts(
        words="Likeness of structure at several scales", least=0, most=1, settings=_GAUSSIAN
    ),
    "correlation": Facts(
        words="Correlation of grey values, whatever brightness and contrast",
        least=-1,
        most=1,
        settings={},
    ),
    "combined": Facts(
        words="(2 SSIM + correlation)/3, the score of the fetal MRI study",
        least=-1,
        most=1,
        settings=_GAUSSIAN,
    ),
    "MSE": Facts(
        words="Mean squared difference in units of the squared range of values",
        direction="lower",
        least=0,
        settings={"divided_by": "squared data range"},
    ),
    "PSNR": Facts(words="Signal over error, pixel by pixel", unit="dB", settings={}),
    "MI": Facts(
        words="How much the grey value of one image tells about the other",
        unit="nats",
        settings={**_BINNED, "correction": "Miller–Madow"},
    ),
    "NMI-Studholme": Facts(
        words="Mutual information as (Hx + Hy)/Hxy, from 1 to 2", least=1, most=2, settings=_BINNED
    ),
    "NMI-arithmetic": Facts(
        words="Mutual information over the mean entropy, from 0 to 1",
        least=0,
        most=1,
        settings=_BINNED,
    ),
    "error-absolute": Facts(
        words="Mean absolute error in shares of the range of values",
        direction="lower",
        least=0,
        settings={},
    ),
    "error-signed": Facts(
        words="Mean error in shares of the range of values, above 0 where too bright",
        direction="none",
        settings={},
    ),
}


def summarise(pairs: Sequence[PairScores], *, settings: dict[str, Any]) -> Part:
    """Metrics over all pairs; ``settings`` (data range, scaling) goes into every one of them.

    The value is the mean over subjects of each subject's mean, the interval Student's t over those
    means (exact if they are normal; the ends of the metric's range bound it). Pairs in which a
    label does not occur do not enter the errors of that label. Set alarms are left unjudged.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair.values))
    metrics = {}
    for name in names:
        metric = _metric(name, [pair for pair in pairs if name in pair.values], settings)
        if metric is not None:
            metrics[name] = metric
    subjects = len({pair.subject for pair in pairs})
    return Part(
        metrics=metrics,
        alarms=_few(subjects),
        unjudged=dict.fromkeys(_UNJUDGED, UNJUDGED),
    )


def split_name(name: str) -> tuple[str, str]:
    """Metric and region of a score's name: "SSIM-uniform7-mask" → ("SSIM-uniform7", "mask")."""
    metric, _, region = name.rpartition("-")
    return metric, region


def over_subjects(
    values: NDArray[np.float64], subjects: Sequence[str]
) -> tuple[float, Interval | None]:
    """Mean over subjects of their means, with the 95 % interval of Student's t.

    The interval is None for one subject.
    """
    from scipy.special import stdtrit

    _, codes = np.unique(np.array(subjects), return_inverse=True)
    means = np.bincount(codes, values) / np.bincount(codes)
    middle, count = float(means.mean()), len(means)
    if count < 2:
        return middle, None
    reach = float(stdtrit(count - 1, 0.975) * means.std(ddof=1) / np.sqrt(count))
    return middle, (middle - reach, middle + reach)


def _metric(name: str, pairs: list[PairScores], settings: dict[str, Any]) -> Metric | None:
    """None where no pair has a finite value (the PSNR of identical images)."""
    kind, region = split_name(name)
    facts = METRICS[kind]
    used = [pair for pair in pairs if np.isfinite(pair.values[name])]
    if not used:
        return None
    subjects = [pair.subject for pair in used]
    values = np.array([pair.values[name] for pair in used])
    value, interval = over_subjects(values, subjects)
    details = {
        **_region_settings(region, used),
        **facts.settings,
        **settings,
        "pairs": len(used),
        "pairs_left_out_as_identical": len(pairs) - len(used),
        "subjects": len(set(subjects)),
        "interval": "Student's t over subjects",
        **_against_baseline(name, used, values, subjects),
    }
    return Metric(
        value=value,
        ci95=_bounded(interval, facts),
        direction=facts.direction,
        n_real=len(used),
        n_synthetic=len(used),
        settings=details,
        unit=facts.unit,
        meaning=_meaning(facts, region, details),
    )


def _region_settings(region: str, pairs: list[PairScores]) -> dict[str, Any]:
    if region == "full":
        return {"region": region}
    rules = sorted({pair.rules["foreground"] for pair in pairs})
    return {"region": region, "foreground": "; ".join(rules)}


def _bounded(interval: Interval | None, facts: Facts) -> Interval | None:
    if interval is None:
        return None
    return max(interval[0], facts.least), min(interval[1], facts.most)


def _against_baseline(
    name: str, pairs: list[PairScores], values: NDArray[np.float64], subjects: list[str]
) -> dict[str, Any]:
    plain = np.array([pair.baseline[name] for pair in pairs])
    if not np.isfinite(plain).all():
        return {}
    difference, interval = over_subjects(values - plain, subjects)
    paints = sorted({pair.rules["baseline_paints"] for pair in pairs})
    return {
        "baseline": over_subjects(plain, subjects)[0],
        "baseline_paints": "; ".join(paints),
        "minus_baseline": difference,
        "minus_baseline_ci95": None if interval is None else list(interval),
    }


def _meaning(facts: Facts, region: str, details: dict[str, Any]) -> str:
    place = _PLACES.get(region, f"within {region.replace('label', 'label ')}")
    said = f"{facts.words}, {place}."
    if "baseline" not in details:
        return said
    said += f" Painting {details['baseline_paints']}, without any network, scores "
    said += f"{details['baseline']:.3g}."
    return said if _better(facts, details) else f"{said} {_NOT_BETTER}"


_NOT_BETTER = "The synthetic images are not shown to be better than that."


def _better(facts: Facts, details: dict[str, Any]) -> bool:
    """Whether the interval of the difference lies on the better side; true where neither is."""
    if facts.direction == "none":
        return True
    interval = details["minus_baseline_ci95"]
    if interval is None:
        return False
    return bool(interval[0] > 0 if facts.direction == "higher" else interval[1] < 0)


def _few(subjects: int) -> tuple[Alarm, ...]:
    if subjects >= FEW_SUBJECTS:
        return ()
    reason = (
        f"pairs of only {subjects} subjects, fewer than {FEW_SUBJECTS}: the intervals rest on a "
        "normal distribution that so few cannot show"
    )
    return (Alarm(name="too-few-images", reason=reason),)
