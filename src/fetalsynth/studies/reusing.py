"""Steps taken over from another study: what has the same address is the same result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.folder import find_study
from fetalsynth.studies.state import read_state, write_state
from fetalsynth.studies.steps import Step, is_whole, log_path


def reuse(steps: Sequence[Step], *, source: Path, folder: Path) -> int:
    """Take over what the study ``source`` has finished of ``steps``; returns how many.

    Files are linked where both lie on one file system and copied elsewhere. Each result is checked
    against its digests first; one that was changed is a UserError that names the file.
    """
    other = find_study(source)
    if other.resolve() == folder.resolve():
        raise UserError(f"--reuse {source}: is this very study; leave it out")
    taken = 0
    for step in steps:
        if is_whole(step, folder) or not is_whole(step, other):
            continue
        _take(step, other=other, folder=folder)
        state = read_state(other, step.name)
        write_state(folder, step.name, state, note=f"taken from {source}")
        taken += 1
    return taken


def _take(step: Step, *, other: Path, folder: Path) -> None:
    from fetalsynth.artifacts.contents import verify_sums

    for part in step.parts or ("",):
        made = other / step.out / part
        verify_sums(made, content=read_manifest(made).content)
    target = folder / step.out
    growing = target.with_name(f"{target.name}.taking")
    with explaining(target):
        shutil.rmtree(growing, ignore_errors=True)
        shutil.copytree(other / step.out, growing, copy_function=_link)
        growing.rename(target)
    log, kept = log_path(other, step.name), log_path(folder, step.name)
    if log.is_file():
        with explaining(kept):
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(log, kept)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
