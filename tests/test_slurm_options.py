"""What jobs of a study ask a cluster for, without one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fetalsynth.errors import UserError
from fetalsynth.studies.executors.slurm_options import SlurmOptions, check_options, parameters
from fetalsynth.studies.steps import Step

submitit = pytest.importorskip("submitit", reason="the extra 'slurm' is not installed")
STEP = Step(name="train-a", kind="train", command=("--version",), out=Path("a"), threads=3, gpus=2)
ALL = SlurmOptions(
    partition="p",
    account="a",
    qos="q",
    constraint="c",
    minutes=30,
    memory_gb=1.5,
    gpu="a100",
    more=("reservation=lab", "gres=shard:1"),
)


def script(folder: Path, options: SlurmOptions, step: Step = STEP) -> str:
    """The script that submitit would hand to sbatch."""
    from submitit.slurm.slurm import _make_sbatch_string

    text: str = _make_sbatch_string("work", folder, **parameters(step, options))
    return text


def test_every_option_reaches_sbatch(tmp_path: Path) -> None:
    lines = script(tmp_path, ALL).splitlines()
    for wanted in (
        "job-name=train-a",
        "partition=p",
        "account=a",
        "qos=q",
        "constraint=c",
        "time=30",
        "mem=1536MB",
        "cpus-per-task=3",
        "gpus-per-node=a100:2",
        "signal=USR2@120",
        "reservation=lab",
        "gres=shard:1",
        "requeue",
    ):
        assert f"#SBATCH --{wanted}" in lines
    assert any(line.startswith("srun") and "--cpus-per-task=3" in line for line in lines)


def test_what_is_not_asked_is_left_to_the_cluster(tmp_path: Path) -> None:
    step = Step(name="s", kind="assess", command=(), out=Path("s"))
    text = script(tmp_path, SlurmOptions(), step)
    for name in ("partition", "account", "qos", "constraint", "mem", "gpus", "gres"):
        assert f"--{name}" not in text


@pytest.mark.parametrize(
    ("options", "jobs", "said"),
    [
        (SlurmOptions(minutes=0), 1, "--slurm.minutes"),
        (SlurmOptions(warning_seconds=0), 1, "--slurm.warning-seconds"),
        (SlurmOptions(minutes=2), 1, "--slurm.warning-seconds"),
        (SlurmOptions(requeues=-1), 1, "--slurm.requeues"),
        (SlurmOptions(memory_gb=0.0), 1, "--slurm.memory-gb"),
        (SlurmOptions(), 0, "--jobs"),
        (SlurmOptions(more=("exclusive",)), 1, "exclusive"),
        (SlurmOptions(more=("--nice=5",)), 1, "--nice=5"),
    ],
)
def test_nonsense_is_refused(
    options: SlurmOptions, jobs: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submitit.SlurmExecutor, "affinity", lambda: 2)
    with pytest.raises(UserError, match=said):
        check_options(options, jobs=jobs)


def test_a_machine_without_slurm_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="no srun here"):
        check_options(SlurmOptions(), jobs=1)


def test_without_submitit_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"fetalsynth\[slurm\]"):
        check_options(SlurmOptions(), jobs=1)
