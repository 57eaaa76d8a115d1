"""Many brains in one picture: three planes of each, all at one scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.datasets.volumes.pictures import coloured

if TYPE_CHECKING:
    from fetalsynth.anatomy.population.model import Population
    from fetalsynth.anatomy.population.space import Head

_TITLE = 18
_GAP = 4
_BESIDE_MM = 12.0  # the sagittal plane: beside the middle, through a hemisphere


@dataclass(frozen=True, kw_only=True)
class Brain:
    """(I, J, K) labels in RAS+ order, the head's centre in the middle of the volume."""

    title: str
    labels: NDArray[np.uint8]
    spacing_mm: float


def brains_picture(brains: Sequence[Brain], *, columns: int, cell: int = 92) -> NDArray[np.uint8]:
    """(H, W, 3): of every brain a sagittal, a coronal and an axial plane with its title."""
    reach = max(_reach_mm(brain) for brain in brains)
    width, height = 3 * cell + _GAP, cell + _TITLE
    rows = math.ceil(len(brains) / columns)
    sheet = Image.new("RGB", (columns * width, rows * height), (24, 24, 24))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, brain in enumerate(brains):
        left, top = (number % columns) * width, (number // columns) * height
        pen.text((left + 4, top + 2), brain.title, fill=(255, 255, 255), font=font)
        for axis in range(3):
            sheet.paste(_plane(brain, axis, cell, reach), (left + axis * cell, top + _TITLE))
    return np.asarray(sheet)


def _reach_mm(brain: Brain) -> float:
    """Side of the smallest cube about the centre that holds the head."""
    voxels = np.argwhere(brain.labels[::2, ::2, ::2] > 0) * 2
    middle = (np.array(brain.labels.shape) - 1) / 2
    return 2 * brain.spacing_mm * float(np.abs(voxels - middle).max()) + 4


def _plane(brain: Brain, axis: int, cell: int, reach_mm: float) -> Image.Image:
    place = brain.labels.shape[axis] // 2
    if axis == 0:
        place += round(_BESIDE_MM / brain.spacing_mm)
    one = tuple(slice(place, place + 1) if a == axis else slice(None) for a in range(3))
    flat = to_slices(brain.labels[one], plane=PLANES[axis])[0]
    scale = cell / reach_mm * brain.spacing_mm
    size = (max(1, round(flat.shape[1] * scale)), max(1, round(flat.shape[0] * scale)))
    drawn = Image.fromarray(coloured(flat)).resize(size, Image.Resampling.BOX)
    frame = Image.new("RGB", (cell, cell))
    frame.paste(drawn, ((cell - size[0]) // 2, (cell - size[1]) // 2))
    return frame


def growth_picture(population: Population, heads: Sequence[Head]) -> NDArray[np.uint8]:
    """(H, W, 3): the expected brain at up to eight ages between the youngest and the oldest."""
    import torch

    from fetalsynth.anatomy.population.fitting import hardened
    from fetalsynth.anatomy.population.registration import carried
    from fetalsynth.anatomy.population.space import soft_maps
    from fetalsynth.anatomy.population.template import template_at

    moved = [
        carried(soft_maps(head, pose, population.grid), torch.from_numpy(v), grid=population.grid)
        for head, pose, v in zip(heads, population.poses, population.velocities, strict=True)
    ]
    low, high = float(population.weeks.min()), float(population.weeks.max())
    brains = []
    for age in np.unique(np.linspace(low, high, min(8, len(heads)))):
        maps, scale = template_at(population, moved, weeks=float(age))
        brains.append(
            Brain(
                title=f"{age:.1f} weeks",
                labels=hardened(maps),
                spacing_mm=population.grid.spacing_mm * scale,
            )
        )
    return brains_picture(brains, columns=min(4, len(brains)), cell=140)
