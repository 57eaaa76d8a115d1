"""Methods text for a paper's supplement, from what was really run: ``methods.md``.

Every number is read from the plan, the states of the steps and the manifests of their results.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fetalsynth import __version__
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import Manifest, is_artifact, read_manifest
from fetalsynth.errors import explaining
from fetalsynth.studies.analysis import ANALYSIS
from fetalsynth.studies.methods_making import (
    assessment_text,
    data_text,
    design_text,
    generation_text,
    many,
    training_text,
)
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import StudyRecipe
from fetalsynth.studies.state import StepState, read_state
from fetalsynth.studies.steps import Step, is_whole

METHODS = "methods.md"


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
        "Design": design_text(study, plan),
        "Data": data_text(
            trainings, scores, what="images" if study.modality == "ultrasound" else "slices"
        ),
        "Training": training_text(plan, trainings),
        "Synthetic sets": generation_text(study, plan),
        "Assessment": assessment_text(study, scores),
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
        f"{', '.join(filter(None, precision)) or 'not recorded'}; {many(len(hosts), 'machine')}, "
        f"{hours:.2f} hours of computing over {many(len(plan.steps), 'step')}."
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
            f"{many(len(failed), 'step')} failed and {len(blocked)} needed one of them; their "
            f"cells are not among the results. Failed: {_names(failed)}."
        )


def _names(steps: Iterable[Step]) -> str:
    return ", ".join(step.name for step in steps)


def _sources(manifests: Sequence[Manifest]) -> Iterator[str]:
    licences = dict.fromkeys(licence for own in manifests for licence in own.licences)
    for licence in licences:
        yield f"{licence.source} ({licence.licence}): {licence.citation}"
