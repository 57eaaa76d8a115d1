"""Heads that images are asked for: the rows of a table, and what a generator is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from fetalsynth.anatomy.ellipse import ellipse_columns, map_ellipse, scale_ellipse
from fetalsynth.anatomy.heads2d.head import PlacedHead
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.datasets.head_conditions import conditions_of_records
from fetalsynth.datasets.heads import THICKNESS, columns_of_head, head_of_record
from fetalsynth.datasets.loading import load_images
from fetalsynth.datasets.new_heads import NewHead, with_age
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.head_conditions import HeadConditions, head_conditions

_KEPT = ("head_circumference_mm", THICKNESS)


class Heads(Protocol):
    """Numbered heads to be shown, on the grid of the model: rows of a table, and what to tell.

    The rows have the pixel spacing and the ellipse of that grid.
    """

    def record(self, number: int) -> ImageRecord: ...
    def batch(self, numbers: Sequence[int], *, device: torch.device) -> Batch: ...


@dataclass(frozen=True, kw_only=True)
class AskedHeads:
    """The heads of a folder, one per image to be made; ``source`` is where they are from."""

    records: tuple[ImageRecord, ...]
    conditions: HeadConditions
    source: Input

    def record(self, number: int) -> ImageRecord:
        """The row of head ``number``."""
        return self.records[number]

    def batch(self, numbers: Sequence[int], *, device: torch.device) -> Batch:
        """What the generator is told of these heads; past the last one they begin anew."""
        count = len(self.records)
        indices = torch.tensor([number % count for number in numbers])
        return told_of(self.conditions, indices, device=device)


def told_of(conditions: HeadConditions, indices: Tensor, *, device: torch.device) -> Batch:
    """Conditions of these numbers without images, on ``device``."""
    chosen = HeadConditions(covered=conditions.covered[indices], ages=conditions.ages[indices])
    nothing = torch.empty(len(indices), 0, device=device)
    return chosen.on(device).told(nothing, torch.arange(len(indices)))


def read_asked_heads(folder: Path, *, size: int) -> AskedHeads:
    """The heads of an ``images`` artifact, brought to ``size`` × ``size`` pixels.

    Label maps that ``fetalsynth anatomy ellipses`` drew, or real images with outlines; pictures of
    another size are scaled, the head in mm staying what it is. Raises UserError where ``folder`` is
    no such artifact, was changed, is no set of squares, or has a row without ellipse or spacing.
    """
    found = load_images(folder, role="heads")
    height, width = found.pixels.shape[1:3]
    if height != width:
        raise UserError(f"{folder}: its pictures are no squares; give heads on squares")
    records = tuple(_scaled(r, side=height, size=size, where=folder) for r in found.records)
    shares, ages = conditions_of_records(records, size=size, where=str(folder))
    conditions = head_conditions(torch.from_numpy(shares), torch.from_numpy(ages))
    return AskedHeads(records=records, conditions=conditions, source=found.source)


def _scaled(record: ImageRecord, *, side: int, size: int, where: Path) -> ImageRecord:
    head = head_of_record(record, height=side, width=side)
    if head is None:
        raise UserError(
            f"{where}: {record.file} has no head ellipse or no pixel spacing; make heads with "
            "fetalsynth anatomy ellipses, or give an import of HC18"
        )
    factor = size / side
    ellipse = map_ellipse(
        scale_ellipse(head.ellipse, x=1.0, y=1.0),
        matrix=torch.eye(2).numpy() * factor,
        shift=((factor - 1) / 2, (factor - 1) / 2),
    )
    moved = PlacedHead(
        ellipse=ellipse,
        height=size,
        width=size,
        pixel_spacing_y_mm=head.pixel_spacing_y_mm / factor,
        pixel_spacing_x_mm=head.pixel_spacing_x_mm / factor,
        gestational_age_weeks=head.gestational_age_weeks,
    )
    told = with_age(moved) if head.gestational_age_weeks is None else NewHead(head=moved)
    kept = {key: record.extra[key] for key in _KEPT if key in record.extra} | told.columns
    return ImageRecord(
        file=record.file,
        subject=record.subject,
        sha256=record.sha256,
        pixel_spacing_y_mm=moved.pixel_spacing_y_mm,
        pixel_spacing_x_mm=moved.pixel_spacing_x_mm,
        gestational_age_weeks=told.head.gestational_age_weeks,
        extra={**columns_of_head(moved), **kept, **ellipse_columns(ellipse)},
    )
