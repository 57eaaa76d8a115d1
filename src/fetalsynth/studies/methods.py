"""Methods text for a paper's supplement, from what was really run: ``methods.md``.

Every number is read from the plan, the states of the steps and the manifests of their results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fetalsynth import __version__
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Input, Manifest, is_artifact, read_manifest
from fetalsynth.errors import explaining
from fetalsynth.studies.analysis import ANALYSIS
from fetalsynth.studies.analysis_entry import spoken
from fetalsynth.studies.cells import text
from fetalsynth.studies.commands import flat
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import Arm, StudyRecipe
from fetalsynth.studies.state import StepState, read_state
from fetalsynth.studies.steps import Step, is_whole

METHODS = "methods.md"
_LEFT_OUT = ("name", "description", "snapshots", "previews", "log_every_images", "precision")


def write_methods(folder: Path, *, study: StudyRecipe, plan: Plan) -> Path:
    """Write ``methods.md`` in the study's ``folder``; parts that are not there are left out."""
    states = {step.name: read_state(folder, step.name) for step in plan.steps}
    trainings = [
        read_manifest(folder / step.out)
        for step in plan.of_kind("train")
        if is_artifact(folder / step.out)
    ]
    scores = [
        read_manifest(folder / step.out)
        for step in plan.of_kind("assess")
        if is_whole(step, folder) and is_artifact(folder / step.out)
    ]
    parts = {
        "Design": _design(study, plan),
        "Data": _data(trainings, scores),
        "Training": _training(plan, trainings),
        "Synthetic sets": _generation(study, plan),
        "Assessment": _assessment(study, scores),
        "Statistics": _statistics(folder),
        "Software and hardware": _machines(plan, states, trainings),
        "What is missing": _missing(plan, states),
        "Sources": _sources([*trainings, *scores]),
    }
    said = [f"# Methods of the study {study.name}"]
    for heading, paragraphs in parts.items():
        kept = [paragraph for paragraph in paragraphs if paragraph]
        if kept:
            said += [f"## {heading}", *kept]
    write_text(folder / METHODS, "\n\n".join(said) + "\n")
    return folder / METHODS


def _design(study: StudyRecipe, plan: Plan) -> Iterator[str]:
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
            f"{_many(len({cell.cell for cell in cells}), 'cell')}, {_many(trainings, 'training')}, "
            f"{_many(len({cell.generate for cell in cells}), 'set')}. {arm.description}".rstrip()
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


def _data(trainings: Sequence[Manifest], scores: Sequence[Manifest]) -> Iterator[str]:
    for item in _inputs([*trainings, *scores], roles=("data", "real", "labels")):
        own = item.manifest
        if own is None:
            continue
        facts = own.facts
        counted = [
            f"{facts[f'{what}']} {what.replace('_', ' ')}"
            for what in (
                "images",
                "volumes",
                "subjects",
                "train_images",
                "test_images",
                "train_volumes",
                "test_volumes",
                "train_subjects",
                "test_subjects",
            )
            if isinstance(facts.get(what), int)
        ]
        settings = ", ".join(f"{spoken(k)} {v}" for k, v in own.configuration.items() if _plain(v))
        source = ", ".join(licence.source for licence in own.licences) or "a source of its own"
        kind = "Simulated" if own.synthetic else "Real"
        yield (
            f"{kind} data from {source}: {', '.join(counted) or 'counts not recorded'} "
            f"({settings}; content digest {item.digest[:12]})."
        )
    yield from _subsets(trainings)


def _subsets(trainings: Sequence[Manifest]) -> Iterator[str]:
    """How many subjects each number of images is of."""
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
            f"Trained on images: {'; '.join(said)}. Subsets take whole subjects; of one seed, "
            "smaller ones lie within larger ones."
        )


def _training(plan: Plan, trainings: Sequence[Manifest]) -> Iterator[str]:
    recipes = [
        {k: v for k, v in flat(recipe.model_dump(mode="json")).items() if k not in _LEFT_OUT}
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
    settings = "; ".join(f"{key} {text(v)}" for key, v in shared.items() if v is not None)
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


def _generation(study: StudyRecipe, plan: Plan) -> Iterator[str]:
    made = study.generate
    sets = len(plan.of_kind("generate"))
    if study.modality == "ultrasound":
        weights = made.weights or "averaged where there are any, else raw"
        yield f"{_many(sets, 'set')} of {made.n} images each, made with the seed of their training."
        yield f"Weights: {weights}."
    else:
        yield (
            f"{_many(sets, 'set')} of one volume for each label map of the split "
            f"{made.labels_split or 'all'}, planes fused by {', '.join(made.fusion)}."
        )


def _assessment(study: StudyRecipe, scores: Sequence[Manifest]) -> Iterator[str]:
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


def _statistics(folder: Path) -> Iterator[str]:
    path = folder / ANALYSIS
    if not path.is_file():
        return
    with explaining(path):
        entries = json.loads(path.read_text(encoding="utf-8"))
    done = [entry for entry in entries if entry["method"]]
    units = dict.fromkeys(entry["unit"] for entry in done)
    if done:
        yield f"Units of analysis: {', '.join(units)}. {len(done)} results in analysis.json."
    for method in dict.fromkeys(entry["method"] for entry in done):
        metrics = dict.fromkeys(entry["metric"] for entry in done if entry["method"] == method)
        yield f"{method} Applied to {', '.join(str(metric) for metric in metrics if metric)}."


def _machines(
    plan: Plan, states: dict[str, StepState], trainings: Sequence[Manifest]
) -> Iterator[str]:
    devices = dict.fromkeys(str(own.facts["device"]) for own in trainings if "device" in own.facts)
    torch = dict.fromkeys(str(own.facts["torch"]) for own in trainings if "torch" in own.facts)
    precision = dict.fromkeys(str(own.facts.get("precision", "")) for own in trainings)
    hours = sum(state.seconds for state in states.values()) / 3600
    hosts = {state.host for state in states.values() if state.host}
    versions = dict.fromkeys([__version__, *(own.package_version for own in trainings)])
    yield (
        f"fetalsynth {', '.join(versions)}; PyTorch {', '.join(torch) or 'not recorded'}; "
        f"{', '.join(devices) or 'device not recorded'}, precision "
        f"{', '.join(filter(None, precision)) or 'not recorded'}; {_many(len(hosts), 'machine')}, "
        f"{hours:.2f} hours of computing over {_many(len(plan.steps), 'step')}."
    )
    yield (
        "Every step is one command of commands.sh, named by a digest of all that decides its "
        "result; manifests with settings, seeds, versions and digests of inputs lie beside it."
    )


def _missing(plan: Plan, states: dict[str, StepState]) -> Iterator[str]:
    failed = [step for step in plan.steps if states[step.name].status == "failed"]
    blocked = [step for step in plan.steps if states[step.name].status == "blocked"]
    if failed or blocked:
        yield (
            f"{_many(len(failed), 'step')} failed and {len(blocked)} needed one of them; their "
            f"cells are not among the results. Failed: {_names(failed)}."
        )


def _names(steps: Iterable[Step]) -> str:
    return ", ".join(step.name for step in steps)


def _sources(manifests: Sequence[Manifest]) -> Iterator[str]:
    licences = dict.fromkeys(licence for own in manifests for licence in own.licences)
    for licence in licences:
        yield f"{licence.source} ({licence.licence}): {licence.citation}"


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
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'' if count == 1 else 's'}"
