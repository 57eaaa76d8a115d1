"""Tab-separated tables as BIDS has them: one header line, ``n/a`` for an empty cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError, explaining

_NONE = "n/a"


def write_tsv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write the rows; what is None or empty becomes ``n/a``."""
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_text(cell) for cell in row] for row in rows])
    write_text(path, stream.getvalue())


def _text(value: str | float | None) -> str:
    if value is None or value == "":
        return _NONE
    return value if isinstance(value, str) else f"{value:.10g}"


def read_tsv(path: Path, *, needed: Sequence[str]) -> list[tuple[dict[str, str], str]]:
    """Rows of a tab-separated table with where each stands; ``n/a`` becomes "".

    Raises UserError where a needed column is missing or a row has not as many cells as the first.
    """
    with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            reader = csv.DictReader(stream, delimiter="\t")
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{path}: lacks the column {', '.join(missing)}")
            rows = [(row, f"{path}, line {reader.line_num}") for row in reader]
        except csv.Error as error:
            raise UserError(f"{path}: is no table ({error}); restore it") from error
    for row, where in rows:
        if None in row or None in row.values():
            raise UserError(f"{where}: has not as many cells as the first line; restore the table")
    return [
        ({key: "" if cell.strip() == _NONE else cell.strip() for key, cell in row.items()}, where)
        for row, where in rows
    ]
