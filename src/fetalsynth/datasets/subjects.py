"""The optional table beside a folder: which image is whose, and what else is known of it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fetalsynth.artifacts.images import COLUMNS
from fetalsynth.datasets.listing import Listing
from fetalsynth.errors import UserError, explaining

_OWN = ("file", "subject", "pixel_spacing_mm", "pixel_spacing_y_mm", "pixel_spacing_x_mm")
_AGE = "gestational_age_weeks"
_RESERVED = (*(column for column in COLUMNS if column not in (*_OWN, _AGE)), "mask")


@dataclass(frozen=True, kw_only=True)
class Known:
    """One row of the table; ``pixel_spacing_mm`` is (y, x)."""

    subject: str
    pixel_spacing_mm: tuple[float, float] | None = None
    gestational_age_weeks: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def read_subjects(table: Path, *, listing: Listing) -> dict[str, Known]:
    """Rows by relative path of the image.

    Columns: ``file`` (path below the folder) and ``subject``; optionally ``pixel_spacing_mm`` (or
    ``pixel_spacing_y_mm`` with ``pixel_spacing_x_mm``), ``gestational_age_weeks`` and any others,
    which are kept as they are. Raises UserError with the line for a file that does not exist, a
    second row for a file, a missing subject or a bad number; and for images without a row.
    """
    present = {listing.relative(path) for path in listing.files}
    known: dict[str, Known] = {}
    for line, row in _rows(table):
        file = (row["file"] or "").strip().replace("\\", "/")
        if file not in present:
            raise UserError(f"{table}, line {line}: there is no image {file!r} in {listing.folder}")
        if file in known:
            raise UserError(f"{table}, line {line}: a second row for {file}; keep one of them")
        known[file] = _known(row, where=f"{table}, line {line}")
    missing = sorted(present - known.keys())
    if missing:
        raise UserError(
            f"{table}: has no row for {len(missing)} of {len(present)} images, such as "
            f"{missing[0]}; add rows (file is the path below {listing.folder}) or move them away"
        )
    return known


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    with explaining(table), table.open(newline="", encoding="utf-8-sig") as stream:
        try:
            rows = csv.DictReader(stream, strict=True)
            header = list(rows.fieldnames or ())
            numbered = [(rows.line_num, row) for row in rows]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{table}: not a UTF-8 CSV file ({error}); save it as one") from error
    missing = [column for column in ("file", "subject") if column not in header]
    if missing:
        raise UserError(
            f"{table}: lacks the column {' and '.join(missing)}; its first line must name "
            f"comma-separated columns, but is: {','.join(header)[:80]}"
        )
    reserved = [column for column in header if column in _RESERVED]
    if reserved:
        raise UserError(f"{table}: the column {reserved[0]} is made at import; rename it")
    for line, row in numbered:
        if None in row or None in row.values():
            raise UserError(f"{table}, line {line}: has not as many cells as the first line")
    return numbered


def _known(row: dict[str, str], *, where: str) -> Known:
    subject = row["subject"].strip()
    if not subject:
        raise UserError(f"{where}: no subject for {row['file']}; fill it in")
    other = {
        column: text.strip()
        for column, text in row.items()
        if column not in (*_OWN, _AGE) and text.strip()
    }
    return Known(
        subject=subject,
        pixel_spacing_mm=_spacing(row, where=where),
        gestational_age_weeks=positive(row.get(_AGE), name=_AGE, where=where),
        extra=other,
    )


def _spacing(row: dict[str, str], *, where: str) -> tuple[float, float] | None:
    both, down, along = (positive(row.get(name), name=name, where=where) for name in _OWN[2:])
    if (down is None) != (along is None) or (both is not None and down is not None):
        raise UserError(f"{where}: give pixel_spacing_mm, or pixel_spacing_y_mm and …_x_mm")
    if down is not None and along is not None:
        return down, along
    return None if both is None else (both, both)


def positive(text: str | None, *, name: str, where: str) -> float | None:
    """The positive number in a table's cell, None where it is empty; UserError otherwise."""
    if text is None or not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{where}: {name} must be a positive number, but is {text.strip()!r}")
    return value
