"""Heads that an ``images`` artifact knows: rows with an ellipse → outlines, ages, label maps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from fetalsynth.anatomy.ellipse import ellipse_columns, ellipse_from_columns, map_ellipse
from fetalsynth.anatomy.heads2d.head import PlacedHead
from fetalsynth.anatomy.heads2d.labels import labels_of_ellipse, shares_of_ellipse
from fetalsynth.artifacts.images import TABLE, ImageRecord, read_table
from fetalsynth.artifacts.manifest import Input, input_from
from fetalsynth.datasets.geometry import place
from fetalsynth.datasets.splits import TRAIN
from fetalsynth.errors import UserError, explaining

THICKNESS = "skull_thickness_mm"

Drawn = TypeVar("Drawn")


@dataclass(frozen=True, kw_only=True)
class KnownHeads:
    """Heads of a data set on square pictures, with the subject of each.

    ``lacking`` counts the images without an ellipse or a pixel spacing.
    """

    heads: tuple[PlacedHead, ...]
    subjects: tuple[str, ...]
    source: Input
    lacking: int


def read_heads(folder: Path, *, split: str | None = None) -> KnownHeads:
    """The heads of an ``images`` artifact: of ``split``, by default "train" where it is split.

    Images that are no squares are padded to one, as an import does. Raises UserError where
    ``folder`` is no such artifact, was changed, or no row has an ellipse and a pixel spacing.
    """
    source = input_from(folder, role="like", kind="images")
    rows = read_table(folder)
    if split is None and any(row.split for row in rows):
        split = TRAIN
    chosen = [row for row in rows if split is None or row.split == split]
    found = [(row.subject, _squared(head)) for row in chosen if (head := _read(folder, row))]
    if not found:
        which = "" if split is None else f" in split {split!r}"
        raise UserError(
            f"{folder / TABLE}: no image{which} has a head ellipse and a pixel spacing; give an "
            "import of HC18 or ultrasound phantoms"
        )
    return KnownHeads(
        heads=tuple(head for _, head in found),
        subjects=tuple(subject for subject, _ in found),
        source=source,
        lacking=len(chosen) - len(found),
    )


def _read(folder: Path, row: ImageRecord) -> PlacedHead | None:
    path = folder / row.file
    with explaining(path):
        try:
            with Image.open(path) as image:
                width, height = image.size
        except UnidentifiedImageError as error:
            raise UserError(f"{path}: is no image; import the data again") from error
    return head_of_record(row, height=height, width=width)


def _squared(head: PlacedHead) -> PlacedHead:
    """The same head on the square that an import would pad the picture to."""
    if head.height == head.width:
        return head
    size = max(head.height, head.width)
    spot = place(height=head.height, width=head.width, size=size, fit="pad")
    shift = (float(spot.left), float(spot.top))
    moved = map_ellipse(head.ellipse, matrix=np.eye(2), shift=shift)
    return replace(head, ellipse=moved, height=size, width=size)


def head_of_record(record: ImageRecord, *, height: int, width: int) -> PlacedHead | None:
    """The head of one row of ``images.csv``; None without an ellipse or a pixel spacing.

    Raises UserError where the columns of the ellipse are not whole or not numbers.
    """
    try:
        ellipse = ellipse_from_columns(record.extra)
    except ValueError as error:
        raise UserError(f"{record.file}: its ellipse in {TABLE} is broken ({error})") from error
    down, along = record.pixel_spacing_y_mm, record.pixel_spacing_x_mm
    if ellipse is None or down is None or along is None:
        return None
    return PlacedHead(
        ellipse=ellipse,
        height=height,
        width=width,
        pixel_spacing_y_mm=down,
        pixel_spacing_x_mm=along,
        gestational_age_weeks=record.gestational_age_weeks,
    )


def labels_of_record(record: ImageRecord, *, height: int, width: int) -> NDArray[np.uint8] | None:
    """Label map (height, width) of the head of one row, real or new; None where it has none.

    The skull is as thick as the column ``skull_thickness_mm`` says, else as
    :func:`fetalsynth.anatomy.heads2d.labels.skull_thickness_mm` draws it.
    Raises UserError for a broken ellipse or a head too small to draw.
    """
    return _drawn(labels_of_ellipse, record, height=height, width=width)


def shares_of_record(record: ImageRecord, *, height: int, width: int) -> NDArray[np.float32] | None:
    """Shares (3, height, width) of the labels, as :func:`labels_of_record`; for small pictures."""
    return _drawn(shares_of_ellipse, record, height=height, width=width)


def _drawn(
    draw: Callable[..., Drawn], record: ImageRecord, *, height: int, width: int
) -> Drawn | None:
    head = head_of_record(record, height=height, width=width)
    if head is None:
        return None
    try:
        return draw(
            head.ellipse,
            height=height,
            width=width,
            pixel_spacing_mm=(head.pixel_spacing_y_mm, head.pixel_spacing_x_mm),
            thickness_mm=_thickness(record),
        )
    except ValueError as error:
        raise UserError(
            f"{record.file}: its head is {2 * head.ellipse.semi_minor_px:.2g} pixels across on "
            f"pictures of {width} × {height}, too small to draw; import the images larger, or "
            "leave it out"
        ) from error


def _thickness(record: ImageRecord) -> float | None:
    text = record.extra.get(THICKNESS, "")
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not 0 < value < math.inf:
        raise UserError(f"{record.file}: {THICKNESS} in {TABLE} is not a positive number: {text}")
    return value


def columns_of_head(head: PlacedHead) -> dict[str, str]:
    """Size and outline in the columns that imports of HC18 and phantoms use."""
    return {
        "head_circumference_mm": f"{head.head_circumference_mm:.4f}",
        "biparietal_diameter_mm": f"{head.biparietal_diameter_mm:.4f}",
        "occipitofrontal_diameter_mm": f"{head.occipitofrontal_diameter_mm:.4f}",
        **ellipse_columns(head.ellipse),
    }
