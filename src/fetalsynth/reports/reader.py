"""The report of a reader study: ``report.html`` beside ``analysis.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.reports.page import render
from fetalsynth.reports.provenance import records
from fetalsynth.reports.reader_plots import Line, Mark, dot_chart, interval_chart, share_bars
from fetalsynth.reports.reader_verdict import between, judge_readers, percent
from fetalsynth.reports.wording import duration, p_value, plural, readable_time

FILENAME, ANALYSIS = "report.html", "analysis.json"
MOST_PAIRS = 60
_SHARE_TICKS = {0.0: "0", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}
_MEASURES = {
    "auc": "Area under the ROC curve",
    "balanced_accuracy": "Balanced accuracy",
    "correct": "Share right",
}
_FIGURES = {
    "auc": "Area under the ROC curve",
    "balanced_accuracy": "Balanced accuracy",
    "correct": "Share of pairs right",
    "judged_real_synthetic": "Synthetic images judged real",
    "judged_real_real": "Real images judged real",
    "d_prime": "d′ (0: guessing)",
    "criterion": "Criterion c (below 0: leans to “synthetic”)",
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart with its heading and the words below it."""

    heading: str
    chart: Markup
    caption: str


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
        "figures": _figures(record),
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
        "dots": _dots(record),
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
    text = _fixed(figure["value"], decimals)
    if not ends or None in ends:
        return text
    return f"{text} ({_fixed(ends[0], decimals)} to {_fixed(ends[1], decimals)})"


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}".replace("-", "−")
    return text.removeprefix("−") if not float(text.replace("−", "-")) else text


def _ends(figure: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = figure.get("ci95")
    return (ends[0], ends[1]) if ends and None not in ends else None


def _figures(record: Mapping[str, Any]) -> list[Figure]:
    found = [_told(record)]
    if not record["study"]["pairs"]:
        found.append(_judged(record))
    if len(record["sets"]) > 2:
        found.append(_by_set(record))
    if record["quality"]:
        found.append(_quality(record))
    return [each for each in found if each is not None]


def _told(record: Mapping[str, Any]) -> Figure | None:
    measure = record["outcome"]["measure"]
    lines = [
        Line(
            label=one["reader"],
            marks=(Mark(value=one[measure]["value"], ends=_ends(one[measure])),),
        )
        for one in record["readers"]
        if one.get(measure) and one[measure]["value"] is not None
    ]
    pooled = record["together"]["figures"].get(measure)
    if not lines:
        return None
    if pooled:
        mark = Mark(value=pooled["value"], ends=_ends(pooled), series=2)
        lines.append(Line(label="all readers (mean)", marks=(mark,), strong=True))
    margin = record["margin"]
    name = _MEASURES[measure]
    return Figure(
        heading=f"How well each reader could tell: {name[0].lower()}{name[1:]}",
        chart=interval_chart(
            lines,
            low=0.0,
            high=1.0,
            ticks=_SHARE_TICKS,
            reference=0.5,
            band=(0.5 - margin, 0.5 + margin),
            description=f"{name} of each reader and of all, with 95 % intervals",
        ),
        caption="Lines are 95 % intervals; the middle line is guessing, the shade the margin of "
        f"±{round(100 * margin)} points. Right of it: synthetic images were recognised.",
    )


def _judged(record: Mapping[str, Any]) -> Figure | None:
    def marks(one: Mapping[str, Any]) -> tuple[Mark, ...]:
        return tuple(
            Mark(value=one[name]["value"], ends=_ends(one[name]), series=place)
            for place, name in enumerate(("judged_real_real", "judged_real_synthetic"))
            if one.get(name) and one[name]["value"] is not None
        )

    lines = [Line(label=one["reader"], marks=marks(one)) for one in record["readers"]]
    if record["together"]["figures"]:
        whole = marks(record["together"]["figures"])
        lines.append(Line(label="all readers (mean)", marks=whole, strong=True))
    if not any(line.marks for line in lines):
        return None
    return Figure(
        heading="Share judged real, of real and of synthetic images alike",
        chart=interval_chart(
            lines,
            low=0.0,
            high=1.0,
            ticks=_SHARE_TICKS,
            series=("real images", "synthetic images"),
            description="Share of real and of synthetic images that each reader judged real",
        ),
        caption="Where the two marks of a reader lie together, she could not tell. How many "
        "synthetic images are judged real says nothing without the same share of real ones. "
        "Intervals are Wilson's at 95 %; of all readers, see below.",
    )


def _by_set(record: Mapping[str, Any]) -> Figure:
    lines = [
        Line(
            label=one["set"],
            marks=(
                Mark(
                    value=one["judged_real"]["value"],
                    ends=_ends(one["judged_real"]),
                    series=1 if one["synthetic"] else 0,
                ),
            ),
        )
        for one in record["sets"]
        if one["judged_real"]
    ]
    return Figure(
        heading="Share judged real, by set",
        chart=interval_chart(
            lines,
            low=0.0,
            high=1.0,
            ticks=_SHARE_TICKS,
            series=("real images", "synthetic images"),
            description="Share of the images of each set that readers judged real",
        ),
        caption="Means over readers with 95 % intervals.",
    )


def _quality(record: Mapping[str, Any]) -> Figure:
    quality = record["quality"]
    labels = [str(point) for point in range(1, quality["points"] + 1)]
    labels = [f"{labels[0]} lowest", *labels[1:-1], f"{labels[-1]} highest"]
    means = "; ".join(
        f"{one['set']} {one['mean']:.2f}" for one in quality["sets"] if one["mean"] is not None
    )
    return Figure(
        heading="Quality as rated",
        chart=share_bars(
            {one["set"]: one["counts"] for one in quality["sets"]},
            labels=labels,
            description="How often each point of the quality scale was given, by set",
        ),
        caption=f"Mean quality: {means}.",
    )


def _pooled(record: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of the table of all readers: name, value with interval, p, for whom it holds."""
    rows = []
    for name, figure in record["together"]["figures"].items():
        if figure is None:
            continue
        random = figure.get("random_readers")
        rows.append(
            (
                _FIGURES[name],
                _figure(figure),
                "–" if figure.get("p_value") is None else p_value(figure["p_value"]),
                "other readers and images" if random else "these readers, other images",
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


def _dots(record: Mapping[str, Any]) -> list[Figure]:
    """Scatter plots of the metrics of single images against what readers said of them."""
    metrics = record["metrics"]
    if not metrics:
        return []
    rows = {row["metric"]: row for row in metrics["images"]["rows"]}
    points: Mapping[str, Sequence[Sequence[float]]] = metrics["images"]["points"]
    return [
        Figure(
            heading=name,
            chart=dot_chart(
                each,
                x_label=name,
                y_label=metrics["answer"],
                description=f"{metrics['answer']} of each image against {name}",
            ),
            caption=_said(rows[name]),
        )
        for name, each in points.items()
    ]


def _said(row: Mapping[str, Any]) -> str:
    if row["spearman"] is None:
        return "Spearman’s ρ is undefined: one of the two does not vary."
    ends = row["ci95"]
    interval = f" ({_fixed(ends[0], 2)} to {_fixed(ends[1], 2)})" if ends else ""
    adjusted = "–" if row["p_adjusted"] is None else p_value(row["p_adjusted"])
    return f"Spearman’s ρ {_fixed(row['spearman'], 2)}{interval}, adjusted p {adjusted}, " + plural(
        row["n"], "image"
    )
