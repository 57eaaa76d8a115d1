"""All figures of a study: from its results to ``figures/`` with an index of what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.analysis_table import Origin
from fetalsynth.studies.figures_boxes import boxes
from fetalsynth.studies.figures_canvas import Sheet, save
from fetalsynth.studies.figures_curves import curves
from fetalsynth.studies.figures_data import (
    FUSION,
    Row,
    axes_of,
    chosen_metrics,
    fusions_in,
    named,
    panels_of_sets,
    panels_of_subjects,
)
from fetalsynth.studies.figures_heat import heat
from fetalsynth.studies.figures_readers import PUBLISHED, against_readers
from fetalsynth.studies.figures_samples import image_samples, volume_samples
from fetalsynth.studies.figures_settings import (
    AgainstReaders,
    AnyFigure,
    Boxes,
    Curves,
    Heat,
    Samples,
    figures_of,
)
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Arm, StudyRecipe
from fetalsynth.studies.results import read_results

FOLDER = "figures"
INDEX = "figures.json"
EPOCHS = ("epochs",)


@dataclass(frozen=True, kw_only=True)
class _Study:
    """All that figures are drawn from."""

    folder: Path
    recipe: StudyRecipe
    plan: Plan
    rows: Sequence[Row]
    readers: Path | None


def write_figures(
    folder: Path, *, study: StudyRecipe, plan: Plan, readers: Path | None = None
) -> int:
    """Write ``figures/`` with SVG, PNG and CSV of every figure; returns how many there are.

    Needs ``results.csv``. ``readers`` is a CSV file of readers' scores by set. What an earlier call
    wrote and this one does not is removed. A figure that cannot be drawn stands in the index with
    the reason. Raises UserError for faulty settings of figures.
    """
    known = _Study(
        folder=folder, recipe=study, plan=plan, rows=read_results(folder), readers=readers
    )
    listed: list[dict[str, Any]] = []
    for asked in figures_of(study):
        for arm in (one for one in study.arms if asked.arm in (None, one.name)):
            listed += _listed(known, arm, asked)
    _drop_others(folder / FOLDER, listed)
    with explaining(folder / FOLDER):
        (folder / FOLDER).mkdir(exist_ok=True)
    text = json.dumps(listed, indent=1, ensure_ascii=False)
    write_text(folder / FOLDER / INDEX, text + "\n")
    return sum("svg" in line for line in listed)


def _listed(known: _Study, arm: Arm, asked: AnyFigure) -> list[dict[str, Any]]:
    try:
        return [save(known.folder / FOLDER, sheet) for sheet in _sheets(known, arm, asked)]
    except (ValueError, OSError, UserError) as error:
        return [{"kind": asked.kind, "arm": arm.name, "problem": str(error)}]


def _sheets(known: _Study, arm: Arm, asked: AnyFigure) -> Iterator[Sheet]:
    own = [row for row in known.rows if row["arm"] == arm.name]
    if isinstance(asked, Curves):
        found = curves(known.folder, known.plan, arm=arm.name, stem=_stem(arm, "curves"))
        yield from [found] if found else []
        return
    if not own:
        return
    if isinstance(asked, Samples):
        yield from _samples(known, arm, asked)
        return
    if isinstance(asked, AgainstReaders):
        yield from _readers(known, arm, asked)
        return
    metrics = chosen_metrics(own, study=known.recipe, arm=arm.name, patterns=asked.metrics)
    if isinstance(asked, Heat):
        yield from _heat(known, arm, metrics)
    elif isinstance(asked, Boxes):
        yield from _boxes(known, arm, asked, metrics)


def _heat(known: _Study, arm: Arm, metrics: Sequence[str]) -> Iterator[Sheet]:
    axes = axes_of(arm, known.rows)
    if len(axes) < 2:
        return
    columns = EPOCHS if EPOCHS in axes else axes[1]
    rows = next(axis for axis in axes if axis != columns)
    fusion = next(iter(_fusions(known, arm)), None)
    shown = panels_of_sets(known.rows, arm=arm.name, metrics=metrics, fusion=fusion)
    if shown:
        yield heat(shown, rows=rows, columns=columns, arm=arm.name, stem=_stem(arm, "heat"))


def _boxes(known: _Study, arm: Arm, asked: Boxes, metrics: Sequence[str]) -> Iterator[Sheet]:
    axes = axes_of(arm, known.rows)
    fusions = _fusions(known, arm)
    if len(fusions) > 1:
        axes.append((FUSION,))
    for axis in axes:
        if asked.factor is not None and asked.factor not in axis:
            continue
        hue = next((other for other in axes if other not in (axis, (FUSION,))), None)
        kept = None if axis == (FUSION,) else next(iter(fusions), None)
        wanted = fusions if kept is None else [kept]
        shown = panels_of_subjects(
            known.folder, known.plan, known.rows, arm=arm.name, metrics=metrics, fusions=wanted
        ) or panels_of_sets(known.rows, arm=arm.name, metrics=metrics, fusion=kept)
        if shown:
            note = f" Volumes fused by {kept}." if kept and len(fusions) > 1 else ""
            stem = _stem(arm, "boxes", named(axis))
            yield boxes(shown, axis=axis, hue=hue, arm=arm.name, stem=stem, note=note)


def _fusions(known: _Study, arm: Arm) -> list[str]:
    return fusions_in(known.rows, study=known.recipe, arm=arm.name)


def _samples(known: _Study, arm: Arm, asked: Samples) -> Iterator[Sheet]:
    axes = axes_of(arm, known.rows)
    stem = _stem(arm, "samples")
    if known.recipe.modality == "mri":
        fusion = next(iter(_fusions(known, arm)), None)
        rows = tuple(name for axis in axes for name in axis)
        found = volume_samples(
            known.folder,
            known.plan,
            arm=arm.name,
            rows=rows,
            stem=stem,
            fusion=fusion,
            real=_real(known),
        )
    else:
        two = len(axes) > 1
        columns = (EPOCHS if EPOCHS in axes else axes[1]) if two else ()
        rows = tuple(name for axis in axes if axis != columns for name in axis)
        found = image_samples(
            known.folder,
            known.plan,
            arm=arm.name,
            rows=rows,
            columns=columns,
            stem=stem,
            per_side=asked.per_side,
            real=_real(known),
        )
    yield from [found] if found else []


def _real(known: _Study) -> Path | None:
    """The folder of real images, where it is still there as it was."""
    for run in (known.folder / "runs").glob("scores-*"):
        if not is_artifact(run):
            continue
        real = next((i for i in read_manifest(run).inputs if i.role == "real"), None)
        if real is None or not is_artifact(Path(real.path)):
            return None
        same = read_manifest(Path(real.path)).content == real.digest
        return Path(real.path) if same else None
    return None


def _readers(known: _Study, arm: Arm, asked: AgainstReaders) -> Iterator[Sheet]:
    scores = known.readers or _named_scores(known.recipe, arm)
    if scores is None:
        return
    cells = known.plan.cells
    origins = {cell.assess: Origin(train=cell.train, generate=cell.generate) for cell in cells}
    found = against_readers(
        known.rows,
        scores=scores,
        origins=origins,
        arm=arm.name,
        metrics=asked.metrics or PUBLISHED,
        stem=_stem(arm, "readers"),
    )
    yield from [found] if found else []


def _named_scores(study: StudyRecipe, arm: Arm) -> Path | None:
    """The file of scores that an item of the analysis plan names."""
    for item in study.analysis:
        named_one = (item.model_extra or {}).get("scores")
        if named_one is not None and item.arm in (None, arm.name):
            return Path(named_one)
    return None


def _stem(arm: Arm, *parts: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", " ".join([arm.name, *parts]).lower())
    return words.strip("-")


def _drop_others(folder: Path, listed: Sequence[dict[str, Any]]) -> None:
    """Remove figures of an earlier index that are no more; files of the user's own stay."""
    index = folder / INDEX
    if not index.is_file():
        return
    with explaining(index):
        before = json.loads(index.read_text(encoding="utf-8"))
    kept = {line.get(kind) for line in listed for kind in ("svg", "png", "csv")}
    for line in before:
        for kind in ("svg", "png", "csv"):
            name = line.get(kind)
            if name and name not in kept and Path(name).name == name:
                (folder / name).unlink(missing_ok=True)
