"""New heads, numbered: their sizes and outlines from a seed, and the label maps of them as images.

Head ``k`` depends on the seed, k and what it is drawn from alone, not on how many are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.biometry import growth_centile
from fetalsynth.anatomy.ellipse import ellipse_columns, ellipse_from_columns, ellipse_mask
from fetalsynth.anatomy.heads2d.growth import age_of_circumference, sample_head
from fetalsynth.anatomy.heads2d.head import PlacedHead
from fetalsynth.anatomy.heads2d.labels import (
    HEAD_LABELS,
    LEAST_SEMI_AXIS_PX,
    labels_of_ellipse,
    measure_ellipse,
    skull_thickness_mm,
)
from fetalsynth.anatomy.heads2d.likeness import Likeness, sample_like
from fetalsynth.anatomy.heads2d.placing import place_head
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.datasets.decoding import decode, read_bytes
from fetalsynth.datasets.heads import THICKNESS, columns_of_head
from fetalsynth.datasets.preview import write_preview
from fetalsynth.errors import UserError
from fetalsynth.progress import Progress
from fetalsynth.randomness import numpy_rng

PREVIEW = "preview.png"
LABEL_CIRCUMFERENCE = "label_circumference_mm"
_STREAM = "head-ellipses"
_SHOWN = 48
_GREY = np.array([32, 255, 112], np.uint8)


@dataclass(frozen=True, kw_only=True)
class NewHead:
    """A head and the columns that say how it was drawn."""

    head: PlacedHead
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Standard:
    """Heads of the growth standard: of which ages and centiles, in what pictures.

    ``ages_weeks`` are drawn from with replacement; where it is empty, ages are uniform over
    ``weeks``. The rest is as in :func:`fetalsynth.anatomy.heads2d.placing.place_head`.
    """

    weeks: tuple[float, float]
    ages_weeks: tuple[float, ...]
    centiles: tuple[float, float]
    aspect: float
    pixel_spacing_mm: float | None


def standard_head(law: Standard, *, number: int, seed: int, size: int) -> NewHead:
    """Head ``number`` of the growth standard. Raises UserError where it does not fit."""
    rng = numpy_rng(seed=seed, stream=_STREAM, counter=number)
    age = float(rng.choice(law.ages_weeks) if law.ages_weeks else rng.uniform(*law.weeks))
    drawn = sample_head(rng, gestational_age_weeks=age, centiles=law.centiles)
    head = place_head(
        rng, drawn, size=size, aspect=law.aspect, pixel_spacing_mm=law.pixel_spacing_mm
    )
    return NewHead(head=head, columns={**_centile(head), "gestational_age_source": "drawn"})


def like_head(likeness: Likeness, *, number: int, seed: int, size: int) -> NewHead:
    """Head ``number`` of those like a data set's. Raises UserError where none is new enough."""
    rng = numpy_rng(seed=seed, stream=_STREAM, counter=number)
    try:
        drawn = sample_like(rng, likeness, size=size)
    except ValueError as error:
        raise UserError(f"--like: {error}; give a data set with more varied heads") from error
    new = with_age(drawn.head)
    said = {"nearest_distance": f"{drawn.nearest_distance:.6f}", "redrawn": str(drawn.redrawn)}
    return replace(new, columns={**new.columns, **said})


def with_age(head: PlacedHead) -> NewHead:
    """The head with its own age, else that at which its circumference is the median, if any is."""
    if head.gestational_age_weeks is not None:
        return NewHead(head=head, columns={**_centile(head), "gestational_age_source": "data set"})
    age = age_of_circumference(head.head_circumference_mm)
    source = {} if age is None else {"gestational_age_source": "head circumference"}
    return NewHead(head=replace(head, gestational_age_weeks=age), columns=source)


def _centile(head: PlacedHead) -> dict[str, str]:
    """Centile of the circumference at the head's age; nothing beyond the standard's ages."""
    weeks = head.gestational_age_weeks or 0.0
    try:
        centile = growth_centile(
            "head_circumference", value_mm=head.head_circumference_mm, gestational_age_weeks=weeks
        )
    except UserError:
        return {}
    return {"head_circumference_centile": f"{centile:.4f}"}


def check_sizes(heads: Sequence[NewHead], *, size: int) -> None:
    """Raise UserError where a head is too small in pixels to draw its skull."""
    least = min(new.head.ellipse.semi_minor_px for new in heads)
    if least < LEAST_SEMI_AXIS_PX:
        raise UserError(
            f"--size {size}: the smallest head would be {2 * least:.1f} pixels across; give at "
            f"least {int(np.ceil(size * LEAST_SEMI_AXIS_PX / least))}"
        )


def write_heads(folder: Path, heads: Sequence[NewHead], *, seed: int) -> dict[str, Any]:
    """Write label maps, masks of the head, table and preview; returns facts for the manifest.

    Label maps that an interrupted call left in ``folder`` are kept. Every map is measured again:
    the column ``label_circumference_mm`` and the fact ``worst_circumference_error``, relative.
    """
    writer = ImagesWriter(folder)
    shown: list[NDArray[np.uint8] | NDArray[np.uint16]] = []
    worst = 0.0
    with Progress(label="head ellipses", total=len(heads)) as progress:
        for number, new in enumerate(heads):
            labels, error = _write_one(writer, _as_written(new), number=number, seed=seed)
            worst = max(worst, abs(error))
            if number < _SHOWN:
                shown.append(_GREY[labels])
            progress.advance()
    writer.close()
    write_preview(folder / PREVIEW, shown)
    return {
        "images": len(heads),
        "content": "label maps",
        "labels": list(HEAD_LABELS),
        "worst_circumference_error": round(worst, 6),
    }


def _as_written(new: NewHead) -> NewHead:
    """With the digits that the table keeps, so that a row gives its label map bit by bit."""
    head = new.head
    ellipse = ellipse_from_columns(ellipse_columns(head.ellipse))
    assert ellipse is not None
    return replace(
        new,
        head=replace(
            head,
            ellipse=ellipse,
            pixel_spacing_y_mm=float(f"{head.pixel_spacing_y_mm:.10g}"),
            pixel_spacing_x_mm=float(f"{head.pixel_spacing_x_mm:.10g}"),
        ),
    )


def _write_one(
    writer: ImagesWriter, new: NewHead, *, number: int, seed: int
) -> tuple[NDArray[np.uint8], float]:
    """Write or adopt one head; returns its label map and the relative error of its HC."""
    head, name = new.head, f"head-{number:06d}"
    spacing = (head.pixel_spacing_y_mm, head.pixel_spacing_x_mm)
    asked = head.head_circumference_mm
    thickness = f"{skull_thickness_mm(head_circumference_mm=asked):.4f}"
    kept = _kept(writer.folder, name)
    labels = kept
    if labels is None:
        labels = labels_of_ellipse(
            head.ellipse,
            height=head.height,
            width=head.width,
            pixel_spacing_mm=spacing,
            thickness_mm=float(thickness),
        )
    measured = measure_ellipse(labels, pixel_spacing_mm=spacing).head_circumference_mm
    extra = {
        **columns_of_head(head),
        "cephalic_index": f"{head.biparietal_diameter_mm / head.occipitofrontal_diameter_mm:.6f}",
        THICKNESS: thickness,
        LABEL_CIRCUMFERENCE: f"{measured:.4f}",
        **new.columns,
        "seed": str(seed),
        "number": str(number),
    }
    if kept is None:
        mask = ellipse_mask(head.ellipse, height=head.height, width=head.width)
        writer.add(labels, name=name, subject=name, extra=extra, mask=mask)
    else:
        writer.adopt(name=name, subject=name, extra={**extra, "mask": f"masks/{name}.png"})
    writer.records[-1] = replace(
        writer.records[-1],
        pixel_spacing_y_mm=spacing[0],
        pixel_spacing_x_mm=spacing[1],
        gestational_age_weeks=head.gestational_age_weeks,
    )
    return labels, measured / asked - 1


def _kept(folder: Path, name: str) -> NDArray[np.uint8] | None:
    """The label map that an interrupted call wrote, None where it or its mask is not there."""
    path = folder / "images" / f"{name}.png"
    if not (path.is_file() and (folder / "masks" / f"{name}.png").is_file()):
        return None
    pixels = decode(read_bytes(path), path=path)[0]
    return pixels.astype(np.uint8)
