"""Several synthetic sets against the same real images: each on its own, and set beside each other.

The sets are compared pair by pair, over the subjects that both have: differences between the
subjects, which are larger than those between most methods, then cancel. The trivial baseline
counts as one more set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.artifacts.images import encode_png
from fetalsynth.artifacts.scores import Alarm, Scores, write_scores
from fetalsynth.assessment.paired.consistency import Segmenter
from fetalsynth.assessment.paired.pair import PairScores
from fetalsynth.assessment.paired.pair_set import PairedSet
from fetalsynth.assessment.paired.pictures import SHOWN_IN_PLANES, sheet_of_planes
from fetalsynth.assessment.paired.summary import over_subjects, spread
from fetalsynth.assessment.paired.writing import Assessed, References, assess_set
from fetalsynth.assessment.profiles import ProfileName
from fetalsynth.assessment.tables import csv_text
from fetalsynth.assessment.writing import METRICS, metrics_csv
from fetalsynth.errors import UserError, explaining

SETS, DIFFERENCES, FOLDER = "sets.csv", "differences.csv", "sets"
BASELINE = "tissue mean"
COMPARED = ("MSE", "SSIM", "correlation", "combined", "MI")
Values = dict[str, dict[str, dict[str, float]]]
"""Set → score → subject → mean over the subject's pairs."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``first`` minus ``second`` in one score: mean over ``subjects`` that both sets have."""

    score: str
    first: str
    second: str
    subjects: int
    mean: float
    sd: float | None
    ci95: tuple[float, float] | None


def assess_sets(
    folder: Path,
    *,
    sets: Mapping[str, PairedSet],
    seed: int = 0,
    profile: ProfileName = "small-n",
    segmenter: Segmenter | None = None,
) -> Scores:
    """Score every set into ``folder/sets/NAME`` and write what compares them into ``folder``.

    sets.csv has the mean and standard deviation of every set, differences.csv all differences of
    two; in scores.json metrics are named NAME/metric. Raises UserError as
    :func:`fetalsynth.assessment.paired.writing.assess_pairs` does.
    """
    references = References()
    found: dict[str, Assessed] = {}
    for name, pairs in sets.items():
        place = folder / FOLDER / name
        with explaining(place):
            place.mkdir(parents=True)
        found[name] = assess_set(
            place,
            pairs=pairs,
            seed=seed,
            profile=profile,
            segmenter=segmenter,
            references=references,
            label=name,
        )
    values = values_of({name: one.pairs for name, one in found.items()})
    write_text(folder / SETS, sets_csv(values))
    write_text(folder / DIFFERENCES, differences_csv(differences(values)))
    scores = _together(found)
    pictures = _write_pictures(folder, found)
    whole = scores.model_copy(update={"pictures": pictures})
    write_text(folder / METRICS, metrics_csv(whole.metrics))
    write_scores(folder, whole)
    return whole


def check_names(names: Sequence[str]) -> None:
    """Raise UserError for names that cannot be folders, or that stand twice."""
    for name in names:
        plain = name.replace("-", "").replace("_", "").replace(".", "").replace(" ", "")
        if not plain.isalnum() or name == BASELINE:
            raise UserError(
                f"--synthetic {name}: letters, digits, dashes and dots make a name; give NAME=DIR"
            )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(
            f"--synthetic: {', '.join(twice)} is the name of several folders; give NAME=DIR"
        )


def values_of(pairs: Mapping[str, Sequence[PairScores]]) -> Values:
    """Every finite score of every set, and that of the baseline, by subject."""
    gathered: dict[str, dict[str, dict[str, list[float]]]] = {}
    for name, scored in pairs.items():
        for pair in scored:
            for side, scores in ((name, pair.values), (BASELINE, pair.baseline)):
                for score, value in scores.items():
                    if np.isfinite(value):
                        of_set = gathered.setdefault(side, {})
                        of_set.setdefault(score, {}).setdefault(pair.subject, []).append(value)
    ordered = [*pairs, BASELINE]
    return {
        name: {
            score: {subject: float(np.mean(found)) for subject, found in subjects.items()}
            for score, subjects in gathered.get(name, {}).items()
        }
        for name in ordered
    }


def differences(values: Values) -> list[Difference]:
    """All differences between two sets, the baseline among them, over common subjects."""
    found = []
    for first, second in combinations(values, 2):
        for score, mine in values[first].items():
            other = values[second].get(score, {})
            subjects = [subject for subject in mine if subject in other]
            if not subjects or score.startswith("error-signed"):
                continue
            apart = np.array([mine[subject] - other[subject] for subject in subjects])
            found.append(_difference(score, first, second, apart, subjects))
    return found


def _difference(
    score: str, first: str, second: str, apart: NDArray[np.float64], subjects: list[str]
) -> Difference:
    mean, interval = over_subjects(apart, subjects)
    return Difference(
        score=score,
        first=first,
        second=second,
        subjects=len(subjects),
        mean=mean,
        sd=spread(apart, subjects),
        ci95=interval,
    )


def sets_csv(values: Values) -> str:
    """One row per set and score: subjects, mean, standard deviation, median, least and most."""
    rows = []
    for name, scores in values.items():
        for score, by_subject in scores.items():
            each = np.array(list(by_subject.values()))
            middle = float(np.median(each))
            ends = float(each.min()), float(each.max())
            deviation = spread(each, list(by_subject))
            rows.append((name, score, len(each), float(each.mean()), deviation, middle, *ends))
    columns = ("set", "score", "subjects", "mean", "sd", "median", "least", "most")
    return csv_text(columns, rows)


def differences_csv(found: Sequence[Difference]) -> str:
    """One row per score and pair of sets: mean of first − second with its 95 % interval."""
    rows = [
        (one.score, one.first, one.second, one.subjects, one.mean, one.sd)
        + (one.ci95 or (None, None))
        for one in found
    ]
    columns = ("score", "first", "second", "subjects", "mean", "sd", "ci95_low", "ci95_high")
    return csv_text(columns, rows)


def _together(found: Mapping[str, Assessed]) -> Scores:
    metrics = {
        f"{name}/{metric}": value
        for name, one in found.items()
        for metric, value in one.scores.metrics.items()
    }
    inputs: dict[str, dict[str, Any]] = {}
    for name, one in found.items():
        inputs.setdefault("real", one.scores.inputs["real"])
        inputs[f"synthetic: {name}"] = one.scores.inputs["synthetic"]
    last = list(found.values())[-1].scores.inputs
    if "segmenter" in last:
        inputs["segmenter"] = last["segmenter"]
    alarms: dict[tuple[str, str], Alarm] = {
        (alarm.name, alarm.reason): alarm for one in found.values() for alarm in one.scores.alarms
    }
    first = next(iter(found.values())).scores
    return Scores(
        metrics=metrics,
        inputs=inputs,
        alarms=tuple(alarms.values()),
        unjudged=first.unjudged,
        profile=first.profile,
    )


def _write_pictures(folder: Path, found: Mapping[str, Assessed]) -> dict[str, str]:
    """Per subject one sheet: rows are planes, columns labels, real, and every set."""
    by_subject = [{views.subject: views for views in one.views} for one in found.values()]
    common = [s for s in by_subject[0] if all(s in views for views in by_subject)]
    pictures = {}
    for number, subject in enumerate(common[:SHOWN_IN_PLANES], start=1):
        views = [of_set[subject] for of_set in by_subject]
        if not all(one.planes for one in views):
            continue
        rows = [
            [*views[0].planes[plane][:2], *(one.planes[plane][2] for one in views)]
            for plane in range(len(views[0].planes))
        ]
        file = f"planes_{number}.png"
        write_bytes(folder / file, encode_png(sheet_of_planes(rows)))
        pictures[f"planes_{number}"] = file
    return pictures
