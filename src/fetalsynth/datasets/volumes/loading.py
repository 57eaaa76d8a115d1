"""A ``volumes`` artifact as cubes in memory, ready to be cut into slices."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.manifest import Input, input_from
from fetalsynth.artifacts.volumes import (
    LABELS,
    WHITE,
    VolumeRecord,
    read_label_names,
    read_participants,
)
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.volumes.grid import Grid, Placement, conform_image, conform_labels, place
from fetalsynth.datasets.volumes.nifti import check_same_grid, read_nifti, whole_numbers
from fetalsynth.errors import DataWarning, UserError

_Loaded = tuple[NDArray[np.int16], NDArray[np.uint8], Placement]


@dataclass(frozen=True, kw_only=True)
class VolumeSet:
    """Images with labels on one grid: cubes (S, S, S) in RAS+ order, one of each per record.

    Image values run from 0 (black) to ``WHITE``. ``label_names`` has one name per label.
    ``source`` tells where they were read from, ready to be an input of another artifact.
    """

    images: tuple[NDArray[np.int16], ...]
    labels: tuple[NDArray[np.uint8], ...]
    placements: tuple[Placement, ...]
    records: tuple[VolumeRecord, ...]
    label_names: tuple[str, ...]
    source: Input

    def only(self, numbers: Sequence[int]) -> VolumeSet:
        """These of the volumes, in this order."""
        return replace(
            self,
            images=tuple(self.images[k] for k in numbers),
            labels=tuple(self.labels[k] for k in numbers),
            placements=tuple(self.placements[k] for k in numbers),
            records=tuple(self.records[k] for k in numbers),
        )


def load_volumes(
    folder: Path,
    *,
    role: str,
    grid: Grid,
    splits: Collection[str] | None = None,
    reconstructions: Collection[str] | None = None,
    names: Collection[str] | None = None,
) -> VolumeSet:
    """Read the volumes of an artifact that have both an image and labels.

    ``splits`` and ``reconstructions`` keep the rows that have one of them, ``names`` those of these
    names. Volumes without image
    or labels are left out with a DataWarning.

    Raises UserError that names the file: missing, changed, unreadable, image and labels on
    different voxels, labels that the set has no name for, all background, too large for the grid;
    and where nothing is left to read.
    """
    source = input_from(folder, role=role, kind="volumes")
    rows = _chosen(folder, splits=splits, reconstructions=reconstructions, names=names)
    label_names = read_label_names(folder) or FETA
    load = partial(_load, folder, grid, len(label_names))
    loaded = list(ordered_map(load, rows, ahead_per_core=1))
    return VolumeSet(
        images=tuple(image for image, _, _ in loaded),
        labels=tuple(labels for _, labels, _ in loaded),
        placements=tuple(placement for _, _, placement in loaded),
        records=tuple(rows),
        label_names=label_names,
        source=source,
    )


def _chosen(
    folder: Path,
    *,
    splits: Collection[str] | None,
    reconstructions: Collection[str] | None,
    names: Collection[str] | None,
) -> list[VolumeRecord]:
    every = read_participants(folder)
    rows = [
        row
        for row in every
        if (splits is None or row.split in splits)
        and (reconstructions is None or row.reconstruction in reconstructions)
        and (names is None or row.name in names)
    ]
    whole = [row for row in rows if row.image is not None and row.labels is not None]
    if not whole:
        raise UserError(f"{folder}: no volume with labels{_asked(splits, reconstructions, every)}")
    if len(whole) < len(rows):
        warnings.warn(
            f"{folder}: left out {len(rows) - len(whole)} volumes without image or labels",
            DataWarning,
            stacklevel=3,
        )
    return whole


def _asked(
    splits: Collection[str] | None,
    reconstructions: Collection[str] | None,
    every: list[VolumeRecord],
) -> str:
    named = [split or "(none)" for split in splits or ()]
    wanted = [f"split {' or '.join(named)}"] if named else []
    if reconstructions is not None:
        there = ", ".join(sorted({row.reconstruction or "(none)" for row in every}))
        wanted.append(f"reconstruction {' or '.join(reconstructions)} (there are: {there})")
    return " of " + " and ".join(wanted) if wanted else "; import images with their label maps"


def _load(folder: Path, grid: Grid, names: int, row: VolumeRecord) -> _Loaded:
    assert row.image is not None
    assert row.labels is not None
    image, segmented = read_nifti(folder / row.image), read_nifti(folder / row.labels)
    check_same_grid(segmented, image)
    whole = whole_numbers(segmented)
    if whole.min() < 0 or whole.max() >= names:
        raise UserError(
            f"{segmented.path}: has labels from {whole.min()} to {whole.max()}, but {LABELS} names "
            f"only 0 to {names - 1}; import the volumes again"
        )
    labels = whole.astype(np.uint8)
    placement = place(
        shape=labels.shape,
        affine=image.affine,
        labels=labels,
        grid=grid,
        where=str(segmented.path),
    )
    cube = np.rint(conform_image(image.voxels, placement, size=grid.size))
    return (
        cube.clip(0, WHITE).astype(np.int16),
        conform_labels(labels, placement, size=grid.size),
        placement,
    )
