"""Studies on a real SLURM cluster of one node, which these tests start and stop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from slurm_cluster import Cluster, missing_binaries, running_cluster

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.studies.executors import Finished
from fetalsynth.studies.executors.slurm import SlurmExecutor, SlurmOptions, parameters
from fetalsynth.studies.state import images_so_far, log_tail
from fetalsynth.studies.steps import Step, is_whole, log_path

pytestmark = pytest.mark.slurm
PATIENCE = 300.0
EPOCHS = 200
TINY = [
    "--device=cpu",
    "--threads=1",
    "--batch-size=8",
    "--previews=1",
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
    """32 smooth images of 32 pixels."""
    folder = tmp_path_factory.mktemp("data") / "images"
    rng = np.random.default_rng(0)
    with building(folder, draft(kind="images", configuration={}, synthetic=True)) as growing:
        writer = ImagesWriter(growing)
        for k in range(32):
            coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            pixels = np.kron(coarse, np.ones((4, 4), np.uint8))
            writer.add(pixels, name=f"{k}", subject=f"{k}", split="train")
        writer.close()
    return folder


def step(name: str, *command: str, kind: str = "assess", threads: int = 1, gpus: int = 0) -> Step:
    return Step(
        name=name,
        kind=kind,  # type: ignore[arg-type]
        command=command or ("--version",),
        out=Path("runs") / name,
        threads=threads,
        gpus=gpus,
    )


def training(images: Path) -> Step:
    out = Path("runs") / "train"
    command = ("train", "dcgan64", "--data", str(images), "--out", str(out), *TINY)
    command += ("--epochs", str(EPOCHS), "--checkpoint-seconds", "1")
    return Step(name="train", kind="train", command=command, out=out)


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


def test_a_requeued_training_ends_with_the_bytes_of_an_uninterrupted_one(
    cluster: Cluster, images: Path, tmp_path: Path
) -> None:
    one, folder = training(images), tmp_path / "requeued"
    slurm = executor(folder)
    slurm.submit(one)
    wait_until(lambda: images_so_far(one, folder) > 0, cluster)
    job = job_of(one, folder)
    cluster.ask("scontrol", "requeue", job)
    ended = all_ended(slurm, cluster)["train"]
    assert (ended.exit_code, ended.note) == (0, "")
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)
    assert log_path(folder, "train").read_text().count("going on") == 1
    assert weights(one, folder) == uninterrupted(images, tmp_path)


def job_of(one: Step, folder: Path) -> str:
    number: str = json.loads((folder / "state" / "slurm" / "jobs.json").read_text())[one.name]
    return number


def weights(one: Step, folder: Path) -> dict[str, bytes]:
    assert is_whole(one, folder)
    found = sorted((folder / one.out).glob("*.safetensors"))
    assert found
    return {path.name: path.read_bytes() for path in found}


def uninterrupted(images: Path, folder: Path) -> dict[str, bytes]:
    """Weights of the same training in this process."""
    one = training(images)
    command = [*one.command]
    command[command.index("--out") + 1] = str(folder / one.out)
    assert main(command) == 0
    return weights(one, folder)
