"""What the report of pairs shows besides the scores: box plots, slices, labels found again.

Everything is read from the tables beside ``scores.json``. A table that is damaged leaves its part
out and is told.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from fetalsynth.artifacts.scores import Metric
from fetalsynth.reports.boxplots import box_chart
from fetalsynth.reports.metric_table import Shown
from fetalsynth.reports.wording import number

BASELINE = "tissue mean"
SYNTHETIC = "synthetic"
CHARTED = {
    "MSE": "mean squared error, lower is better",
    "SSIM": "SSIM, higher is better",
    "correlation": "correlation, higher is better",
    "combined": "(2 SSIM + correlation)/3, higher is better",
}
REGIONS = {"full": "whole image", "mask": "foreground only"}
Row = dict[str, str]
Values = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Set → score → file of the real image → value."""


@dataclass(frozen=True, kw_only=True)
class Twins:
    """One score over the whole image and over the foreground, side by side."""

    heading: str
    charts: tuple[tuple[str, Markup], ...]


@dataclass(frozen=True, kw_only=True)
class SliceRow:
    """What slices of one plane score: median with the least and the most, and the baseline's."""

    name: str
    plane: str
    slices: str
    cells: tuple[tuple[Shown, Shown, Shown, Shown], ...]


@dataclass(frozen=True, kw_only=True)
class DiceRow:
    """Dice of one label: mean and standard deviation of every image that was segmented."""

    label: str
    cells: tuple[tuple[Shown, Shown | None] | None, ...]


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Parts of the report; empty where nothing was recorded. ``problems`` are sentences."""

    twins: tuple[Twins, ...]
    slice_scores: tuple[str, ...]
    slices: tuple[SliceRow, ...]
    dice_columns: tuple[str, ...]
    dice: tuple[DiceRow, ...]
    problems: tuple[str, ...]


def pairs_evidence(
    folders: Mapping[str, Path], metrics: Mapping[str, Mapping[str, Metric]]
) -> Pairs:
    """Parts for the sets in ``folders``, whose metrics stand in ``metrics`` by set.

    ``folders`` may hold one set, of any name; it is then called "synthetic".
    """
    problems: list[str] = []
    values: dict[str, dict[str, dict[str, float]]] = {}
    slices: list[SliceRow] = []
    scores: tuple[str, ...] = ()
    for name, folder in folders.items():
        try:
            for row in read_rows(folder / "pairs.csv"):
                for baseline, score, value in _values(row):
                    group = values.setdefault(BASELINE if baseline else name, {})
                    group.setdefault(score, {})[row["real_file"]] = value
            rows = read_rows(folder / "slices_summary.csv")
            scores = scores or tuple(dict.fromkeys(row["score"] for row in rows))
            slices += _slice_rows(name, rows)
        except (OSError, ValueError, KeyError, csv.Error) as error:
            problems.append(
                f"The tables of {name} are damaged ({type(error).__name__}), so not all is shown."
            )
    ordered = {name: values[name] for name in (*folders, BASELINE) if name in values}
    columns, dice = _dice(metrics)
    return Pairs(
        twins=twins_of(ordered),
        slice_scores=scores,
        slices=tuple(slices),
        dice_columns=columns,
        dice=dice,
        problems=tuple(problems),
    )


def read_rows(path: Path) -> list[Row]:
    """Rows of a table; none where it is absent."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _values(row: Row) -> list[tuple[bool, str, float]]:
    """(whether it is the baseline's, score, value) of every charted cell of pairs.csv."""
    found = []
    for score in CHARTED:
        for region in REGIONS:
            for baseline in (False, True):
                cell = row.get(f"{score}-{region}" + ("-baseline" if baseline else ""))
                if cell:
                    found.append((baseline, f"{score}-{region}", float(cell)))
    return found


def twins_of(values: Values) -> tuple[Twins, ...]:
    """Box plots of every charted score, over the whole image and over the foreground."""
    found = []
    for score, words in CHARTED.items():
        charts = []
        for region, place in REGIONS.items():
            name = f"{score}-{region}"
            groups = {
                label: list(scores[name].values())
                for label, scores in values.items()
                if name in scores
            }
            if groups:
                chart = box_chart(
                    groups,
                    label=score,
                    description=f"{score}, {place}: {', '.join(groups)}",
                    apart=BASELINE,
                )
                charts.append((place, chart))
        if charts:
            found.append(Twins(heading=words[0].upper() + words[1:], charts=tuple(charts)))
    return tuple(found)


def _slice_rows(name: str, rows: Sequence[Row]) -> list[SliceRow]:
    planes = dict.fromkeys(row["plane"] for row in rows)
    found = []
    for plane in planes:
        mine = [row for row in rows if row["plane"] == plane]
        cells = tuple(_cell(row) for row in mine)
        found.append(SliceRow(name=name, plane=plane, slices=mine[0]["slices"], cells=cells))
    return found


def _cell(row: Row) -> tuple[Shown, Shown, Shown, Shown]:
    middle, least, most, plain = (
        float(row[name]) for name in ("median", "least", "most", "baseline_median")
    )
    return shown(middle), shown(least, middle), shown(most, middle), shown(plain, middle)


def _dice(
    metrics: Mapping[str, Mapping[str, Metric]],
) -> tuple[tuple[str, ...], tuple[DiceRow, ...]]:
    """A row per label: the real images, every set, the painted ones."""
    names = dict.fromkeys(n for of_set in metrics.values() for n in of_set if n.startswith("Dice-"))
    rows = []
    for name in names:
        known = {label: of_set[name] for label, of_set in metrics.items() if name in of_set}
        first = next(iter(known.values()))
        where = first.settings.get("region", name)
        cells = [
            _mean_sd(first, "real", "real_sd"),
            *(_value_sd(known[label]) if label in known else None for label in metrics),
            _mean_sd(first, "baseline", "baseline_sd"),
        ]
        label = "mean of all labels" if name == "Dice-mean" else str(where)
        rows.append(DiceRow(label=label, cells=tuple(cells)))
    columns = ("real", *metrics, BASELINE) if rows else ()
    return columns, tuple(rows)


def _value_sd(metric: Metric) -> tuple[Shown, Shown | None]:
    sd = metric.settings.get("sd_over_subjects")
    return shown(metric.value), None if sd is None else shown(float(sd), metric.value)


def _mean_sd(metric: Metric, mean: str, sd: str) -> tuple[Shown, Shown | None] | None:
    if metric.settings.get(mean) is None:
        return None
    value, spread = float(metric.settings[mean]), metric.settings.get(sd)
    return shown(value), None if spread is None else shown(float(spread), value)


def shown(value: float, beside: float | None = None) -> Shown:
    """A number as text, with the decimals of the one ``beside`` it unless these would say 0."""
    group = (value,) if beside is None else (beside, value)
    text = number(value, beside=group)
    return Shown(text=number(value) if text == "0" else text, exact=repr(value))
