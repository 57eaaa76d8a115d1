"""The training loop: resuming bit by bit, whatever the moment of the kill, and its guards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fetalsynth.artifacts.building import STATE, partial_path
from fetalsynth.artifacts.model import read_statistics, read_weights, snapshot_epochs, snapshot_path
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.generators.dcgan import DCGAN
from fetalsynth.training import checkpoint
from fetalsynth.training.average import MovingAverage
from fetalsynth.training.data import ResidentImages, check_batch, check_images
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.order import Order
from fetalsynth.training.recipe import Recipe, parse_recipe
from fetalsynth.training.statistics import tensorboard

TINY = {
    "name": "tiny",
    "generator": {
        "family": "dcgan",
        "size": 32,
        "latents": 8,
        "generator_width": 8,
        "discriminator_width": 8,
    },
    "epochs": 6,
    "batch_size": 16,
    "snapshots": [2],
    "log_every_images": 50,
    "previews": 2,
}


def tiny(**changes: object) -> Recipe:
    return parse_recipe({**TINY, **changes}, where="test")


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), dtype=np.uint8)


def run(folder: Path, pixels: np.ndarray, *, recipe: Recipe | None = None, **options: object):
    folder.mkdir(exist_ok=True)
    settings = Options(threads=1, **options)  # type: ignore[arg-type]
    return train(
        recipe=recipe or tiny(),
        data=ResidentImages(pixels, device=torch.device("cpu")),
        seed=5,
        folder=folder,
        state=folder / STATE,
        options=settings,
        team=Team(),
    )


def weights(folder: Path, epoch: int = 6) -> dict[str, torch.Tensor]:
    found = {}
    for averaged in (False, True):
        for name, value in read_weights(
            snapshot_path(folder, epoch=epoch, averaged=averaged)
        ).items():
            found[f"{averaged}/{name}"] = value
    return found


def assert_same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


class Interrupt:
    """A callback that stops the run at its n-th log step, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, row: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


def test_run_leaves_weights_statistics_and_previews(tmp_path: Path, pixels: np.ndarray) -> None:
    facts = run(tmp_path, pixels)
    assert facts["images_seen"] == 240
    assert snapshot_epochs(tmp_path) == [2, 6]
    rows = read_statistics(tmp_path / "stats.jsonl")
    assert [row["images_seen"] for row in rows] == [64, 112, 160, 208, 240]
    wanted = {"images_seen", "epoch", "seconds", "images_per_second", "loss_generator"}
    assert all(wanted <= row.keys() for row in rows)
    assert sorted(p.name for p in (tmp_path / "previews").iterdir()) == [
        "epoch-0003.png",
        "epoch-0006.png",
    ]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_resumed_run_is_bitwise_the_uninterrupted_one(
    tmp_path: Path, pixels: np.ndarray, precision: str
) -> None:
    recipe = tiny(precision=precision)
    run(tmp_path / "whole", pixels, recipe=recipe)
    for stops in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", pixels, recipe=recipe, callbacks=(Interrupt(stops),))
    run(tmp_path / "parts", pixels, recipe=recipe)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert_same(weights(tmp_path / "whole", 2), weights(tmp_path / "parts", 2))
    timing = {"seconds", "images_per_second"}
    logs = [
        [{k: v for k, v in row.items() if k not in timing} for row in read_statistics(path)]
        for path in (tmp_path / "whole/stats.jsonl", tmp_path / "parts/stats.jsonl")
    ]
    assert logs[0] == logs[1]


def test_damaged_newest_state_falls_back_to_the_one_before(
    tmp_path: Path, pixels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "whole", pixels)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", pixels, checkpoint_seconds=0.0, callbacks=(Interrupt(3),))
    states = sorted((tmp_path / "parts" / STATE).iterdir())
    assert len(states) == 2
    data = bytearray(states[-1].read_bytes())
    data[len(data) // 2] ^= 1
    states[-1].write_bytes(bytes(data))
    run(tmp_path / "parts", pixels)
    assert "is damaged; going on from the state before" in capsys.readouterr().err
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_no_readable_state_is_an_error_that_keeps_the_snapshots(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, pixels, callbacks=(Interrupt(2),))
    for path in (tmp_path / STATE).iterdir():
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="none of the 1 saved states can be read"):
        run(tmp_path, pixels)
    assert snapshot_path(tmp_path, epoch=2, averaged=True).is_file()


def test_full_disk_while_saving_keeps_the_state_before(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole", pixels)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", pixels, callbacks=(Interrupt(1),))
    kept = [p.name for p in (tmp_path / "parts" / STATE).iterdir()]

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="disk is full"):
            run(tmp_path / "parts", pixels, checkpoint_seconds=0.0)
    assert [p.name for p in (tmp_path / "parts" / STATE).iterdir()] == kept
    run(tmp_path / "parts", pixels)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def write_data(folder: Path, pixels: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(folder / f"{number:03d}.png")
    return folder


def command(data: Path, recipe: Path, out: Path) -> list[str]:
    words = f"train {recipe} --data {data} --out {out} --seed 5 --threads 1".split()
    return [*words, "--checkpoint-seconds", "0"]


def test_killed_at_random_moments_the_same_command_ends_bitwise_equal(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    """SIGKILL with a state written after every step: many kills fall into the writing."""
    data = write_data(tmp_path / "data", pixels)
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(json.dumps({**TINY, "epochs": 40}))
    assert main(command(data, recipe, tmp_path / "whole")) == 0
    words = [sys.executable, "-m", "fetalsynth", *command(data, recipe, tmp_path / "parts")]
    rng = np.random.default_rng(1)
    state = partial_path(tmp_path / "parts") / STATE
    for _ in range(4):
        known = _newest(state)
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and _newest(state) == known and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.05)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "parts").exists()
    assert main(command(data, recipe, tmp_path / "parts")) == 0
    assert not (tmp_path / "parts" / STATE).exists()
    assert_same(weights(tmp_path / "whole", 40), weights(tmp_path / "parts", 40))
    assert main(command(data, recipe, tmp_path / "parts")) == 0


def _newest(folder: Path) -> str:
    return max((p.name for p in folder.glob("state-*.pt")), default="")


def test_killed_in_the_middle_of_a_state_file(tmp_path: Path) -> None:
    """A write cut off half-way leaves a temporary file that loading never takes for a state."""
    checkpoint.save(tmp_path, {"x": torch.ones(3)}, images_seen=10)
    (tmp_path / ".state-000000000020-0123456789abcdef.pt.99.tmp").write_bytes(b"half")
    (tmp_path / "state-000000000020-0123456789abcdef.pt").write_bytes(b"half")
    state, damaged = checkpoint.load(tmp_path)
    assert state is not None
    assert torch.equal(state["x"], torch.ones(3))
    assert [Path(p).name for p in damaged] == ["state-000000000020-0123456789abcdef.pt"]


def test_non_finite_loss_stops_with_a_sentence(tmp_path: Path, pixels: np.ndarray) -> None:
    generator = {**TINY["generator"], "generator_learning_rate": 1e30}  # type: ignore[dict-item]
    recipe = tiny(generator=generator, precision="float32")
    with pytest.raises(UserError, match=r"infinite or NaN.*lower the learning"):
        run(tmp_path, pixels, recipe=recipe)


def test_a_discriminator_that_has_won_is_reported(
    tmp_path: Path, pixels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = {
        **TINY["generator"],  # type: ignore[dict-item]
        "generator_learning_rate": 1e-9,
        "discriminator_learning_rate": 2e-3,
    }
    facts = run(tmp_path, pixels, recipe=tiny(generator=generator, epochs=30))
    assert len(facts["warnings"]) == 1
    assert "the discriminator has won" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 32, 32, 1), "fewer than one batch of 16"),
        ((40, 64, 64, 1), "import them with --size 32"),
        ((40, 32, 32, 3), "--generator.channels 3"),
    ],
)
def test_data_that_do_not_fit(shape: tuple[int, ...], message: str) -> None:
    recipe = tiny()
    assert isinstance(recipe, Recipe)
    with pytest.raises(UserError, match=message):
        check_images(np.zeros(shape, np.uint8), recipe=recipe)
        check_batch(count=shape[0], recipe=recipe, processes=1, least=2)


def test_learning_rates_stay_and_then_fall_to_nothing(
    tmp_path: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 + 25 epochs of the MRI study: full rate, then down by equal steps per epoch."""
    recipe = tiny(epochs=6, decay_epochs=4)
    assert [recipe.rate_factor(epoch) for epoch in range(6)] == [1, 1, 1, 0.75, 0.5, 0.25]
    seen: list[float] = []
    original = DCGAN.step

    def spy(self: DCGAN, *given: object, **named: Any) -> dict[str, torch.Tensor]:
        seen.append(named["optimizers"]["generator"].param_groups[0]["lr"])
        return original(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DCGAN, "step", spy)
    run(tmp_path, pixels, recipe=recipe)
    base = recipe.generator.generator_learning_rate
    expected = [base * recipe.rate_factor(16 * k // 40) for k in range(len(seen))]
    assert seen == pytest.approx(expected)


def test_sixteen_bit_images_train_as_their_eight_bit_equals(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    recipe = tiny(epochs=2, precision="float32")
    run(tmp_path / "8", pixels, recipe=recipe)
    run(tmp_path / "16", pixels.astype(np.uint16) * 257, recipe=recipe)
    a, b = weights(tmp_path / "8", 2), weights(tmp_path / "16", 2)
    assert all(torch.allclose(a[name], b[name], atol=1e-3) for name in a)


def test_every_image_comes_once_per_epoch_whatever_the_batch() -> None:
    small, large = Order(count=10, seed=1), Order(count=10, seed=1)
    by_three = torch.cat([small.indices(first=k, count=3) for k in range(0, 30, 3)])
    by_six = torch.cat([large.indices(first=k, count=6) for k in range(0, 30, 6)])
    assert torch.equal(by_three, by_six)
    for epoch in by_three.view(3, 10):
        assert sorted(epoch.tolist()) == list(range(10))
    assert not torch.equal(by_three[:10], by_three[10:20])


def test_moving_average_halves_the_distance_in_its_half_life() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    average = MovingAverage(network, half_life_images=1000)
    torch.nn.init.ones_(network.weight)
    for _ in range(10):
        average.update(network, images_seen=10**9, batch_size=100)
    assert average.module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_snapshots_of_a_long_run_are_those_of_a_short_one(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    """One run to the last epoch serves every earlier epoch count."""
    run(tmp_path / "long", pixels)
    run(tmp_path / "short", pixels[:], recipe=tiny(epochs=2, snapshots=[]))
    assert_same(weights(tmp_path / "long", 2), weights(tmp_path / "short", 2))


def test_tensorboard_gets_every_row(tmp_path: Path, pixels: np.ndarray) -> None:
    event_file = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    run(tmp_path / "run", pixels, callbacks=(tensorboard(tmp_path / "events"),))
    (events,) = (tmp_path / "events").iterdir()
    seen = {
        value.tag: event.step
        for event in event_file.EventFileLoader(str(events)).Load()
        for value in event.summary.value
    }
    assert seen["loss_generator"] == 240


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to mount a small file system")
def test_really_full_disk_loses_nothing_and_space_lets_it_go_on(
    tmp_path: Path, pixels: np.ndarray
) -> None:
    run(tmp_path / "whole", pixels)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(KeyboardInterrupt):
            run(disk / "run", pixels, callbacks=(Interrupt(1),))
        kept = _newest(disk / "run" / STATE)
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "ballast").write_bytes(b"x" * (room - 20_000))
        with pytest.raises(UserError, match="disk is full"):
            run(disk / "run", pixels, checkpoint_seconds=0.0)
        assert _newest(disk / "run" / STATE) == kept
        (disk / "ballast").unlink()
        run(disk / "run", pixels)
        assert_same(weights(tmp_path / "whole"), weights(disk / "run"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
