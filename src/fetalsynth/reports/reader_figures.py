"""The charts of a reader study, each with its heading and the words below it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from fetalsynth.reports.reader_plots import Line, Mark, dot_chart, interval_chart, share_bars
from fetalsynth.reports.reader_verdict import fixed
from fetalsynth.reports.wording import p_value, plural

_SHARE_TICKS = {0.0: "0", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}
_MEASURES = {
    "auc": "Area under the ROC curve",
    "balanced_accuracy": "Balanced accuracy",
    "correct": "Share right",
}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart with its heading and the words below it."""

    heading: str
    chart: Markup
    caption: str


def figures(record: Mapping[str, Any]) -> list[Figure]:
    """How well readers could tell, what they judged real, sets and quality."""
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


def _by_set(record: Mapping[str, Any]) -> Figure | None:
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
    if not lines:
        return None
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


def dots(record: Mapping[str, Any]) -> list[Figure]:
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
    interval = f" ({fixed(ends[0], 2)} to {fixed(ends[1], 2)})" if ends else ""
    adjusted = "–" if row["p_adjusted"] is None else p_value(row["p_adjusted"])
    return f"Spearman’s ρ {fixed(row['spearman'], 2)}{interval}, adjusted p {adjusted}, " + plural(
        row["n"], "image"
    )


def _ends(figure: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = figure.get("ci95")
    return (ends[0], ends[1]) if ends and None not in ends else None
