"""``fetalsynth study run``: a recipe and data → results, analysis and report; resumable."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fetalsynth.errors import UserError
from fetalsynth.studies.executors.slurm_options import SlurmOptions

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.studies.data import DataFacts
    from fetalsynth.studies.executors import Executor
    from fetalsynth.studies.plan import Means, Plan
    from fetalsynth.studies.recipe import StudyRecipe
    from fetalsynth.studies.running import Outcome
    from fetalsynth.studies.state import StepState
    from fetalsynth.studies.steps import Step


@dataclass(frozen=True)
class StudyRun:
    """Run a whole study: train, generate, assess, analyse, report. Not for clinical use.

    The same command again goes on after an interruption, and tries again what failed.
    """

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """Name of a study that ships with the package, or the path of your own .yaml."""
    data: tuple[Path, ...]
    """Images or volumes that `fetalsynth data` made; several of images for several sizes."""
    out: Path
    """New folder for the study."""
    dry_run: bool = False
    """Only say what would run, how long it would take and how much disk; writes nothing."""
    seeds: tuple[int, ...] | None = None
    """Repeat every cell with each of these seeds, instead of those of the recipe."""
    executor: Literal["local", "slurm"] = "local"
    """Processes of this machine, or jobs of a SLURM cluster."""
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    """What jobs ask a SLURM cluster for."""
    jobs: int | None = None
    """Most steps at a time; as many as the cores allow, or 100 jobs of SLURM, if not given."""
    threads: int = 1
    """CPU threads of each step; a grid is fastest with 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and generate."""
    inception_weights: Path | None = None
    """Weights of Inception for the assessments, as for `fetalsynth assess`."""
    perceptual_weights: Path | None = None
    """Weights for recipes with a perceptual loss, as for `fetalsynth train`."""
    reuse: Path | None = None
    """Another study: steps that it has and that this one needs are taken from it."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code: 1 where a step failed."""
    wanted = tyro.cli(StudyRun, args=arguments, prog="fetalsynth study run")
    _check(wanted)
    return study_run(wanted)


class _UnfinishedError(Exception):
    """Some steps failed; the study's folder stays as it is."""


def study_run(wanted: StudyRun) -> int:
    """Run the study that ``wanted`` describes, or say that it is done."""
    from fetalsynth.artifacts.building import building, is_done, partial_path
    from fetalsynth.studies.data import data_facts
    from fetalsynth.studies.plan import make_plan

    study = _study(wanted)
    data = tuple(data_facts(folder) for folder in wanted.data)
    means = _means(wanted)
    plan = make_plan(study, data=data, means=means)
    for note in plan.notes:
        print(f"note: {note}")
    if wanted.dry_run:
        from fetalsynth.cli.study_forecast import print_forecast

        print_forecast(study, plan, data=data, wanted=wanted)
        return 0
    manifest = _manifest(study, data, means)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return 0
    outcome: Outcome | None = None
    try:
        with building(wanted.out, manifest, resumable=True) as folder:
            outcome = _run_all(folder, study, plan, wanted)
            if outcome.failed:
                raise _UnfinishedError
    except _UnfinishedError:
        assert outcome is not None
        _report_failures(partial_path(wanted.out), outcome, wanted.out)
        return 1
    print(f"study in {wanted.out}; report: {wanted.out / 'report.html'}")
    return 0


def _check(wanted: StudyRun) -> None:
    for option, value in (("jobs", wanted.jobs), ("threads", wanted.threads)):
        if value is not None and value < 1:
            raise UserError(f"--{option} {value}: must be 1 or more")
    if wanted.executor != "slurm" and wanted.slurm != SlurmOptions():
        raise UserError("--slurm.…: is for jobs of a cluster; add --executor slurm")
    if not wanted.data:
        raise UserError("--data: name the folder of images or volumes")
    for folder in wanted.data:
        if wanted.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{wanted.out}: lies inside the data; choose another --out")


def _study(wanted: StudyRun) -> StudyRecipe:
    from fetalsynth.studies.recipe import load_study, parse_study

    study = load_study(wanted.recipe)
    if wanted.seeds is None:
        return study
    raw = study.model_dump()
    for arm in raw["arms"]:
        arm["seeds"] = wanted.seeds
    return parse_study(raw, where="--seeds")


def _means(wanted: StudyRun) -> Means:
    from fetalsynth.studies.executors.local import local_gpus
    from fetalsynth.studies.plan import Means, weights_input

    def weights(path: Path | None, role: str) -> Any:
        return None if path is None else weights_input(path, role=role)

    return Means(
        inception_weights=weights(wanted.inception_weights, "inception-weights"),
        perceptual_weights=weights(wanted.perceptual_weights, "perceptual weights"),
        device=None if wanted.device == "auto" else wanted.device,
        threads=wanted.threads,
        gpus=int(
            wanted.device == "cuda"
            or (wanted.device == "auto" and wanted.executor == "local" and bool(local_gpus()))
        ),
    )


def _manifest(study: StudyRecipe, data: tuple[DataFacts, ...], means: Means) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    weights = (means.inception_weights, means.perceptual_weights)
    return draft(
        kind="study",
        configuration={"recipe": study.model_dump(mode="json")},
        inputs=(*(one.source for one in data), *(one for one in weights if one is not None)),
        synthetic=True,
    )


def _run_all(folder: Path, study: StudyRecipe, plan: Plan, wanted: StudyRun) -> Outcome:
    from fetalsynth.artifacts.building import record_facts
    from fetalsynth.cli.study_report import conclude
    from fetalsynth.studies.folder import write_commands, write_recipe
    from fetalsynth.studies.plan import write_plan
    from fetalsynth.studies.running import run_steps

    write_plan(folder, plan)
    write_commands(folder, plan.steps)
    write_recipe(folder, study)
    if wanted.reuse is not None:
        from fetalsynth.studies.reusing import reuse

        print(f"{reuse(plan.steps, source=wanted.reuse, folder=folder)} steps taken over")
    print(f"{_counts(plan)}; watch: fetalsynth study status {wanted.out}", flush=True)

    def tell(step: Step, state: StepState) -> None:
        said = f"{state.status} {step.name} ({state.seconds:.0f} s)"
        print(said if not state.note else f"{said}: {state.note}", flush=True)

    outcome = run_steps(plan.steps, folder=folder, executor=_executor(folder, wanted), tell=tell)
    conclude(folder)
    record_facts(folder, _facts(folder, plan))
    return outcome


def _executor(folder: Path, wanted: StudyRun) -> Executor:
    from fetalsynth.studies.executors.local import LocalExecutor, local_gpus
    from fetalsynth.threads import allowed_cores

    if wanted.executor == "slurm":
        from fetalsynth.studies.executors.slurm import MOST_JOBS, SlurmExecutor

        return SlurmExecutor(folder=folder, options=wanted.slurm, jobs=wanted.jobs or MOST_JOBS)
    gpus = () if wanted.device == "cpu" else local_gpus()
    return LocalExecutor(folder=folder, cores=allowed_cores(), jobs=wanted.jobs, gpus=gpus)


def _counts(plan: Plan) -> str:
    sets = len({cell.generate for cell in plan.cells})
    return f"{len(plan.of_kind('train'))} trainings, {sets} sets, {len(plan.steps)} steps"


def _facts(folder: Path, plan: Plan) -> dict[str, Any]:
    from fetalsynth.studies.state import read_state

    states = [read_state(folder, step.name) for step in plan.steps]
    return {
        "trainings": len(plan.of_kind("train")),
        "sets": len({cell.generate for cell in plan.cells}),
        "cells": len(plan.cells),
        "steps": len(plan.steps),
        "images_trained_on": sum(step.images for step in plan.of_kind("train")),
        "seconds_of_steps": round(sum(state.seconds for state in states), 1),
        "hosts": sorted({state.host for state in states if state.host}),
        "notes": list(plan.notes),
    }


def _report_failures(folder: Path, outcome: Outcome, out: Path) -> None:
    from fetalsynth.studies.state import log_tail, read_state
    from fetalsynth.studies.steps import log_path

    for name in outcome.failed:
        print(f"\nfailed {name}: {read_state(folder, name).note}; {log_path(folder, name)} ends:")
        print("\n".join(f"  | {line}" for line in log_tail(folder, name).splitlines()))
    print(
        f"\n{len(outcome.failed)} steps failed, {len(outcome.blocked)} needed one of them, "
        f"{len(outcome.done)} are done. Results of what is there: {folder}\n"
        f"The same command tries the failed ones again and finishes {out}"
    )
