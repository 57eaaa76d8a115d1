"""``edits.tsv``: one row per edited volume, what was asked for and reached, and at which price."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.tsv import write_tsv

TABLE = "edits.tsv"


def write_table(folder: Path, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Write the (volume, report) ``rows``; what a report lacks stays empty."""
    flat = [{"volume": name, **_flat(report)} for name, report in rows]
    columns = list(dict.fromkeys(key for row in flat for key in row))
    write_tsv(folder / TABLE, columns, [[row.get(key) for key in columns] for row in flat])


def _flat(report: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in report.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}:{name}".replace(" ", "_"): inner for name, inner in value.items()}
        elif isinstance(value, bool):
            flat[key] = str(value).lower()
        else:
            flat[key] = json.dumps(value) if isinstance(value, list) else value
    return flat
