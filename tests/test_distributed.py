"""Several processes: one model, averaged gradients, the same order of images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.model import snapshot_epochs

AVERAGE = """
import sys, torch
from fetalsynth.training.distributed import team
device = torch.device("cpu")
with team(device) as members:
    parameters = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(4))]
    for k, p in enumerate(parameters):
        p.grad = torch.full_like(p, float(10 * k + members.rank))
    parameters.append(torch.nn.Parameter(torch.zeros(1)))
    members.average_gradients(parameters)
    assert all(torch.equal(p.grad, torch.full_like(p, 10 * k + 0.5))
               for k, p in enumerate(parameters[:2])), parameters[0].grad
    assert members.mean(torch.tensor([float(members.rank)])).item() == 0.5
    assert members.any(members.rank == 1, device) is True
    assert members.any(False, device) is False
    if members.leads:
        print("averaged over", members.size)
"""


LEAVE = """
import torch
from pathlib import Path
from fetalsynth.training.distributed import team
with team(torch.device("cpu")) as members:
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    torch.optim.Adam([weight]).step()
    members.average_gradients([weight])
    members.wait()
threads = []
for file in Path("/proc/self/task").glob("*/comm"):
    try:
        threads.append(file.read_text().strip())
    except OSError:
        pass  # it has ended meanwhile
assert threads and not [name for name in threads if "gloo" in name], threads
"""


def torchrun(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--standalone", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
        timeout=300,
        check=False,
    )


def test_gradients_are_averaged_over_processes(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(AVERAGE)
    done = torchrun("script.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "averaged over 2" in done.stdout


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed in /proc")
def test_no_thread_of_the_team_is_left_to_abort_the_process_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(LEAVE)
    done = torchrun("script.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_torchrun_trains_one_model_and_the_same_command_says_done(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for k, image in enumerate(np.random.default_rng(0).integers(0, 256, (40, 32, 32), np.uint8)):
        Image.fromarray(image).save(data / f"{k}.png")
    generator = {"family": "dcgan", "size": 32, "generator_width": 8, "discriminator_width": 8}
    recipe = {"name": "tiny", "generator": generator, "epochs": 2, "batch_size": 8}
    (tmp_path / "tiny.yaml").write_text(json.dumps(recipe))
    words = ["-m", "fetalsynth", "train", "tiny.yaml", "--data", "data", "--out", "model"]
    done = torchrun(*words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = read_manifest(tmp_path / "model").facts
    assert (facts["processes"], facts["images_seen"]) == (2, 80)
    assert snapshot_epochs(tmp_path / "model") == [2]
    again = torchrun(*words, folder=tmp_path)
    assert again.stdout.count("already done") == 2, again.stderr
    assert torch.__version__ == facts["torch"]
