"""Steps as jobs of a SLURM cluster, submitted through submitit.

Jobs belong to the cluster and outlive the process that submitted them. Their numbers are kept in
the study's folder, so that the same study, run again, takes up those that still wait or run.
States are asked of ``squeue``, which every cluster has, not of ``sacct``, which needs an accounting
database.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.artifacts.building import STATE
from fetalsynth.artifacts.files import write_text
from fetalsynth.errors import UserError, explaining
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.executors.local import environment
from fetalsynth.studies.executors.slurm_job import SlurmStep
from fetalsynth.studies.executors.slurm_options import (
    SlurmOptions,
    check_options,
    parameters,
)
from fetalsynth.studies.steps import Step, log_path

if TYPE_CHECKING:
    from submitit import Job

MOST_JOBS = 100
CANCEL_SECONDS = 180.0
RESULT_SECONDS = 1.0  # a shared file system is not asked for results more often
_JOBS = "jobs.json"
_WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"}
_RUNNING = {"RUNNING", "CONFIGURING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING"}
_ENDING = {"COMPLETING", "STAGE_OUT"}
_UNENDED = _WAITING | _RUNNING | _ENDING
_NEVER = {
    "BadConstraints",
    "PartitionTimeLimit",
    "PartitionNodeLimit",
    "launch_failed_requeued_held",
}


@dataclass
class _Submitted:
    step: Step
    job: Job[dict[str, Any]]
    status: str = "queued"
    missed: float | None = None  # since when it is known to have ended without a result


@dataclass
class SlurmExecutor:
    """Submits steps as jobs, at most ``jobs`` of them waiting or running at a time.

    ``folder`` must lie where all nodes see it under this name. ``look_seconds`` is how often
    ``squeue`` is asked. A job that is gone without a result has ended if it still is after
    ``patience_seconds``: shared file systems show new files late.

    Raises UserError where submitit or SLURM is missing, or an option is nonsense.
    """

    folder: Path
    options: SlurmOptions = field(default_factory=SlurmOptions)
    jobs: int = MOST_JOBS
    look_seconds: float = 5.0
    patience_seconds: float = 10.0
    _submitted: dict[str, _Submitted] = field(default_factory=dict, init=False)
    _looked: float = field(default=float("-inf"), init=False)
    _checked: float = field(default=float("-inf"), init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        check_options(self.options, jobs=self.jobs)
        self._submitit = self.folder / STATE / "slurm"
        self._known = self._read_known()

    def room(self, step: Step) -> bool:
        """Whether fewer than ``jobs`` wait or run."""
        return len(self._submitted) < self.jobs

    def submit(self, step: Step) -> None:
        """Queue the step, or take up its job of an earlier call that has not ended."""
        job = self._left_over(step) or self._submit(step)
        self._submitted[step.name] = _Submitted(step, job)
        self._known[step.name] = job.job_id
        write_text(self._submitit / _JOBS, json.dumps(self._known, indent=1) + "\n")

    def running(self) -> dict[str, str]:
        """What has not ended, "queued" or "running" as ``squeue`` said last."""
        return {name: one.status for name, one in self._submitted.items()}

    def poll(self) -> list[Finished]:
        """Steps that left a result since the last call, or ended without."""
        if time.monotonic() - self._checked < RESULT_SECONDS:
            return []
        self._checked = time.monotonic()
        found = [
            self._with_result(one)
            for one in self._submitted.values()
            if one.job.paths.result_pickle.exists()
        ]
        for finished in found:
            del self._submitted[finished.name]
        if self._submitted and time.monotonic() - self._looked > self.look_seconds:
            found += self._look()
        return found

    def cancel(self) -> None:
        """``scancel`` of everything that this study has in the queue, earlier calls' jobs, too.

        Training saves its state in the time that SLURM grants it.
        """
        ids = sorted(set(self._known.values()))
        until = time.monotonic() + CANCEL_SECONDS
        asked = False
        while time.monotonic() < until:
            queue = _queue()
            left = ids if queue is None else [one for one in ids if _lives(queue, one)]
            if not left:
                break
            if not asked:
                asked = _call("scancel", *left) is not None
            time.sleep(1.0)
        self._submitted.clear()

    def close(self) -> None:
        """Nothing is held."""

    def _submit(self, step: Step) -> Job[dict[str, Any]]:
        import submitit
        from submitit.core.utils import FailedJobError, FailedSubmissionError

        log = log_path(self.folder, step.name)
        with explaining(log):
            log.parent.mkdir(parents=True, exist_ok=True)
        resumes = step.kind == "train"
        executor = submitit.SlurmExecutor(
            folder=self._submitit, max_num_timeout=self.options.requeues if resumes else 0
        )
        executor.update_parameters(**parameters(step, self.options))
        work = SlurmStep(
            command=step.command,
            folder=str(self.folder),
            log=str(log),
            environment=_environment(step),
        )
        try:
            return executor.submit(work)
        except (FailedJobError, FailedSubmissionError, OSError) as error:
            raise UserError(
                f"SLURM refused the job of {step.name} ({' '.join(str(error).split())}); "
                "change the options --slurm.… and give the command again"
            ) from error

    def _left_over(self, step: Step) -> Job[dict[str, Any]] | None:
        import submitit

        job_id = self._known.get(step.name)
        if job_id is None:
            return None
        job: Job[dict[str, Any]] = submitit.SlurmJob(folder=self._submitit, job_id=job_id)
        if job.paths.result_pickle.exists() or not job.paths.submitted_pickle.exists():
            return None
        queue = _queue()
        return job if queue is None or _lives(queue, job_id) else None

    def _look(self) -> list[Finished]:
        """Ask for the states of all jobs; those that ended without a result."""
        self._looked = now = time.monotonic()
        queue = _queue()
        found: list[Finished] = []
        for one in list(self._submitted.values()) if queue is not None else ():
            assert queue is not None
            state, reason = queue.get(one.job.job_id, ("", ""))
            if state in _UNENDED and reason not in _NEVER:
                one.status = "queued" if state in _WAITING else "running"
                one.missed = None
                continue
            one.missed = now if one.missed is None else one.missed
            if now - one.missed >= self.patience_seconds:
                if state in _UNENDED:
                    _call("scancel", one.job.job_id)
                found.append(self._without_result(one, reason if state in _UNENDED else state))
                del self._submitted[one.step.name]
        return found

    def _with_result(self, one: _Submitted) -> Finished:
        error = one.job.exception()
        if error is None:
            return Finished(name=one.step.name, **one.job.result())
        said = str(error)
        note = " ".join(said.split())[-300:]
        if "timed-out" in said:
            note = f"reached the time limit of {self.options.minutes} min (--slurm.minutes)"
        return Finished(name=one.step.name, exit_code=1, seconds=0.0, host="", note=note)

    def _without_result(self, one: _Submitted, state: str) -> Finished:
        said = state or "nothing about it any more"
        note = f"SLURM job {one.job.job_id} left no result; squeue says {said}"
        return Finished(name=one.step.name, exit_code=1, seconds=0.0, host="", note=note)

    def _read_known(self) -> dict[str, str]:
        path = self._submitit / _JOBS
        with explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
        return known


def _environment(step: Step) -> Mapping[str, str]:
    """Without a GPU of its own a step must not find those of others, which some nodes show."""
    return environment(step, gpu=None if step.gpus else "")


def _queue() -> dict[str, tuple[str, str]] | None:
    """State and reason of this user's jobs by their numbers; None where SLURM does not answer."""
    said = _call(
        "squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--user={os.getuid()}"
    )
    if said is None:
        return None
    rows = [line.strip().split("|", 2) for line in said.splitlines() if line.count("|") >= 2]
    return {number: (state, reason) for number, state, reason in rows}


def _lives(queue: Mapping[str, tuple[str, str]], job_id: str) -> bool:
    return queue.get(job_id, ("", ""))[0] in _UNENDED


def _call(*command: str) -> str | None:
    """What the command printed, None where it failed: the controller may be away for a while."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
