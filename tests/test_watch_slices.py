"""The watch on trainings with slices of volumes: what it compares with, what follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.planes import PLANES
from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.model import read_statistics, snapshot_epochs, snapshot_path
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter, read_participants
from fetalsynth.cli.main import main
from fetalsynth.cli.training_watch import SliceWatcher, slice_watcher
from fetalsynth.errors import UserError
from fetalsynth.training.recipe import SliceRecipe, parse_recipe
from fetalsynth.training.slices import ResidentSlices, load_training_volumes
from fetalsynth.training.watch_verdict import is_near, is_sound
from fetalsynth.training.watching import Watch

CPU = torch.device("cpu")
SIZE = 32
FLOW: dict[str, Any] = {
    "family": "flow",
    "condition": "labels",
    "size": SIZE,
    "widths": [8, 16],
    "attention": False,
    "plane_condition": True,
    "context": 1,
    "sampler": "euler",
    "steps": 2,
}
SPADE: dict[str, Any] = {
    "family": "spade",
    "size": 64,
    "width": 2,
    "hidden": 4,
    "discriminators": 1,
    "discriminator_width": 4,
    "plane_condition": True,
}
RECIPE: dict[str, Any] = {
    "name": "tiny",
    "generator": FLOW,
    "one_network": True,
    "augmentation": {"rotation_degrees": 0, "flip": False},
    "epochs": 4,
    "batch_size": 16,
    "log_every_images": 100,
    "previews": 1,
    "precision": "float32",
    "watch": {"every_epochs": 2},
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


def brain(seed: int, *, texture: int = 0) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """An ellipsoid and a label for its shell and its inside; of one ``texture`` of many."""
    axes = np.random.default_rng(seed).uniform(9, 13, 3)
    rng = np.random.default_rng([seed, texture])
    places = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    radius = np.sqrt(sum((places[k] / axes[k]) ** 2 for k in range(3)))
    labels = np.where(radius < 0.7, 3, np.where(radius < 1, 2, 0)).astype(np.uint8)
    grain = gaussian_filter(rng.standard_normal((SIZE,) * 3), 2.0)
    grey = 0.5 + 0.25 * grain / grain.std()
    image = np.where(labels > 0, np.clip(grey, 0.05, 1), 0) * WHITE
    return np.rint(image).astype(np.int16), labels


def write_brains(
    folder: Path, *, held_out: int, count: int = 8, texture: int = 0, label: int | None = None
) -> Path:
    """``count`` brains, the last ``held_out`` of them held out, the very last with ``label``."""
    wanted = draft(kind="volumes", configuration={}, synthetic=False)
    with building(folder, wanted) as made:
        writer = VolumesWriter(made, synthetic=False, label_names=FETA)
        for seed in range(count):
            image, labels = brain(seed, texture=texture)
            if label is not None and seed == count - 1:
                labels[labels == 3] = label
            writer.add(
                subject=f"{seed}",
                image=image,
                labels=labels,
                affine=np.eye(4),
                sidecar={},
                split="test" if seed >= count - held_out else "train",
            )
        writer.close()
    return folder


def tiny(**changes: Any) -> SliceRecipe:
    recipe = parse_recipe({**RECIPE, **changes}, where="test")
    assert isinstance(recipe, SliceRecipe)
    return recipe


def watch_of(folder: Path, recipe: SliceRecipe) -> tuple[Watch, ResidentSlices]:
    volumes = load_training_volumes(folder, recipe=recipe, seed=0)
    watcher, why = slice_watcher(
        recipe, folder=folder, training=volumes, seed=0, device=CPU, context=1
    )
    assert watcher is not None, why
    slices = ResidentSlices(volumes, planes=PLANES, empty_share=0.0, seed=0, device=CPU, context=1)
    return watcher.watch(slices, planes=PLANES), slices


def levels(slices: ResidentSlices, numbers: NDArray[Any]) -> NDArray[np.uint8]:
    images = slices.batch(torch.from_numpy(numbers)).images
    return ((images + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def trained(folder: Path, data: Path, **changes: Any) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    out = folder / "model"
    words = ["train", str(path), "--data", str(data), "--out", str(out), "--threads", "1"]
    assert main(words) == 0
    return out


def scripted(*looks: dict[str, float]) -> Callable[..., Callable[..., dict[str, float]]]:
    """Measures that say in turn what a test wants to have happened."""
    left = iter(looks)
    return lambda **given: lambda samples: dict(next(left))


def test_held_out_slices_are_sound_and_those_trained_on_are_copies(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=10, count=15)
    watch, slices = watch_of(data, tiny())
    assert watch.patients == 10
    assert 64 <= watch.held_out.count <= 128
    spread = np.linspace(0, slices.count - 1, 100).astype(int)
    copies = watch.nearness(levels(slices, spread))
    assert copies["nearest_ratio"] < 0.05
    assert is_near(copies, least=0.9)
    fresh = write_brains(tmp_path / "others", held_out=10, count=15, texture=1)
    others, _ = watch_of(fresh, tiny())
    alike = others.held_out
    assert isinstance(alike, ResidentSlices)
    unseen = watch.nearness(levels(alike, np.arange(alike.count)))
    assert unseen["nearest_ratio"] == pytest.approx(1.0, abs=0.06)
    assert is_sound(unseen, least=0.9)


def test_slices_of_little_tissue_and_of_patients_trained_on_do_not_count(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=3)
    watch, _ = watch_of(data, tiny())
    held = watch.held_out
    assert isinstance(held, ResidentSlices)
    assert set(held.patients()) == {"5", "6", "7"}
    assert held.held().min() >= 0.1 * held.held().max()
    assert set(held.items[:, 1].tolist()) == {0, 1, 2}


@pytest.mark.parametrize(
    ("made", "changes", "why"),
    [
        ({"held_out": 2}, {"split": "all"}, "trains on all volumes"),
        ({"held_out": 0}, {}, "holds out no volume of a patient"),
        ({"held_out": 2}, {"watch": {"every_epochs": 0}}, "turns the watch off"),
        (
            {"held_out": 2, "label": 7},
            {"generator": {**FLOW, "labels": 7}},
            "has label 7, and the recipe knows 0 to 6",
        ),
    ],
)
def test_why_nobody_watches_is_said(
    tmp_path: Path,
    made: dict[str, Any],
    changes: dict[str, Any],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = write_brains(tmp_path / "brains", count=4, **made)
    model = trained(tmp_path, data, epochs=1, **changes)
    assert why in (model / "model-card.md").read_text()
    assert ("nobody watches" in capsys.readouterr().err) == ("watch" not in changes)
    assert not (model / "shared" / "watch.jsonl").exists()
    assert snapshot_epochs(model / "shared") == [1]


def test_the_look_with_the_lowest_held_out_loss_is_chosen(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=3)
    model = trained(tmp_path, data, watch={"every_epochs": 1})
    rows = read_statistics(model / "shared" / "watch.jsonl")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss_held_out"] < rows[0]["loss_held_out"]
    facts = read_manifest(model).facts["networks"]["shared"]
    sound = [row for row in rows if is_sound(row, least=0.9)]
    best = min(sound, key=lambda row: row["loss_held_out"])["epoch"] if sound else None
    assert facts["chosen"]["epoch"] == best
    assert facts["watch"]["held_out_patients"] == 3
    card = (model / "model-card.md").read_text()
    assert f"{facts['watch']['held_out_images']} slices of 3 held-out patients" in card


@pytest.mark.parametrize("generator", [FLOW, SPADE], ids=["flow", "spade"])
def test_generate_takes_the_snapshot_that_was_chosen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    generator: dict[str, Any],
) -> None:
    """Sound at the first look, near at the second: the first is kept and taken."""
    monkeypatch.setattr("fetalsynth.assessment.nearness.nearness_to", scripted(SOUND, NEAR))
    data = write_brains(tmp_path / "brains", held_out=2, count=4)
    model = trained(tmp_path, data, generator=generator)
    assert snapshot_epochs(model / "shared") == [2, 4]
    card = (model / "model-card.md").read_text()
    assert "chosen snapshot: epoch 2" in card
    assert "the generator copies its patients" in card
    capsys.readouterr()
    out = tmp_path / "made"
    words = ["generate", str(model), "--labels", str(data), "--split", "test", "--out", str(out)]
    assert main(words) == 0
    assert "shared: snapshot of epoch 2" in capsys.readouterr().err
    (image,) = [row.image for row in read_participants(out) if row.subject == "3"]
    assert image is not None
    said = json.loads((out / image.replace(".nii.gz", ".json")).read_text())
    assert {network["Epoch"] for network in said["Networks"].values()} == {2}
    last = tmp_path / "last"
    assert main([*words[:-1], str(last), "--epoch", "4"]) == 0
    assert "snapshot of epoch" not in capsys.readouterr().err


def test_generate_warns_where_no_look_was_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("fetalsynth.assessment.nearness.nearness_to", scripted(NEAR, NEAR))
    data = write_brains(tmp_path / "brains", held_out=2, count=4)
    model = trained(tmp_path, data)
    capsys.readouterr()
    words = ["generate", str(model), "--labels", str(data), "--split", "test"]
    assert main([*words, "--out", str(tmp_path / "made")]) == 0
    assert "warning: the training chose no snapshot" in capsys.readouterr().err


def test_looking_changes_no_weight(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=2, count=4)
    digests = []
    for every in (1, 0):
        folder = tmp_path / f"every-{every}"
        folder.mkdir()
        model = trained(folder, data, epochs=2, watch={"every_epochs": every})
        path = snapshot_path(model / "shared", epoch=2, averaged=True)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]


def test_patience_ends_the_training_of_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fetalsynth.assessment.nearness.nearness_to", scripted(NEAR, NEAR))
    data = write_brains(tmp_path / "brains", held_out=2, count=4)
    model = trained(tmp_path, data, watch={"every_epochs": 1, "patience_looks": 2})
    assert "stopped after epoch 2" in (model / "model-card.md").read_text()


def test_a_network_that_finds_labels_is_not_watched() -> None:
    unet = {"family": "unet", "size": SIZE, "plane_condition": True}
    with pytest.raises(UserError, match="a network that finds labels copies nobody"):
        tiny(generator=unet)
    assert tiny(generator=unet, watch={}).watch.every_epochs is None


def test_at_most_ten_volumes_are_held_in_memory_to_compare_with(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=12, count=14)
    recipe = tiny()
    watcher, _ = slice_watcher(
        recipe,
        folder=data,
        training=load_training_volumes(data, recipe=recipe, seed=0),
        seed=0,
        device=CPU,
        context=1,
    )
    assert isinstance(watcher, SliceWatcher)
    assert len(watcher.held_out.images) == 10
