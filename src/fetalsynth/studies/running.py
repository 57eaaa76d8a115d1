"""The scheduler: starts what is ready, notes what ended, lets nothing stop the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fetalsynth.studies.executors import Executor, Finished
from fetalsynth.studies.state import StepState, held_elsewhere, read_state, write_state
from fetalsynth.studies.steps import Step, is_whole
from fetalsynth.training.stop import listening

POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Names of the steps that are done, that failed, and that needed a failed one."""

    done: tuple[str, ...]
    failed: tuple[str, ...]
    blocked: tuple[str, ...]


class _Board:
    """Which step stands where; every change is written to its state file."""

    def __init__(self, steps: Sequence[Step], folder: Path) -> None:
        self.folder = folder
        self.steps = {step.name: step for step in steps}
        self.waiting: dict[str, Step] = {}
        self.done: set[str] = set()
        self.failed: set[str] = set()
        self.blocked: set[str] = set()
        self.states: dict[str, StepState] = {}
        for step in steps:
            state = read_state(folder, step.name)
            if is_whole(step, folder):
                self.done.add(step.name)
                self._write(step, state, status="done")
            else:
                self.waiting[step.name] = step
                self._write(step, state, status="waiting", note="")

    def _write(self, step: Step, state: StepState, **changes: object) -> None:
        changed = write_state(self.folder, step.name, state, **changes)
        self.states[step.name] = changed

    def ready(self) -> list[Step]:
        """What could start now, the longest trainings first."""
        can = [step for step in self.waiting.values() if self.done.issuperset(step.needs)]
        return sorted(can, key=lambda step: (step.kind == "train", step.images), reverse=True)

    def started(self, step: Step) -> None:
        """Note that the step was handed over."""
        del self.waiting[step.name]
        state = self.states[step.name]
        now = datetime.now(UTC).isoformat(timespec="seconds")
        attempts = state.attempts + 1
        self._write(step, state, status="running", started=now, attempts=attempts, exit_code=None)

    def at_work(self, statuses: Mapping[str, str]) -> None:
        """Note which of the steps that were handed over are queued and which run, since when."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for name, status in statuses.items():
            state = self.states[name]
            if state.status != status:
                self._write(self.steps[name], state, status=status, started=now)

    def ended(self, finished: Finished) -> bool:
        """Note the end of a step's process; whether its result is whole."""
        step = self.steps[finished.name]
        state = self.states[step.name]
        whole = is_whole(step, self.folder)
        (self.done if whole else self.failed).add(step.name)
        note = finished.note or _note(finished.exit_code, whole=whole)
        self._write(
            step,
            state,
            status="done" if whole else "failed",
            seconds=round(state.seconds + finished.seconds, 1),
            host=finished.host,
            exit_code=finished.exit_code,
            note=note,
        )
        return whole

    def stopped(self, names: Iterable[str]) -> None:
        """What runs was asked to stop; it waits again."""
        for name in names:
            state = self.states[name]
            seconds = round(state.seconds + _since(state), 1)
            self._write(self.steps[name], state, status="waiting", seconds=seconds, note="stopped")

    def block(self) -> list[str]:
        """Move what needs a failed or blocked step out of the way; names of what was moved."""
        moved: list[str] = []
        lost = self.failed | self.blocked
        for step in list(self.waiting.values()):
            culprit = next((need for need in step.needs if need in lost), None)
            if culprit is not None:
                del self.waiting[step.name]
                self.blocked.add(step.name)
                note = f"needs {culprit}"
                self._write(step, self.states[step.name], status="blocked", note=note)
                moved.append(step.name)
        return moved + self.block() if moved else moved

    def adopt(self, step: Step) -> None:
        """Something else has finished the step meanwhile."""
        del self.waiting[step.name]
        self.done.add(step.name)
        self._write(step, self.states[step.name], status="done")


def run_steps(
    steps: Sequence[Step],
    *,
    folder: Path,
    executor: Executor,
    tell: Callable[[Step, StepState], None],
) -> Outcome:
    """Run every step of ``steps`` that is not done yet, in the order of their needs.

    A step that fails stops nothing but what needs it. ``tell`` hears of each that ended. Where a
    process that outlived an earlier call still writes a step's result, it is waited for.

    Raises KeyboardInterrupt after Ctrl-C or SIGTERM, with everything that ran asked to stop.
    """
    board = _Board(steps, folder)
    with listening() as stop_asked:
        try:
            while True:
                _start(board, executor)
                for finished in executor.poll():
                    board.ended(finished)
                    tell(board.steps[finished.name], board.states[finished.name])
                board.block()
                board.at_work(executor.running())
                if stop_asked():
                    raise KeyboardInterrupt
                if not board.waiting and not executor.running():
                    break
                time.sleep(POLL_SECONDS)
        except BaseException:
            left = list(executor.running())
            executor.cancel()
            board.stopped(left)
            raise
        finally:
            executor.close()
    names = tuple(step.name for step in steps)
    return Outcome(
        done=tuple(name for name in names if name in board.done),
        failed=tuple(name for name in names if name in board.failed),
        blocked=tuple(name for name in names if name in board.blocked),
    )


def _start(board: _Board, executor: Executor) -> None:
    for step in board.ready():
        if not executor.room(step):
            return
        if held_elsewhere(step, board.folder):
            continue
        if is_whole(step, board.folder):
            board.adopt(step)
            continue
        executor.submit(step)
        board.started(step)


def _since(state: StepState) -> float:
    """Seconds that a running step has run."""
    if state.status != "running" or not state.started:
        return 0.0
    return (datetime.now(UTC) - datetime.fromisoformat(state.started)).total_seconds()


def _note(exit_code: int, *, whole: bool) -> str:
    if whole:
        return "" if exit_code == 0 else "done, but something was left out; its log says what"
    if exit_code < 0:
        return f"ended by signal {-exit_code}"
    return f"exit code {exit_code}"
