"""The report of a reader study: ``report.html`` beside ``analysis.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.reports.page import render
from fetalsynth.reports.provenance import records
from fetalsynth.reports.reader_figures import dots, figures
from fetalsynth.reports.reader_verdict import between, fixed, judge_readers, percent
from fetalsynth.reports.wording import duration, p_value, readable_time

FILENAME, ANALYSIS = "report.html", "analysis.json"
MOST_PAIRS = 60
_FIGURES = {
    "auc": "Area under the ROC curve",
    "balanced_accuracy": "Balanced accuracy",
    "correct": "Share of pairs right",
    "judged_real_synthetic": "Synthetic images judged real",
    "judged_real_real": "Real images judged real",
    "d_prime": "d′ (0: guessing)",
    "criterion": "Criterion c (below 0: leans to “synthetic”)",
}


def write_report(folder: Path, manifest: Manifest) -> Path:
    """Write ``folder/report.html`` from ``folder/analysis.json``; the same input, the same bytes.

    Raises UserError where the analysis is missing or cannot be read.
    """
    record = _read(folder / ANALYSIS)
    context = {
        "verdict": judge_readers(record),
        "study": record["study"],
        "caveats": record["caveats"],
        "margin": round(100 * record["margin"]),
        "figures": figures(record),
        "pooled": _pooled(record),
        "equivalence": _equivalence(record),
        "readers": record["readers"],
        "sets": record["sets"],
        "sets_test": record["sets_test"],
        "between": record["between"],
        "most_pairs": MOST_PAIRS,
        "within": record["within"],
        "quality": record["quality"],
        "conduct": record["conduct"],
        "metrics": record["metrics"],
        "dots": dots(record),
        "record": records(manifest),
        "licences": manifest.licences,
        "created": readable_time(manifest.created),
        "percent": percent,
        "between_ends": between,
        "figure": _figure,
        "p": lambda value: "–" if value is None else p_value(value),
        "lasted": lambda value: "–" if value is None else duration(value).replace(" ", "\u00a0"),
    }
    path = folder / FILENAME
    write_text(path, render("reader.html", title="Reader study", context=context))
    return path


def _read(path: Path) -> dict[str, Any]:
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        record: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error}); analyse again") from error
    return record


def _figure(figure: Mapping[str, Any] | None, *, decimals: int = 2) -> str:
    """A number with its interval: "0.74 (0.60 to 0.88)"."""
    if figure is None or figure.get("value") is None:
        return "–"
    ends = figure.get("ci95")
    text = fixed(figure["value"], decimals)
    if not ends or None in ends:
        return text
    return f"{text} ({fixed(ends[0], decimals)} to {fixed(ends[1], decimals)})"


def _pooled(record: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Rows of the table of all readers: name, value with interval, p, for whom it holds, and the
    interval for other readers where few readers are taken as fixed.
    """
    rows = []
    for name, figure in record["together"]["figures"].items():
        if figure is None:
            continue
        random, wider = figure.get("random_readers"), figure.get("ci95_other_readers")
        rows.append(
            (
                _FIGURES[name],
                _figure(figure),
                "–" if figure.get("p_value") is None else p_value(figure["p_value"]),
                "other readers and images" if random else "these readers, other images",
                f"{fixed(wider[0], 2)} to {fixed(wider[1], 2)}" if wider else "",
            )
        )
    return rows


def _equivalence(record: Mapping[str, Any]) -> list[dict[str, str]]:
    """Rows of the table of equivalence: measure, 90 % interval, whether shown."""
    found = record["together"]["equivalence"]
    if not found:
        return []
    name = "share of pairs right" if record["study"]["pairs"] else "balanced accuracy"
    parts: Mapping[str, Any] = found.get("measures") or {name: found}
    words = {True: "yes", False: "no", None: "cannot be judged"}
    return [
        {
            "name": measure,
            "interval": between(part["ci90"]),
            "shown": words[part["shown"]],
            "reason": part["reason"],
        }
        for measure, part in parts.items()
    ]
