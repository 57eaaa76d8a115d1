"""The watch on trainings with slices of volumes: what it compares with, what follows from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import nullcontext
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
from fetalsynth.artifacts.manifest import draft, input_from, read_manifest
from fetalsynth.artifacts.model import read_statistics, snapshot_epochs, snapshot_path
from fetalsynth.artifacts.volumes import WHITE, VolumeRecord, VolumesWriter, read_participants
from fetalsynth.cli.main import main
from fetalsynth.cli.training_watch import SliceWatcher, slice_watcher
from fetalsynth.datasets.volumes import loading
from fetalsynth.errors import UserError
from fetalsynth.generators.families import build
from fetalsynth.reports.lineage import Lineage, story, training_table
from fetalsynth.training.recipe import WatchedSliceRecipe, parse_recipe
from fetalsynth.training.slices import ResidentSlices, load_training_volumes
from fetalsynth.training.watch_verdict import is_near, is_sound
from fetalsynth.training.watching import Looks, Watch
from test_watch import NEAR, SOUND

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
                labels[labels > 0] = label
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


def tiny(**changes: Any) -> WatchedSliceRecipe:
    recipe = parse_recipe({**RECIPE, **changes}, where="test")
    assert isinstance(recipe, WatchedSliceRecipe)
    return recipe


def watch_of(folder: Path, recipe: WatchedSliceRecipe) -> tuple[Watch, ResidentSlices]:
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
    return lambda **given: lambda samples, among: dict(next(left))


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


def test_slices_are_of_held_out_patients_and_show_tissue(tmp_path: Path) -> None:
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
            {"held_out": 1, "label": 7},
            {"generator": {**FLOW, "labels": 7}},
            "have label 7, and the recipe knows 0 to 6",
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
    card = (model / "model-card.md").read_text()
    assert "stopped after epoch 2" in card
    assert "32 × 32 pixels, 2 of 4 epochs, " in card
    source = input_from(model, role="model", kind="model")
    assert "trained for 2 epochs" in story(Lineage(synthetic=None, model=source, data=None))


def test_a_network_that_finds_labels_is_not_watched() -> None:
    unet = {"family": "unet", "size": SIZE, "plane_condition": True}
    unwatched = {k: v for k, v in RECIPE.items() if k != "watch"} | {"generator": unet}
    assert "watch" not in parse_recipe(unwatched, where="test").model_dump()
    with pytest.raises(UserError, match="watch is no setting of this kind of recipe"):
        tiny(generator=unet)


def watcher_of(data: Path) -> tuple[SliceWatcher | None, str]:
    recipe = tiny()
    training = load_training_volumes(data, recipe=recipe, seed=0)
    return slice_watcher(recipe, folder=data, training=training, seed=0, device=CPU, context=1)


def test_at_most_ten_patients_are_compared_with_and_no_more_volumes_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_brains(tmp_path / "brains", held_out=12, count=14)
    read: list[str] = []
    original = loading._load

    def counting(folder: Path, grid: Any, labels: int, row: VolumeRecord) -> Any:
        read.append(row.subject)
        return original(folder, grid, labels, row)

    monkeypatch.setattr(loading, "_load", counting)
    watcher, _ = watcher_of(data)
    assert watcher is not None
    chosen = [record.subject for record in watcher.held_out.records]
    assert len(set(chosen)) == 10
    assert sorted(read) == sorted(["0", "1", *chosen])


def test_of_several_volumes_of_a_patient_one_is_compared_with(tmp_path: Path) -> None:
    rows = [
        ("a", "1", "train"),
        ("b", "1", "train"),
        ("c", "1", "test"),
        ("c", "2", "test"),
    ]
    wanted = draft(kind="volumes", configuration={}, synthetic=False)
    with building(tmp_path / "twice", wanted) as made:
        writer = VolumesWriter(made, synthetic=False, label_names=FETA)
        for seed, (subject, session, split) in enumerate(rows):
            image, labels = brain(seed)
            writer.add(
                subject=subject,
                session=session,
                image=image,
                labels=labels,
                affine=np.eye(4),
                sidecar={},
                split=split,
            )
        writer.close()
    watcher, _ = watcher_of(tmp_path / "twice")
    assert watcher is not None
    assert [record.subject for record in watcher.held_out.records] == ["c"]


def test_held_out_volumes_that_cannot_be_used_are_left_out(tmp_path: Path) -> None:
    """One without any label, and then all of them."""
    some = write_brains(tmp_path / "some", held_out=3, count=6, label=0)
    watcher, _ = watcher_of(some)
    assert watcher is not None
    assert [record.subject for record in watcher.held_out.records] == ["3", "4"]
    none = write_brains(tmp_path / "none", held_out=1, count=4, label=0)
    watcher, why = watcher_of(none)
    assert watcher is None
    assert "no held-out volume can be used" in why


def test_copies_of_one_patient_alone_cannot_be_told(tmp_path: Path) -> None:
    watcher, why = watcher_of(write_brains(tmp_path / "brains", held_out=2, count=3))
    assert watcher is None
    assert "one patient alone is trained on" in why


@pytest.mark.parametrize("samples", [20, 64, 128])
def test_as_few_samples_as_can_be_afforded_are_of_all_volumes_and_planes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: int
) -> None:
    """A generator that makes each held-out slice as it is: the ratio is 1 however few are made."""
    data = write_brains(tmp_path / "brains", held_out=6, count=10)
    recipe = tiny()
    watch, slices = watch_of(data, recipe)
    monkeypatch.setattr("fetalsynth.training.watching.plan_looks", lambda *_, **__: (1, samples))
    monkeypatch.setattr(
        "fetalsynth.training.watching.quick_images",
        lambda family, generator, latents, batch: batch.images,
    )
    (tmp_path / "model").mkdir()
    flow = build(recipe.generator)
    looks = Looks(watch, family=flow, data=slices, epochs=1, folder=tmp_path / "model", seed=0)
    looks.look(flow, flow.generator, epoch=1, images_seen=1, precision=nullcontext)
    (row,) = looks.rows
    assert row["samples"] == samples
    assert row["nearest_ratio"] == 1
    assert abs(row["copying_z"]) < 1e-9


def test_black_slices_do_not_make_all_patients_one(tmp_path: Path) -> None:
    data = write_brains(tmp_path / "brains", held_out=3)
    recipe = tiny(empty_slices=1.0)
    volumes = load_training_volumes(data, recipe=recipe, seed=0)
    watcher, _ = watcher_of(data)
    assert watcher is not None
    slices = ResidentSlices(volumes, planes=PLANES, empty_share=1.0, seed=0, device=CPU, context=1)
    watch = watcher.watch(slices, planes=PLANES)
    rich = np.flatnonzero(slices.held() > 100)
    copies = watch.nearness(levels(slices, rich[::5]))
    assert copies["copying_z"] < -5
    assert is_near(copies, least=0.9)


def test_three_networks_are_watched_each_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the second only the first look is sound; it warns by name, and its chosen one is taken."""
    looks = [SOUND, SOUND, SOUND, NEAR, SOUND, SOUND]
    monkeypatch.setattr("fetalsynth.assessment.nearness.nearness_to", scripted(*looks))
    data = write_brains(tmp_path / "brains", held_out=2, count=4)
    alone = {**FLOW, "plane_condition": False, "context": 0}
    model = trained(
        tmp_path, data, generator=alone, one_network=False, epochs=2, watch={"every_epochs": 1}
    )
    card = (model / "model-card.md").read_text()
    assert "coronal: warning at image" in card
    assert "warning: tiny coronal: after epoch 2" in capsys.readouterr().err
    assert "- coronal: chosen snapshot: epoch 1, because" in card
    manifest = read_manifest(model)
    facts = manifest.facts["networks"]
    source = input_from(model, role="model", kind="model")
    rows = dict(training_table(Lineage(synthetic=None, model=source, data=None)))
    assert rows["Chosen snapshot (coronal)"].startswith("epoch 1: ")
    assert rows["Chosen snapshot (axial)"].startswith("epoch 2: ")
    assert facts["coronal"]["chosen"]["epoch"] == 1
    assert [name for name in facts if facts[name]["watch"]["near_from_epoch"]] == ["coronal"]
    capsys.readouterr()
    out = tmp_path / "made"
    words = ["generate", str(model), "--labels", str(data), "--split", "test", "--out", str(out)]
    assert main(words) == 0
    assert f"{Path('model') / 'coronal'}: snapshot of epoch 1" in capsys.readouterr().err
