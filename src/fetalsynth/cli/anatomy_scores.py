"""Measures of a set of heads in a few numbers, for programs: medians with their counts."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from fetalsynth.artifacts.manifest import Input
from fetalsynth.artifacts.scores import Metric, Scores

_SUMMARISED = {
    "atrial_width_left_mm": "Width of the left atrium, inner wall to inner wall",
    "atrial_width_right_mm": "Width of the right atrium, inner wall to inner wall",
    "bpd_mm": "Biparietal diameter along the inner border of the skull",
    "ofd_mm": "Occipitofrontal diameter along the inner border of the skull",
    "hc_mm": "Head circumference along the inner border of the skull",
    "tcd_mm": "Transcerebellar diameter",
    "cortical_thickness_mm": "Thickness of the cortex, median of each volume",
    "ventricles_ml": "Volume of all ventricles",
}


def summary_of(rows: Sequence[dict[str, Any]], *, source: Input, synthetic: bool) -> Scores:
    """The median of each measure over the volumes that have it; real or synthetic by count."""
    metrics = {}
    for name, meaning in _SUMMARISED.items():
        values = [row[name] for row in rows if row[name] is not None]
        if not values:
            continue
        start, _, unit = name.rpartition("_")
        metrics[f"{start.replace('_', '-')}-median"] = Metric(
            value=float(median(values)),
            direction="none",
            n_real=0 if synthetic else len(values),
            n_synthetic=len(values) if synthetic else 0,
            unit=unit,
            settings={"lowest": float(min(values)), "highest": float(max(values))},
            meaning=f"{meaning}: the median over the volumes.",
        )
    read = {"path": source.path, "digest": source.digest, "count": len(rows)}
    return Scores(metrics=metrics, inputs={"labels": read})
