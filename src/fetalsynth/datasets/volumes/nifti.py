"""NIfTI files: voxels as stored, where they lie, and clear words for what is broken."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.nifti import Affine, Header
from fetalsynth.errors import UserError, explaining

ENDINGS = (".nii.gz", ".nii")
_TOLERANCE_MM = 1e-3
_UNITS = ("mm", "unknown")


@dataclass(frozen=True, kw_only=True)
class Nifti:
    """Voxels (I, J, K) in the file's own axis order with the 4 × 4 affine, voxel → mm (RAS+).

    Values are integers where the file stores them unscaled, float32 otherwise.
    """

    path: Path
    voxels: NDArray[Any]
    affine: Affine
    header: Header

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """(3,) distance between neighbouring voxels along I, J and K."""
        return spacing_of(self.affine)


def spacing_of(affine: Affine) -> NDArray[np.float64]:
    """(3,) lengths in mm of one step along each axis."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0))


def is_nifti(path: Path) -> bool:
    """Whether the path is a file that is called NIfTI and not hidden."""
    return path.is_file() and path.name.endswith(ENDINGS) and not path.name.startswith(".")


def stem_of(path: Path) -> str:
    """The name without ``.nii.gz`` or ``.nii``."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return path.stem


def read_nifti(path: Path, *, finite: bool = True) -> Nifti:
    """Read one volume; a fourth axis of length 1 is dropped.

    Raises UserError for a missing, damaged or truncated file, other than three axes, values that
    are no plain numbers, values that are not finite (unless ``finite`` is False), units other than
    mm and an affine that maps the volume onto a plane.
    """
    image, stored = _load(path, voxels=True)
    if stored.ndim == 4 and stored.shape[3] == 1:
        stored = stored[..., 0]
    _check_shape(path, stored.shape)
    if stored.dtype.kind not in "iufb":
        raise UserError(f"{path}: holds {stored.dtype} values; a volume of plain numbers is needed")
    whole = stored.dtype.kind in "iub"
    kind = stored.dtype.newbyteorder("=") if whole else np.dtype(np.float32)
    voxels = np.asarray(stored, kind)
    if finite and not whole and not np.isfinite(voxels).all():
        raise UserError(f"{path}: holds values that are not finite; mend or leave out that volume")
    affine = np.asarray(image.affine, np.float64)
    return Nifti(path=path, voxels=voxels, affine=affine, header=_header(path, image))


def volume_space(path: Path) -> tuple[tuple[int, ...], Affine]:
    """(shape in the file's axis order, affine), from the header alone; UserError as above."""
    image, _ = _load(path, voxels=False)
    shape = tuple(int(n) for n in image.shape)
    return shape[:3] if shape[3:] == (1,) else shape, np.asarray(image.affine, np.float64)


def _load(path: Path, *, voxels: bool) -> tuple[Any, NDArray[Any]]:
    import nibabel

    untyped: Any = nibabel
    with explaining(path), path.open("rb"):
        try:
            image = untyped.load(path)
            stored = np.asanyarray(image.dataobj) if voxels else np.empty(0)
        except (
            untyped.filebasedimages.ImageFileError,
            untyped.spatialimages.HeaderDataError,
            zlib.error,
            EOFError,
            ValueError,
            OSError,
        ) as error:
            reason = " ".join(str(error).replace(str(path), "the file").split())
            raise UserError(
                f"{path}: not a readable NIfTI file ({reason}); copy it again"
            ) from error
    if not isinstance(image, untyped.Nifti1Pair):
        raise UserError(f"{path}: is no NIfTI file; convert it to .nii.gz")
    return image, stored


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) != 3:
        raise UserError(f"{path}: has {len(shape)} axes; a volume of three is needed")
    if 0 in shape:
        raise UserError(f"{path}: holds no voxel; copy it again")


def _header(path: Path, image: Any) -> Header:
    unit = image.header.get_xyzt_units()[0]
    if unit not in _UNITS:
        raise UserError(f"{path}: its spacings are in {unit}; rewrite it with millimetres")
    affine = np.asarray(image.affine, np.float64)
    # a parallelepiped flat to one part in a million has no inside
    volume = abs(float(np.linalg.det(affine[:3, :3])))
    if not np.isfinite(affine).all() or volume <= 1e-6 * float(np.prod(spacing_of(affine))):
        raise UserError(f"{path}: its affine is broken; write the file again with a valid header")
    qform, code = image.get_qform(coded=True)
    return Header(
        qform_code=int(code),
        sform_code=int(image.header["sform_code"]),
        qform=None if qform is None else np.asarray(qform, np.float64),
    )


def to_ras(nifti: Nifti) -> tuple[NDArray[Any], Affine]:
    """(voxels, affine) with the axes reordered and flipped to run nearest to right, anterior and
    superior; no value changes.
    """
    import nibabel

    orientations: Any = nibabel.orientations
    turn = orientations.io_orientation(nifti.affine)
    own = orientations.inv_ornt_aff(turn, nifti.voxels.shape)
    return orientations.apply_orientation(nifti.voxels, turn), nifti.affine @ own


def check_same_grid(one: Nifti, other: Nifti) -> None:
    """Raise UserError where two volumes do not lie on the same voxels: shape, then affine."""
    if one.voxels.shape != other.voxels.shape:
        here, there = ("×".join(map(str, v.voxels.shape)) for v in (one, other))
        raise UserError(
            f"{one.path}: is {here} voxels, {other.path} {there}; resample one to the other"
        )
    apart = float(np.abs(one.affine - other.affine).max())
    if apart > _TOLERANCE_MM:
        raise UserError(
            f"{one.path}: its affine differs from that of {other.path} by up to {apart:.3g} mm; "
            "resample one to the other"
        )


def whole_numbers(nifti: Nifti) -> NDArray[np.int64]:
    """The voxels as integers, as label maps have them (often stored as floats).

    Raises UserError for values further than 0.001 from a whole number.
    """
    rounded = np.rint(nifti.voxels)
    if nifti.voxels.dtype.kind == "f" and np.abs(rounded - nifti.voxels).max() > 1e-3:
        raise UserError(
            f"{nifti.path}: holds values that are not whole numbers, so it is no label map"
        )
    return np.asarray(rounded, np.int64)
