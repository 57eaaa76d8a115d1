"""Where steps run: one module per place, all used through :class:`Executor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from fetalsynth.studies.steps import Step


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A step whose process has ended. ``exit_code`` is negative where a signal ended it.

    ``note`` says what the log does not, such as a time limit that was reached.
    """

    name: str
    exit_code: int
    seconds: float
    host: str
    note: str = ""


class Executor(Protocol):
    """Runs the command of a step in the study's folder and writes its output to the step's log.

    The process is ``python -m fetalsynth`` with ``step.command``, with ``OMP_NUM_THREADS`` set to
    ``step.threads``; its output is appended to :func:`fetalsynth.studies.steps.log_path`.
    """

    def room(self, step: Step) -> bool:
        """Whether the step could be submitted now."""
        ...

    def submit(self, step: Step) -> None:
        """Start the step, or queue it; returns at once."""
        ...

    def running(self) -> dict[str, str]:
        """Steps that were submitted and have not ended, with "queued" or "running"."""
        ...

    def poll(self) -> list[Finished]:
        """Steps that ended since the last call."""
        ...

    def cancel(self) -> None:
        """Ask everything that was submitted to stop and wait until it has."""
        ...

    def close(self) -> None:
        """Let go of what was held to run steps; nothing runs any more."""
        ...
