"""The watch on copying: what raises it, which snapshot it takes, that looking disturbs nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.building import STATE, building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.model import read_statistics, snapshot_epochs
from fetalsynth.assessment.nearness import nearness_to
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.generators.families import build
from fetalsynth.generators.quick import Cost, cost_of
from fetalsynth.reports.curves import watch_curves
from fetalsynth.training import watch_verdict as verdict
from fetalsynth.training.data import ResidentImages
from fetalsynth.training.distributed import Team
from fetalsynth.training.loop import Options, train
from fetalsynth.training.recipe import Recipe, parse_recipe
from fetalsynth.training.statistics import tensorboard
from fetalsynth.training.watch_settings import WatchSettings
from fetalsynth.training.watching import Watch, plan_looks

CPU = torch.device("cpu")
FLOW = {
    "family": "flow",
    "size": 16,
    "widths": [8, 16],
    "attention": False,
    "learning_rate": 3e-3,
    "image_mean": -0.5,
    "image_sd": 0.6,
    "steps": 2,
}
DCGAN = {
    "family": "dcgan",
    "size": 32,
    "latents": 8,
    "generator_width": 8,
    "discriminator_width": 8,
}
SOUND = {
    "nearest_ratio": 1.0,
    "isolation_ratio": 1.0,
    "copying_z": 0.0,
    "copy_share": 0.0,
    "copy_share_expected": 0.04,
    "copy_p": 1.0,
}
NEAR = {**SOUND, "nearest_ratio": 0.5, "copying_z": -6.0, "copy_share": 0.4, "copy_p": 1e-6}
BLURRED = {**SOUND, "nearest_ratio": 0.8}


@pytest.fixture(autouse=True)
def _quick_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch-norm statistics from few latents: enough for sameness, which is what is tested."""
    monkeypatch.setattr("fetalsynth.training.snapshots.CALIBRATION_LATENTS", 64)


def blobs(count: int, *, seed: int, size: int = 16) -> np.ndarray:
    """Three soft spots at random places: smooth, and no two alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:size, 0:size] / size
    images = np.zeros((count, size, size))
    for k in range(count):
        for _ in range(3):
            down, along = rng.uniform(0.15, 0.85, 2)
            width = rng.uniform(0.08, 0.2)
            images[k] += np.exp(-((y - down) ** 2 + (x - along) ** 2) / 2 / width**2)
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)[..., None]


def recipe(generator: dict[str, Any], **changes: Any) -> Recipe:
    raw = {
        "name": "tiny",
        "generator": generator,
        "augmentation": {"rotation_degrees": 0, "flip": False},
        "epochs": 6,
        "batch_size": 8,
        "precision": "float32",
        "log_every_images": 50,
        "previews": 1,
        "watch": {"every_epochs": 2},
    }
    made = parse_recipe({**raw, **changes}, where="test")
    assert isinstance(made, Recipe)
    return made


def run(
    folder: Path,
    wanted: Recipe,
    *,
    pixels: np.ndarray,
    held_out: np.ndarray | None = None,
    nearness: Callable[[np.ndarray], dict[str, float]] | None = None,
    **options: Any,
) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    watch = None
    if held_out is not None:
        names = [str(k) for k in range(len(pixels))]
        watch = Watch(
            settings=wanted.watch,
            held_out=ResidentImages(held_out, device=CPU),
            patients=len(held_out),
            nearness=nearness or nearness_to(train=pixels, subjects=names, held_out=held_out),
        )
    return train(
        recipe=wanted,
        data=ResidentImages(pixels, device=CPU),
        seed=3,
        folder=folder,
        state=folder / STATE,
        options=Options(threads=1, **options),
        team=Team(),
        watch=watch,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "snapshots").iterdir()}


def scripted(*looks: dict[str, float]) -> Callable[[np.ndarray], dict[str, float]]:
    """Measures that say in turn what a test wants to have happened."""
    left = iter(looks)
    return lambda samples: dict(next(left))


# What raises the alarm


@pytest.fixture(scope="module")
def sets() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training images, held-out images, and fresh ones of the same kind; the latter as samples."""
    return blobs(40, seed=0, size=32), blobs(40, seed=1, size=32), blobs(64, seed=2, size=32)


def test_fresh_images_are_as_far_as_unseen_patients(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    trained, held_out, fresh = sets
    names = [str(k) for k in range(len(trained))]
    row = nearness_to(train=trained, subjects=names, held_out=held_out)(fresh)
    assert row["nearest_ratio"] == pytest.approx(1, abs=0.1)
    assert verdict.is_sound(row, least=0.9)
    assert not verdict.is_near(row, least=0.9)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_planted_copies_lower_the_ratio_and_raise_the_alarm(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray], share: float
) -> None:
    """Mirrored, darkened and noisy: near enough to be the same patient, in no pixel the same."""
    trained, held_out, fresh = sets
    names = [str(k) for k in range(len(trained))]
    nearness = nearness_to(train=trained, subjects=names, held_out=held_out)
    count, rng = int(share * len(fresh)), np.random.default_rng(5)
    copies = trained[rng.integers(0, len(trained), count)][:, :, ::-1]
    noisy = 0.7 * copies + rng.normal(0, 4, copies.shape)
    samples = np.concatenate([noisy.clip(0, 255).astype(np.uint8), fresh[count:]])
    row, clean = nearness(samples), nearness(fresh)
    assert row["nearest_ratio"] < clean["nearest_ratio"]
    assert row["copy_share"] >= 0.8 * share
    assert not verdict.is_sound(row, least=0.9)
    assert verdict.is_near(row, least=0.9)
    assert "copies its patients" in verdict.warning({"epoch": 7, **row}, least=0.9)
    if share == 1.0:
        assert row["nearest_ratio"] < 0.2


def test_blur_is_not_taken_for_copying(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Blurred unseen images come near to all training images alike: told, but no copying."""
    trained, held_out, fresh = sets
    names = [str(k) for k in range(len(trained))]
    nearness = nearness_to(train=trained, subjects=names, held_out=held_out)
    blurred = np.stack([gaussian_filter(image[..., 0].astype(float), 6) for image in fresh])
    row = nearness(np.rint(blurred).astype(np.uint8)[..., None])
    assert row["nearest_ratio"] < 0.9
    assert not verdict.is_near(row, least=0.9)
    assert verdict.level(row, least=0.9) == 1
    assert "blurs, or begins to copy" in verdict.warning({"epoch": 7, **row}, least=0.9)


def test_depth_and_colour_do_not_change_the_measures(
    sets: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    trained, held_out, fresh = sets
    names = [str(k) for k in range(len(trained))]
    plain = nearness_to(train=trained, subjects=names, held_out=held_out)(fresh)
    deep = nearness_to(
        train=trained.astype(np.uint16) * 257,
        subjects=names,
        held_out=held_out.astype(np.uint16) * 257,
    )(fresh)
    coloured = nearness_to(
        train=np.repeat(trained, 3, 3), subjects=names, held_out=np.repeat(held_out, 3, 3)
    )(np.repeat(fresh, 3, 3))
    assert deep == plain
    assert coloured == pytest.approx(plain, abs=1e-6)


@pytest.mark.slow
def test_an_overtrained_flow_raises_the_alarm_and_its_early_snapshot_does_not(
    tmp_path: Path,
) -> None:
    """12 images, 400 epochs: the held-out loss turns, then samples become training images."""
    wanted = recipe(
        {**FLOW, "widths": [16, 32], "steps": 24},
        epochs=480,
        batch_size=12,
        average_half_life_images=500,
        watch={"every_epochs": 120},
    )
    facts = run(tmp_path, wanted, pixels=blobs(12, seed=0), held_out=blobs(24, seed=1))
    rows = read_statistics(tmp_path / "watch.jsonl")
    first, last = rows[0], rows[-1]
    assert verdict.is_sound(first, least=0.9)
    assert verdict.level(first, least=0.9) == 0
    assert verdict.is_near(last, least=0.9)
    assert last["nearest_ratio"] < 0.8
    gaps = [row["loss_held_out"] - row["loss_train"] for row in rows]
    assert gaps == sorted(gaps)
    assert facts["chosen"]["epoch"] < 480
    assert any("copies its patients" in w["warning"] for w in facts["warnings"])
    assert facts["watch"]["near_from_epoch"] > facts["chosen"]["epoch"]


# Which look is chosen, and when it is enough


def look(epoch: int, kind: dict[str, float], loss: float | None = None) -> dict[str, float]:
    return {"epoch": epoch, **kind, **({} if loss is None else {"loss_held_out": loss})}


def test_the_lowest_held_out_loss_among_sound_looks_is_chosen() -> None:
    rows = [
        look(10, SOUND, 0.9),
        look(20, SOUND, 0.5),
        look(30, SOUND, 0.6),
        look(40, NEAR, 0.4),
        look(50, NEAR, 0.7),
    ]
    found = verdict.chosen(rows, least=0.9)
    assert found is rows[1]
    said = verdict.reason(rows, least=0.9)
    assert said == (
        "held-out loss was lowest there, of the sound looks; from epoch 40 on samples came nearer "
        "to training images than unseen patients do"
    )
    assert verdict.near_from(rows, least=0.9) == 40
    rows[3]["loss_held_out"] = 0.8
    assert verdict.reason(rows, least=0.9).startswith("held-out loss was lowest there; from")


def test_without_a_loss_the_latest_sound_look_is_chosen() -> None:
    rows = [look(10, SOUND), look(20, NEAR), look(30, SOUND), look(40, NEAR), look(50, BLURRED)]
    found = verdict.chosen(rows, least=0.9)
    assert found is rows[2]
    assert "at 2 of 5 looks, first after epoch 20," in verdict.reason(rows, least=0.9)
    assert verdict.near_from(rows, least=0.9) is None


def test_a_look_with_more_copies_than_chance_is_not_chosen_however_far_the_rest() -> None:
    some_copies = {**SOUND, "copy_share": 0.1, "copy_p": 0.02}
    rows = [look(10, SOUND), look(20, some_copies)]
    assert verdict.chosen(rows, least=0.9) is rows[0]
    assert verdict.level(rows[1], least=0.9) == 0
    many = look(30, {**SOUND, "copy_share": 0.2, "copy_p": 1e-5})
    assert verdict.level(many, least=0.9) == 2
    assert "20.0 % of the samples are nearer" in verdict.warning(many, least=0.9)


def test_where_no_look_is_sound_none_is_chosen() -> None:
    rows = [look(10, NEAR, 0.5), look(20, BLURRED, 0.4)]
    assert verdict.chosen(rows, least=0.9) is None
    assert "at none of 2 looks" in verdict.reason(rows, least=0.9)
    assert verdict.chosen(rows, least=0.8) is rows[1]


@pytest.mark.parametrize(
    ("rows", "patience", "why"),
    [
        ([SOUND, NEAR, NEAR], 2, "at 2 looks in a row"),
        ([NEAR, SOUND, NEAR], 2, None),
        ([BLURRED, BLURRED, BLURRED], 2, None),
        ([NEAR, NEAR, NEAR], 0, None),
        ([NEAR], 2, None),
    ],
)
def test_patience_with_samples_that_are_near(
    rows: list[dict[str, float]], patience: int, why: str | None
) -> None:
    found = verdict.enough(
        [look(k, row) for k, row in enumerate(rows)], least=0.9, patience=patience
    )
    assert (found is None) if why is None else (found is not None and why in found)


def test_patience_with_a_held_out_loss_that_stays() -> None:
    losses = [0.9, 0.5, 0.6, 0.55, 0.4, 0.5, 0.45, 0.41]
    stops = [
        k
        for k in range(1, len(losses) + 1)
        if verdict.enough(
            [look(n, SOUND, loss) for n, loss in enumerate(losses[:k])], least=0.9, patience=3
        )
    ]
    assert stops == [8]


# What looking costs


@pytest.mark.parametrize("generator", [FLOW, DCGAN])
@pytest.mark.parametrize("count", [50, 800, 10_000])
@pytest.mark.parametrize("epochs", [20, 400, 3000])
def test_looks_cost_less_than_a_twentieth(
    generator: dict[str, Any], count: int, epochs: int
) -> None:
    """Counted anew: samples, losses and calibration against training between two looks."""
    cost = cost_of(build(recipe(generator).generator), calibration=1024)
    every, samples = plan_looks(
        WatchSettings(), epochs=epochs, count=count, held_out=160, cost=cost
    )
    assert 64 <= samples <= 160
    assert every >= epochs / 20
    looking = cost.fixed + samples * cost.image + (2 * 160 if cost.losses else 0)
    assert looking <= 0.05 * cost.training * every * count


def test_a_fixed_interval_is_kept_and_few_patients_still_make_a_median() -> None:
    cost = Cost(training=3, image=8, fixed=0, losses=True, words="")
    settings = WatchSettings(every_epochs=7)
    every = plan_looks(settings, epochs=400, count=20, held_out=20, cost=cost)
    assert every == (7, 64)
    assert plan_looks(settings, epochs=400, count=10**6, held_out=256, cost=cost) == (7, 256)


# Looking disturbs nothing, and resuming repeats it


class Interrupt:
    """A callback that stops the run at its n-th row, as Ctrl-C would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, row: dict[str, float]) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("generator", [FLOW, DCGAN])
def test_training_goes_on_as_if_nobody_had_looked(
    tmp_path: Path, generator: dict[str, Any]
) -> None:
    wanted = recipe(generator, epochs=4, snapshots=[2])
    size = generator["size"]
    data = {"pixels": blobs(20, seed=0, size=size)}
    run(tmp_path / "alone", wanted, **data)
    facts = run(tmp_path / "watched", wanted, **data, held_out=blobs(20, seed=1, size=size))
    assert facts["watch"]["looks"] == 2
    alone, watched = files(tmp_path / "alone"), files(tmp_path / "watched")
    assert all(watched[name] == data for name, data in alone.items())


@pytest.mark.parametrize("generator", [FLOW, DCGAN])
def test_a_resumed_run_has_the_same_rows_weights_and_choice(
    tmp_path: Path, generator: dict[str, Any]
) -> None:
    size = generator["size"]
    wanted = recipe(generator)
    data = {
        "pixels": blobs(20, seed=0, size=size),
        "held_out": blobs(20, seed=1, size=size),
    }
    whole = run(tmp_path / "whole", wanted, **data)
    for stops in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "parts", wanted, **data, callbacks=(Interrupt(stops),))
        with (tmp_path / "parts" / "watch.jsonl").open("a") as stream:
            stream.write('{"epoch": 5, "written": "by a process that was killed since"}\n')
    parts = run(tmp_path / "parts", wanted, **data)
    rows = [(tmp_path / kind / "watch.jsonl").read_bytes() for kind in ("whole", "parts")]
    assert rows[0] == rows[1]
    assert files(tmp_path / "whole") == files(tmp_path / "parts")
    assert whole["chosen"] == parts["chosen"]
    assert {**whole["watch"], "seconds": 0} == {**parts["watch"], "seconds": 0}
    assert [row["epoch"] for row in read_statistics(tmp_path / "whole/watch.jsonl")] == [2, 4, 6]


def test_snapshots_asked_for_stay_and_surpassed_looks_go(tmp_path: Path) -> None:
    data = {"pixels": blobs(16, seed=0, size=32), "held_out": blobs(20, seed=1, size=32)}
    wanted = recipe(DCGAN, epochs=6, snapshots=[1, 2], watch={"every_epochs": 1})
    looks = [SOUND, SOUND, SOUND, SOUND, NEAR, NEAR]
    facts = run(tmp_path, wanted, **data, nearness=scripted(*looks))
    assert facts["chosen"]["epoch"] == 4
    assert snapshot_epochs(tmp_path) == [1, 2, 4, 6]
    assert len(list((tmp_path / "snapshots").iterdir())) == 8


def test_an_early_stop_leaves_a_whole_model_also_when_resumed(tmp_path: Path) -> None:
    data = {"pixels": blobs(16, seed=0, size=32), "held_out": blobs(20, seed=1, size=32)}
    wanted = recipe(DCGAN, epochs=9, watch={"every_epochs": 1, "patience_looks": 2})
    looks = [SOUND, SOUND, NEAR, SOUND, NEAR, NEAR]
    facts = run(tmp_path / "whole", wanted, **data, nearness=scripted(*looks))
    assert facts["stopped"]["epoch"] == 6
    assert "at 2 looks in a row" in facts["stopped"]["reason"]
    assert facts["images_seen"] == 6 * 16
    assert facts["final"]["images_seen"] == 6 * 16
    assert facts["chosen"]["epoch"] == 4
    assert snapshot_epochs(tmp_path / "whole") == [4, 6]
    assert (tmp_path / "whole/previews/epoch-0006.png").is_file()
    with pytest.raises(KeyboardInterrupt):
        run(
            tmp_path / "parts",
            wanted,
            **data,
            nearness=scripted(*looks),
            callbacks=(Interrupt(5),),
        )
    done = len(read_statistics(tmp_path / "parts/watch.jsonl"))
    assert 0 < done < 6
    again = run(tmp_path / "parts", wanted, **data, nearness=scripted(*looks[done:]))
    assert again["stopped"] == facts["stopped"]
    assert again["chosen"] == facts["chosen"]
    assert files(tmp_path / "whole") == files(tmp_path / "parts")


def test_every_look_reaches_the_callbacks(tmp_path: Path) -> None:
    event_file = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    data = {"pixels": blobs(16, seed=0, size=32), "held_out": blobs(20, seed=1, size=32)}
    wanted = recipe(DCGAN, epochs=2, watch={"every_epochs": 1})
    looks = scripted(SOUND, NEAR)
    events = tmp_path / "events"
    run(tmp_path / "run", wanted, **data, nearness=looks, callbacks=(tensorboard(events),))
    (file,) = events.iterdir()
    seen = [
        event.step
        for event in event_file.EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag == "watch/nearest_ratio"
    ]
    assert seen == [16, 32]


# The command line


def import_like(folder: Path, *, held_out: int, size: int = 32, count: int = 24) -> Path:
    """An images artifact of ``count`` training images and ``held_out`` held-out patients."""
    pixels = blobs(count + held_out, seed=4, size=size)
    with building(folder, draft(kind="images", configuration={}, synthetic=True)) as growing:
        writer = ImagesWriter(growing)
        for k, image in enumerate(pixels):
            split = "train" if k < count else "test"
            writer.add(image[..., 0], name=f"{k:03d}", subject=f"s{k}", split=split)
        writer.close()
    return folder


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    raw = {"name": "tiny", "generator": DCGAN, "epochs": 4, "batch_size": 8, "previews": 1}
    path.write_text(json.dumps(raw))
    return path


def fitting(recipe_file: Path, data: Path, out: Path, *more: str) -> int:
    words = ["train", str(recipe_file), "--data", str(data), "--out", str(out), "--threads", "1"]
    return main([*words, *more])


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, float]]]:
    """What successive looks of a command see, in place of real measures."""
    looks: list[dict[str, float]] = []
    monkeypatch.setattr(
        "fetalsynth.assessment.nearness.nearness_to",
        lambda **_: lambda samples: dict(looks.pop(0)),
    )
    return looks  # type: ignore[return-value]


def test_the_chosen_snapshot_is_told_kept_and_taken(
    tmp_path: Path,
    recipe_file: Path,
    planted: list[dict[str, float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, model = import_like(tmp_path / "data", held_out=20), tmp_path / "model"
    planted += [SOUND, SOUND, NEAR, NEAR]
    assert fitting(recipe_file, data, model, "--watch.every-epochs", "1") == 0
    said = capsys.readouterr().err
    assert said.count("warning: after epoch 3 samples lie at 0.50 of the distance") == 1
    assert "the chosen snapshot" in said
    facts = read_manifest(model).facts
    assert facts["chosen"]["epoch"] == 2
    card = (model / "model-card.md").read_text()
    assert "- chosen snapshot: epoch 2, because it is the latest look" in card
    assert "from epoch 3 on samples came nearer to training images than unseen patients do" in card
    assert "- warning at image 72: after epoch 3" in card
    assert [row["epoch"] for row in read_statistics(model / "watch.jsonl")] == [1, 2, 3, 4]
    made = {}
    for name, more in (("chosen", []), ("second", ["--epoch", "2"]), ("last", ["--epoch", "4"])):
        out = tmp_path / name
        assert main(["generate", str(model), "--n", "4", "--out", str(out), *more]) == 0
        made[name] = sorted(p.read_bytes() for p in (out / "images").iterdir())
        told = "snapshot of epoch 2, because" in capsys.readouterr().err
        assert told == (name == "chosen")
    assert made["chosen"] == made["second"] != made["last"]
    assert read_manifest(tmp_path / "chosen").configuration["epoch"] == 2
    kept = (tmp_path / "chosen" / "training-watch.jsonl").read_bytes()
    assert kept == (model / "watch.jsonl").read_bytes()


def test_a_stop_and_a_choice_of_none_are_told(
    tmp_path: Path,
    recipe_file: Path,
    planted: list[dict[str, float]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, model = import_like(tmp_path / "data", held_out=20), tmp_path / "model"
    planted += [BLURRED, NEAR, NEAR]
    words = ["--watch.every-epochs", "1", "--watch.patience-looks", "2"]
    assert fitting(recipe_file, data, model, *words) == 0
    assert "blurs, or begins to copy" in capsys.readouterr().err
    card = (model / "model-card.md").read_text()
    assert "3 of 4 epochs" in card
    assert "- stopped after epoch 3, because at 2 looks in a row" in card
    assert "- no snapshot chosen, and the last is taken, because at none of 3 looks" in card
    assert main(["generate", str(model), "--n", "4", "--out", str(tmp_path / "made")]) == 0
    assert "warning: the training chose no snapshot" in capsys.readouterr().err
    assert read_manifest(tmp_path / "made").configuration["epoch"] == 3


def test_where_nothing_is_held_out_that_is_told(
    tmp_path: Path, recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = import_like(tmp_path / "few", held_out=5)
    plain = tmp_path / "plain"
    plain.mkdir()
    for k, image in enumerate(blobs(8, seed=0, size=32)):
        Image.fromarray(image[..., 0]).save(plain / f"{k}.png")
    cases = (
        ("few", few, [], "holds out images of 5 patients, and 20 are needed"),
        ("plain", plain, [], "is a plain folder, which holds nothing out"),
        ("all", few, ["--split", "all"], "trains on all images"),
    )
    for name, data, more, why in cases:
        model = tmp_path / f"model-{name}"
        assert fitting(recipe_file, data, model, "--epochs", "1", *more) == 0
        assert f"note: nobody watches for copying: {'the recipe ' if more else ''}" in (
            said := capsys.readouterr().err
        )
        assert why in said
        assert why in (model / "model-card.md").read_text()
        assert "chosen" not in read_manifest(model).facts
        assert not (model / "watch.jsonl").exists()
    model = tmp_path / "model-off"
    assert fitting(recipe_file, few, model, "--epochs", "1", "--watch.every-epochs", "0") == 0
    assert "nobody watches" not in capsys.readouterr().err
    assert "turns the watch off" in (model / "model-card.md").read_text()


def test_patients_that_are_trained_on_are_not_held_out(tmp_path: Path) -> None:
    from fetalsynth.datasets.loading import load_images
    from fetalsynth.training.held_out import load_held_out

    pixels = blobs(66, seed=4, size=32)
    folder = tmp_path / "data"
    with building(folder, draft(kind="images", configuration={}, synthetic=True)) as growing:
        writer = ImagesWriter(growing)
        for k, image in enumerate(pixels):
            split = "train" if k < 20 else "test"
            # two frames of each patient; the first three held-out ones were trained on as well
            subject = f"s{k // 2}" if k < 60 else f"s{(k - 60) // 2}"
            writer.add(image[..., 0], name=f"{k:03d}", subject=subject, split=split)
        writer.close()
    training = load_images(folder, role="data", splits=("train",))
    found, why = load_held_out(folder, recipe=recipe(DCGAN), training=training, seed=0)
    assert found is not None
    assert why == ""
    names = [record.subject for record in found.records]
    assert sorted(names) == sorted({f"s{k // 2}" for k in range(20, 60)})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"every_epochs": -1}, "watch.every_epochs: Input should be greater than or equal to 0"),
        ({"least_ratio": 1.5}, "watch.least_ratio: Input should be less than 1"),
        ({"patience_looks": -2}, "watch.patience_looks: Input should be greater"),
        ({"every_epochs": 0, "patience_looks": 2}, "patience_looks counts looks"),
        ({"patience": 2}, r"watch.patience is no setting \(did you mean patience_looks\?\)"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe(DCGAN, watch=settings)


# Where it is read


def test_curves_of_the_watch() -> None:
    rows = [look(10, SOUND, 0.9) | {"loss_train": 0.8}, look(20, NEAR, 0.7) | {"loss_train": 0.3}]
    curves = watch_curves(rows)
    assert [curve.heading for curve in curves] == [
        "Distance to training images",
        "Loss on unseen and on training images",
        "Samples that look like copies",
    ]
    assert "nearest ratio 0.500" in curves[0].caption
    assert "held out 0.700 and train 0.300" in curves[1].caption
    assert watch_curves([]) == ()
