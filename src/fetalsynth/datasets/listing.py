"""Which files of a folder are images, in a fixed order, and what each will be called."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.artifacts.manifest import is_artifact
from fetalsynth.datasets.frames import is_dicom, is_image
from fetalsynth.errors import UserError, explaining

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Image files in order of their path below ``folder``, and how many others there are."""

    folder: Path
    files: tuple[Path, ...]
    ignored: int

    def relative(self, path: Path) -> str:
        """The path below the folder, with forward slashes."""
        return path.relative_to(self.folder).as_posix()


def list_images(folder: Path) -> Listing:
    """Images in the folder and its subfolders; hidden files and other kinds are counted only.

    Raises UserError where the folder is missing, holds no image, is an artifact of this package
    or holds outline drawings of HC18 beside the images (they are no images).
    """
    if not folder.is_dir():
        what = "is a file, not a folder of images" if folder.exists() else "it does not exist"
        raise UserError(f"{folder}: {what}; check the path")
    if is_artifact(folder):
        raise UserError(f"{folder}: was made by fetalsynth already; there is nothing to import")
    with explaining(folder):
        found = sorted(folder.rglob("*"))
    every = [path for path in found if path.is_file()]
    lost = [path for path in found if path.is_symlink() and not path.exists()]
    if lost:
        raise UserError(f"{lost[0]}: is a link to a file that is not there; fetch it or remove it")
    seen = [path for path in every if not _hidden(path, folder)]
    with explaining(folder):
        files = tuple(path for path in seen if is_image(path))
    if not files:
        kinds = "PNG, JPEG, TIFF or DICOM"
        raise UserError(f"{folder}: holds no {kinds} file ({len(every)} others); check the path")
    _refuse_annotations(folder, files)
    return Listing(folder=folder, files=files, ignored=len(every) - len(files))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _refuse_annotations(folder: Path, files: tuple[Path, ...]) -> None:
    drawn = [path for path in files if path.stem.endswith("_HC_Annotation")]
    if drawn:
        raise UserError(
            f"{folder}: {len(drawn)} files such as {drawn[0].name} are outlines, not images; read "
            "this folder with: fetalsynth data import hc18"
        )


def safe_names(listing: Listing) -> list[str]:
    """A unique file stem per file, from its relative path.

    DICOM files are numbered instead: their names and folders often hold the patient's name.
    """
    stems = [_stem(listing, path, number) for number, path in enumerate(listing.files, start=1)]
    often = Counter(stem.casefold() for stem in stems)
    taken: set[str] = set()
    names = []
    for stem, path in zip(stems, listing.files, strict=True):
        name = stem if often[stem.casefold()] == 1 else f"{stem}_{path.suffix[1:].lower()}"
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        names.append(unique)
    return names


def _stem(listing: Listing, path: Path, number: int) -> str:
    if is_dicom(path):
        return f"dicom-{number:05d}"
    relative = path.relative_to(listing.folder).with_suffix("").as_posix()
    return _UNSAFE.sub("_", relative).strip("_.") or f"image-{number:05d}"
