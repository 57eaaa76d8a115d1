"""The scores of all pairs together: means over subjects, intervals and the trivial baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Alarm, Metric
from fetalsynth.assessment.paired.facts import METRICS, Facts, place_of, split_name
from fetalsynth.assessment.paired.pair import PairScores
from fetalsynth.assessment.parts.part import Part
from fetalsynth.assessment.resampling import Interval

FEW_SUBJECTS = 10
UNJUDGED = (
    "pairs say how near each image is to its own real one and nothing about the set as a whole; "
    "run fetalsynth assess without --paired for that"
)
_UNJUDGED = ("shift", "texture", "intensity", "collapse", "copying")


def summarise(
    pairs: Sequence[PairScores], *, settings: dict[str, Any], label_names: Sequence[str] = ()
) -> Part:
    """Metrics over all pairs; ``settings`` (data range, scaling) goes into every one of them.

    The value is the mean over subjects of each subject's mean, the interval Student's t over those
    means (exact if they are normal; the ends of the metric's range bound it). Pairs in which a
    label does not occur do not enter the errors of that label. Set alarms are left unjudged, but
    for ``copying`` where a synthetic image equals its real one in every value.
    """
    names = list(dict.fromkeys(name for pair in pairs for name in pair.values))
    metrics = {}
    for name in names:
        having = [pair for pair in pairs if name in pair.values]
        metric = _metric(name, having, settings, label_names)
        if metric is not None:
            metrics[name] = metric
    subjects = len({pair.subject for pair in pairs})
    alarms = (*_few(subjects), *_identical(pairs))
    raised = {alarm.name for alarm in alarms}
    return Part(
        metrics=metrics,
        alarms=alarms,
        unjudged={name: UNJUDGED for name in _UNJUDGED if name not in raised},
    )


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


def _metric(
    name: str, pairs: list[PairScores], settings: dict[str, Any], label_names: Sequence[str]
) -> Metric | None:
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
        **_region_settings(region, used, label_names),
        **facts.settings,
        **settings,
        "pairs": len(used),
        "pairs_left_out_as_identical": len(pairs) - len(used),
        "subjects": len(set(subjects)),
        "sd_over_subjects": spread(values, subjects),
        "interval": "Student's t over subjects",
        **_against_baseline(name, used, values, subjects),
        **_against_ceiling(name, used, values, subjects),
    }
    return Metric(
        value=value,
        ci95=_bounded(interval, facts),
        direction=facts.direction,
        n_real=len(used),
        n_synthetic=len(used),
        settings=details,
        unit=facts.unit,
        meaning=_meaning(facts, place_of(region, label_names), details),
    )


def spread(values: NDArray[np.float64], subjects: Sequence[str]) -> float | None:
    """Standard deviation over subjects of their means; None for one subject."""
    _, codes = np.unique(np.array(subjects), return_inverse=True)
    means = np.bincount(codes, values) / np.bincount(codes)
    return float(means.std(ddof=1)) if len(means) > 1 else None


def _region_settings(
    region: str, pairs: list[PairScores], label_names: Sequence[str]
) -> dict[str, Any]:
    if region in ("full", "mean"):
        return {"region": region}
    if region.startswith("label"):
        return {"region": place_of(region, label_names).removeprefix("within ")}
    rules = sorted({pair.rules["foreground"] for pair in pairs})
    return {"region": region, "foreground": "; ".join(rules)}


def _bounded(interval: Interval | None, facts: Facts) -> Interval | None:
    if interval is None:
        return None
    return max(interval[0], facts.least), min(interval[1], facts.most)


def _against_baseline(
    name: str, pairs: list[PairScores], values: NDArray[np.float64], subjects: list[str]
) -> dict[str, Any]:
    plain = np.array([pair.baseline.get(name, np.nan) for pair in pairs])
    if not np.isfinite(plain).all():
        return {}
    difference, interval = over_subjects(values - plain, subjects)
    paints = sorted({pair.rules["baseline_paints"] for pair in pairs})
    return {
        "baseline": over_subjects(plain, subjects)[0],
        "baseline_sd": spread(plain, subjects),
        "baseline_paints": "; ".join(paints),
        "minus_baseline": difference,
        "minus_baseline_ci95": None if interval is None else list(interval),
    }


def _against_ceiling(
    name: str, pairs: list[PairScores], values: NDArray[np.float64], subjects: list[str]
) -> dict[str, Any]:
    """What the real images themselves reach, where they were measured too."""
    real = np.array([pair.ceiling.get(name, np.nan) for pair in pairs])
    if not np.isfinite(real).all():
        return {}
    difference, interval = over_subjects(values - real, subjects)
    return {
        "real": over_subjects(real, subjects)[0],
        "real_sd": spread(real, subjects),
        "minus_real": difference,
        "minus_real_ci95": None if interval is None else list(interval),
    }


def _meaning(facts: Facts, place: str, details: dict[str, Any]) -> str:
    said = f"{facts.words}, {place}."
    if "real" in details:
        said += f" In the real images it finds them with {details['real']:.3g}."
        painted = f" In painted ones with {details.get('baseline', float('nan')):.3g}."
        return said + (painted if "baseline" in details else "")
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


def _identical(pairs: Sequence[PairScores]) -> tuple[Alarm, ...]:
    """No generator repeats every grey value of an image that it was not given."""
    same = sum(pair.values["MSE-full"] == 0 for pair in pairs)
    if not same:
        return ()
    reason = (
        f"in {same} of {len(pairs)} pairs the synthetic image is the real one, value by value: it "
        "was copied, or folders were mixed up"
    )
    return (Alarm(name="copying", reason=reason),)
