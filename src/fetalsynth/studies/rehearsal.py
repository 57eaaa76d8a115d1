"""What a step costs besides its network: the real commands once, on little, in a scratch folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fetalsynth.artifacts.volume_table import VolumeRecord, read_participants
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.studies.commands import CACHE, changed_settings
from fetalsynth.studies.data import DataFacts
from fetalsynth.studies.executors.local import LocalExecutor
from fetalsynth.studies.forecast import Overheads
from fetalsynth.studies.plan import Plan
from fetalsynth.studies.recipe import StudyRecipe
from fetalsynth.studies.state import log_tail
from fetalsynth.studies.steps import Step
from fetalsynth.training.recipe import Recipe


def rehearse(
    study: StudyRecipe, plan: Plan, *, data: DataFacts, scratch: Path, threads: int
) -> Overheads:
    """Time loading, a step that computes next to nothing, and one assessment like the study's.

    For images a network of the first training is trained for one step, sampled and assessed. For
    volumes one held-out volume with noise stands for a synthetic one, compared as the study would.
    ``scratch`` is an empty folder for what that makes. Raises UserError with the command's own
    words where one fails.
    """
    stage = _Stage(scratch, threads=threads)
    try:
        loading = stage.run(["--version"])
        rehearsed = _volumes if study.modality == "mri" else _images
        return rehearsed(study, plan, data=data, stage=stage, loading=loading)
    finally:
        stage.close()


def _images(
    study: StudyRecipe, plan: Plan, *, data: DataFacts, stage: _Stage, loading: float
) -> Overheads:
    train = plan.of_kind("train")[0]
    recipe = plan.trainings[train.name]
    assert isinstance(recipe, Recipe)
    one_step = recipe.model_copy(
        update={"epochs": 1, "snapshots": (), "images": recipe.batch_size, "decay_epochs": 0}
    )
    options = changed_settings(train.command[1], one_step)
    base = train.command[1]
    step = stage.run(["train", base, "--data", str(data.path), "--out", "model", *options])
    stage.run(["generate", "model", "--n", str(study.generate.n), "--out", "set"])
    assess_seconds = stage.run(_like(plan.of_kind("assess")[0], real=data.path))
    return Overheads(
        loading_seconds=loading,
        step_seconds=step,
        assess_seconds=assess_seconds,
        set_bytes=_size(stage.folder / "set"),
        scores_bytes=_size(stage.folder / "scores"),
    )


def _volumes(
    study: StudyRecipe, plan: Plan, *, data: DataFacts, stage: _Stage, loading: float
) -> Overheads:
    records = assessed_volumes(study, data)
    made = stage.folder / "set"
    made.mkdir()
    _noisy(data.path, records[0], made)
    command = ["assess", "--paired", "--real", str(data.path), "--synthetic", "set"]
    one = stage.run([*command, "--out", "scores", "--profile", study.assess.profile])
    sets = max(1, len(plan.of_kind("generate")[0].parts))
    return Overheads(
        loading_seconds=loading,
        step_seconds=_VOLUME_STEP_SECONDS,
        assess_seconds=one * len(records) * sets,
        set_bytes=_size(made) * len(records) * sets,
        scores_bytes=_size(stage.folder / "scores") * sets,
    )


_VOLUME_STEP_SECONDS = 2.0  # reading volumes and writing previews, little beside the rest


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


class _Stage:
    """Runs single commands in ``folder`` as the study would on this machine."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self._executor = LocalExecutor(folder=folder, cores=threads)
        self._count = 0

    def run(self, command: Sequence[str]) -> float:
        """Seconds that the command takes; UserError with its last words where it fails."""
        self._count += 1
        step = Step(
            name=f"rehearsal-{self._count}",
            kind="train",
            command=tuple(command),
            out=Path("out"),
            threads=self.threads,
        )
        began = time.perf_counter()
        self._executor.submit(step)
        while not (ended := self._executor.poll()):
            time.sleep(0.02)
        if ended[0].exit_code:
            said = log_tail(self.folder, step.name, lines=1)
            raise UserError(f"the rehearsal of `{' '.join(command)}` failed: {said}")
        return time.perf_counter() - began

    def close(self) -> None:
        self._executor.close()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
