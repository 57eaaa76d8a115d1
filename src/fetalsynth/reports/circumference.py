"""The report of heads measured on images: agreement with what was asked, pictures, one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.artifacts.scores import Scores
from fetalsynth.reports.metric_table import metric_rows
from fetalsynth.reports.page import embed, render
from fetalsynth.reports.provenance import records

FILENAME = "report.html"
MOST_ROWS = 400
_COLUMNS = {
    "head_circumference_mm": "HC, mm",
    "head_circumference_px": "HC, px",
    "confidence": "Confidence",
    "flag": "Flag",
    "asked_circumference": "Asked",
    "relative_error": "Difference, %",
    "overlap": "Overlap",
}
_DECIMALS = {"confidence": 2, "overlap": 3}


def write_report(
    folder: Path,
    manifest: Manifest,
    *,
    scores: Scores,
    rows: Sequence[Mapping[str, Any]],
    figure: str | None,
    table: str,
) -> None:
    """Write ``folder/report.html`` from the scores, the rows of ``table`` and the plots.

    ``figure`` is the SVG of measured against asked, None where there is nothing to compare.
    """
    columns = {
        name: title
        for name, title in _COLUMNS.items()
        if any(row[name] not in (None, "") for row in rows)
    }
    context = {
        "metrics": metric_rows(scores.metrics),
        "floor_of": _floor_of(scores),
        "unjudged": scores.unjudged,
        "figure": None if figure is None else Markup(figure),
        "pictures": {name: embed(folder, file) for name, file in scores.pictures.items()},
        "columns": list(columns.values()),
        "rows": [(row["file"], [_cell(name, row[name]) for name in columns]) for row in rows][
            :MOST_ROWS
        ],
        "unshown": max(0, len(rows) - MOST_ROWS),
        "count": len(rows),
        "table": table,
        "record": records(manifest),
        "licences": manifest.licences,
        "synthetic": manifest.synthetic,
    }
    text = render("circumference.html", title="Head circumference", context=context)
    write_text(folder / FILENAME, text)


def _floor_of(scores: Scores) -> str | None:
    """Of what images the floors are, in words; None where there are none."""
    kinds = [one.settings["floor_of"] for one in scores.metrics.values() if one.floor is not None]
    return str(kinds[0]) if kinds else None


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if name == "relative_error":
        return f"{100 * value:+.1f}".replace("-", "−")
    return f"{value:.{_DECIMALS.get(name, 1)}f}"
