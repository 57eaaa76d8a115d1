"""The tables of an assessment of pairs, as CSV text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.assessment.paired.facts import split_name
from fetalsynth.assessment.paired.pair import PairScores
from fetalsynth.assessment.paired.slices import SCORES, SliceScores
from fetalsynth.assessment.tables import csv_text


def pairs_csv(scored: Sequence[PairScores]) -> str:
    """One row per pair: its files, every score, and the same score of the trivial baseline."""
    names = list(dict.fromkeys(name for pair in scored for name in pair.values))
    columns = [column for name in names for column in (name, f"{name}-baseline")]
    rows = [
        (
            *(pair.subject, pair.real_file, pair.synthetic_file),
            *(side.get(name) for name in names for side in (pair.values, pair.baseline)),
        )
        for pair in scored
    ]
    return csv_text(("subject", "real_file", "synthetic_file", *columns), rows)


def slices_csv(scored: Sequence[PairScores]) -> str:
    """One row per slice of every volume: plane, number, scores, and those of the baseline."""
    columns = [column for name in SCORES for column in (name, f"{name}-baseline")]
    rows = [
        (
            *(pair.subject, pair.real_file, pair.synthetic_file, one.plane, one.index),
            *(side.values[name] for name in SCORES for side in (one, plain)),
        )
        for pair in scored
        for one, plain in zip(pair.slices, pair.baseline_slices, strict=True)
    ]
    return csv_text(("subject", "real_file", "synthetic_file", "plane", "slice", *columns), rows)


def slices_summary_csv(scored: Sequence[PairScores]) -> str:
    """One row per plane and score: slices, median, least and most, and the baseline's median."""
    rows = []
    for plane in PLANES:
        for name in SCORES:
            each, plain = (
                [one.values[name] for pair in scored for one in of(pair) if one.plane == plane]
                for of in (_slices, _baseline_slices)
            )
            if each:
                middles = float(np.median(each)), float(np.median(plain))
                rows.append((plane, name, len(each), middles[0], min(each), max(each), middles[1]))
    columns = ("plane", "score", "slices", "median", "least", "most", "baseline_median")
    return csv_text(columns, rows)


def _slices(pair: PairScores) -> tuple[SliceScores, ...]:
    return pair.slices


def _baseline_slices(pair: PairScores) -> tuple[SliceScores, ...]:
    return pair.baseline_slices


def dice_csv(scored: Sequence[PairScores], *, label_names: Sequence[str]) -> str:
    """One row per volume and label: Dice of the synthetic, the real and the painted image."""
    rows = []
    for pair in scored:
        sides = (pair.values, pair.ceiling, pair.baseline)
        for name in dict.fromkeys(name for side in sides for name in side):
            metric, region = split_name(name)
            if metric != "Dice":
                continue
            label = region.removeprefix("label")
            known = label.isdigit() and int(label) < len(label_names)
            named = label_names[int(label)] if known else ""
            rows.append((pair.subject, label, named, *(side.get(name) for side in sides)))
    return csv_text(("subject", "label", "tissue", "synthetic", "real", "painted"), rows)
