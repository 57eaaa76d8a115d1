"""Tissues whose size is far from that of the other subjects: often a wrong label map."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np

from fetalsynth.datasets.volumes.inspecting import SeenVolume

_ODD = 5.0  # median absolute deviations
_LEAST = 8  # volumes; the spread of fewer says little


def odd_sizes(
    labelled: Sequence[SeenVolume], *, names: Sequence[str], labels: Sequence[int]
) -> list[str]:
    """Volumes further than ``_ODD`` median absolute deviations, at least a factor of 2, from the
    others in the logarithm of a tissue's volume, after a line over age where all ages are known.
    """
    if len(labelled) < _LEAST:
        return []
    ages = [v.gestational_age_weeks for v in labelled]
    found = []
    for label in sorted(labels):
        size = np.log([v.tissues_ml.get(label, np.nan) for v in labelled])
        there = np.isfinite(size)
        if None not in ages:
            weeks = np.array(ages, np.float64)
            size = size - np.polyval(np.polyfit(weeks[there], size[there], 1), weeks)
        apart = np.abs(size - np.nanmedian(size))
        limit = max(_ODD * float(np.nanmedian(apart)), log(2))
        found += [
            f"{v.name}: {names[label]} {v.tissues_ml[label]:.1f} ml"
            for v, far in zip(labelled, apart, strict=True)
            if far > limit
        ]
    return found
