"""Pairs of NIfTI volumes, read one by one, with their grey values brought to a declared range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import FETA
from fetalsynth.artifacts.volumes import WHITE, read_label_names
from fetalsynth.assessment.paired.nifti import (
    Volume,
    VolumeFiles,
    key,
    read_integers,
    read_volume,
    volume_size,
)
from fetalsynth.assessment.paired.pair import ImagePair, Range
from fetalsynth.assessment.paired.pair_set import PairedSet, check_side
from fetalsynth.assessment.paired.partners import partners
from fetalsynth.assessment.paired.selecting import select
from fetalsynth.assessment.regions import Mask
from fetalsynth.errors import UserError

Scaling = Literal["stored", "min-max"]


def volume_pairs(
    *,
    real: VolumeFiles,
    synthetic: VolumeFiles,
    window: Range | None,
    scaling: Scaling,
    reconstruction: str | None = None,
) -> PairedSet:
    """Match the volumes of two folders (named as :mod:`fetalsynth.assessment.paired.nifti` says).

    Grey values: ``window`` to 0 and 1, values beyond it cut; without it ``stored`` leaves them and
    takes the declared range of ``volumes`` artifacts, of other folders that of each real volume;
    ``min-max`` brings each volume, the synthetic ones too, from its own lowest and highest value to
    0 and 1. :mod:`fetalsynth.assessment.paired.selecting` says which volumes are left out. Raises
    UserError for volumes without a partner or on another grid, and for damaged ones when they are
    read.
    """
    if window is not None and scaling != "stored":
        raise UserError(
            f"{real.folder}: --window and --scaling {scaling} exclude each other; give one"
        )
    chosen = select(real=real, synthetic=synthetic, reconstruction=reconstruction)
    ours, theirs = chosen.real, chosen.synthetic
    where = f"{real.folder} and {synthetic.folder}"
    matched = partners(ours.items(), theirs.items(), where=where)
    declared = _declared(real), _declared(synthetic)

    def load(number: int) -> ImagePair:
        return _treated(_read(ours, theirs, matched[number]), window, scaling, declared)

    sizes = [volume_size(path) for path in ours.images]
    least = tuple(min(size[axis] for size in sizes) for axis in range(3))
    check_side(least, str(real.folder))
    return PairedSet(
        sources=(ours.source, theirs.source),
        count=len(matched),
        load=load,
        least_size=least,
        settings=_grey_settings(window, scaling, declared),
        notes=chosen.notes,
        splits=chosen.splits,
        label_names=_label_names(real),
    )


def _read(ours: VolumeFiles, theirs: VolumeFiles, numbers: tuple[int, int]) -> ImagePair:
    """A pair as it is stored, on the grid of its real volume."""
    first, second = numbers
    reference = read_volume(ours.images[first])
    other = read_volume(theirs.images[second], like=reference)
    item = ours.items()[first]
    _refuse_flat(reference)
    name = key(ours.images[first]), key(theirs.images[second])
    own = _labels(theirs.labels.get(name[1]), reference)
    return ImagePair(
        subject=item.subject or item.stem,
        real_file=item.file,
        synthetic_file=theirs.images[second].relative_to(theirs.folder).as_posix(),
        real=reference.voxels,
        synthetic=other.voxels,
        black=0.0,
        data_range=1.0,
        real_bins=(0, 1),
        synthetic_bins=(0, 1),
        labels=own if name[0] not in ours.labels else _labels(ours.labels[name[0]], reference),
        input_labels=own,
        mask=_mask(ours, name[0], reference),
        affine=reference.affine,
    )


def _declared(files: VolumeFiles) -> Range | None:
    """The range of grey values that every ``volumes`` artifact has; None for other folders."""
    return (0.0, float(WHITE)) if _is_artifact(files) else None


def _label_names(files: VolumeFiles) -> tuple[str, ...]:
    return (read_label_names(files.folder) or FETA) if _is_artifact(files) else ()


def _is_artifact(files: VolumeFiles) -> bool:
    manifest = files.source.manifest
    return manifest is not None and manifest.kind == "volumes"


def _grey_settings(
    window: Range | None, scaling: Scaling, declared: tuple[Range | None, Range | None]
) -> dict[str, Any]:
    if window is not None:
        return {"data_range": 1, "window": list(window), "scaling": "the window to 0 … 1"}
    if scaling == "min-max":
        return {"data_range": 1, "scaling": "each volume from its own lowest and highest to 0 … 1"}
    if declared[0] is not None:
        return {"data_range": declared[0][1], "scaling": "as stored, in the range declared"}
    return {"data_range": "highest − lowest value of each real volume", "scaling": "as stored"}


def _treated(
    pair: ImagePair,
    window: Range | None,
    scaling: Scaling,
    declared: tuple[Range | None, Range | None],
) -> ImagePair:
    """The pair with its grey values brought to their range, and that range noted."""
    own = [(float(image.min()), float(image.max())) for image in (pair.real, pair.synthetic)]
    if window is None and scaling == "stored":
        ends = [known or found for known, found in zip(declared, own, strict=True)]
        low, high = ends[0]
        return replace(
            pair, black=low, data_range=high - low, real_bins=ends[0], synthetic_bins=ends[1]
        )
    chosen = own if window is None else [window, window]
    return replace(
        pair,
        real=_to_unit(pair.real, chosen[0]),
        synthetic=_to_unit(pair.synthetic, chosen[1]),
    )


def _refuse_flat(volume: Volume) -> None:
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    if low == high:
        raise UserError(
            f"{volume.path}: every voxel of this real volume is {low:g}; leave this pair out"
        )


def _to_unit(voxels: NDArray[Any], ends: Range) -> NDArray[np.float64]:
    low, high = ends
    scaled = (voxels.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.asarray(np.clip(scaled, 0, 1))


def _labels(path: Path | None, like: Volume) -> NDArray[np.int64] | None:
    if path is None:
        return None
    labels = read_integers(path, like=like)
    if not labels.any():
        raise UserError(f"{path}: every label is 0; give a label map with tissue, or none")
    return labels


def _mask(real: VolumeFiles, name: str, like: Volume) -> Mask | None:
    path = real.masks.get(name)
    if path is None:
        return None
    mask = np.asarray(read_integers(path, like=like) != 0)
    if not mask.any():
        raise UserError(f"{path}: the mask is empty; give one that holds the brain, or none")
    return mask
