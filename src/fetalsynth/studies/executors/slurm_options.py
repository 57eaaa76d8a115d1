"""What the jobs of a study ask a SLURM cluster for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fetalsynth.errors import UserError
from fetalsynth.studies.steps import Step


@dataclass(frozen=True)
class SlurmOptions:
    """What every job asks the cluster for, beside the threads and GPUs of its step."""

    partition: str | None = None
    """Partition; the cluster's default one if not given."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    constraint: str | None = None
    """Features that the node must have."""
    minutes: int = 240
    """Time limit of a job. A training that reaches it is queued again and goes on."""
    warning_seconds: int = 120
    """So long before the time limit training is asked to save its state."""
    requeues: int = 20
    """How often a training may reach its time limit before it counts as failed."""
    memory_gb: float | None = None
    """Memory of a job; the cluster's default if not given."""
    gpu: str | None = None
    """Type of GPU, as the cluster names it."""
    more: tuple[str, ...] = ()
    """Other options of sbatch, each as name=value."""


def parameters(step: Step, options: SlurmOptions) -> dict[str, Any]:
    """What submitit is told for the job of ``step``.

    ``srun`` is told the number of threads again: since SLURM 22.05 it does not take it from the
    job, and how many cores it then gives depends on the cluster.
    """
    asked: dict[str, Any] = {
        "job_name": step.name,
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "time": options.minutes,
        "signal_delay_s": options.warning_seconds,
        "cpus_per_task": step.threads,
        "srun_args": [f"--cpus-per-task={step.threads}"],
        "additional_parameters": {"requeue": True, **_more(options)},
        "stderr_to_stdout": True,
    }
    if options.memory_gb is not None:
        asked["mem"] = f"{round(options.memory_gb * 1024)}MB"
    if step.gpus:
        kind = "" if options.gpu is None else f"{options.gpu}:"
        asked["gpus_per_node"] = f"{kind}{step.gpus}"
    return {name: value for name, value in asked.items() if value is not None}


def _more(options: SlurmOptions) -> dict[str, str]:
    return {name: value for name, _, value in (item.partition("=") for item in options.more)}


def check_options(options: SlurmOptions, *, jobs: int) -> None:
    """Raise UserError where submitit or SLURM is missing, or an option is nonsense."""
    try:
        from submitit import SlurmExecutor as Submitter
    except ImportError as error:
        raise UserError(
            "--executor slurm: submitit is missing; get it with: pip install 'fetalsynth[slurm]'"
        ) from error
    if Submitter.affinity() < 0:
        raise UserError("--executor slurm: there is no srun here; is this a node of the cluster?")
    for name in ("minutes", "warning_seconds"):
        if getattr(options, name) < 1:
            raise UserError(f"--slurm.{name.replace('_', '-')}: must be 1 or more")
    if options.requeues < 0 or jobs < 1:
        raise UserError("--slurm.requeues must be 0 or more, --jobs 1 or more")
    if options.memory_gb is not None and options.memory_gb <= 0:
        raise UserError("--slurm.memory-gb: must be more than 0")
    if options.warning_seconds >= 60 * options.minutes:
        raise UserError("--slurm.warning-seconds: must be less than --slurm.minutes are")
    for item in options.more:
        if not all(item.partition("=")[::2]) or item.startswith("-"):
            raise UserError(f"--slurm.more {item}: write name=value, such as reservation=lab")
