"""The report of measured heads: one table, one annotated picture per volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.reports.page import Picture, embed, render
from fetalsynth.reports.provenance import records

FILENAME = "report.html"
MOST_PICTURES = 60
_COLUMNS = {
    "gestational_age_weeks": "Age, weeks",
    "atrial_width_left_mm": "Atrium left, mm",
    "atrial_width_right_mm": "Atrium right, mm",
    "ventriculomegaly": "Ventriculomegaly",
    "bpd_mm": "BPD, mm",
    "ofd_mm": "OFD, mm",
    "hc_mm": "HC, mm",
    "hc_centile": "HC centile",
    "tcd_mm": "TCD, mm",
    "cortical_thickness_mm": "Cortex, mm",
    "ventricles_left_ml": "Ventricle left, ml",
    "ventricles_right_ml": "Ventricle right, ml",
    "white_matter_ml": "White matter, ml",
    "grey_matter_ml": "Cortex, ml",
    "cerebellum_ml": "Cerebellum, ml",
}


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A volume with its picture."""

    name: str
    picture: Picture


def write_report(
    folder: Path,
    manifest: Manifest,
    *,
    rows: Sequence[Mapping[str, Any]],
    pictures: Mapping[str, str],
    failed: Mapping[str, str],
) -> None:
    """Write ``folder/report.html`` from the rows of the table.

    ``pictures`` maps a volume to its PNG in the folder; the first ``MOST_PICTURES`` are embedded.
    ``failed`` maps the volumes that could not be measured to the reason.
    """
    shown = [
        Shown(name=name, picture=embed(folder, file))
        for name, file in list(pictures.items())[:MOST_PICTURES]
    ]
    context = {
        "columns": list(_COLUMNS.values()),
        "rows": [(row["volume"], [_cell(row.get(name)) for name in _COLUMNS]) for row in rows],
        "shown": shown,
        "unshown": len(pictures) - len(shown),
        "failed": dict(failed),
        "record": records(manifest),
        "licences": manifest.licences,
        "synthetic": manifest.synthetic,
    }
    text = render("anatomy.html", title="Measured anatomy", context=context)
    write_text(folder / FILENAME, text)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.1f}"
