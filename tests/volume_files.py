"""Small fetal brains as NIfTI files for the tests of volume sets."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

SHAPE = (22, 26, 20)
SPACING = 2.0


def a_brain(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    """(image float32 up to about 1000, labels uint8 with all eight of FeTA), nested shells."""
    rng = np.random.default_rng(seed)
    middle = (np.array(shape) - 1) / 2
    offset = np.indices(shape) - middle[:, None, None, None]
    radius = np.sqrt(((offset / (middle[:, None, None, None] + 0.5)) ** 2).sum(axis=0))
    labels = np.select(
        [radius < 0.25, radius < 0.4, radius < 0.6, radius < 0.7, radius < 0.85], [4, 6, 3, 2, 1], 0
    )
    labels[(radius < 0.7) & (offset[2] < -4)] = 5
    labels[(radius < 0.7) & (offset[2] < -4) & (abs(offset[0]) < 3)] = 7
    levels = np.array([0, 900, 400, 600, 1000, 450, 420, 500])
    image = np.where(labels > 0, levels[labels] + rng.normal(0, 20, shape), 0)
    return image.astype(np.float32), labels.astype(np.uint8)


def an_affine(order: str = "RAS", *, spacing: float = SPACING, turned: float = 0.0) -> np.ndarray:
    """An affine whose axes run to ``order``, rotated by ``turned`` radians obliquely."""
    start = nibabel.orientations.axcodes2ornt(tuple(order))
    linear = np.zeros((3, 3))
    for own, (axis, sign) in enumerate(start):
        linear[int(axis), own] = sign * spacing
    axis = np.array([1.0, 2.0, -1.0]) / np.sqrt(6)
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) + np.sin(turned) * cross + (1 - np.cos(turned)) * cross @ cross
    affine = np.eye(4)
    affine[:3, :3] = turn @ linear
    affine[:3, 3] = [-12.5, 3.25, 40.0]
    return affine


def save(path: Path, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, an_affine() if affine is None else affine), path)
    return path


def a_feta(folder: Path, *, count: int = 5) -> Path:
    """FeTA's layout: two reconstructions, label maps stored as floats."""
    lines = ["participant_id\tPathology\tGestational age"]
    for number in range(1, count + 1):
        image, labels = a_brain(number)
        method = "mial" if number % 2 else "irtk"
        start = folder / f"sub-{number:03d}" / "anat" / f"sub-{number:03d}_rec-{method}"
        save(Path(f"{start}_T2w.nii.gz"), image)
        save(Path(f"{start}_dseg.nii.gz"), labels.astype(np.float32))
        lines.append(f"sub-{number:03d}\tNeurotypical\t{20 + number}.5")
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")
    return folder


def spoil(path: Path, how: str) -> None:
    """Break one file: text, truncated, four axes, not finite, …"""
    data = path.read_bytes()
    plain = gzip.decompress(data)
    broken = {
        "text": b"no volume",
        "empty": b"",
        "truncated": data[: len(data) // 2],
        "flat": gzip.compress(plain[:280] + bytes(48) + plain[328:]),  # the matrix of the sform
        "cut-voxels": gzip.compress(plain[: len(plain) // 2]),
    }
    if how in broken:
        path.write_bytes(broken[how])
        return
    image = nibabel.load(path)
    voxels = np.asanyarray(image.dataobj).copy()
    save(path, *_spoilt(voxels, image.affine.copy(), how))


def _spoilt(voxels: np.ndarray, affine: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    middle = tuple(n // 2 for n in voxels.shape)
    values = {"nan-inside": np.nan, "unknown": 9, "fraction": 2.5}
    if how in values:
        voxels[middle] = values[how]
    elif how == "nan-outside":
        voxels[0, 0, 0] = np.nan
    elif how == "many-nan":
        voxels[:2] = np.inf
    elif how == "background":
        voxels[:] = 0
    elif how == "four-axes":
        voxels = np.stack([voxels, voxels], axis=-1)
    elif how == "shape":
        voxels = voxels[:, :-1]
    elif how == "affine":
        affine[0, 3] += 1
    else:
        raise ValueError(how)
    return voxels, affine
