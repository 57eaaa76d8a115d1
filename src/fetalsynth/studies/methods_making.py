"""Parts of a study's methods text on what was made: design, data, training, sets, assessment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from fetalsynth.artifacts.manifest import Input, Manifest
from fetalsynth.studies.analysis_entry import spoken
from fetalsynth.studies.cells import text
from fetalsynth.studies.commands import flat
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Arm, StudyRecipe

_COUNTED = [
    f"{part}{what}"
    for part in ("", "train_", "test_")
    for what in ("images", "volumes", "subjects")
]
_LEFT_OUT = ("name", "description", "snapshots", "previews", "log_every_images", "precision")


def design_text(study: StudyRecipe, plan: Plan) -> Iterator[str]:
    """What was varied, cell by cell."""
    yield study.description
    for arm in study.arms:
        cells = [cell for cell in plan.cells if cell.arm == arm.name]
        if not cells:
            continue
        trainings = len({cell.train for cell in cells})
        levels = "; ".join(_levels(arm, [cell.factors for cell in cells]))
        seeds = ", ".join(str(seed) for seed in sorted({cell.seed for cell in cells}))
        yield (
            f"Arm {arm.name}: {levels or 'one cell'}; training seeds {seeds}. "
            f"{many(len({cell.cell for cell in cells}), 'cell')}, {many(trainings, 'training')}, "
            f"{many(len({cell.generate for cell in cells}), 'set')}. {arm.description}".rstrip()
        )
    shared = len(plan.cells) > len({cell.train for cell in plan.cells})
    if shared:
        yield (
            "Cells that differ in the number of epochs alone are snapshots of one training, and "
            "cells that several arms have in common were made once."
        )
    yield " ".join(f"{note[0].upper()}{note[1:]}." for note in plan.notes)


def _levels(arm: Arm, cells: Sequence[Any]) -> Iterator[str]:
    for name in arm.grid:
        values = list(dict.fromkeys(text(cell[name]) for cell in cells))
        yield f"{spoken(name)} {', '.join(values)}"
    if arm.zip:
        together = dict.fromkeys(" / ".join(text(c[name]) for name in arm.zip) for c in cells)
        yield f"{' / '.join(map(spoken, arm.zip))} {', '.join(together)}"


def data_text(
    trainings: Sequence[Manifest], scores: Sequence[Manifest], *, what: str
) -> Iterator[str]:
    """What was trained on and compared with; ``what`` are "images" or "slices"."""
    for item in _inputs([*trainings, *scores], roles=("data", "real", "labels")):
        own = item.manifest
        if own is None:
            continue
        facts = own.facts
        counted = [
            f"{facts[name]} {name.replace('_', ' ')}"
            for name in _COUNTED
            if isinstance(facts.get(name), int)
        ]
        settings = ", ".join(f"{spoken(k)} {v}" for k, v in own.configuration.items() if _plain(v))
        source = ", ".join(licence.source for licence in own.licences) or "a source of its own"
        kind = "Simulated" if own.synthetic else "Real"
        yield (
            f"{kind} data from {source}: {', '.join(counted) or 'counts not recorded'} "
            f"({settings}; content digest {item.digest[:12]})."
        )
    yield from _subsets(trainings, what)


def _subsets(trainings: Sequence[Manifest], what: str) -> Iterator[str]:
    """How many subjects each number of images or slices is of."""
    found: dict[int, set[int]] = {}
    for facts in (own.facts for own in trainings):
        if isinstance(facts.get("images"), int) and isinstance(facts.get("subjects"), int):
            found.setdefault(facts["images"], set()).add(facts["subjects"])
    if found:
        said = [
            f"{images} of {' to '.join(str(n) for n in sorted({min(n), max(n)}))} subjects"
            for images, n in sorted(found.items())
        ]
        yield (
            f"Trained on {what}: {'; '.join(said)}. Subsets take whole subjects; of one seed, "
            "smaller ones lie within larger ones."
        )


def training_text(plan: Plan, trainings: Sequence[Manifest]) -> Iterator[str]:
    """Settings that all trainings share, names of those that differ, sizes of networks."""
    recipes = [
        {
            k: v
            for k, v in flat(recipe.model_dump(mode="json", exclude={"watch"})).items()
            if k not in _LEFT_OUT
        }
        for recipe in plan.trainings.values()
    ]
    if not recipes:
        return
    names = dict.fromkeys(key for recipe in recipes for key in recipe)
    shared = {
        key: recipes[0].get(key)
        for key in names
        if all(recipe.get(key) == recipes[0].get(key) for recipe in recipes)
    }
    family = shared.pop("generator.family", "generative")
    settings = "; ".join(f"{key} {_said(v)}" for key, v in shared.items() if v is not None)
    yield f"Networks of the family {family}. Settings that all trainings share: {settings}."
    varied = [spoken(key) for key in names if key not in shared and key != "generator.family"]
    if varied:
        yield f"Settings that differ between trainings: {', '.join(varied)}."
    sizes = dict.fromkeys(
        json.dumps(own.facts["parameters"]) for own in trainings if "parameters" in own.facts
    )
    for size in sizes:
        parts = ", ".join(f"{name} {count}" for name, count in flat(json.loads(size)).items())
        yield f"Parameters: {parts}."


def generation_text(study: StudyRecipe, plan: Plan) -> Iterator[str]:
    """How the synthetic sets were made."""
    made = study.generate
    sets = len(plan.of_kind("generate"))
    if study.modality == "ultrasound":
        weights = made.weights or "averaged where there are any, else raw"
        yield f"{many(sets, 'set')} of {made.n} images each, made with the seed of their training."
        yield f"Weights: {weights}."
    else:
        yield (
            f"{many(sets, 'set')} of one volume for each label map of the split "
            f"{made.labels_split or 'all'}, planes fused by {', '.join(made.fusion)}."
        )


def assessment_text(study: StudyRecipe, scores: Sequence[Manifest]) -> Iterator[str]:
    """How every set was assessed."""
    how = study.assess
    more = ", fan excluded" if how.exclude_outside_fan else ""
    paired = "" if study.modality == "mri" else f", full-reference measures over {how.pairing}"
    yield f"Every set was assessed with the profile {how.profile}{paired}{more}."
    settings = dict.fromkeys(json.dumps(own.configuration, sort_keys=True) for own in scores)
    if len(settings) == 1:
        flat_ones = flat(json.loads(next(iter(settings))))
        said = ", ".join(f"{spoken(k)} {_said(v)}" for k, v in flat_ones.items() if v is not None)
        yield f"Settings: {said}."
    weights = list(_inputs(scores, roles=("inception-weights",)))
    if weights:
        yield f"Inception weights with the digest {weights[0].digest[:12]}."


def many(count: int, name: str) -> str:
    """ "1 cell", "6 cells"."""
    return f"{count} {name}{'' if count == 1 else 's'}"


def _inputs(manifests: Sequence[Manifest], *, roles: Sequence[str]) -> Iterator[Input]:
    """Inputs of these roles, each content once."""
    seen = set()
    for item in (item for own in manifests for item in own.inputs if item.role in roles):
        if item.digest not in seen:
            seen.add(item.digest)
            yield item


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else text(value)
