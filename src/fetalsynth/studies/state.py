"""What is known of every step while a study grows and afterwards: ``steps/<name>.json``."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from fetalsynth.artifacts.files import write_text
from fetalsynth.artifacts.model import STATISTICS, read_statistics
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.steps import STEPS, Step, growing, log_path

Status = Literal["waiting", "queued", "running", "done", "failed", "blocked"]
LOG_TAIL_LINES = 20


@dataclass(frozen=True, kw_only=True)
class StepState:
    """How a step stands.

    ``seconds`` is the time of all its attempts, ``attempts`` how many there were. A step is
    "blocked" where one that it needs has failed, which ``note`` names.
    """

    status: Status = "waiting"
    seconds: float = 0.0
    attempts: int = 0
    host: str = ""
    started: str = ""
    exit_code: int | None = None
    note: str = ""


def read_state(folder: Path, name: str) -> StepState:
    """State of the step of this name; "waiting" where nothing is written yet."""
    path = folder / STEPS / f"{name}.json"
    if not path.is_file():
        return StepState()
    with explaining(path):
        text = path.read_text(encoding="utf-8")
    try:
        return StepState(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: not a readable state ({error}); delete it") from error


def write_state(folder: Path, name: str, state: StepState, **changes: Any) -> StepState:
    """Write ``state`` with ``changes`` for the step of this name and return it."""
    changed = replace(state, **changes)
    path = folder / STEPS / f"{name}.json"
    with explaining(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(changed), indent=2) + "\n")
    return changed


def held_elsewhere(step: Step, folder: Path) -> bool:
    """Whether a process is writing the step's result now, such as one that outlived its study."""
    return any(_is_locked(path / ".lock") for path in growing(step, folder))


def is_growing(folder: Path) -> bool:
    """Whether a ``study run`` works on this folder now."""
    return _is_locked(folder / ".lock")


def images_so_far(step: Step, folder: Path) -> int:
    """Images that a training that runs has seen, by its statistics; 0 where there are none."""
    seen = 0
    for path in growing(step, folder):
        for statistics in (path / STATISTICS, *path.glob(f"*/{STATISTICS}")):
            rows = read_statistics(statistics) if statistics.is_file() else []
            seen += int(rows[-1]["images_seen"]) if rows else 0
    return seen


def log_tail(folder: Path, name: str, *, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of the step's log, "" where there is none."""
    path = log_path(folder, name)
    if not path.is_file():
        return ""
    with explaining(path):
        text = path.read_text(encoding="utf-8", errors="replace")
    return "\n".join(text.rstrip().splitlines()[-lines:])


def _is_locked(path: Path) -> bool:
    """Whether some process holds the lock on this file.

    The kernel's list of locks is asked first: trying the lock could get in the way of a process
    that wants it at that moment. Locks of other machines are found only by trying.
    """
    try:
        listed = Path("/proc/locks").read_text().split()
        if any(word.endswith(f":{path.stat().st_ino}") for word in listed):
            return True
    except OSError:
        pass
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
