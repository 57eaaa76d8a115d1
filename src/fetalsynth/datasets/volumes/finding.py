"""Which NIfTI files of a folder are images, which label maps, and which belong together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.artifacts.volumes import bids_label
from fetalsynth.datasets.volumes.nifti import is_nifti, stem_of
from fetalsynth.errors import UserError, explaining

LABEL_NAMES = (
    "dseg",
    "label",
    "labels",
    "seg",
    "segmentation",
    "segmentations",
    "parcellation",
    "tissue",
    "tissues",
    "labelstr",
)
IMAGE_NAMES = ("t2w", "t2", "image", "images", "img", "srr", "volume", "imagestr", "0000")
IGNORED_NAMES = ("mask", "masks", "brainmask", "lmks")


@dataclass(frozen=True, kw_only=True)
class Partners:
    """An image and its label map, one of them None where it is missing.

    ``key`` is what their paths share; ``subject``, ``session`` and ``reconstruction`` come from
    BIDS names where they are, the subject from ``key`` otherwise.
    """

    key: str
    image: Path | None
    labels: Path | None
    subject: str
    session: str = ""
    reconstruction: str = ""

    @property
    def name(self) -> str:
        """The file that stands for both in messages."""
        return str(self.image or self.labels)


def find_partners(folder: Path) -> list[Partners]:
    """Pairs below ``folder``, in order of their keys.

    The last part of a name (``x_T2w``, ``x_dseg``), or the folder it lies in (``images/x``,
    ``labels/x``), tells images from label maps; masks and landmarks are passed over, and whatever
    has no such name is an image. nnU-Net's layout (``imagesTr/x_0000``, ``labelsTr/x``) is one of
    these. Raises UserError where there is no NIfTI file and where two
    images, or two label maps, belong to one key.
    """
    if not folder.is_dir():
        what = "is a file, not a folder of volumes" if folder.exists() else "it does not exist"
        raise UserError(f"{folder}: {what}; check the path")
    with explaining(folder):
        files = sorted(path for path in folder.rglob("*.nii*") if is_nifti(path))
    images, labels = _by_key(folder, files, wanted=False), _by_key(folder, files, wanted=True)
    if not images and not labels:
        raise UserError(f"{folder}: holds no NIfTI volume (.nii.gz or .nii); check the path")
    keys = sorted({*images, *labels})
    return [_partners(key, images.get(key), labels.get(key)) for key in keys]


def _by_key(folder: Path, files: Iterable[Path], *, wanted: bool) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        key, kind = _parse(path.relative_to(folder))
        if kind == "ignored" or (kind == "labels") != wanted:
            continue
        if key in found:
            raise UserError(f"{path}: {found[key]} would be the same volume; move one of them away")
        found[key] = path
    return found


def _parse(relative: Path) -> tuple[str, str]:
    """(key, "image", "labels" or "ignored"): the name decides, then the folders."""
    stem = stem_of(relative)
    start, _, last = stem.rpartition("_")
    kinds = [_kind(word) for word in (last, *relative.parent.parts)]
    above = [part for part in relative.parent.parts if not _kind(part)]
    name = start if kinds[0] else stem
    key = "/".join([*above, *([name] if name else [])])
    return key, next((kind for kind in kinds if kind), "image")


def _kind(word: str) -> str:
    kinds = {"labels": LABEL_NAMES, "image": IMAGE_NAMES, "ignored": IGNORED_NAMES}
    return next((kind for kind, words in kinds.items() if word.lower() in words), "")


def _partners(key: str, image: Path | None, labels: Path | None) -> Partners:
    entities = dict(part.split("-", 1) for part in key.rpartition("/")[2].split("_") if "-" in part)
    return Partners(
        key=key,
        image=image,
        labels=labels,
        subject=bids_label(entities.get("sub", "")) or bids_label(key) or "1",
        session=bids_label(entities.get("ses", "")) if "sub" in entities else "",
        reconstruction=bids_label(entities.get("rec", "")) if "sub" in entities else "",
    )
