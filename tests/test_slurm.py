"""Studies on a real SLURM cluster of one node, which these tests start and stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.executors.slurm import SlurmExecutor
from fetalsynth.studies.executors.slurm_options import SlurmOptions
from fetalsynth.studies.plan import read_plan
from fetalsynth.studies.state import images_so_far, is_growing, log_tail
from fetalsynth.studies.steps import Step, is_whole, log_path
from slurm_cluster import Cluster, missing_binaries, running_cluster

pytestmark = pytest.mark.slurm
PATIENCE = 300.0
EPOCHS = 80
TINY = [
    "--device=cpu",
    "--threads=1",
    "--batch-size=8",
    "--previews=1",
    "--log-every-images=64",
    "--average-half-life-images=0",
    "--generator.size=32",
    "--generator.generator-width=8",
    "--generator.discriminator-width=8",
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    missing = missing_binaries()
    if missing:
        pytest.skip(f"no SLURM here ({', '.join(missing)}): apt-get install slurm-wlm munge")
    with running_cluster() as cluster, pytest.MonkeyPatch.context() as patch:
        for name, value in cluster.environment.items():
            patch.setenv(name, value)
        yield cluster


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """32 smooth images of 32 pixels to train on, 16 held out."""
    folder = tmp_path_factory.mktemp("data") / "images"
    rng = np.random.default_rng(0)
    with building(folder, draft(kind="images", configuration={}, synthetic=True)) as growing:
        writer = ImagesWriter(growing)
        for k in range(48):
            coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            pixels = np.kron(coarse, np.ones((4, 4), np.uint8))
            writer.add(pixels, name=f"{k}", subject=f"{k}", split="train" if k < 32 else "test")
        writer.close()
    return folder


@pytest.fixture(scope="module")
def uninterrupted(images: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Weights of the training without a cluster."""
    folder, one = tmp_path_factory.mktemp("uninterrupted"), training(images)
    command = [*one.command]
    command[command.index("--out") + 1] = str(folder / one.out)
    assert main(command) == 0
    return weights(one, folder)


def step(name: str, *command: str, kind: str = "assess", threads: int = 1, gpus: int = 0) -> Step:
    return Step(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        command=command or ("--version",),
        out=Path("runs") / name,
        threads=threads,
        gpus=gpus,
    )


def training(images: Path, *, threads: int = 1) -> Step:
    out = Path("runs") / "train"
    command = ("train", "dcgan64", "--data", str(images), "--out", str(out), *TINY)
    command += ("--epochs", str(EPOCHS), "--checkpoint-seconds", "1")
    return Step(name="train", kind="train", command=command, out=out, threads=threads)


def executor(folder: Path, options: SlurmOptions | None = None, *, jobs: int = 9) -> SlurmExecutor:
    return SlurmExecutor(
        folder=folder,
        options=options or SlurmOptions(minutes=10),
        jobs=jobs,
        look_seconds=0.5,
        patience_seconds=3.0,
    )


def all_ended(slurm: SlurmExecutor, cluster: Cluster) -> dict[str, Finished]:
    found: dict[str, Finished] = {}

    def over() -> bool:
        found.update({one.name: one for one in slurm.poll()})
        return not slurm.running()

    wait_until(over, cluster)
    return found


def wait_until(holds: Callable[[], object], cluster: Cluster) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, cluster.logs()
        time.sleep(0.1)


def test_steps_run_on_the_cluster_with_their_threads_and_log(
    cluster: Cluster, tmp_path: Path
) -> None:
    slurm = executor(tmp_path, jobs=2)
    slurm.submit(step("told", threads=min(2, cluster.cpus)))
    slurm.submit(step("wrong", "train", "nonsense"))
    assert not slurm.room(step("third"))
    assert set(slurm.running()) == {"told", "wrong"}
    ended = all_ended(slurm, cluster)
    assert {name: one.exit_code for name, one in ended.items()} == {"told": 0, "wrong": 2}
    assert ended["told"].host
    assert ended["told"].seconds > 0
    assert log_tail(tmp_path, "told").startswith("fetalsynth ")
    assert "no recipe 'nonsense'" in log_tail(tmp_path, "wrong")
    assert slurm.room(step("third"))


def test_a_step_gets_its_cores_and_its_gpu_and_sees_no_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    slurm = executor(tmp_path, SlurmOptions(minutes=10, gpu="toy"))
    for gpus, threads, visible in ((0, cluster.cpus, ""), (1, 1, "0")):
        one = step(f"gpus-{gpus}", *endless().command, threads=threads, gpus=gpus)
        slurm.submit(one)
        wait_until((tmp_path / "never.partial" / ".lock").exists, cluster)
        pid = pids_of(cluster, job_of(one, tmp_path))[-1]
        found = Path(f"/proc/{pid}/environ").read_text().split("\0")
        assert f"CUDA_VISIBLE_DEVICES={visible}" in found
        assert f"OMP_NUM_THREADS={threads}" in found
        assert len(os.sched_getaffinity(pid)) == threads
        slurm.cancel()
        (tmp_path / "never.partial" / ".lock").unlink(missing_ok=True)


def requeue(cluster: Cluster, job: str) -> None:
    cluster.ask("scontrol", "requeue", job)


def warn_of_the_time_limit(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", "--signal=USR2", job)


def preempt(cluster: Cluster, job: str) -> None:
    """A job of more priority needs the node; the training has some seconds of grace."""
    work = ["--wrap", "sleep 1", "--output", os.devnull]
    cluster.ask("sbatch", "--partition=urgent", f"--cpus-per-task={cluster.cpus}", *work)


def lose_the_node(cluster: Cluster, job: str) -> None:
    node = ["scontrol", "update", f"nodename={cluster.ask('hostname')}"]
    cluster.ask(*node, "state=down", "reason=test")
    wait_until(lambda: state_of(cluster, job) == "PENDING", cluster)
    cluster.ask(*node, "state=resume")


@pytest.mark.parametrize("interrupt", [requeue, warn_of_the_time_limit, preempt, lose_the_node])
def test_an_interrupted_training_ends_with_the_bytes_of_an_uninterrupted_one(
    cluster: Cluster,
    images: Path,
    uninterrupted: dict[str, bytes],
    interrupt: Callable[[Cluster, str], None],
    tmp_path: Path,
) -> None:
    one = training(images, threads=cluster.cpus)
    slurm = executor(tmp_path)
    slurm.submit(one)
    wait_until(lambda: images_so_far(one, tmp_path) > 0, cluster)
    job, first_row = job_of(one, tmp_path), statistics(one, tmp_path)[0]
    interrupt(cluster, job)
    ended = all_ended(slurm, cluster)["train"]
    assert (ended.exit_code, ended.note) == (0, "")
    assert statistics(one, tmp_path)[0] == first_row  # with its seconds: it was not begun again
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)
    assert log_path(tmp_path, "train").read_text().count("training on 32 images") == 2
    assert weights(one, tmp_path) == uninterrupted


def test_a_killed_job_fails_and_the_next_one_goes_on(
    cluster: Cluster, images: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    one = training(images)
    slurm = executor(tmp_path)
    slurm.submit(one)
    wait_until(lambda: images_so_far(one, tmp_path) > 0, cluster)
    first_row, before = statistics(one, tmp_path)[0], states(one, tmp_path)
    wait_until(lambda: states(one, tmp_path) - before, cluster)  # saved after that row
    job = job_of(one, tmp_path)
    for pid in pids_of(cluster, job):
        os.kill(pid, signal.SIGKILL)
    ended = all_ended(slurm, cluster)["train"]
    assert ended.exit_code == 1
    assert f"job {job} left no result; squeue says FAILED" in ended.note
    slurm.submit(one)
    assert all_ended(slurm, cluster)["train"].exit_code == 0
    assert statistics(one, tmp_path)[0] == first_row
    assert weights(one, tmp_path) == uninterrupted


def test_a_step_that_cannot_go_on_fails_at_its_time_limit(cluster: Cluster, tmp_path: Path) -> None:
    """SLURM looks at time limits every half minute, and may warn that much earlier."""
    slurm = executor(tmp_path, SlurmOptions(minutes=1, warning_seconds=50))
    slurm.submit(endless())
    ended = all_ended(slurm, cluster)["endless"]
    assert ended.exit_code == 1
    assert ended.note == "reached the time limit of 1 min (--slurm.minutes)"


def test_a_training_may_reach_its_time_limit_only_so_often(
    cluster: Cluster, images: Path, tmp_path: Path
) -> None:
    one = training(images)
    slurm = executor(tmp_path, SlurmOptions(minutes=1, warning_seconds=1, requeues=0))
    slurm.submit(one)
    wait_until(lambda: images_so_far(one, tmp_path) > 0, cluster)
    warn_of_the_time_limit(cluster, job_of(one, tmp_path))
    assert "reached the time limit" in all_ended(slurm, cluster)["train"].note
    assert "the same command goes on" in log_tail(tmp_path, "train")


def test_cancelling_leaves_nothing_in_the_queue_and_saves_the_training(
    cluster: Cluster, images: Path, uninterrupted: dict[str, bytes], tmp_path: Path
) -> None:
    one = training(images, threads=cluster.cpus)
    slurm = executor(tmp_path)
    slurm.submit(one)
    wait_until(lambda: images_so_far(one, tmp_path) > 0, cluster)
    slurm.submit(step("behind"))
    assert slurm.running().keys() == {"train", "behind"}
    slurm.cancel()
    assert not slurm.running()
    assert not cluster.ask("squeue", "--noheader")
    assert not is_growing(tmp_path / "runs" / "train.partial")
    assert not log_path(tmp_path, "behind").exists()
    assert "the same command goes on" in log_tail(tmp_path, "train")

    again = executor(tmp_path)
    again.submit(one)
    assert all_ended(again, cluster)["train"].exit_code == 0
    assert weights(one, tmp_path) == uninterrupted


def test_jobs_of_an_earlier_call_are_taken_up(cluster: Cluster, tmp_path: Path) -> None:
    first, blocker = executor(tmp_path), step("long", *endless().command, threads=cluster.cpus)
    first.submit(blocker)
    first.submit(step("told"))
    wait_until(lambda: log_path(tmp_path, "long").exists(), cluster)
    numbers = {name: job_of(step(name), tmp_path) for name in ("long", "told")}

    second = executor(tmp_path)
    second.submit(step("told"))
    second.submit(blocker)
    assert {name: job_of(step(name), tmp_path) for name in numbers} == numbers
    assert len(cluster.ask("squeue", "--noheader").splitlines()) == 2
    cluster.ask("scancel", numbers["long"])
    ended = all_ended(second, cluster)
    assert ended["told"].exit_code == 0
    assert ended["long"].exit_code == 1
    assert f"job {numbers['long']} left no result; squeue says CANCELLED" in ended["long"].note

    third = executor(tmp_path)
    third.submit(step("told"))
    assert job_of(step("told"), tmp_path) != numbers["told"]  # that one has ended
    third.cancel()


@pytest.mark.parametrize(
    "options", [SlurmOptions(partition="nowhere"), SlurmOptions(more=("nodelist=nowhere",))]
)
def test_what_the_cluster_refuses_is_an_error_that_says_why(
    cluster: Cluster, options: SlurmOptions, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"refused the job of told \(.*[Ii]nvalid.*--slurm"):
        executor(tmp_path, options).submit(step("told"))
    with pytest.raises(UserError, match="refused the job of gpu"):
        executor(tmp_path).submit(step("gpu", gpus=99))


def endless() -> Step:
    return step("endless", *["data", "phantom", "ultrasound", "--n", "1000000", "--out", "never"])


def state_of(cluster: Cluster, job: str) -> str:
    return cluster.ask("squeue", "--noheader", "--format=%T", f"--jobs={job}")


def job_of(one: Step, folder: Path) -> str:
    number: str = json.loads((folder / "state" / "slurm" / "jobs.json").read_text())[one.name]
    return number


def pids_of(cluster: Cluster, job: str) -> list[int]:
    """Processes of a job, the last started last."""
    lines = cluster.ask("scontrol", "listpids", job).splitlines()[1:]
    return sorted({int(line.split()[0]) for line in lines})


def states(one: Step, folder: Path) -> set[str]:
    """Names of the saved states of a training that runs."""
    return {path.name for path in (folder / "runs" / f"{one.name}.partial" / "state").glob("*")}


def statistics(one: Step, folder: Path) -> list[str]:
    """Rows of the training's log, finished or not."""
    out = folder / one.out
    found = out if out.is_dir() else out.with_name(out.name + ".partial")
    return (found / "stats.jsonl").read_text().splitlines()


def weights(one: Step, folder: Path) -> dict[str, bytes]:
    assert is_whole(one, folder)
    found = sorted((folder / one.out).rglob("*.safetensors"))
    assert found
    return {path.name: path.read_bytes() for path in found}


STUDY = {
    "name": "small",
    "modality": "ultrasound",
    "arms": [
        {
            "name": "epochs",
            "recipe": "dcgan64",
            "settings": {
                "generator.size": 32,
                "generator.generator_width": 8,
                "generator.discriminator_width": 8,
                "batch_size": 8,
                "average_half_life_images": 0,
                "previews": 1,
            },
            "grid": {"epochs": [1, 2]},
        }
    ],
    "generate": {"n": 16, "weights": "raw"},
    "assess": {"profile": "paper-ultrasound"},
    "analysis": [],
}


def test_a_study_that_is_killed_takes_up_its_jobs_to_the_results_of_one_machine(
    cluster: Cluster, images: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(STUDY))
    command = ["study", "run", str(recipe), "--data", str(images), "--device", "cpu"]
    here, there = tmp_path / "here", tmp_path / "there"
    assert main([*command, "--out", str(here)]) == 0

    command += ["--out", str(there), "--executor", "slurm", "--slurm.minutes", "9"]
    killed = subprocess.Popen([sys.executable, "-m", "fetalsynth", *command])
    jobs = tmp_path / "there.partial" / "state" / "slurm" / "jobs.json"
    wait_until(jobs.is_file, cluster)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert main(command) == 0
    assert (there / "results.csv").read_bytes() == (here / "results.csv").read_bytes()
    assert not (there / "state").exists()
    names = cluster.ask("squeue", "--noheader", "--states=all", "--format=%j").split()
    for one in read_plan(there).steps:
        assert names.count(one.name) == 1
