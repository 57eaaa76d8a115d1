"""Heads that a model of heads shows where none is asked for: new ones, like those it learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fetalsynth.anatomy.heads2d.labels import skull_thickness_mm
from fetalsynth.anatomy.heads2d.likeness import Likeness, sample_like
from fetalsynth.anatomy.heads2d.placing import HC18_ASPECT
from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.datasets.head_conditions import conditions_of_records
from fetalsynth.datasets.heads import THICKNESS, columns_of_head
from fetalsynth.datasets.new_heads import NewHead, Standard, standard_head, with_age
from fetalsynth.datasets.typical_heads import TYPICAL_HEADS, read_typical_law
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.head_conditions import head_conditions
from fetalsynth.randomness import numpy_rng
from fetalsynth.synthesis.asked_heads import told_of

_STANDARD = Standard(
    weeks=(14.0, 40.0),
    ages_weeks=(),
    centiles=(0.0, 100.0),
    aspect=HC18_ASPECT,
    pixel_spacing_mm=None,
)


@dataclass(frozen=True, kw_only=True)
class DrawnHeads:
    """An endless row of heads on pictures of ``size`` × ``size``; ``head`` draws number k."""

    head: Callable[[int], NewHead]
    size: int

    def record(self, number: int) -> ImageRecord:
        """The row of head ``number``, which has no file of its own."""
        new = self.head(number)
        thickness = skull_thickness_mm(head_circumference_mm=new.head.head_circumference_mm)
        return ImageRecord(
            file="",
            subject="",
            sha256="",
            pixel_spacing_y_mm=new.head.pixel_spacing_y_mm,
            pixel_spacing_x_mm=new.head.pixel_spacing_x_mm,
            gestational_age_weeks=new.head.gestational_age_weeks,
            extra={**columns_of_head(new.head), THICKNESS: f"{thickness:.4f}", **new.columns},
        )

    def batch(self, numbers: Sequence[int], *, device: torch.device) -> Batch:
        """What the generator is told of these heads."""
        records = [self.record(number) for number in numbers]
        shares, ages = conditions_of_records(records, size=self.size, where="drawn heads")
        conditions = head_conditions(torch.from_numpy(shares), torch.from_numpy(ages))
        return told_of(conditions, torch.arange(len(records)), device=device)


def drawn_heads(folder: Path, *, size: int, seed: int) -> DrawnHeads:
    """Heads for the model in ``folder``: like those of its data, which its table tells.

    Models without the table (data of fewer than 20 heads, or trained before there was one) show
    heads of the growth standard (INTERGROWTH-21st, 14 to 40 weeks). Head k depends on ``seed``, k
    and the table alone. Raises UserError for a damaged table.
    """
    table = folder / TYPICAL_HEADS
    if table.is_file():
        law = read_typical_law(table)
        return DrawnHeads(head=lambda number: _like(law, number, seed=seed, size=size), size=size)
    return DrawnHeads(
        head=lambda number: standard_head(_STANDARD, number=number, seed=seed, size=size), size=size
    )


def _like(law: Likeness, number: int, *, seed: int, size: int) -> NewHead:
    rng = numpy_rng(seed=seed, stream="drawn-heads", counter=number)
    return with_age(sample_like(rng, law, size=size).head)
