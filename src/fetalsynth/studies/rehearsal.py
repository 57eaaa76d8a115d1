"""What a step costs besides its network: the real commands once, on little, in a scratch folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetalsynth.artifacts.volume_table import VolumeRecord, read_participants
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.studies.commands import CACHE, changed_settings
from fetalsynth.studies.data import DataFacts
from fetalsynth.studies.forecast import Overheads
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import StudyRecipe
from fetalsynth.studies.steps import Step
from fetalsynth.training.recipe import Recipe

_LOADING = "import torch, fetalsynth.synthesis.images, fetalsynth.training.loop"


def rehearse(
    study: StudyRecipe, plan: Plan, *, data: DataFacts, scratch: Path, threads: int
) -> Overheads:
    """Time the start of a process, and one assessment of a set like the study's.

    For images a network of the first training is trained for one step, sampled and assessed. For
    volumes the held-out ones with noise stand for synthetic ones, as the study would compare them.
    ``scratch`` is an empty folder for what that makes. Raises UserError with the command's own
    words where one fails.
    """
    if study.modality == "mri":
        return _volumes(study, plan, data=data, scratch=scratch, threads=threads)
    train = next(step for step in plan.of_kind("train"))
    recipe = plan.trainings[train.name]
    assert isinstance(recipe, Recipe)
    one_step = recipe.model_copy(
        update={"epochs": 1, "snapshots": (), "images": recipe.batch_size, "decay_epochs": 0}
    )
    options = changed_settings(train.command[1], one_step)
    command = ["train", train.command[1], "--data", str(data.path), "--out", "model", *options]
    start = _run(command, scratch, threads)
    made = ["generate", "model", "--n", str(study.generate.n), "--out", "set"]
    _run(made, scratch, threads)
    assess = _like(plan.of_kind("assess")[0], real=data.path)
    assess_seconds = _run(assess, scratch, threads)
    return Overheads(
        start_seconds=start,
        assess_seconds=max(0.0, assess_seconds - start),
        set_bytes=_size(scratch / "set"),
        scores_bytes=_size(scratch / "scores"),
    )


def _volumes(
    study: StudyRecipe, plan: Plan, *, data: DataFacts, scratch: Path, threads: int
) -> Overheads:
    records = assessed_volumes(study, data)
    (scratch / "set").mkdir()
    for record in records[:1]:
        _noisy(data.path, record, scratch / "set")
    start = _timed([sys.executable, "-c", _LOADING], scratch, threads)
    command = ["assess", "--paired", "--real", str(data.path), "--synthetic", "set"]
    command += ["--out", "scores", "--profile", study.assess.profile]
    one = max(0.0, _run(command, scratch, threads) - start)
    several = max(1, len(plan.of_kind("generate")[0].parts))
    volumes = len(records) * several
    return Overheads(
        start_seconds=start,
        assess_seconds=one * volumes,
        set_bytes=_size(scratch / "set") * volumes,
        scores_bytes=_size(scratch / "scores") * several,
    )


def assessed_volumes(study: StudyRecipe, data: DataFacts) -> list[VolumeRecord]:
    """The volumes whose labels the study makes images for."""
    records = [one for one in read_participants(data.path) if one.labels and one.image]
    split = study.generate.labels_split
    chosen = [one for one in records if one.split == split] if split else records
    return chosen or records


def _noisy(folder: Path, record: VolumeRecord, target: Path) -> None:
    import nibabel

    assert record.image is not None
    image = nibabel.load(folder / record.image)
    voxels = np.asarray(image.dataobj)  # type: ignore[attr-defined]
    noise = numpy_rng(seed=0, stream="rehearsal").normal(0, 50, voxels.shape)
    changed = np.clip(voxels + noise, 0, voxels.max()).astype(np.int16)
    made = nibabel.Nifti1Image(changed, image.affine)  # type: ignore[attr-defined,no-untyped-call]
    nibabel.save(made, target / Path(record.image).name)


def _like(step: Step, *, real: Path) -> list[str]:
    """The study's own command of assessment, on the rehearsed set."""
    command = list(step.command)
    for option, value in (("--real", str(real)), ("--synthetic", "set"), ("--out", "scores")):
        command[command.index(option) + 1] = value
    command[command.index("--cache") + 1] = str(CACHE)
    return command


def _run(command: Sequence[str], folder: Path, threads: int) -> float:
    return _timed([sys.executable, "-m", "fetalsynth", *command], folder, threads)


def _timed(command: Sequence[str], folder: Path, threads: int) -> float:
    began = time.perf_counter()
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        said = (ended.stderr.strip() or ended.stdout.strip()).splitlines()[-1:]
        raise UserError(f"the rehearsal of `{' '.join(command[3:])}` failed: {' '.join(said)}")
    return time.perf_counter() - began


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
