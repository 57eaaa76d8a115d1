"""The report of several synthetic sets beside the same real images: ``report.html``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.artifacts.scores import Metric, Scores, read_scores
from fetalsynth.reports.assessment import FILENAME, compared
from fetalsynth.reports.metric_table import Shown
from fetalsynth.reports.page import embed, render
from fetalsynth.reports.pairs import BASELINE, REGIONS, Row, pairs_evidence, read_rows, shown
from fetalsynth.reports.provenance import records
from fetalsynth.reports.verdict import judge
from fetalsynth.reports.wording import readable_time

SCORES = ("MSE", "SSIM", "correlation", "combined", "MI")
LOWER = ("MSE",)


@dataclass(frozen=True, kw_only=True)
class SetRow:
    """One set: mean and standard deviation per score, None where it was not computed."""

    name: str
    subjects: str
    cells: tuple[tuple[Shown, Shown | None] | None, ...]


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A mean difference with its interval (None for one subject), and what that says."""

    mean: Shown
    low: Shown | None
    high: Shown | None
    word: str


@dataclass(frozen=True, kw_only=True)
class GapRow:
    """One set minus the first one, score by score."""

    name: str
    subjects: str
    cells: tuple[Gap | None, ...]


@dataclass(frozen=True, kw_only=True)
class RegionTables:
    """Both tables of one region; ``place`` says it in words."""

    place: str
    sets: tuple[SetRow, ...]
    gaps: tuple[GapRow, ...]


def write_sets_report(folder: Path, manifest: Manifest) -> Path:
    """Write ``folder/report.html`` from what the comparison of several sets left there.

    ``manifest`` is that of the scores. Each set's own report is linked. Raises UserError where
    ``scores.json`` is missing or malformed or the disk is full.
    """
    scores = read_scores(folder)
    metrics = _by_set(scores)
    names = list(metrics)
    evidence = pairs_evidence({name: folder / "sets" / name for name in names}, metrics)
    tables, problems = _tables(folder, names)
    context = {
        "subject": ", ".join(names),
        "verdict": judge(scores),
        "names": names,
        "first": names[0],
        "compared": compared(scores),
        "scores": SCORES,
        "tables": tables,
        "paired": evidence,
        "problems": problems,
        "pictures": [embed(folder, file) for file in scores.pictures.values()],
        "picture_columns": ["labels", "real", *names],
        "profile": scores.profile,
        "record": records(manifest),
        "licences": manifest.licences,
        "created": readable_time(manifest.created),
    }
    title = f"Comparison of synthetic images: {context['subject']}"
    path = folder / FILENAME
    write_text(path, render("sets.html", title=title, context=context))
    return path


def _by_set(scores: Scores) -> dict[str, dict[str, Metric]]:
    found: dict[str, dict[str, Metric]] = {}
    for name, metric in scores.metrics.items():
        of_set, _, score = name.partition("/")
        found.setdefault(of_set, {})[score] = metric
    return found


def _tables(folder: Path, names: Sequence[str]) -> tuple[tuple[RegionTables, ...], list[str]]:
    try:
        means, gaps = read_rows(folder / "sets.csv"), read_rows(folder / "differences.csv")
        tables = tuple(_of_region(region, means, gaps, names) for region in ("mask", "full"))
    except (OSError, ValueError, KeyError, csv.Error) as error:
        problem = f"The tables of the comparison are damaged ({type(error).__name__})."
        return (), [problem]
    return tables, []


def _of_region(
    region: str, means: Sequence[Row], gaps: Sequence[Row], names: Sequence[str]
) -> RegionTables:
    rows = []
    for name in (*names, BASELINE):
        mine = {row["score"]: row for row in means if row["set"] == name}
        cells = tuple(_mean(mine.get(f"{score}-{region}")) for score in SCORES)
        counts = sorted({row["subjects"] for row in mine.values()}, key=int)
        rows.append(SetRow(name=name, subjects=counts[-1] if counts else "0", cells=cells))
    others = []
    for name in (*names[1:], BASELINE):
        mine = {r["score"]: r for r in gaps if r["first"] == names[0] and r["second"] == name}
        gap_cells = tuple(_gap(mine.get(f"{score}-{region}"), score) for score in SCORES)
        counts = sorted({row["subjects"] for row in mine.values()}, key=int)
        others.append(GapRow(name=name, subjects=counts[-1] if counts else "0", cells=gap_cells))
    return RegionTables(place=REGIONS[region], sets=tuple(rows), gaps=tuple(others))


def _mean(row: Row | None) -> tuple[Shown, Shown | None] | None:
    if row is None:
        return None
    mean = float(row["mean"])
    return shown(mean), shown(float(row["sd"]), mean) if row["sd"] else None


def _gap(row: Row | None, score: str) -> Gap | None:
    """The recorded first − second turned round: the other set minus the first one."""
    if row is None:
        return None
    mean = -float(row["mean"])
    if not row["ci95_low"]:
        return Gap(mean=shown(mean), low=None, high=None, word="cannot tell")
    low, high = -float(row["ci95_high"]), -float(row["ci95_low"])
    sign = -1 if score in LOWER else 1
    better, worse = min(sign * low, sign * high) > 0, max(sign * low, sign * high) < 0
    word = "better" if better else "worse" if worse else "not told apart"
    return Gap(mean=shown(mean), low=shown(low, mean), high=shown(high, mean), word=word)
