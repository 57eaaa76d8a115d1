"""The key of a study, ``key.csv``: the truth about every item. The server never opens it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from fetalsynth.errors import UserError, explaining

KEY = "key.csv"
Truth = Literal["real", "synthetic"]
Role = Literal["main", "catch", "practice"]


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """The truth about one item.

    ``pair`` is the id of the other item of a forced choice, ``twin`` that of the item of the other
    class that shows the same head; "" where there is none.
    """

    id: str
    truth: Truth
    role: Role
    set: str
    stratum: str = ""
    source_file: str = ""
    source_sha256: str = ""
    pair: str = ""
    gestational_age_weeks: float | None = None
    subject: str = ""
    twin: str = ""


_COLUMNS = tuple(field.name for field in fields(KeyRow))


def write_key(folder: Path, key: Mapping[str, KeyRow]) -> None:
    """Write ``folder/key.csv``, readable by its owner only."""
    path = folder / KEY
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for id in sorted(key):
        values = [getattr(key[id], name) for name in _COLUMNS]
        writer.writerow(["" if value is None else value for value in values])
    with explaining(path):
        # opened with these permissions, so that nobody else can read it for a moment
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8", newline="") as file:
            file.write(stream.getvalue())


def read_key(folder: Path) -> dict[str, KeyRow]:
    """Read ``folder/key.csv``: the truth by item id.

    Raises UserError with the line where a row is malformed or an id stands twice.
    """
    path = folder / KEY
    key: dict[str, KeyRow] = {}
    with explaining(path), path.open(newline="", encoding="utf-8") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != _COLUMNS:
            raise UserError(f"{path}: its columns are not those of a key; restore it")
        for row in rows:
            where = f"{path}, line {rows.line_num}"
            made = _key_row(row, where)
            if made.id in key:
                raise UserError(f"{where}: {made.id} stands twice; restore the key")
            key[made.id] = made
    return key


def _key_row(row: dict[str, Any], where: str) -> KeyRow:
    if None in row or None in row.values():
        raise UserError(f"{where}: has not as many cells as the first line; restore the key")
    if row["truth"] not in get_args(Truth) or row["role"] not in get_args(Role):
        raise UserError(f"{where}: truth or role is none of those that there are; restore the key")
    weeks = row.pop("gestational_age_weeks")
    try:
        return KeyRow(**row, gestational_age_weeks=float(weeks) if weeks else None)
    except ValueError as error:
        raise UserError(f"{where}: {weeks!r} is no gestational age; restore the key") from error
