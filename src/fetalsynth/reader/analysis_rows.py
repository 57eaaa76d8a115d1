"""``answers.csv``: one row per answer with the truth beside it; what the analysis starts from."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from fetalsynth.assessment.tables import csv_text
from fetalsynth.errors import UserError, explaining

ANSWERS = "answers.csv"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One answer. What was not asked or not recorded is None (of texts: "").

    ``truth`` is that of ``item``; of a pair, whose left side ``item`` is, too. ``set`` names where
    the synthetic image comes from ("" unknown), for a real one where that comes from. ``verdict``
    is "real" or "synthetic"; ``confidence`` rises from surely synthetic (1) to surely real;
    ``choice`` is the side of a pair ("left", "right") that was called real. Times in seconds.
    """

    study: str
    reader: str
    group: str = ""
    years_experience: float | None = None
    position: int
    block: str = "main"
    presentation: int = 1
    item: str
    item2: str = ""
    truth: str
    set: str = ""
    role: str = "main"
    stratum: str = ""
    verdict: str = ""
    confidence: int | None = None
    quality: int | None = None
    tags: str = ""
    choice: str = ""
    correct: int | None = None
    active_seconds: float | None = None
    total_seconds: float | None = None
    hidden_seconds: float | None = None
    shown_at: str = ""
    submitted_at: str = ""
    revision: int = 0
    source_file: str = ""
    source_sha256: str = ""
    gestational_age_weeks: float | None = None


COLUMNS = tuple(field.name for field in fields(Row))
NEEDED = ("reader", "position", "item", "truth")
_KINDS = {field.name: str(field.type) for field in fields(Row)}
_WORDS = {  # column: what may stand there
    "truth": ("real", "synthetic"),
    "verdict": ("", "real", "synthetic"),
    "choice": ("", "left", "right"),
    "block": ("main", "practice"),
    "role": ("main", "catch", "practice"),
}
_DEFAULTS = {"study": "", "revision": 0, "presentation": 1, "block": "main", "role": "main"}


def rows_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV text with all columns."""
    return csv_text(COLUMNS, [astuple(row) for row in rows])


def read_rows(path: Path) -> list[Row]:
    """Read ``answers.csv`` (or one made elsewhere with at least reader, position, item, truth).

    ``correct`` follows from truth and answer where there is no such column.

    Raises UserError with the line for columns that are missing and cells that cannot be read, and
    for a ``correct`` that contradicts the answer.
    """
    try:
        with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = tuple(reader.fieldnames or ())
            missing = [name for name in NEEDED if name not in names]
            if missing:
                raise UserError(f"{path}: no column {', '.join(missing)}; export the study again")
            rows = [_row(raw, f"{path}, line {reader.line_num}") for raw in reader]
    except csv.Error as error:
        raise UserError(f"{path}: is no table ({error}); export the study again") from error
    if not rows:
        raise UserError(f"{path}: no answers in it; export again when a reader has answered")
    return rows


def _row(raw: dict[str, str | None], where: str) -> Row:
    values: dict[str, object] = {}
    for name, kind in _KINDS.items():
        text = (raw.get(name) or "").strip()
        values[name] = _cell(text, name, kind, where)
    for name, words in _WORDS.items():
        if values[name] not in words:
            known = ", ".join(filter(None, words))
            raise UserError(f"{where}: {name} is {values[name]!r}, none of: {known}")
    if not values["reader"] or not values["item"]:
        raise UserError(f"{where}: no reader or no item")
    row = Row(**values)  # type: ignore[arg-type]
    counted = (row.presentation, row.confidence, row.quality)
    if any(number is not None and number < 1 for number in counted):
        raise UserError(f"{where}: presentation, confidence and quality count from 1")
    right = _right(row)
    if row.correct is not None and row.correct != right:
        raise UserError(f"{where}: correct is {row.correct}, which the answer contradicts")
    return replace(row, correct=right)


def _right(row: Row) -> int | None:
    """Whether the answer is right; None without one."""
    if row.item2:
        return int((row.choice == "left") == (row.truth == "real")) if row.choice else None
    return int(row.verdict == row.truth) if row.verdict else None


def _cell(text: str, name: str, kind: str, where: str) -> object:
    if not text:
        return _DEFAULTS.get(name, "" if kind == "str" else None)
    if kind == "str":
        return text
    try:
        number = float(text)
    except ValueError as error:
        raise UserError(f"{where}: {name} is {text!r}, not a number") from error
    if not math.isfinite(number) or ("int" in kind and number != int(number)):
        raise UserError(f"{where}: {name} is {text!r}, not a number that can stand there")
    return int(number) if "int" in kind else number
