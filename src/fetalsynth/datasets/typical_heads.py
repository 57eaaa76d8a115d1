"""Heads like those that a model learned from, kept beside its weights; none is a patient's.

A model of heads knows heads as they occur in its data. The table holds heads drawn from the law of
the data (:mod:`fetalsynth.anatomy.heads2d.likeness`), and others are drawn
from the law of the table, without end.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from fetalsynth.anatomy.ellipse import ellipse_columns, ellipse_from_columns
from fetalsynth.anatomy.heads2d.head import PlacedHead, lies_in_picture
from fetalsynth.anatomy.heads2d.likeness import Likeness, fit_likeness, sample_like
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.datasets.heads import head_of_record
from fetalsynth.errors import UserError, explaining
from fetalsynth.randomness import numpy_rng

TYPICAL_HEADS = "heads.csv"
MANY = 256

_AGE = "gestational_age_weeks"
_SPACINGS = ("pixel_spacing_y_mm", "pixel_spacing_x_mm")


def typical_heads(
    records: Sequence[ImageRecord], *, size: int, seed: int
) -> tuple[PlacedHead, ...]:
    """256 new heads like those of ``records``, whose pictures have ``size`` × ``size`` pixels.

    None is within 0.002 picture sizes of a head of the data. Empty where the data have fewer than
    20 whole heads, or too much alike to draw others: too few to tell a law from.
    """
    known = [(head_of_record(r, height=size, width=size), r.subject) for r in records]
    whole = [(head, subject) for head, subject in known if head and lies_in_picture(head)]
    try:
        likeness = fit_likeness([head for head, _ in whole], subjects=[name for _, name in whole])
        return tuple(
            sample_like(
                numpy_rng(seed=seed, stream="typical-heads", counter=number), likeness, size=size
            ).head
            for number in range(MANY)
        )
    except ValueError:
        return ()


def write_typical_heads(path: Path, heads: Sequence[PlacedHead]) -> None:
    """Write ``heads`` on square pictures as CSV, one a line."""
    stream = io.StringIO()
    rows = [_cells(head) for head in heads]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, stream.getvalue())


def _cells(head: PlacedHead) -> dict[str, str]:
    age = head.gestational_age_weeks
    return {
        "size_px": str(head.width),
        **{name: f"{getattr(head, name):.6g}" for name in _SPACINGS},
        _AGE: "" if age is None else f"{age:.6g}",
        **ellipse_columns(head.ellipse),
    }


def read_typical_law(path: Path) -> Likeness:
    """The law of the heads in a table of :func:`write_typical_heads`, every one a subject.

    Raises UserError where it is damaged.
    """
    with explaining(path), path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    try:
        heads = [_head(row) for row in rows]
        return fit_likeness(heads, subjects=[str(number) for number in range(len(heads))])
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: is damaged ({error}); train or fetch the model again") from error


def _head(row: Mapping[str, str]) -> PlacedHead:
    ellipse = ellipse_from_columns(row)
    size, age = int(row["size_px"]), row[_AGE]
    down, along = (float(row[name]) for name in _SPACINGS)
    if ellipse is None or not all(0 < value < math.inf for value in (down, along)):
        raise ValueError("a row without ellipse or pixel spacing")
    return PlacedHead(
        ellipse=ellipse,
        height=size,
        width=size,
        pixel_spacing_y_mm=down,
        pixel_spacing_x_mm=along,
        gestational_age_weeks=float(age) if age else None,
    )
