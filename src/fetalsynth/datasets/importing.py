"""A source → an ``images`` artifact: masked, resampled, split by subject, with a preview."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fetalsynth.anatomy.ellipse import ellipse_columns
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.datasets.decoding import Pixels, decode, read_bytes
from fetalsynth.datasets.duplicates import equal_groups, pixel_hash
from fetalsynth.datasets.geometry import Fit, fit_to_square
from fetalsynth.datasets.loading import with_channels
from fetalsynth.datasets.overlays import boxes_text, find_overlays
from fetalsynth.datasets.painting import paint_over
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.preview import write_preview
from fetalsynth.datasets.source import Source, SourceImage
from fetalsynth.datasets.splits import TEST, TRAIN, split_subjects
from fetalsynth.errors import DataWarning, UserError
from fetalsynth.progress import Progress

PREVIEW = "preview.png"
_SHOWN = 48


@dataclass(frozen=True, kw_only=True)
class _Ready:
    image: SourceImage
    pixel_hash: str


def import_images(
    source: Source,
    *,
    folder: Path,
    size: int | None,
    fit: Fit = "pad",
    channels: int | None = None,
    mask_overlays: bool = False,
    held_out: float = 0.2,
    seed: int = 0,
) -> dict[str, Any]:
    """Write every image of the source into ``folder`` (an artifact being built).

    ``size`` None keeps the original sizes. ``channels`` is 1, 3 or None (as they are).
    ``mask_overlays`` removes burned-in bars and boxes before resampling and records them in the
    column ``overlays``, in pixels of the original. ``held_out`` is the fraction of subjects in
    split "test". Identical images are kept, warned about and listed.

    Returns facts for the manifest: counts, splits, duplicates, notes.
    Raises UserError for what the source or a setting has wrong, naming the file.
    """
    if size is not None and not 8 <= size <= 4096:
        raise UserError(f"--size {size}: must be from 8 to 4096 pixels")
    if not 0 <= held_out < 1:
        raise UserError(f"--held-out {held_out:g}: must be at least 0 and below 1, such as 0.2")

    def prepare(image: SourceImage) -> _Ready:
        return _prepare(image, size=size, fit=fit, channels=channels, masked=mask_overlays)

    writer = ImagesWriter(folder)
    hashes: list[str] = []
    with Progress(label=f"import {source.name}", total=source.count) as progress:
        for ready in ordered_map(prepare, source.images()):
            _add(writer, ready.image)
            hashes.append(ready.pixel_hash)
            progress.advance()
    _split(writer, held_out=held_out, seed=seed)
    _preview(folder, writer)
    names = [Path(row.file).stem for row in writer.records]
    duplicates = [[names[i] for i in group] for group in equal_groups(hashes)]
    facts = _facts(writer, duplicates=duplicates, notes=_notes(source, duplicates))
    for note in facts["notes"]:
        warnings.warn(note, DataWarning, stacklevel=2)
    return facts


def _prepare(
    image: SourceImage, *, size: int | None, fit: Fit, channels: int | None, masked: bool
) -> _Ready:
    """Runs in a thread; the hash is of the pixels as the source has them."""
    pixels = image.pixels
    fingerprint = pixel_hash(pixels)
    if masked:
        boxes = find_overlays(pixels)
        extra = {**image.extra, "overlays": boxes_text(boxes)}
        image = replace(image, pixels=paint_over(pixels, boxes=boxes), extra=extra)
    if channels is not None:
        image = replace(image, pixels=_squeezed(with_channels(image.pixels, channels)))
    if image.pixels.ndim == 3 and image.pixels.dtype == np.uint16:
        raise UserError(
            f"{image.name}: 16-bit colour cannot be kept in PNG; give --channels 1 for luminance"
        )
    if size is not None:
        image = fit_to_square(image, size=size, fit=fit)
    return _Ready(image=image, pixel_hash=fingerprint)


def _squeezed(pixels: Pixels) -> Pixels:
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def _add(writer: ImagesWriter, image: SourceImage) -> None:
    down, along = image.pixel_spacing_mm or (None, None)
    columns = {} if image.ellipse is None else ellipse_columns(image.ellipse)
    writer.add(
        image.pixels,
        name=image.name,
        subject=image.subject,
        pixel_spacing_y_mm=down,
        pixel_spacing_x_mm=along,
        gestational_age_weeks=image.gestational_age_weeks,
        extra={**image.extra, **columns},
        mask=image.mask,
    )


def _split(writer: ImagesWriter, *, held_out: float, seed: int) -> None:
    subjects = [record.subject for record in writer.records]
    split = split_subjects(subjects, held_out=held_out, seed=seed)
    writer.records = [replace(row, split=split[row.subject]) for row in writer.records]
    writer.close()


def _preview(folder: Path, writer: ImagesWriter) -> None:
    """Evenly spaced over the set, so that every kind of image has a chance to be seen."""
    count = len(writer.records)
    chosen = sorted({i * count // min(_SHOWN, count) for i in range(min(_SHOWN, count))})
    shown = []
    for index in chosen:
        path = folder / writer.records[index].file
        shown.append(decode(read_bytes(path), path=path)[0])
    write_preview(folder / PREVIEW, shown)


def _notes(source: Source, duplicates: list[list[str]]) -> list[str]:
    notes = list(source.notes)
    if duplicates:
        groups = "; ".join(" = ".join(names) for names in duplicates[:5])
        more = "" if len(duplicates) <= 5 else f" and {len(duplicates) - 5} more groups"
        notes.append(f"identical images, all kept: {groups}{more}")
    return notes


def _facts(
    writer: ImagesWriter, *, duplicates: list[list[str]], notes: list[str]
) -> dict[str, Any]:
    rows = writer.records
    return {
        "images": len(rows),
        "subjects": len({row.subject for row in rows}),
        "train_images": sum(row.split == TRAIN for row in rows),
        "test_images": sum(row.split == TEST for row in rows),
        "train_subjects": len({row.subject for row in rows if row.split == TRAIN}),
        "test_subjects": len({row.subject for row in rows if row.split == TEST}),
        "duplicates": duplicates,
        "notes": notes,
    }
