"""What the loop trains on: images resident on the device, and which of a set a recipe takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.datasets.head_conditions import conditions_of_records
from fetalsynth.datasets.loading import ImageSet, load_images
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.head_conditions import HeadConditions, head_conditions
from fetalsynth.generators.levels import from_levels
from fetalsynth.generators.settings import FlowSettings
from fetalsynth.randomness import numpy_rng
from fetalsynth.training.recipe import Recipe, Run

PREVIEW_CONDITIONS = 12


class TrainingData(Protocol):
    """``count`` items by number, already on the device of the training."""

    count: int

    def batch(self, indices: Tensor) -> Batch: ...
    def calibration(self) -> list[Batch]: ...
    def preview(self) -> Batch: ...


class ResidentImages:
    """All images (N, H, W, C) on the device, in the bytes of their files.

    ``heads`` are what a generator of heads is told of each.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8] | NDArray[np.uint16],
        *,
        device: torch.device,
        heads: HeadConditions | None = None,
    ) -> None:
        self.count = len(pixels)
        self._heads = None if heads is None else heads.on(device)
        self._full_scale = float(np.iinfo(pixels.dtype).max)
        levels = torch.from_numpy(pixels.astype(np.int32) if pixels.dtype == np.uint16 else pixels)
        self._levels = levels.permute(0, 3, 1, 2).contiguous().to(device)

    def batch(self, indices: Tensor) -> Batch:
        """The images of these numbers."""
        levels = self._levels[indices.to(self._levels.device)]
        images = from_levels(levels, full_scale=self._full_scale)
        if self._heads is None:
            return Batch(images=images)
        return self._heads.told(images, indices)

    def calibration(self) -> list[Batch]:
        """Nothing: the generator is calibrated on latents."""
        return []

    def preview(self) -> Batch:
        """Images spread over the set, whose conditions serve for the preview if there are any."""
        spread = torch.linspace(0, self.count - 1, min(PREVIEW_CONDITIONS, self.count))
        return self.batch(spread.long())


def check_images(pixels: NDArray[np.uint8] | NDArray[np.uint16], *, recipe: Recipe) -> None:
    """Raise UserError where images and recipe do not fit together."""
    _, height, width, channels = pixels.shape
    size = recipe.generator.size
    if (height, width) != (size, size):
        raise UserError(
            f"the images are {width}×{height}, recipe {recipe.name} makes {size}×{size}; "
            f"import them with --size {size} or take another recipe"
        )
    if channels != recipe.generator.channels:
        raise UserError(
            f"the images have {channels} channels, the recipe {recipe.generator.channels}; "
            f"add --generator.channels {channels}"
        )


def check_batch(*, count: int, recipe: Run, processes: int, least: int) -> None:
    """Raise UserError where the batch is larger than the data or cannot be shared out.

    ``least`` is the smallest batch that one process can train on.
    """
    if count < recipe.batch_size:
        raise UserError(
            f"there are {count} images to train on, fewer than one batch of {recipe.batch_size}; "
            f"add images or give --batch-size {max(least, count)} or less"
        )
    if recipe.batch_size % processes or recipe.batch_size < least * processes:
        raise UserError(
            f"a batch of {recipe.batch_size} cannot be shared by {processes} processes; "
            f"give a --batch-size that is a multiple of {processes}"
        )


def known_heads(images: ImageSet, *, recipe: Recipe, where: str) -> HeadConditions | None:
    """What a generator of heads is told of each image; None for other generators.

    Raises UserError where a row lacks what has to be told.
    """
    settings = recipe.generator
    if not isinstance(settings, FlowSettings) or settings.condition != "head":
        return None
    shares, ages = conditions_of_records(images.records, size=settings.size, where=where)
    return head_conditions(torch.from_numpy(shares), torch.from_numpy(ages))


def load_training_images(folder: Path, *, recipe: Recipe, seed: int) -> ImageSet:
    """Read the images of ``folder`` that ``recipe`` asks for.

    ``split: train`` leaves held-out subjects out where the set has any. ``images: n`` takes whole
    subjects in an order fixed by ``seed`` until n images are there (the last subject may be cut),
    so smaller subsets lie within larger ones. Raises UserError where there are too few.
    """
    everything = load_images(folder, role="data")
    chosen = list(range(len(everything.records)))
    splits = {record.split for record in everything.records}
    if recipe.split == "train" and "train" in splits:
        chosen = [k for k in chosen if everything.records[k].split == "train"]
    if recipe.images is not None:
        if len(chosen) < recipe.images:
            raise UserError(
                f"{folder}: has {len(chosen)} images to train on, the recipe wants "
                f"{recipe.images}; give a smaller --images or import with a smaller held-out part"
            )
        chosen = sorted(_by_subject(everything, chosen, seed=seed)[: recipe.images])
    return replace(
        everything,
        pixels=everything.pixels[chosen],
        records=tuple(everything.records[k] for k in chosen),
    )


def _by_subject(images: ImageSet, chosen: list[int], *, seed: int) -> list[int]:
    """``chosen`` with the images of each subject together and the subjects shuffled."""
    subjects: dict[str, list[int]] = {}
    for k in chosen:
        subjects.setdefault(images.records[k].subject, []).append(k)
    names = sorted(subjects)
    order = numpy_rng(seed=seed, stream="training subset").permutation(len(names))
    return [k for position in order for k in subjects[names[position]]]
