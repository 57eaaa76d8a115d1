"""What one file holds: frames with the geometry and the pseudonym that its header gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetalsynth.datasets.decoding import IMAGE_SUFFIXES, TIFF_SUFFIXES, Pixels, decode, read_bytes
from fetalsynth.datasets.tiff import count_pages

DICOM_SUFFIXES = (".dcm", ".dicom")
_DICOM_MAGIC = slice(128, 132), b"DICM"


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One image of a file.

    ``pixels`` is (H, W) or (H, W, 3), uint8 or uint16. ``subject`` is a pseudonym, None where the
    format knows none. ``pixel_spacing_mm`` is (y, x).
    """

    pixels: Pixels
    subject: str | None = None
    pixel_spacing_mm: tuple[float, float] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def is_dicom(path: Path) -> bool:
    """By its ending, or by its magic bytes where it has no ending (as scanners export)."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if path.suffix:
        return False
    with path.open("rb") as stream:
        where, magic = _DICOM_MAGIC
        return stream.read(where.stop)[where] == magic


def is_image(path: Path) -> bool:
    """Whether the file claims to be an image of a format that is read."""
    return path.suffix.lower() in IMAGE_SUFFIXES or is_dicom(path)


def read_frames(path: Path, *, data: bytes | None = None, key: bytes = b"") -> list[Frame]:
    """All frames of the file. ``key`` keys the pseudonyms of DICOM patients.

    Raises UserError that names the file where it does not decode completely.
    """
    data = read_bytes(path) if data is None else data
    if is_dicom(path):
        from fetalsynth.datasets.dicom import decode_dicom

        return decode_dicom(data, path=path, key=key)
    return [Frame(pixels=pixels) for pixels in decode(data, path=path)]


def count_frames(path: Path) -> int:
    """How many frames the file's header announces; 1 where only decoding can tell."""
    if is_dicom(path):
        from fetalsynth.datasets.dicom import count_dicom_frames

        return count_dicom_frames(path)
    if path.suffix.lower() not in TIFF_SUFFIXES:
        return 1
    return count_pages(read_bytes(path))
