"""``fetalsynth study status``: what is done, runs, waits or failed."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

if TYPE_CHECKING:
    from rich.table import Table

    from fetalsynth.studies.plan import Plan
    from fetalsynth.studies.state import StepState
    from fetalsynth.studies.steps import Step

_ORDER = ("failed", "running", "queued", "blocked", "waiting", "done")
_COLOURS = {"done": "green", "running": "cyan", "failed": "red", "blocked": "yellow"}
_TAIL_LINES = 6


@dataclass(frozen=True)
class StudyStatus:
    """Show how every step of a study stands, with the end of the log of those that failed."""

    study: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the study, as given to `study run --out`."""
    watch: bool = False
    """Show it again every few seconds until nothing runs or Ctrl-C."""
    every: float = 2.0
    """Seconds between two looks, with --watch."""


def run(arguments: list[str]) -> int:
    """Run the command; returns the exit code: 1 where steps have failed."""
    wanted = tyro.cli(StudyStatus, args=arguments, prog="fetalsynth study status")
    states = _show(wanted.study)
    while wanted.watch and any(state.status in ("running", "queued") for state in states):
        time.sleep(max(0.2, wanted.every))
        if sys.stdout.isatty():
            print("\x1b[H\x1b[2J", end="")
        states = _show(wanted.study)
    return int(any(state.status == "failed" for state in states))


def _show(study: Path) -> list[StepState]:
    from rich.console import Console

    from fetalsynth.studies.folder import find_study
    from fetalsynth.studies.plan import read_plan
    from fetalsynth.studies.state import log_tail, read_state
    from fetalsynth.studies.steps import log_path

    folder = find_study(study)
    plan = read_plan(folder)
    states = {step.name: _now(step, read_state(folder, step.name), folder) for step in plan.steps}
    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(_table(plan, states, folder))
    console.print(_summary(plan, states, folder))
    for name in (name for name, state in states.items() if state.status == "failed"):
        print(f"\n{log_path(folder, name)} ends:")
        for line in log_tail(folder, name, lines=_TAIL_LINES).splitlines():
            print(f"  | {line}")
    return list(states.values())


def _now(step: Step, state: StepState, folder: Path) -> StepState:
    """The state as it is: what is said to run, but whose process is gone, was interrupted."""
    from dataclasses import replace

    from fetalsynth.studies.state import held_elsewhere, is_growing
    from fetalsynth.studies.steps import is_whole

    if state.status in ("running", "queued"):
        if is_whole(step, folder):
            return replace(state, status="done")
        if not is_growing(folder) and not held_elsewhere(step, folder):
            return replace(state, status="waiting", note="interrupted")
    if state.status == "running":
        seconds = (datetime.now(UTC) - datetime.fromisoformat(state.started)).total_seconds()
        return replace(state, seconds=state.seconds + seconds)
    return state


def _table(plan: Plan, states: dict[str, StepState], folder: Path) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("step", "status", "time", "progress", "note"):
        table.add_column(name, justify="right" if name == "time" else "left", overflow="fold")
    for step in sorted(plan.steps, key=lambda one: _ORDER.index(states[one.name].status)):
        state = states[step.name]
        colour = _COLOURS.get(state.status, "default")
        table.add_row(
            step.name,
            f"[{colour}]{state.status}[/{colour}]",
            _clock(state.seconds) if state.seconds else "",
            _progress(step, state, folder),
            state.note,
        )
    return table


def _progress(step: Step, state: StepState, folder: Path) -> str:
    from fetalsynth.studies.state import images_so_far

    if step.kind != "train" or state.status not in ("running", "waiting"):
        return ""
    seen = images_so_far(step, folder)
    if not seen:
        return ""
    return f"{seen}/{step.images} images" if step.images else f"{seen} images"


def _summary(plan: Plan, states: dict[str, StepState], folder: Path) -> str:
    counts = Counter[str](state.status for state in states.values())
    said = ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts[status])
    total = _clock(sum(state.seconds for state in states.values()))
    return f"{plan.study} in {folder}: {len(states)} steps: {said}; {total} of computing"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
