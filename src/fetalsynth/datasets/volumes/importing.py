"""A source → a ``volumes`` artifact: grey levels in a declared window, split by subject."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter
from fetalsynth.datasets.duplicates import equal_groups
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.splits import TEST, TRAIN, split_subjects
from fetalsynth.datasets.volumes.preview import write_preview
from fetalsynth.datasets.volumes.source import SourceVolume, VolumeItem, VolumeSource
from fetalsynth.datasets.volumes.window import Window, apply_window, measure_window
from fetalsynth.errors import DataWarning, UserError
from fetalsynth.progress import Progress

PREVIEW = "preview.png"


@dataclass(frozen=True)
class _Ready:
    volume: SourceVolume
    levels: NDArray[np.int16] | None
    window: Window | None
    fingerprint: str


@dataclass(frozen=True)
class _Broken:
    name: str
    reason: str


def import_volumes(
    source: VolumeSource,
    *,
    folder: Path,
    held_out: float = 0.2,
    test_subjects: Sequence[str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Write every volume of the source into ``folder`` (an artifact being built).

    Volumes keep their space; images are brought to 0…WHITE by the window that the source declares
    or else by :func:`measure_window`, recorded in the sidecar. ``held_out`` is the fraction of
    subjects in split "test"; ``test_subjects`` names them instead. A broken volume is left out
    and the others go on.

    Returns facts for the manifest: counts, splits, ``left_out`` (volume and reason), duplicates,
    notes. Raises UserError where no volume is usable, for test subjects that do not exist and for a
    fraction that leaves none to train on.
    """
    subjects = [item.subject for item in source.items]
    _split(subjects, held_out=held_out, test_subjects=test_subjects, seed=seed)
    writer = VolumesWriter(
        folder,
        synthetic=source.synthetic,
        label_names=source.label_names,
        licences=source.licences,
    )
    broken, fingerprints, notes = _write_all(source, writer)
    if not writer.records:
        raise UserError(f"no usable volume among {source.count}; the first: {broken[0].reason}")
    usable = [record.subject for record in writer.records]
    wanted = None if test_subjects is None else [s for s in _bare(test_subjects) if s in usable]
    split = _split(usable, held_out=held_out, test_subjects=wanted, seed=seed)
    writer.records = [replace(row, split=split[row.subject]) for row in writer.records]
    writer.close()
    write_preview(folder / PREVIEW, folder=folder, records=writer.records)
    duplicates = [[writer.records[i].name for i in group] for group in equal_groups(fingerprints)]
    notes = [*source.notes, *notes, *_said(duplicates)]
    for note in notes:
        warnings.warn(note, DataWarning, stacklevel=2)
    return _facts(writer, broken=broken, duplicates=duplicates, notes=notes)


def _bare(subjects: Sequence[str]) -> list[str]:
    return [subject.removeprefix("sub-") for subject in subjects]


def _split(
    subjects: Sequence[str],
    *,
    held_out: float,
    test_subjects: Sequence[str] | None,
    seed: int,
) -> dict[str, str]:
    if test_subjects is None:
        return split_subjects(subjects, held_out=held_out, seed=seed)
    wanted = set(_bare(test_subjects))
    unknown = sorted(wanted - set(subjects))
    if unknown:
        there = ", ".join(sorted(set(subjects))[:20])
        raise UserError(
            f"--test-subjects {', '.join(unknown)}: there is no such subject; there are: {there}"
        )
    return {subject: TEST if subject in wanted else TRAIN for subject in subjects}


def _write_all(
    source: VolumeSource, writer: VolumesWriter
) -> tuple[list[_Broken], list[str], list[str]]:
    """(what was left out, a fingerprint per volume written, notes of the volumes)."""
    broken: list[_Broken] = []
    fingerprints: list[str] = []
    notes: list[str] = []
    label = f"import {source.name}"
    with Progress(label=label, total=source.count, unit="volumes") as progress:
        for ready in ordered_map(_prepare, source.items, ahead_per_core=1):
            if isinstance(ready, _Ready):
                failed = _add(writer, ready)
                if not failed:
                    fingerprints.append(ready.fingerprint)
                    notes += ready.volume.notes
            else:
                failed = ready
            broken += [failed] if failed else []
            progress.advance()
    return broken, fingerprints, notes


def _prepare(item: VolumeItem) -> _Ready | _Broken:
    """Runs in a thread; a volume that cannot be used must not stop the others."""
    try:
        volume = item.read()
        if volume.image is None:
            return _Ready(volume, None, None, _fingerprint(volume.labels))
        window = volume.window or measure_window(volume.image, volume.labels, where=item.name)
        levels = apply_window(volume.image, window)
        return _Ready(volume, levels, window, _fingerprint(levels))
    except UserError as error:
        return _Broken(item.name, str(error))


def _fingerprint(voxels: NDArray[Any] | None) -> str:
    return "" if voxels is None else digest_bytes(np.ascontiguousarray(voxels).tobytes())


def _add(writer: VolumesWriter, ready: _Ready) -> _Broken | None:
    volume, window = ready.volume, ready.window
    grey = {} if window is None else {"Window": list(window), "White": WHITE}
    try:
        writer.add(
            subject=volume.subject,
            session=volume.session,
            reconstruction=volume.reconstruction,
            image=ready.levels,
            labels=volume.labels,
            affine=volume.affine,
            header=volume.header,
            sidecar={**volume.sidecar, **grey},
            labels_sidecar=volume.sidecar,
            gestational_age_weeks=volume.gestational_age_weeks,
            pathology=volume.pathology,
            extra=volume.extra,
        )
    except UserError as error:
        if isinstance(error.__cause__, OSError):  # a full disk concerns all volumes
            raise
        return _Broken(f"sub-{volume.subject}", str(error))
    return None


def _said(duplicates: list[list[str]]) -> list[str]:
    if not duplicates:
        return []
    groups = "; ".join(" = ".join(names) for names in duplicates[:5])
    return [f"identical volumes, all kept: {groups}"]


def _facts(
    writer: VolumesWriter,
    *,
    broken: list[_Broken],
    duplicates: list[list[str]],
    notes: list[str],
) -> dict[str, Any]:
    rows = writer.records
    subjects = {row.subject: row.split for row in rows}
    return {
        "volumes": len(rows),
        "subjects": len(subjects),
        "train_volumes": sum(row.split == TRAIN for row in rows),
        "test_volumes": sum(row.split == TEST for row in rows),
        "train_subjects": sum(split == TRAIN for split in subjects.values()),
        "test_subjects": sum(split == TEST for split in subjects.values()),
        "reconstructions": dict(sorted(Counter(row.reconstruction for row in rows).items())),
        "left_out": [{"volume": item.name, "reason": item.reason} for item in broken],
        "duplicates": duplicates,
        "notes": notes,
    }
