"""DICOM ultrasound: compressed, multi-frame, inverted or YBR, with the patient as a pseudonym.

Needs the extra ``dicom`` (pydicom 3 and the pylibjpeg decoders).
"""

from __future__ import annotations

import hashlib
import hmac
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.datasets.decoding import Pixels, to_depth
from fetalsynth.datasets.frames import Frame
from fetalsynth.errors import UserError

_CENTIMETRE = 3  # PhysicalUnitsXDirection, DICOM PS3.3 C.8.5.5.1.15
_TISSUE, _TWO_DIMENSIONAL = 1, 1  # RegionDataType, RegionSpatialFormat


def decode_dicom(data: bytes, *, path: Path, key: bytes) -> list[Frame]:
    """Frames of one DICOM file: (H, W) or (H, W, 3), uint8 or uint16.

    MONOCHROME1 is inverted, YBR and palettes become RGB. The stored bits are stretched to 8 or 16,
    so that 4095 of a 12-bit image becomes 65535. The spacing comes from the largest 2-D tissue
    region of SequenceOfUltrasoundRegions, else from PixelSpacing. The subject is an HMAC-SHA-256
    of PatientID (else StudyInstanceUID) under ``key``; no identifier itself is returned.
    Raises UserError where the extra is missing or the file does not decode.
    """
    _need_pydicom(path)
    from pydicom import dcmread
    from pydicom.pixels.utils import iter_pixels

    try:
        header: Any = dcmread(io.BytesIO(data))
        frames = [_converted(np.asarray(frame), header) for frame in iter_pixels(header, raw=False)]
    except UserError:
        raise
    except Exception as error:  # pydicom and its decoders raise almost anything on damaged bytes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UserError(
            f"{path}: is not a readable DICOM image ({reason}); replace it or take it out"
        ) from error
    if any(frame is None for frame in frames):
        raise UserError(
            f"{path}: {header.get('PhotometricInterpretation')} pixels with "
            f"{header.get('BitsStored')} bits are not read; export it as 8-bit or unsigned 16-bit"
        )
    return [
        Frame(
            pixels=pixels,
            subject=_pseudonym(header, key),
            pixel_spacing_mm=_spacing(header),
            extra=_extra(header),
        )
        for pixels in frames
        if pixels is not None
    ]


def count_dicom_frames(path: Path) -> int:
    """NumberOfFrames in the header; 1 where it cannot be read."""
    _need_pydicom(path)
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header: Any = dcmread(path, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
        return max(1, int(header.get("NumberOfFrames") or 1))
    except (InvalidDicomError, OSError, ValueError):
        return 1


def _need_pydicom(path: Path) -> None:
    try:
        import pydicom.pixels  # noqa: F401
    except ImportError as error:
        raise UserError(
            f'{path}: reading DICOM needs more packages: pip install "fetalsynth[dicom]"'
        ) from error


def _converted(frame: NDArray[Any], header: Any) -> Pixels | None:
    """The frame in full-range unsigned integers, None for a kind that is not read."""
    kind = str(header.PhotometricInterpretation)
    stored = int(header.BitsStored)
    if kind == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        frame = np.asarray(apply_color_lut(frame, header))
        stored = 8 * frame.dtype.itemsize
    if frame.dtype.kind != "u" or stored > 16:
        return None
    full = (1 << stored) - 1
    if kind == "MONOCHROME1":
        frame = full - frame
    top = 255 if stored <= 8 else 65535
    if full != top:
        frame = np.rint(frame.astype(np.float64) * (top / full)).clip(0, top)
    return to_depth(frame, deep=stored > 8)


def _pseudonym(header: Any, key: bytes) -> str | None:
    identity = str(header.get("PatientID") or header.get("StudyInstanceUID") or "").strip()
    if not identity:
        return None
    return "p" + hmac.new(key, identity.encode(), hashlib.sha256).hexdigest()[:16]


def _spacing(header: Any) -> tuple[float, float] | None:
    regions = [
        region for region in header.get("SequenceOfUltrasoundRegions") or () if _usable(region)
    ]
    if regions:
        largest = max(regions, key=_area)
        down, along = largest.PhysicalDeltaY, largest.PhysicalDeltaX
        return 10 * abs(float(down)), 10 * abs(float(along))
    spacing = header.get("PixelSpacing")
    if not spacing or len(spacing) != 2 or min(map(float, spacing)) <= 0:
        return None
    return float(spacing[0]), float(spacing[1])


def _usable(region: Any) -> bool:
    return (
        region.get("RegionSpatialFormat") == _TWO_DIMENSIONAL
        and region.get("RegionDataType") == _TISSUE
        and region.get("PhysicalUnitsXDirection") == _CENTIMETRE
        and region.get("PhysicalUnitsYDirection") == _CENTIMETRE
        and bool(region.get("PhysicalDeltaX"))
        and bool(region.get("PhysicalDeltaY"))
    )


def _area(region: Any) -> int:
    width = int(region.RegionLocationMaxX1) - int(region.RegionLocationMinX0)
    return width * (int(region.RegionLocationMaxY1) - int(region.RegionLocationMinY0))


def _extra(header: Any) -> dict[str, str]:
    burned = str(header.get("BurnedInAnnotation") or "").strip().upper()
    return {"burned_in_annotation": burned} if burned in ("YES", "NO") else {}
