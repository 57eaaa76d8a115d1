"""A study and its data → the steps that make it, each once, and which cell each result belongs to.

Trainings are shared by cells that differ in ``epochs`` alone, and by arms that have a cell in
common; every step's name is a digest of all that decides its result, so a changed setting changes
the names of just those steps that depend on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fetalsynth.artifacts.digest import digest_file, digest_json
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Input
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.analysis_settings import check_factors, parse_items
from fetalsynth.studies.cells import Cell, cells_of, text, with_settings
from fetalsynth.studies.commands import assess_step, generate_step, train_step
from fetalsynth.studies.data import DataFacts, check_modality
from fetalsynth.studies.figures_settings import parse_figures
from fetalsynth.studies.recipe import StudyRecipe, Value
from fetalsynth.studies.steps import Step
from fetalsynth.training.recipe import Recipe, SliceRecipe, WatchedSliceRecipe
from fetalsynth.training.watch_settings import WatchSettings

PLAN = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Means:
    """Files of weights and where to compute; only the weights are part of what a step is."""

    inception_weights: Input | None = None
    perceptual_weights: Input | None = None
    device: str | None = None
    threads: int = 1
    gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class PlannedCell:
    """A cell with the steps that its results come from."""

    arm: str
    cell: str
    factors: Mapping[str, Value]
    seed: int
    train: str
    generate: str
    assess: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in an order in which none comes before what it needs; ``notes`` are for the reader."""

    study: str
    steps: tuple[Step, ...]
    cells: tuple[PlannedCell, ...]
    notes: tuple[str, ...]
    trainings: Mapping[str, Recipe | SliceRecipe]

    def of_kind(self, kind: str) -> list[Step]:
        """The steps of one kind."""
        return [step for step in self.steps if step.kind == kind]


def weights_input(path: Path, *, role: str) -> Input:
    """A file of weights as an input; UserError where it is missing."""
    return Input(role=role, path=str(path.resolve()), digest=digest_file(path))


def make_plan(study: StudyRecipe, *, data: Sequence[DataFacts], means: Means | None = None) -> Plan:
    """Lay out everything that ``study`` needs on ``data``.

    Raises UserError where recipe and data do not fit together.
    """
    means = means or Means()
    check_factors(parse_items(study.analysis), arms=study.arms, where="analysis")
    check_factors(parse_figures(study.figures), arms=study.arms, where="figures")
    check_modality(data, modality=study.modality)
    fitted = cells_of(study.arms, data=data)
    _check_family(study, fitted.cells)
    judge, recipes = _judge(study, data=data[0], means=means)
    steps = {} if judge is None else {judge.name: judge}
    planned = []
    for group in _groups(fitted.cells).values():
        train = _train(group, means=means)
        steps[train.name] = train
        recipes[train.name] = _whole_recipe(group)
        for cell in group:
            made = generate_step(cell, study.generate, train=train, means=means)
            assessed = assess_step(cell, study.assess, made=made, judge=judge, means=means)
            steps |= {made.name: made, assessed.name: assessed}
            planned.append(
                PlannedCell(
                    arm=cell.arm,
                    cell=cell.name,
                    factors=cell.factors,
                    seed=cell.seed,
                    train=train.name,
                    generate=made.name,
                    assess=assessed.name,
                )
            )
    order = {(cell.arm, cell.name, cell.seed): k for k, cell in enumerate(fitted.cells)}
    planned.sort(key=lambda one: order[one.arm, one.cell, one.seed])
    return Plan(
        study=study.name,
        steps=tuple(steps.values()),
        cells=tuple(planned),
        notes=(*fitted.notes, *_advice(study, fitted.cells)),
        trainings=recipes,
    )


def write_plan(folder: Path, plan: Plan) -> None:
    """Write ``plan.json``, from which results can be collected without recipe or data."""
    known = {
        "study": plan.study,
        "notes": plan.notes,
        "cells": [{**asdict(cell), "factors": dict(cell.factors)} for cell in plan.cells],
        "steps": [{**asdict(step), "out": str(step.out)} for step in plan.steps],
        "trainings": {name: one.model_dump(mode="json") for name, one in plan.trainings.items()},
    }
    write_text(folder / PLAN, json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def read_plan(folder: Path) -> Plan:
    """The plan that ``folder``, growing or whole, was made from; UserError where there is none."""
    from fetalsynth.training.recipe import parse_recipe

    path = folder / PLAN
    with explaining(path):
        raw = json.loads(path.read_text(encoding="utf-8"))
    try:
        steps = [
            Step(**{**one, "out": Path(one["out"])} | {k: tuple(one[k]) for k in _LISTS})
            for one in raw["steps"]
        ]
        return Plan(
            study=raw["study"],
            steps=tuple(steps),
            cells=tuple(PlannedCell(**one) for one in raw["cells"]),
            notes=tuple(raw["notes"]),
            trainings={k: parse_recipe(v, where=str(path)) for k, v in raw["trainings"].items()},
        )
    except (TypeError, KeyError) as error:
        raise UserError(f"{path}: not a readable plan ({error}); restore it") from error


_LISTS = ("command", "parts", "needs")


def _groups(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by the training that serves them."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(digest_json([_trained(cell.training), cell.seed]), []).append(cell)
    return groups


def _trained(training: Recipe | SliceRecipe) -> dict[str, Any]:
    """What a training computes, but for where it ends: an epoch is the same in a longer run."""
    left_out = {"name", "description", "snapshots", "previews", "log_every_images", "watch"}
    if not training.decay_epochs:
        left_out |= {"epochs"}
    return training.model_dump(mode="json", exclude=left_out)


def _whole_recipe(group: Sequence[Cell]) -> Recipe | SliceRecipe:
    """The recipe of the training that serves all cells of ``group``: the longest, with snapshots.

    Nobody watches it: every cell's set is screened for copying by its own assessment.
    """
    epochs = sorted({cell.training.epochs for cell in group})
    update: dict[str, Any] = {"epochs": epochs[-1], "snapshots": tuple(epochs)}
    if isinstance(group[0].training, Recipe | WatchedSliceRecipe):
        update["watch"] = WatchSettings(every_epochs=0)
    return group[0].training.model_copy(update=update)


def _train(group: Sequence[Cell], *, means: Means) -> Step:
    first = group[0]
    shown = {k: v for k, v in first.factors.items() if k != "epochs"}
    stem = "-".join(["train", *(f"{k.rsplit('.')[-1]}-{text(v)}" for k, v in shown.items())])
    recipe = _whole_recipe(group)
    return train_step(
        base=first.base,
        recipe=recipe,
        trained=_trained(recipe),
        seed=first.seed,
        data=first.data,
        stem=f"{stem}-seed-{first.seed}",
        means=means,
    )


def _judge(
    study: StudyRecipe, *, data: DataFacts, means: Means
) -> tuple[Step | None, dict[str, Recipe | SliceRecipe]]:
    wanted = study.assess.judge
    if wanted is None:
        return None, {}
    recipe = with_settings(wanted.recipe, wanted.settings, where="assess.judge")
    if recipe.generator.family != "unet":
        raise UserError(f"assess.judge: {wanted.recipe} does not find labels; take segment128")
    step = train_step(
        base=wanted.recipe,
        recipe=recipe,
        trained=_trained(recipe),
        seed=0,
        data=data,
        stem="train-judge",
        means=replace(means, perceptual_weights=None),
    )
    return step, {step.name: recipe}


def _check_family(study: StudyRecipe, cells: Sequence[Cell]) -> None:
    kind: type[Recipe] | type[WatchedSliceRecipe]
    kind, makes = (
        (Recipe, "images")
        if study.modality == "ultrasound"
        else (WatchedSliceRecipe, "slices of volumes")
    )
    for cell in cells:
        training = cell.training
        if not isinstance(training, kind):
            raise UserError(
                f"arm {cell.arm}: recipe {cell.base} does not make {makes}, which "
                f"{study.modality} needs"
            )
        if training.watch.patience_looks:
            raise UserError(
                f"arm {cell.arm}: a study compares epochs, so no training may stop early; set "
                "watch.patience_looks to 0"
            )


def _advice(study: StudyRecipe, cells: Sequence[Cell]) -> list[str]:
    """What a reader of the results must know of the design."""
    notes = []
    alone = [arm.name for arm in study.arms if len(arm.seeds) == 1]
    if alone:
        notes.append(
            f"one seed for each cell ({', '.join(alone)}), so nothing tells an effect from the "
            "luck of a training; give --seeds 0 1 2 or more"
        )
    for data in dict.fromkeys(cell.data.path for cell in cells):
        facts = next(cell.data for cell in cells if cell.data.path == data)
        if not facts.counts.get("test"):
            notes.append(
                f"{data}: nothing is held out, so sets are assessed against images that were "
                "trained on, which flatters them"
            )
    return notes
