"""Any folder of images with label maps: NIfTI pairs, a table of labels, a table of subjects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fetalsynth.artifacts.digest import digest_files, digest_json
from fetalsynth.artifacts.manifest import Licence, is_artifact
from fetalsynth.datasets.volumes.finding import Partners, find_partners
from fetalsynth.datasets.volumes.label_table import LabelTable, open_label_table
from fetalsynth.datasets.volumes.pair import read_pair
from fetalsynth.datasets.volumes.participants import Known, Participants, read_subject_table
from fetalsynth.datasets.volumes.source import SourceVolume, VolumeItem, VolumeSource
from fetalsynth.errors import UserError

PARTICIPANTS = "participants.tsv"


def open_source(
    folder: Path,
    *,
    labels_table: str | None = None,
    subjects: Path | None = None,
    reconstruction: str | None = None,
) -> VolumeSource:
    """A folder of image and label pairs, however deep (names: see ``find_partners``).

    ``labels_table`` is what ``open_label_table`` takes. ``subjects`` is a table as
    ``read_subject_table`` reads it; a ``participants.tsv`` in the folder is read unasked.
    ``reconstruction`` keeps the volumes with that ``rec-`` in their names.
    Raises UserError where there is nothing to read or a table is wrong.
    """
    if is_artifact(folder):
        raise UserError(f"{folder}: was made by fetalsynth already; there is nothing to import")
    table = folder / PARTICIPANTS if (folder / PARTICIPANTS).is_file() else None
    return source_of(
        find_partners(folder),
        name="pairs",
        folder=folder,
        labels=open_label_table(labels_table),
        subjects=subjects or table,
        reconstruction=reconstruction,
    )


def source_of(
    found: Sequence[Partners],
    *,
    name: str,
    folder: Path,
    labels: LabelTable,
    subjects: Path | None,
    reconstruction: str | None,
    licences: tuple[Licence, ...] = (),
) -> VolumeSource:
    """A source of these pairs; a pair without image or without labels fails when it is read."""
    chosen = [p for p in found if reconstruction in (None, p.reconstruction)]
    if not chosen:
        there = ", ".join(sorted({p.reconstruction or "(none)" for p in found}))
        raise UserError(
            f"{folder}: no volume of reconstruction {reconstruction}; there are: {there}"
        )
    known = read_subject_table(subjects) if subjects else Participants()
    files = [path for p in chosen for path in (p.image, p.labels) if path is not None]
    tables = [] if subjects is None else [digest_files(subjects.parent, [subjects])]
    rows = [known.find(file=_relative(folder, p), subject=p.subject) for p in chosen]
    return VolumeSource(
        name=name,
        digest=digest_json([digest_files(folder, files), *tables, sorted(labels.table.items())]),
        items=tuple(
            VolumeItem(
                name=p.name, subject=row.subject, read=partial(_read, folder, p, row, labels)
            )
            for p, row in zip(chosen, rows, strict=True)
        ),
        licences=licences,
        notes=_notes(rows, subjects, known),
    )


def _relative(folder: Path, partners: Partners) -> str:
    return "" if partners.image is None else partners.image.relative_to(folder).as_posix()


def _read(folder: Path, partners: Partners, row: Known, labels: LabelTable) -> SourceVolume:
    if partners.image is None or partners.labels is None:
        lacking = "image" if partners.image is None else "label map"
        raise UserError(
            f"{partners.name}: has no {lacking} beside it; add it or move the file away"
        )
    pair = read_pair(image=partners.image, labels=partners.labels, table=labels)
    return SourceVolume(
        subject=row.subject,
        session=partners.session,
        reconstruction=partners.reconstruction,
        image=pair.image,
        labels=pair.labels,
        affine=pair.affine,
        header=pair.header,
        gestational_age_weeks=row.gestational_age_weeks,
        pathology=row.pathology,
        extra=row.extra,
        sidecar={
            "SourceFiles": [
                path.relative_to(folder).as_posix() for path in (partners.image, partners.labels)
            ],
            "SourceLabels": labels.name,
        },
        notes=pair.notes,
    )


def _notes(rows: Sequence[Known], table: Path | None, known: Participants) -> tuple[str, ...]:
    if table is None:
        return ("no table of subjects: subjects are taken from the file names",)
    listed = {id(row) for row in (*known.by_subject.values(), *known.by_file.values())}
    lacking = [row.subject for row in rows if id(row) not in listed]
    notes = []
    if lacking:
        notes.append(f"{table}: has no row for {len(lacking)} volumes, such as {lacking[0]}")
    ageless = Counter(row.gestational_age_weeks is None for row in rows)[True]
    if ageless:
        notes.append(f"{ageless} of {len(rows)} volumes without gestational age")
    return tuple(notes)
