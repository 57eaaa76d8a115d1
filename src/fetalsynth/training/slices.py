"""Slices of labelled volumes, taken on the fly from volumes that stay on the device."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.artifacts.volumes import WHITE, VolumeRecord
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.datasets.volumes.loading import VolumeSet, load_volumes
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.levels import from_levels
from fetalsynth.generators.neighbours import hung, neighbours_of
from fetalsynth.randomness import numpy_rng
from fetalsynth.training.recipe import SliceRecipe

CALIBRATION_SLICES, CALIBRATION_BATCH = 96, 8
PREVIEW_SLICES = 12


class ResidentSlices:
    """The slices of ``planes`` through every volume: cubes of one size, image and labels.

    ``empty_share`` of the slices without any label are kept, chosen by ``seed``. ``context``
    neighbours on either side lend their labels to a slice. Rows of ``items`` are (volume, plane,
    number of the slice as in ``to_slices``).
    """

    def __init__(
        self,
        volumes: VolumeSet,
        *,
        planes: Sequence[Plane],
        empty_share: float,
        seed: int,
        device: torch.device,
        context: int = 0,
    ) -> None:
        self._context = context
        self._patients = [record.subject for record in volumes.records]
        self._ages = torch.tensor([_age(record) for record in volumes.records], device=device)
        self._images = [torch.from_numpy(image).to(device) for image in volumes.images]
        self._labels = [torch.from_numpy(labels).to(device) for labels in volumes.labels]
        self.items = _items(volumes.labels, planes=planes, empty_share=empty_share, seed=seed)
        self.count = len(self.items)

    def batch(self, indices: Tensor) -> Batch:
        """Slices of these numbers: images (N, 1, S, S), planes (N,), ages (N,) in weeks.

        Labels are (N, S, S), with neighbours (N, 2 · context + 1, S, S).
        """
        rows = self.items[indices.numpy()].tolist()
        levels = torch.stack([_slice(self._images[v], axis, n) for v, axis, n in rows])
        labels = torch.stack([self._labels_of(v, axis, n) for v, axis, n in rows])
        planes = torch.tensor([axis for _, axis, _ in rows], device=levels.device)
        images = from_levels(levels[:, None], full_scale=WHITE)
        ages = self._ages[[v for v, _, _ in rows]]
        return Batch(images=images, labels=labels, planes=planes, ages=ages)

    def _labels_of(self, volume: int, axis: int, number: int) -> Tensor:
        cube = self._labels[volume]
        if not self._context:
            return _slice(cube, axis, number)
        stack = neighbours_of(cube, axis=axis, number=number, context=self._context)
        return hung(stack)

    def calibration(self) -> list[Batch]:
        """Slices spread evenly over all, in batches."""
        spread = self._spread(CALIBRATION_SLICES)
        return [self.batch(part) for part in torch.split(spread, CALIBRATION_BATCH)]

    def only(self, numbers: NDArray[np.int64]) -> ResidentSlices:
        """These of the slices, as slices 0, 1, …"""
        some = copy.copy(self)
        some.items, some.count = self.items[numbers], len(numbers)
        return some

    def patients(self) -> list[str]:
        """Whose each slice is."""
        return [self._patients[volume] for volume in self.items[:, 0].tolist()]

    def held(self) -> NDArray[np.int64]:
        """How many pixels of each slice are labelled (count,)."""
        return np.array([_held(self._labels[v], axis, n) for v, axis, n in self.items.tolist()])

    def preview(self) -> Batch:
        """A few slices spread over the volumes, near the middle of each."""
        held = self.held()
        rich = np.flatnonzero(held >= np.quantile(held, 0.6))
        chosen = rich[np.linspace(0, len(rich) - 1, min(PREVIEW_SLICES, len(rich))).astype(int)]
        return self.batch(torch.from_numpy(chosen))

    def _spread(self, wanted: int) -> Tensor:
        return torch.linspace(0, self.count - 1, min(wanted, self.count)).long()


def load_training_volumes(folder: Path, *, recipe: SliceRecipe, seed: int) -> VolumeSet:
    """Read the volumes of ``folder`` that ``recipe`` asks for, as cubes of its size.

    ``split: train`` leaves held-out subjects out where the set has any. ``volumes: n`` takes the
    first n of an order fixed by ``seed``, so smaller subsets lie within larger ones.
    Raises UserError where there are too few or a label is not one of the recipe's.
    """
    settings = recipe.generator
    found = load_volumes(
        folder,
        role="data",
        grid=Grid(size=settings.size, spacing_mm=recipe.spacing_mm),
        splits=("train", "") if recipe.split == "train" else None,
        reconstructions=None if recipe.reconstruction is None else (recipe.reconstruction,),
    )
    if recipe.volumes is not None:
        found = _subset(found, recipe.volumes, seed=seed, folder=folder)
    highest = max(int(labels.max()) for labels in found.labels)
    if highest >= settings.labels:
        raise UserError(
            f"{folder}: has label {highest}, the recipe knows 0 to {settings.labels - 1}; "
            f"give --generator.labels {highest + 1}"
        )
    return found


def _subset(volumes: VolumeSet, wanted: int, *, seed: int, folder: Path) -> VolumeSet:
    count = len(volumes.images)
    if count < wanted:
        raise UserError(
            f"{folder}: has {count} volumes to train on, the recipe wants {wanted}; "
            f"give --volumes {count} or less"
        )
    order = numpy_rng(seed=seed, stream="training subset").permutation(count)
    return volumes.only(sorted(int(k) for k in order[:wanted]))


def _items(
    labels: Sequence[NDArray[np.uint8]], *, planes: Sequence[Plane], empty_share: float, seed: int
) -> NDArray[np.int64]:
    rng = numpy_rng(seed=seed, stream="empty slices")
    rows = []
    for volume, cube in enumerate(labels):
        for axis in (PLANES.index(plane) for plane in planes):
            others = tuple(other for other in range(3) if other != axis)
            kept = np.asarray(cube.any(axis=others))
            kept |= rng.random(len(kept)) < empty_share
            rows += [(volume, axis, int(n)) for n in np.flatnonzero(kept)]
    return np.asarray(rows, np.int64)


def _slice(cube: Tensor, axis: int, number: int) -> Tensor:
    """(S, S), hung as :func:`fetalsynth.anatomy.planes.to_slices` does."""
    return hung(cube.select(axis, number))


def _age(record: VolumeRecord) -> float:
    return math.nan if record.gestational_age_weeks is None else record.gestational_age_weeks


def _held(labels: Tensor, axis: int, number: int) -> int:
    return int(torch.count_nonzero(labels.select(axis, number)))
