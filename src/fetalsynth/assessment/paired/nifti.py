"""NIfTI volumes of two folders, pair by pair: images, label maps and brain masks by BIDS names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_files
from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
from fetalsynth.assessment.paired.partners import Item, stem_of
from fetalsynth.datasets.volumes.nifti import is_nifti, read_nifti, to_ras, volume_space
from fetalsynth.errors import UserError, explaining

_LOOSE = ("desc-", "rec-")
_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class VolumeFiles:
    """The volumes of one folder, and the label maps and masks by the name they share with one."""

    folder: Path
    source: Input
    images: tuple[Path, ...]
    labels: dict[str, Path]
    masks: dict[str, Path]

    def items(self) -> list[Item]:
        """What pairing needs to know of every volume."""
        return [
            Item(
                subject=_subject(path),
                file=path.relative_to(self.folder).as_posix(),
                stem=key(path),
            )
            for path in self.images
        ]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """Voxels (I, J, K) in RAS+ order with the 4 × 4 affine in mm."""

    path: Path
    voxels: NDArray[Any]
    affine: NDArray[np.float64]


def holds_volumes(folder: Path) -> bool:
    """Whether the folder holds NIfTI files at any depth."""
    return folder.is_dir() and any(is_nifti(path) for path in folder.rglob("*.nii*"))


def find_volumes(folder: Path, *, role: str) -> VolumeFiles:
    """List ``*_T2w`` volumes (or, where no name ends so, all that are neither labels nor masks).

    Label maps end in ``_dseg``, brain masks in ``_mask``. Raises UserError where there is no volume
    or where two label maps or masks have one name.
    """
    with explaining(folder):
        files = sorted(p for p in folder.rglob("*.nii*") if is_nifti(p))
    others = [p for p in files if _suffix(p) not in ("dseg", "mask")]
    images = [p for p in others if _suffix(p) == "T2w"] or others
    if not images:
        raise UserError(f"{folder}: holds no NIfTI volume (sub-…_T2w.nii.gz); check the path")
    source = (
        input_from(folder, role=role, kind="volumes")
        if is_artifact(folder)
        else Input(role=role, path=str(folder), digest=digest_files(folder, files))
    )
    return VolumeFiles(
        folder=folder,
        source=source,
        images=tuple(images),
        labels=_named(files, "dseg"),
        masks=_named(files, "mask"),
    )


def _named(files: Sequence[Path], suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        if _suffix(path) != suffix:
            continue
        if key(path) in found:
            raise UserError(f"{path}: {found[key(path)].name} has the same name; keep one of them")
        found[key(path)] = path
    return found


def _suffix(path: Path) -> str:
    return stem_of(path.name).rsplit("_", 1)[-1]


def _subject(path: Path) -> str:
    first = stem_of(path.name).split("_")[0]
    return first.removeprefix("sub-") if first.startswith("sub-") else ""


def key(path: Path) -> str:
    """What one image, its labels and its synthetic partner share: the name without its suffix
    and without how it was made (``desc-``, ``rec-``).
    """
    parts = stem_of(path.name).split("_")
    if parts[-1] in ("T2w", "T1w", "dseg", "mask"):
        parts = parts[:-1]
    return "_".join(part for part in parts if not part.startswith(_LOOSE))


def read_volume(path: Path, *, like: Volume | None = None) -> Volume:
    """Read a NIfTI file and turn it to RAS+; ``like`` is the volume whose grid it must have.

    Values are float32, or integers where the file stores them unscaled. Raises UserError for
    damaged files, values that are not finite, other than three axes and another grid.
    """
    voxels, affine = to_ras(read_nifti(path))
    volume = Volume(path=path, voxels=voxels, affine=affine)
    if like is not None:
        _check_grid(volume, like)
    return volume


def _check_grid(volume: Volume, like: Volume) -> None:
    if volume.voxels.shape != like.voxels.shape:
        here, there = ("×".join(map(str, v.voxels.shape)) for v in (volume, like))
        raise UserError(
            f"{volume.path}: is {here} voxels (RAS+), {like.path} {there}; resample one to the "
            "other"
        )
    apart = float(np.abs(volume.affine - like.affine).max())
    if apart > _TOLERANCE_MM:
        raise UserError(
            f"{volume.path}: its affine differs from that of {like.path} by up to {apart:.3g} mm; "
            "resample one to the other"
        )


def read_integers(path: Path, *, like: Volume) -> NDArray[np.int64]:
    """Read a label map or mask on the grid of ``like``; raises UserError for broken labels."""
    voxels = read_volume(path, like=like).voxels
    whole = np.rint(voxels)
    if not np.array_equal(whole, voxels):
        raise UserError(f"{path}: holds values that are not whole numbers, so it is no label map")
    return np.asarray(whole, np.int64)


def volume_size(path: Path) -> tuple[int, ...]:
    """Size in RAS+ order, from the header alone."""
    import nibabel

    shape, affine = volume_space(path)
    untyped: Any = nibabel
    order = np.argsort(untyped.orientations.io_orientation(affine)[:, 0])
    return tuple(shape[axis] for axis in order)
