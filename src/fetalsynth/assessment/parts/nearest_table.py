"""Every nearest distance behind the copying screen, as a table."""

from __future__ import annotations

import numpy as np

from fetalsynth.assessment.metrics.nearest import Neighbours
from fetalsynth.assessment.samples import Samples
from fetalsynth.assessment.tables import csv_text

NEAREST = "nearest_distances.csv"
HEADER = ("role", "file", "nearest_file", "relative_distance", "isolation")


def nearest_table(
    *, samples: Samples, role: str, synthetic: Neighbours, held_out: Neighbours
) -> dict[str, str]:
    """``nearest_distances.csv``: one row per synthetic and per independent held-out image.

    Distances to the nearest image of ``role`` are relative to the median of the held-out ones.
    """
    usual = float(np.median(held_out.distance)) or 1.0
    held_out_files = [samples.files["real"][i] for i in samples.one_per_subject("real")]
    rows = [
        (name, file, samples.files[role][index], float(distance) / usual, float(isolation))
        for name, files, found in (
            ("synthetic", samples.files["synthetic"], synthetic),
            ("held-out", held_out_files, held_out),
        )
        for file, index, distance, isolation in zip(
            files, found.index, found.distance, found.isolation, strict=True
        )
    ]
    return {NEAREST: csv_text(HEADER, rows)}
