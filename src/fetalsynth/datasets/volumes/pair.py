"""An image and its label map from two files: one space, known labels, finite values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import UnknownLabels, map_labels
from fetalsynth.artifacts.nifti import Affine, Header
from fetalsynth.datasets.volumes.label_table import LabelTable
from fetalsynth.datasets.volumes.nifti import Nifti, check_same_grid, read_nifti, whole_numbers
from fetalsynth.errors import UserError

FEW = 0.01  # share of voxels that may be not finite, outside the labelled brain


@dataclass(frozen=True, kw_only=True)
class Pair:
    """``image`` (I, J, K) in the source's units, ``labels`` (I, J, K) uint8 mapped to FeTA's."""

    image: NDArray[Any] | None
    labels: NDArray[np.uint8] | None
    affine: Affine
    header: Header
    notes: tuple[str, ...] = ()


def read_pair(*, image: Path | None, labels: Path | None, table: LabelTable) -> Pair:
    """Read both files, or the one that there is.

    Values that are not finite become 0 where they are few (at most 1 % of the voxels) and outside
    the labelled brain, with a note. Raises UserError that names the file: unreadable, on different
    voxels, labels that the table lacks, all background, too many values that are not finite.
    """
    if image is None and labels is None:
        raise ValueError("give an image or labels")
    seen = None if image is None else read_nifti(image, finite=False)
    segmented = None if labels is None else read_nifti(labels)
    if seen is not None and segmented is not None:
        check_same_grid(segmented, seen)
    mapped = None if segmented is None else _mapped(segmented, table)
    voxels, notes = (None, []) if seen is None else _finite(seen, mapped)
    space = seen or segmented
    assert space is not None
    notes += _orientation(space)
    return Pair(
        image=voxels,
        labels=mapped,
        affine=space.affine,
        header=space.header,
        notes=tuple(notes),
    )


def _mapped(segmented: Nifti, table: LabelTable) -> NDArray[np.uint8]:
    try:
        labels = map_labels(whole_numbers(segmented), table=table.table)
    except UnknownLabels as error:
        raise UserError(
            f"{segmented.path}: {error} ({table.name}); give the table of your labels with "
            "--labels-table"
        ) from error
    if not labels.any():
        raise UserError(f"{segmented.path}: every voxel is background; there is no brain in it")
    return labels


def _finite(seen: Nifti, labels: NDArray[np.uint8] | None) -> tuple[NDArray[Any], list[str]]:
    bad = ~np.isfinite(seen.voxels)
    count = int(bad.sum())
    if count == 0:
        return seen.voxels, []
    inside = count if labels is None else int(bad[labels > 0].sum())
    if inside:
        where = "" if labels is None else " inside the labelled brain"
        raise UserError(
            f"{seen.path}: {inside} values{where} are not finite; mend or leave out that volume"
        )
    if count > FEW * bad.size:
        raise UserError(
            f"{seen.path}: {100 * count / bad.size:.1f} % of its values are not finite; write 0 "
            "outside the brain, or leave out that volume"
        )
    voxels = np.where(bad, 0, seen.voxels).astype(seen.voxels.dtype)
    return voxels, [f"{seen.path}: {count} values outside the brain were not finite, now 0"]


def _orientation(space: Nifti) -> list[str]:
    if space.header.qform_code or space.header.sform_code:
        return []
    return [f"{space.path}: its header does not say which way is left; taken as NIfTI's convention"]
