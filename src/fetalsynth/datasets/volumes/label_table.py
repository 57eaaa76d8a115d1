"""Tables that map a user's labels to FeTA's tissues: a scheme known by name, or a file."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.anatomy.labels import BACKGROUND, FETA, TABLES
from fetalsynth.errors import UserError, explaining


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """``table`` maps source labels to FeTA's; ``name`` is what messages call it."""

    name: str
    table: Mapping[int, int]


FETA_TABLE = LabelTable(name="FeTA", table=TABLES["feta"])


def open_label_table(name: str | None) -> LabelTable:
    """The scheme of that name (``feta``, ``spina-bifida-atlas``, ``dhcp``) or the table in a file.

    A file has the columns ``label`` (integer) and ``tissue`` (FeTA's name or number), one row per
    label; background 0 need not be listed. None is FeTA's own scheme. Raises UserError with the
    line for a label twice and for tissues that FeTA does not have.
    """
    if name is None:
        return FETA_TABLE
    if name in TABLES:
        return LabelTable(name=name, table=TABLES[name])
    path = Path(name)
    if not path.is_file():
        raise UserError(
            f"{name}: there is no such label table; give a CSV or TSV file with the columns label "
            f"and tissue, or one of {', '.join(TABLES)}"
        )
    table: dict[int, int] = {}
    for row, where in _rows(path):
        label = _label(row["label"], where)
        if label in table:
            raise UserError(f"{where}: label {label} stands there twice; keep one of them")
        table[label] = _tissue(row["tissue"], where)
    return LabelTable(name=path.name, table={BACKGROUND: BACKGROUND, **table})


def _rows(path: Path) -> list[tuple[dict[str, str], str]]:
    with explaining(path):
        text = path.read_text(encoding="utf-8-sig")
    first = text.partition("\n")[0]
    delimiter = "\t" if "\t" in first else ";" if ";" in first else ","
    reader = csv.DictReader(text.splitlines(), delimiter=delimiter)
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if not {"label", "tissue"} <= set(names):
        raise UserError(f"{path}: needs the columns label and tissue in its first line")
    reader.fieldnames = names
    rows = [(row, f"{path}, line {reader.line_num}") for row in reader]
    return [
        ({"label": row["label"] or "", "tissue": row["tissue"] or ""}, where) for row, where in rows
    ]


def _label(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{where}: label must be a whole number, but is {text!r}") from None


def _tissue(text: str, where: str) -> int:
    name = text.strip().lower().replace("gray", "grey").replace("_", " ")
    known = {tissue.lower(): index for index, tissue in enumerate(FETA)}
    known |= {str(index): index for index in range(len(FETA))}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(FETA)}"
        raise UserError(f"{where}: there is no tissue {text!r}; {hint}")
    return known[name]
