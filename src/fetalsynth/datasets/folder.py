"""Any folder of PNG, JPEG, TIFF or DICOM files, with or without a table of subjects."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fetalsynth.artifacts.digest import digest_file, digest_json
from fetalsynth.datasets.frames import Frame, count_frames, is_dicom, read_frames
from fetalsynth.datasets.listing import Listing, list_images, safe_names
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.source import Source, SourceImage
from fetalsynth.datasets.subjects import Known, read_subjects


def open_source(folder: Path, *, subjects: Path | None = None) -> Source:
    """Images of a folder and its subfolders as a source.

    ``subjects`` is a CSV as :func:`fetalsynth.datasets.subjects.read_subjects` takes it. Without
    it every file is its own subject, except DICOM, whose patients are known by a pseudonym.
    Raises UserError for an empty folder or a table that does not match; reading the images raises
    it for files that do not decode, naming them.
    """
    listing = list_images(folder)
    known = None if subjects is None else read_subjects(subjects, listing=listing)
    digests = digest_each(listing)
    digest = combined(listing, digests)
    if subjects is not None:
        digest = digest_json([digest, digest_file(subjects)])
    return Source(
        name=folder.resolve().name,
        digest=digest,
        count=sum(ordered_map(count_frames, listing.files)),
        images=partial(_images, listing, known, pseudonym_key(digests)),
        notes=_notes(listing, known),
    )


def digest_each(listing: Listing) -> list[str]:
    """SHA-256 of every file, in order."""
    return list(ordered_map(digest_file, listing.files))


def combined(listing: Listing, digests: list[str]) -> str:
    """One digest of names and contents, as :func:`fetalsynth.artifacts.digest.digest_files`."""
    names = [listing.relative(path) for path in listing.files]
    return digest_json([[name, digest] for name, digest in zip(names, digests, strict=True)])


def pseudonym_key(digests: list[str]) -> bytes:
    """A key that only someone who holds the files can make, so that a short patient number cannot
    be found by hashing all of them.
    """
    return hashlib.sha256("\n".join(["pseudonym", *sorted(digests)]).encode()).digest()


def _notes(listing: Listing, known: dict[str, Known] | None) -> tuple[str, ...]:
    notes = []
    if known is None and not all(is_dicom(path) for path in listing.files):
        notes.append(
            "no table of subjects: every file counts as its own subject, so the held-out split "
            "cannot keep images of one patient together (give --subjects CSV)"
        )
    if listing.ignored:
        notes.append(f"{listing.ignored} hidden files or other kinds in the folder were left out")
    return tuple(notes)


def _images(listing: Listing, known: dict[str, Known] | None, key: bytes) -> Iterator[SourceImage]:
    frames = ordered_map(partial(read_frames, key=key), listing.files)
    for path, name, found in zip(listing.files, safe_names(listing), frames, strict=True):
        row = None if known is None else known[listing.relative(path)]
        for number, frame in enumerate(found, start=1):
            suffix = f"-f{number:04d}" if len(found) > 1 else ""
            yield _image(frame, name=name + suffix, file=name, row=row)


def _image(frame: Frame, *, name: str, file: str, row: Known | None) -> SourceImage:
    if row is None:
        return SourceImage(
            name=name,
            subject=frame.subject or file,
            pixels=frame.pixels,
            pixel_spacing_mm=frame.pixel_spacing_mm,
            extra=frame.extra,
        )
    return SourceImage(
        name=name,
        subject=row.subject,
        pixels=frame.pixels,
        pixel_spacing_mm=row.pixel_spacing_mm or frame.pixel_spacing_mm,
        gestational_age_weeks=row.gestational_age_weeks,
        extra={**frame.extra, **row.extra},
    )
