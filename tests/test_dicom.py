"""DICOM ultrasound as scanners write it, against pixels that are known."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fetalsynth.datasets.folder import open_source
from fetalsynth.datasets.loading import load_images
from fetalsynth.datasets.source import SourceImage
from fetalsynth.errors import UserError

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")
from pydicom.dataset import Dataset, FileMetaDataset  # noqa: E402
from pydicom.sequence import Sequence  # noqa: E402
from pydicom.uid import (  # noqa: E402
    ExplicitVRLittleEndian,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

RNG = np.random.default_rng(0)
PATIENT = "1234567"


def write(path: Path, frames: np.ndarray, **tags: Any) -> Dataset:
    """``frames`` is (F, H, W) or (F, H, W, 3), uint8 or uint16."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPClassUID = UltrasoundMultiFrameImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.StudyInstanceUID = generate_uid()
    data.PatientID = PATIENT
    data.PatientName = "Doe^Jane"
    data.Rows, data.Columns = frames.shape[1:3]
    data.NumberOfFrames = len(frames)
    data.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    data.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = 8 * frames.dtype.itemsize
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = 0
    data.PixelData = frames.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
        if name == "BitsStored":
            data.HighBit = value - 1
    data.save_as(path, enforce_file_format=True)
    return data


def read(folder: Path) -> list[SourceImage]:
    return list(open_source(folder).images())


def noise(*shape: int, top: int = 256, kind: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, top, shape, dtype=kind)


def test_frames_of_a_cine_loop(tmp_path: Path) -> None:
    frames = noise(3, 12, 10)
    write(tmp_path / "loop.dcm", frames)
    source = open_source(tmp_path)
    found = list(source.images())
    assert source.count == 3
    assert [image.name for image in found] == [f"dicom-00001-f000{n}" for n in (1, 2, 3)]
    assert all(np.array_equal(a.pixels, b) for a, b in zip(found, frames, strict=True))
    assert np.array_equal(load_images(tmp_path, role="x").pixels[..., 0], frames)


def test_compressed_frames(tmp_path: Path) -> None:
    frames = noise(2, 16, 12)
    data = write(tmp_path / "a.dcm", frames)
    data.compress(RLELossless)
    data.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    found = read(tmp_path)
    assert pydicom.dcmread(tmp_path / "a.dcm").file_meta.TransferSyntaxUID == RLELossless
    assert all(np.array_equal(a.pixels, b) for a, b in zip(found, frames, strict=True))


def test_inverted_and_twelve_bit_images(tmp_path: Path) -> None:
    frame = noise(1, 8, 8)
    write(tmp_path / "a.dcm", frame, PhotometricInterpretation="MONOCHROME1")
    deep = noise(1, 8, 8, top=4096, kind=np.uint16)
    write(tmp_path / "b.dcm", deep, BitsStored=12)
    inverted, stretched = read(tmp_path)
    assert np.array_equal(inverted.pixels, 255 - frame[0])
    assert stretched.pixels.dtype == np.uint16
    assert np.abs(stretched.pixels / 65535 - deep[0] / 4095).max() < 1 / 65535


def test_ybr_becomes_rgb(tmp_path: Path) -> None:
    grey = noise(1, 8, 8)
    ybr = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=-1)
    write(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL")
    (image,) = read(tmp_path)
    assert image.pixels.shape == (8, 8, 3)
    assert np.abs(image.pixels.astype(int) - grey[0][..., None]).max() <= 1


def region(*, kind: int = 1, delta: float = 0.02, extent: int = 10) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType = 1, kind
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = delta, 2 * delta
    item.RegionLocationMinX0 = item.RegionLocationMinY0 = 0
    item.RegionLocationMaxX1 = item.RegionLocationMaxY1 = extent
    return item


def test_spacing_comes_from_the_largest_tissue_region(tmp_path: Path) -> None:
    regions = Sequence([region(kind=2, extent=99), region(delta=0.5, extent=3), region()])
    write(tmp_path / "a.dcm", noise(1, 8, 8), SequenceOfUltrasoundRegions=regions)
    write(tmp_path / "b.dcm", noise(1, 8, 8), PixelSpacing=[0.3, 0.2])
    write(tmp_path / "c.dcm", noise(1, 8, 8))
    by_region, by_tag, unknown = read(tmp_path)
    assert by_region.pixel_spacing_mm == pytest.approx((0.4, 0.2))
    assert by_tag.pixel_spacing_mm == (0.3, 0.2)
    assert unknown.pixel_spacing_mm is None


def test_patients_are_pseudonyms_that_tell_them_apart(tmp_path: Path) -> None:
    folder = tmp_path / "Doe_Jane"
    folder.mkdir()
    for name in (f"{PATIENT}_a.dcm", f"{PATIENT}_b.dcm"):
        write(folder / name, noise(1, 8, 8), BurnedInAnnotation="YES")
    write(folder / "other.dcm", noise(1, 8, 8), PatientID="7654321")
    first, second, third = read(tmp_path)
    assert first.subject == second.subject != third.subject
    everything = repr([first, second, third])
    assert PATIENT not in everything
    assert "Doe" not in everything
    assert first.extra["burned_in_annotation"] == "YES"
    write(folder / "more.dcm", noise(1, 8, 8))
    assert read(tmp_path)[0].subject != first.subject, "the key must depend on the files"


def test_files_without_ending_and_broken_files(tmp_path: Path) -> None:
    write(tmp_path / "IM_0001", noise(1, 8, 8))
    (tmp_path / "LICENSE").write_text("no image")
    assert len(read(tmp_path)) == 1
    whole = (tmp_path / "IM_0001").read_bytes()
    (tmp_path / "broken.dcm").write_bytes(whole[:-40])
    with pytest.raises(UserError, match=r"broken\.dcm: is not a readable DICOM"):
        read(tmp_path)
    (tmp_path / "broken.dcm").write_text("no DICOM")
    with pytest.raises(UserError, match=r"broken\.dcm: is not a readable DICOM"):
        read(tmp_path)


def test_signed_pixels_are_refused(tmp_path: Path) -> None:
    frame = noise(1, 8, 8, top=1000, kind=np.uint16)
    write(tmp_path / "a.dcm", frame, PixelRepresentation=1)
    with pytest.raises(UserError, match=r"a\.dcm: MONOCHROME2 pixels .* are not read"):
        read(tmp_path)


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.dcm", noise(1, 8, 8))
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pydicom"):
            raise ImportError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "fetalsynth\[dicom\]"'):
        read(tmp_path)
