"""The folder of a study: where it is while it grows, and how a whole one is brought up to date."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fetalsynth.artifacts.building import partial_path
from fetalsynth.artifacts.contents import SUMS, write_sums
from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.manifest import FILENAME, is_artifact, read_manifest
from fetalsynth.errors import UserError
from fetalsynth.studies.plan import PLAN
from fetalsynth.studies.recipe import StudyRecipe
from fetalsynth.studies.steps import Step

COMMANDS = "commands.sh"
RECIPE_COPY = "recipe.yaml"


def find_study(out: Path) -> Path:
    """The folder where the study ``out`` lies, whole or growing; UserError where there is none."""
    for folder in (out, partial_path(out)):
        if (folder / PLAN).is_file():
            return folder
    raise UserError(f"{out}: there is no study here; begin one with: fetalsynth study run")


@contextmanager
def bringing_up_to_date(folder: Path) -> Iterator[None]:
    """Inside the block, files of a study may be written anew; then its digests are, too.

    Where a result of the study's steps was changed meanwhile, that is not covered up: only a study
    whose digests held before gets new ones. Nothing happens to a study that still grows.
    """
    if not is_artifact(folder):
        yield
        return
    from fetalsynth.artifacts.contents import verify_sums

    manifest = read_manifest(folder, kind="study")
    verify_sums(folder, content=manifest.content)
    yield
    files = [path for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if path.name not in (FILENAME, SUMS)]
    whole = manifest.model_copy(update={"content": write_sums(folder, files)})
    write_text(folder / FILENAME, whole.model_dump_json(indent=2) + "\n")


def write_recipe(folder: Path, study: StudyRecipe) -> None:
    """Keep the recipe as it was resolved, readable by ``study run`` as well."""
    import yaml

    raw = study.model_dump(mode="json")
    write_text(folder / RECIPE_COPY, yaml.safe_dump(raw, sort_keys=False, allow_unicode=True))


def write_commands(folder: Path, steps: Sequence[Step]) -> None:
    """Write every command of the study in order, to be read, copied, or run one by one."""
    lines = [
        "#!/bin/sh",
        "# Every step of this study. A step that is done says so and makes nothing twice.",
        'set -e; cd "$(dirname "$0")"',
        *(f"OMP_NUM_THREADS={one.threads} fetalsynth {shlex.join(one.command)}" for one in steps),
    ]
    write_text(folder / COMMANDS, "\n".join(lines) + "\n")
