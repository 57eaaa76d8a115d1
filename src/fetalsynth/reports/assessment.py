"""The report of an assessment: ``report.html`` beside ``scores.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.artifacts.model import read_statistics
from fetalsynth.artifacts.scores import Cluster, Pair, Scores, read_scores
from fetalsynth.errors import UserError
from fetalsynth.reports.curves import Curve, not_finite, training_curves, watch_curves
from fetalsynth.reports.evidence import evidence
from fetalsynth.reports.lineage import Lineage, model_name, story, trace, training_table
from fetalsynth.reports.metric_table import metric_rows
from fetalsynth.reports.page import Picture, embed, render
from fetalsynth.reports.pairs import SYNTHETIC, Pairs, pairs_evidence
from fetalsynth.reports.plots import strip_axis
from fetalsynth.reports.provenance import flat, records
from fetalsynth.reports.scorecard import scorecard
from fetalsynth.reports.verdict import judge
from fetalsynth.reports.wording import number, plural, readable_time

FILENAME = "report.html"
STATISTICS = "training-stats.jsonl"
WATCH = "training-watch.jsonl"
ROLES = {
    "real": "Real images",
    "synthetic": "Synthetic images",
    "train": "Training images",
    "segmenter": "Segmentation network",
}
COLUMNS = ("count", "subjects", "splits", "size", "path", "digest")
PLANES = re.compile(r"planes_(\d+)")
SAMPLES = {"samples_synthetic": "Synthetic images", "samples_real": "Real images"}


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture of many images, with the words above it."""

    heading: str
    picture: Picture


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """A synthetic image, the nearest real one, and how near that is."""

    synthetic: Picture
    real: Picture
    synthetic_file: str
    real_file: str
    distance: str
    exact: str


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Synthetic images that are nearly one picture: how many, how near, and the first few."""

    pictures: tuple[Picture, ...]
    files: tuple[str, ...]
    distance: str
    exact: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """Curves, what went wrong while training, and why there is nothing to show."""

    curves: tuple[Curve, ...]
    remarks: tuple[str, ...]
    problem: str


def write_report(folder: Path, manifest: Manifest) -> Path:
    """Write ``folder/report.html`` from ``folder/scores.json`` and what lies beside it.

    ``manifest`` is that of the scores (its inputs tell the lineage); the same folder and manifest
    give the same bytes. Pictures and the training record may be missing: the report says so.
    Raises UserError where ``scores.json`` is missing or malformed or the disk is full.
    """
    scores = read_scores(folder)
    lineage = trace(manifest)
    named = model_name(lineage)
    samples, others = _sheets(folder, scores)
    context = {
        "subject": named or _folder_name(scores) or "images of unknown origin",
        "verdict": judge(scores),
        "cards": scorecard(scores),
        "profile": scores.profile,
        "story": story(lineage),
        "training_table": training_table(lineage),
        "compared": compared(scores),
        "samples": samples,
        "others": others,
        "pairs": [_neighbours(folder, pair) for pair in scores.closest_pairs],
        "repeats": [_repeats(folder, cluster) for cluster in scores.duplicate_clusters],
        "metrics": metric_rows(scores.metrics),
        "strip_axis": strip_axis(),
        "paired": _pairs(folder, scores),
        "evidence": evidence(folder),
        "training": _training(folder, lineage),
        "record": records(manifest),
        "licences": manifest.licences,
        "created": readable_time(manifest.created),
    }
    title = f"Assessment of synthetic images: {context['subject']}"
    path = folder / FILENAME
    write_text(path, render("assessment.html", title=title, context=context))
    return path


def _pairs(folder: Path, scores: Scores) -> Pairs | None:
    """The parts that only pairs of images have; None for other assessments."""
    if not (folder / "pairs.csv").is_file():
        return None
    return pairs_evidence({SYNTHETIC: folder}, {SYNTHETIC: scores.metrics})


def _folder_name(scores: Scores) -> str:
    return PurePath(str(scores.inputs.get("synthetic", {}).get("path", ""))).name


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What was read in each role: ``rows`` are (role, all values by name), ``columns`` the names
    that are shown first.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, dict[str, str]], ...]


def compared(scores: Scores) -> Compared:
    """What was read in each role, as a table."""
    rows = tuple((ROLES.get(role, role), dict(flat(read))) for role, read in scores.inputs.items())
    shown = tuple(name for name in COLUMNS if any(name in read for _, read in rows))
    return Compared(columns=shown, rows=rows)


def _sheets(folder: Path, scores: Scores) -> tuple[list[Sheet], list[Sheet]]:
    """Contact sheets of synthetic and real images, and the other pictures by their names."""
    by_name = {PurePath(file).stem: file for file in scores.pictures.values()}
    samples = [
        Sheet(heading=heading, picture=embed(folder, by_name[name]))
        for name, heading in SAMPLES.items()
        if name in by_name
    ]
    others = [
        Sheet(heading=_heading(name), picture=embed(folder, file))
        for name, file in scores.pictures.items()
        if PurePath(file).stem not in SAMPLES
    ]
    return samples, others


def _heading(name: str) -> str:
    if PLANES.fullmatch(name):
        return "Labels, real, synthetic, difference"
    return name.replace("_", " ").replace("-", " ")


def _neighbours(folder: Path, pair: Pair) -> Neighbours:
    return Neighbours(
        synthetic=embed(folder, pair.picture_synthetic),
        real=embed(folder, pair.picture_real),
        synthetic_file=pair.synthetic_file,
        real_file=pair.real_file,
        distance=number(pair.distance),
        exact=repr(pair.distance),
    )


def _repeats(folder: Path, cluster: Cluster) -> Repeats:
    return Repeats(
        pictures=tuple(embed(folder, file) for file in cluster.pictures),
        files=cluster.files,
        distance=number(cluster.distance),
        exact=repr(cluster.distance),
    )


def _training(folder: Path, lineage: Lineage) -> Training:
    """The training record beside the scores; a record that cannot be read is told, not fatal."""
    if not (folder / STATISTICS).is_file():
        reason = "No training record came with the synthetic images, so there are no curves."
        return Training(curves=(), remarks=_warnings(lineage), problem=reason)
    try:
        rows: list[Any] = list(read_statistics(folder / STATISTICS))
    except (UserError, UnicodeDecodeError):
        reason = f"The training record ({STATISTICS}) is damaged, so there are no curves."
        return Training(curves=(), remarks=_warnings(lineage), problem=reason)
    curves = training_curves(rows)
    watched, problem = _watched(folder)
    bad = not_finite(rows)
    gaps = f"{plural(bad, 'log entry', 'log entries')} held a value that is not finite: gaps."
    return Training(
        curves=(*curves, *watched),
        remarks=(*_warnings(lineage), *([gaps] if bad else []), *problem),
        problem="" if curves else "The training record holds no numbers to draw.",
    )


def _watched(folder: Path) -> tuple[tuple[Curve, ...], list[str]]:
    """Curves of the watch on copying, and what is wrong with its record."""
    if not (folder / WATCH).is_file():
        return (), []
    try:
        return watch_curves(read_statistics(folder / WATCH)), []
    except (UserError, UnicodeDecodeError):
        return (), [f"The record of the watch on copying ({WATCH}) is damaged: no curves of it."]


def _warnings(lineage: Lineage) -> tuple[str, ...]:
    """What the training itself complained about, from the model's record."""
    model = lineage.model.manifest if lineage.model else None
    noted = model.facts.get("warnings", []) if model else []
    if model is None or not isinstance(noted, list):
        return ()
    several = len(model.facts.get("networks", ())) > 1
    return tuple(
        f"{str(item.get('network', '')) + ': ' if several else ''}"
        f"After {plural(item.get('images_seen', 0), 'image')}: {item.get('warning', '')}"
        if isinstance(item, Mapping)
        else str(item)
        for item in noted
    )
