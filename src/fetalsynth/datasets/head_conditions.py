"""Rows of ``images.csv`` → what a generator of heads is told of each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.heads2d.growth import age_of_circumference
from fetalsynth.artifacts.images import TABLE, ImageRecord
from fetalsynth.datasets.heads import head_of_record, shares_of_record
from fetalsynth.errors import UserError


def conditions_of_records(
    records: Sequence[ImageRecord], *, size: int, where: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shares (N, 3, size, size) of outside, skull and inside, and ages (N,) in weeks.

    An age that the table does not know is that at which the head's circumference is the median of
    INTERGROWTH-21st; NaN for heads outside its range. Raises UserError, naming ``where``, for a
    row without ellipse or pixel spacing.
    """
    shares = np.empty((len(records), 3, size, size), np.float32)
    ages = np.empty(len(records), np.float32)
    for k, record in enumerate(records):
        found = shares_of_record(record, height=size, width=size)
        if found is None:
            raise UserError(
                f"{where}/{TABLE}: {record.file} has no head ellipse or no pixel spacing, which "
                "this generator is told; use an import of HC18, phantoms, or heads of "
                "`fetalsynth anatomy ellipses`"
            )
        shares[k], ages[k] = found, age_of_record(record, size=size)
    return shares, ages


def age_of_record(record: ImageRecord, *, size: int) -> float:
    """Weeks: the table's own, else by the circumference of the head, NaN outside 14 to 40."""
    if record.gestational_age_weeks is not None:
        return record.gestational_age_weeks
    head = head_of_record(record, height=size, width=size)
    if head is None:
        return math.nan
    age = age_of_circumference(head.head_circumference_mm)
    return math.nan if age is None else age
