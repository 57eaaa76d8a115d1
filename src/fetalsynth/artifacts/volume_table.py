"""The tables of a ``volumes`` artifact: which volumes it holds, and what is known of each."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from fetalsynth.artifacts.tsv import read_tsv
from fetalsynth.errors import UserError

PARTICIPANTS, VOLUMES, LABELS = "participants.tsv", "volumes.tsv", "dseg.tsv"
OF_SUBJECT = ("split", "gestational_age_weeks", "pathology")
OF_VOLUME = ("session", "reconstruction", "description", "image", "labels")


@dataclass(frozen=True, kw_only=True)
class VolumeRecord:
    """One volume: its row of ``volumes.tsv`` with that of its subject.

    ``subject``, ``session``, ``reconstruction`` ("mial", "irtk", …) and ``description`` ("synth",
    …) are what stands behind ``sub-``, ``ses-``, ``rec-`` and ``desc-`` in the file names, "" where
    there is none. ``image`` and ``labels`` are relative to the artifact, None where there is none.
    ``split`` is "train", "test" or "" (not split). ``extra`` holds what else the source knows, as
    text.
    """

    subject: str
    image: str | None
    labels: str | None
    session: str = ""
    reconstruction: str = ""
    description: str = ""
    split: str = ""
    gestational_age_weeks: float | None = None
    pathology: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of its files without suffix: ``sub-x[_ses-y][_rec-z][_desc-d]``."""
        parts = {
            "sub": self.subject,
            "ses": self.session,
            "rec": self.reconstruction,
            "desc": self.description,
        }
        return "_".join(f"{key}-{value}" for key, value in parts.items() if value)

    @property
    def folder(self) -> str:
        """Where its files lie, relative to the artifact."""
        session = f"/ses-{self.session}" if self.session else ""
        return f"sub-{self.subject}{session}/anat"


def bids_label(text: str) -> str:
    """Letters and digits of ``text``: what BIDS allows in names."""
    return re.sub(r"[^A-Za-z0-9]", "", text)


def read_participants(folder: Path) -> list[VolumeRecord]:
    """Every volume of the artifact with what is known of its subject, in order of the table.

    Raises UserError with the line where a table is malformed or a file is outside the folder.
    """
    known: dict[str, tuple[dict[str, str], str]] = {}
    for row, where in read_tsv(folder / PARTICIPANTS, needed=("participant_id", *OF_SUBJECT)):
        if row["participant_id"] in known:
            raise UserError(f"{where}: a second row for {row['participant_id']}; restore the table")
        known[row["participant_id"]] = (row, where)
    records = []
    for row, where in read_tsv(folder / VOLUMES, needed=("participant_id", *OF_VOLUME)):
        if row["participant_id"] not in known:
            raise UserError(f"{where}: {row['participant_id']} is not in {PARTICIPANTS}")
        subject, place = known[row["participant_id"]]
        extra = {k: v for k, v in row.items() if k not in ("participant_id", *OF_VOLUME) and v}
        records.append(
            VolumeRecord(
                subject=row["participant_id"].removeprefix("sub-"),
                image=_file(row["image"], where),
                labels=_file(row["labels"], where),
                session=row["session"],
                reconstruction=row["reconstruction"],
                description=row["description"],
                split=subject["split"],
                gestational_age_weeks=_weeks(subject["gestational_age_weeks"], place),
                pathology=subject["pathology"],
                extra=extra,
            )
        )
    return records


def read_label_names(folder: Path) -> tuple[str, ...]:
    """Names by label, empty where the artifact has no ``dseg.tsv``."""
    path = folder / LABELS
    if not path.is_file():
        return ()
    rows = read_tsv(path, needed=("index", "name"))
    if [row["index"] for row, _ in rows] != [str(index) for index in range(len(rows))]:
        raise UserError(f"{path}: labels must be numbered from 0 without gaps; restore the table")
    return tuple(row["name"] for row, _ in rows)


def _file(text: str, where: str) -> str | None:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"{where}: {text!r} is not a file of this folder; restore the table")
    return text or None


def _weeks(text: str, where: str) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        value = math.nan
    if value is not None and not (math.isfinite(value) and value > 0):
        raise UserError(f"{where}: gestational_age_weeks is not a positive number: {text}")
    return value
