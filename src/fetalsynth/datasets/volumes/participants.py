"""What is known of every subject, from a BIDS ``participants.tsv`` or a table of the user's."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetalsynth.artifacts.volumes import bids_label
from fetalsynth.datasets.subjects import positive
from fetalsynth.errors import UserError, explaining

_SUBJECT = ("participant_id", "subject")
_AGE = ("gestational_age_weeks", "gestational age", "gestational_age", "ga")
_EMPTY = ("", "n/a", "na", "nan")


@dataclass(frozen=True, kw_only=True)
class Known:
    """One row; ``subject`` is a BIDS label; ``extra`` has the remaining columns as text."""

    subject: str
    gestational_age_weeks: float | None = None
    pathology: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Participants:
    """Rows by subject, and by file where the table has a column ``file``."""

    by_subject: Mapping[str, Known] = field(default_factory=dict)
    by_file: Mapping[str, Known] = field(default_factory=dict)

    def find(self, *, file: str, subject: str) -> Known:
        """The row of this image, else of this subject, else one that knows nothing more."""
        found = self.by_file.get(file) or self.by_subject.get(subject)
        return found or Known(subject=subject)


def read_subject_table(path: Path) -> Participants:
    """Read a CSV or TSV table.

    Columns (capitals do not matter): ``participant_id`` or ``subject``; optionally ``file`` (path
    of the image below the folder), ``gestational_age_weeks`` (or "Gestational age") and
    ``pathology``; all others are kept. Raises UserError with the line for a missing subject, a bad
    age and a second row.
    """
    by_subject: dict[str, Known] = {}
    by_file: dict[str, Known] = {}
    for row, where in _rows(path):
        known = _known(row, where)
        file = row.get("file", "").replace("\\", "/")
        place, key = (by_file, file) if file else (by_subject, known.subject)
        if key in place:
            raise UserError(f"{where}: a second row for {key}; keep one of them")
        place[key] = known
    return Participants(by_subject=by_subject, by_file=by_file)


def _rows(path: Path) -> list[tuple[dict[str, str], str]]:
    with explaining(path):
        text = path.read_text(encoding="utf-8-sig")
    delimiter = "\t" if "\t" in text.partition("\n")[0] else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if not set(_SUBJECT) & set(names):
        raise UserError(f"{path}: needs a column participant_id or subject in its first line")
    reader.fieldnames = names
    rows = []
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise UserError(f"{where}: has not as many cells as the first line; mend the table")
        cells = {key: cell.strip() for key, cell in row.items()}
        rows.append(({k: "" if c.lower() in _EMPTY else c for k, c in cells.items()}, where))
    return rows


def _known(row: dict[str, str], where: str) -> Known:
    written = _first(row, _SUBJECT)
    subject = bids_label(written.removeprefix("sub-"))
    if not subject:
        raise UserError(f"{where}: names no subject; fill in that cell or delete the line")
    used = (*_SUBJECT, *_AGE, "pathology", "file")
    return Known(
        subject=subject,
        gestational_age_weeks=positive(_first(row, _AGE), name="gestational age", where=where),
        pathology=row.get("pathology", ""),
        extra={_column(k): cell for k, cell in row.items() if k and k not in used and cell},
    )


def _first(row: dict[str, str], names: tuple[str, ...]) -> str:
    return next((row[name] for name in names if row.get(name)), "")


def _column(name: str) -> str:
    """A column's name as this package writes them, and none that a volume's own table has."""
    plain = name.replace(" ", "_")
    taken = ("session", "reconstruction", "description", "image", "labels", "split")
    return f"source_{plain}" if plain in taken else plain
