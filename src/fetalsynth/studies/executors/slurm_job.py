"""What a SLURM job of a study does on its node: run the step's command, stop it in time.

Signals of SLURM go to every process of a job, and each asks for something else:

- SIGUSR2, some time before the time limit: submitit calls :meth:`SlurmStep.checkpoint`, which lets
  training save its state, and puts the job back into the queue.
- SIGTERM, before SIGKILL: the job was cancelled, requeued or preempted. Training saves its state.
  The job must not end as if the step had failed, for then SLURM would not queue it again; it waits
  to be ended.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

from fetalsynth.studies.executors.warm import death_signal

ENDING_SECONDS = 600.0
_LOOK_SECONDS = 0.1
_ASK_SECONDS = 2.0


@dataclass
class SlurmStep:
    """The command of a step, to be called on the node; submitit keeps it as a pickle.

    ``command`` is what follows ``fetalsynth``. ``log`` is appended to. ``environment`` is added to
    that of the job.
    """

    command: tuple[str, ...]
    folder: str
    log: str
    environment: Mapping[str, str]
    _pid: int | None = field(default=None, repr=False)
    _asked: bool = field(default=False, repr=False)

    def __call__(self) -> dict[str, Any]:
        """Run the command to its end; {"exit_code", "seconds", "host"}."""
        signal.signal(signal.SIGTERM, self._end)
        began = time.monotonic()
        child = self._start()
        self._pid = child.pid
        _wait_for_end(child.pid)
        code = child.wait()
        if self._asked and code:
            _wait_to_be_ended()
        return {
            "exit_code": code,
            "seconds": time.monotonic() - began,
            "host": socket.gethostname(),
        }

    def checkpoint(self) -> Any:
        """Stop the command, with its state saved where it can; what the job runs next time.

        Called by submitit from the handler of its signal.
        """
        from submitit.helpers import DelayedSubmission

        if self._pid is not None:
            _signal(self._pid)
            _wait_for_end(self._pid)
        return DelayedSubmission(replace(self, _pid=None, _asked=False))

    def _start(self) -> subprocess.Popen[bytes]:
        die = death_signal(os.getpid())

        def before() -> None:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # it is for submitit
            die()

        with Path(self.log).open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "fetalsynth", *self.command],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                preexec_fn=before,  # noqa: PLW1509 - there are no threads here
            )

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._asked = True
        if self._pid is not None:
            _signal(self._pid)


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return


def _wait_for_end(pid: int) -> None:
    """Wait without reaping, which a handler of signals may do while the program does it, too."""
    try:
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(_LOOK_SECONDS)
    except ChildProcessError:
        return


def _wait_to_be_ended() -> None:
    """Wait while SLURM says that the job runs; return where nothing ends it after all.

    A preempted job with a time of grace "runs" until that is over. If it ended by itself before,
    it would count as failed, and not be queued again.
    """
    until = time.monotonic() + ENDING_SECONDS
    while time.monotonic() < until:
        time.sleep(_ASK_SECONDS)
        if _state() not in ("RUNNING", ""):
            sys.exit(128 + signal.SIGTERM)


def _state() -> str:
    """This job's state as SLURM has it, "" where it does not say."""
    command = ["squeue", "--noheader", "--format=%T", f"--jobs={os.environ['SLURM_JOB_ID']}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
