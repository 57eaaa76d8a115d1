"""NIfTI-1 files as bytes: voxels and where they lie, the same bytes for the same content."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]
_COMPRESSION = 4  # half the time of zlib's default for a few per cent more bytes


@dataclass(frozen=True, kw_only=True)
class Header:
    """How a file says where its voxels lie: the codes of its quaternion and of its matrix.

    The matrix (sform), where its code is above 0, is the affine; else the quaternion (qform) is.
    ``qform`` (4, 4) is kept where a file has both. Codes (0, 0) say that the orientation is
    unknown: the affine then is NIfTI's convention for spacings alone.
    """

    qform_code: int = 1
    sform_code: int = 1
    qform: Affine | None = None


def nifti_bytes(voxels: NDArray[Any], *, affine: Affine, header: Header | None = None) -> bytes:
    """Bytes of a ``.nii.gz`` file with ``voxels`` (I, J, K); ``affine`` is (4, 4), mm.

    Values are stored as they are, without scaling and without the time of writing.
    """
    import nibabel

    codes = header or Header()
    untyped: Any = nibabel
    fresh = untyped.Nifti1Header()
    fresh.set_data_dtype(voxels.dtype)
    fresh.set_data_shape(voxels.shape)
    fresh.set_xyzt_units("mm")
    fresh.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
    image = untyped.Nifti1Image(voxels, None, fresh)  # codes (0, 0)
    if codes.qform_code or codes.sform_code:
        quaternion = affine if codes.qform is None or codes.sform_code == 0 else codes.qform
        image.set_qform(quaternion, codes.qform_code)
        image.set_sform(affine, codes.sform_code)
    return gzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0)
