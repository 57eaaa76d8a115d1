"""Training on slices of labelled volumes: which, how they hang, going on after a stop."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fetalsynth.anatomy.labels import FETA
from fetalsynth.anatomy.planes import PLANES, from_slices, to_slices
from fetalsynth.artifacts.building import building, partial_path
from fetalsynth.artifacts.manifest import Input, draft, read_manifest
from fetalsynth.artifacts.model import read_statistics, read_weights, snapshot_path
from fetalsynth.artifacts.volumes import WHITE, VolumeRecord, VolumesWriter
from fetalsynth.cli.main import main
from fetalsynth.datasets.volumes.loading import VolumeSet
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.training.augmentation import apply, sample_params
from fetalsynth.training.card import model_card
from fetalsynth.training.recipe import Augmentation, SliceRecipe, load_recipe, parse_recipe
from fetalsynth.training.slices import ResidentSlices, load_training_volumes

SIZE = 32
TINY: dict[str, Any] = {
    "name": "tiny",
    "generator": {"family": "unet", "size": SIZE, "width": 4, "levels": 2},
    "epochs": 2,
    "batch_size": 4,
    "average_half_life_images": 100,
    "log_every_images": 16,
    "previews": 1,
    "precision": "float32",
}


def tiny(**changes: Any) -> SliceRecipe:
    recipe = parse_recipe({**TINY, **changes}, where="test")
    assert isinstance(recipe, SliceRecipe)
    return recipe


def cube(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """An image whose every voxel is its own, and labels in a box off the middle."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, WHITE + 1, (SIZE, SIZE, SIZE)).astype(np.int16)
    labels = np.zeros((SIZE, SIZE, SIZE), np.uint8)
    labels[8:20, 4:24, 10:29] = rng.integers(1, 8, (12, 20, 19))
    return image, labels


def volumes(count: int = 2) -> VolumeSet:
    cubes = [cube(seed) for seed in range(count)]
    return VolumeSet(
        images=tuple(image for image, _ in cubes),
        labels=tuple(labels for _, labels in cubes),
        placements=(),
        records=tuple(VolumeRecord(subject=f"{k}", image="", labels="") for k in range(count)),
        label_names=FETA,
        source=Input(role="data", path="x", digest="0"),
    )


def resident(*planes: Any, empty: float = 0.0, seed: int = 0) -> ResidentSlices:
    return ResidentSlices(
        volumes(),
        planes=planes or PLANES,
        empty_share=empty,
        seed=seed,
        device=torch.device("cpu"),
    )


def test_planes_hang_as_radiologists_hang_them_and_come_back() -> None:
    """One marked voxel near the right, anterior, superior corner of a RAS+ volume."""
    volume = np.zeros((5, 6, 7), np.uint8)
    volume[4, 5, 6] = 1
    corner = {"sagittal": (4, 0, 5), "coronal": (5, 0, 4), "axial": (6, 0, 4)}
    for plane in PLANES:
        stack = to_slices(volume, plane=plane)
        assert tuple(int(k) for k in np.argwhere(stack)[0]) == corner[plane]
        assert np.array_equal(from_slices(stack, plane=plane), volume)


def test_every_labelled_slice_of_every_plane_comes_as_it_lies_in_the_volume() -> None:
    data = resident()
    assert data.count == 2 * (12 + 20 + 19)
    batch = data.batch(torch.arange(data.count))
    assert batch.labels is not None
    assert batch.planes is not None
    for row, (volume, axis, number) in enumerate(data.items.tolist()):
        image, labels = cube(volume)
        wanted = to_slices(image, plane=PLANES[axis])[number] * (2 / WHITE) - 1
        assert np.allclose(batch.images[row, 0].numpy(), wanted, atol=1e-6)
        assert np.array_equal(
            batch.labels[row].numpy(), to_slices(labels, plane=PLANES[axis])[number]
        )
        assert batch.planes[row] == axis
        assert batch.labels[row].any()


def test_empty_slices_are_left_out_taken_or_thinned() -> None:
    everything = 2 * SIZE
    assert resident("axial").count == 2 * 19
    assert resident("axial", empty=1.0).count == everything
    half = resident("axial", empty=0.5)
    assert 2 * 19 < half.count < everything
    assert np.array_equal(half.items, resident("axial", empty=0.5).items)
    assert not np.array_equal(half.items, resident("axial", empty=0.5, seed=1).items)


def test_left_and_right_are_mirrored_but_not_front_and_back() -> None:
    data = resident()
    first = [int(np.flatnonzero(data.items[:, 1] == axis)[0]) for axis in range(3)]
    batch = data.batch(torch.tensor(first))
    still = {name: torch.zeros(3) for name in ("angle", "zoom", "across", "down")}
    params = {"flip": torch.ones(3, dtype=torch.bool), **still}
    setting = Augmentation(rotation_degrees=0)
    turned = apply(batch, params, augmentation=setting)
    assert turned.labels is not None
    assert batch.labels is not None
    for row, plane in enumerate(PLANES):
        mirrored = plane != "sagittal"
        images = batch.images[row].flip(-1) if mirrored else batch.images[row]
        labels = batch.labels[row].flip(-1) if mirrored else batch.labels[row]
        assert torch.allclose(turned.images[row], images, atol=1e-4)
        assert torch.equal(turned.labels[row], labels)


def test_labels_turn_with_their_image() -> None:
    """An image that is a function of its labels stays so, but for pixels on their borders."""
    labels = torch.zeros(1, 64, 64, dtype=torch.uint8)
    labels[0, 16:48, 24:56] = 3
    images = labels[:, None].float() / 3 * 2 - 1
    rng = torch.Generator().manual_seed(3)
    setting = Augmentation(rotation_degrees=30)
    params = sample_params(setting, count=1, rng=rng)
    assert abs(float(params["angle"])) > 5
    turned = apply(
        Batch(images=images, labels=labels, planes=torch.tensor([2])), params, augmentation=setting
    )
    assert turned.labels is not None
    apart = (turned.images[0, 0] - (turned.labels[0].float() / 3 * 2 - 1)).abs() > 0.5
    assert apart.float().mean() < 0.02
    assert set(turned.labels.unique().tolist()) == {0, 3}
    moved = (turned.labels != labels).float().mean()
    assert moved > 0.05


@pytest.fixture
def data(tmp_path: Path) -> Path:
    out = tmp_path / "data"
    manifest = draft(kind="volumes", configuration={}, synthetic=True)
    with building(out, manifest) as folder:
        writer = VolumesWriter(folder, label_names=FETA)
        for seed in range(4):
            image, labels = cube(seed)
            writer.add(
                subject=f"{seed}",
                image=image,
                labels=labels,
                affine=np.eye(4),
                sidecar={},
                split="test" if seed == 3 else "train",
                reconstruction="irtk" if seed == 0 else "mial",
            )
        writer.close()
    return out


def test_training_takes_the_subjects_the_recipe_asks_for(data: Path) -> None:
    def subjects(**changes: Any) -> list[str]:
        found = load_training_volumes(data, recipe=tiny(**changes), seed=0)
        return [record.subject for record in found.records]

    assert subjects() == ["0", "1", "2"]
    assert subjects(split="all") == ["0", "1", "2", "3"]
    assert subjects(reconstruction="mial") == ["1", "2"]
    one, two = set(subjects(volumes=1)), set(subjects(volumes=2))
    assert one < two
    with pytest.raises(UserError, match="has 3 volumes to train on, the recipe wants 7"):
        subjects(volumes=7)
    with pytest.raises(UserError, match="niftymic"):
        subjects(reconstruction="niftymic")
    with pytest.raises(UserError, match=r"generator\.labels 8"):
        subjects(generator={**TINY["generator"], "labels": 7})


def command(tmp_path: Path, data: Path, out: Path, **changes: Any) -> list[str]:
    import yaml

    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump({**TINY, **changes}))
    return ["train", str(path), "--data", str(data), "--out", str(out), "--threads", "1"]


def weights(folder: Path) -> dict[str, str]:
    found = {}
    for plane in PLANES:
        path = snapshot_path(folder / plane, epoch=2, averaged=True)
        for name, tensor in read_weights(path).items():
            found[f"{plane}/{name}"] = hashlib.sha256(tensor.numpy().tobytes()).hexdigest()
    return found


def test_a_model_of_three_planes_stopped_in_the_second_goes_on_bit_by_bit(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fetalsynth.generators.unet import Segmenter

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main(command(tmp_path, data, whole)) == 0
    original, calls = Segmenter.step, 0

    def stopping(self: Segmenter, *given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 30:  # 18 in the sagittal plane, 30 in the coronal, 29 in the axial
            raise KeyboardInterrupt
        return original(self, *given, **named)

    monkeypatch.setattr(Segmenter, "step", stopping)
    words = [*command(tmp_path, data, parts), "--checkpoint-seconds", "0"]
    assert main(words) == 130
    partial = partial_path(parts)
    assert (partial / "sagittal" / "snapshots").is_dir()
    assert not (partial / "axial").exists()
    assert main(words) == 0
    assert calls == (18 + 30 + 29) + 1
    assert weights(parts) == weights(whole)
    facts = read_manifest(parts).facts
    assert sorted(facts["networks"]) == sorted(PLANES)
    assert facts["volumes"] == 3
    assert facts["images"] == 3 * (12 + 20 + 19)
    for plane in PLANES:
        rows = read_statistics(parts / plane / "stats.jsonl")
        assert rows[-1]["images_seen"] == facts["networks"][plane]["images_seen"]
        assert (parts / plane / "previews").is_dir()
    assert not (parts / "state").exists()
    assert "3 subjects" in (parts / "model-card.md").read_text()


def test_one_network_for_all_planes(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "model"
    told = {**TINY["generator"], "plane_condition": True}
    assert main(command(tmp_path, data, out, generator=told, one_network=True, epochs=1)) == 0
    assert list(read_manifest(out).facts["networks"]) == ["shared"]
    assert (out / "shared" / "snapshots").is_dir()
    assert not (out / "axial").exists()


def test_recipes_of_the_mri_study() -> None:
    recipe = load_recipe("spade256")
    assert isinstance(recipe, SliceRecipe)
    g = recipe.generator
    assert g.family == "spade"
    assert (g.size, g.labels, g.width, g.learning_rate) == (256, 8, 64, 2e-4)
    assert (recipe.batch_size, recipe.epochs, recipe.decay_epochs) == (1, 50, 0)
    assert recipe.planes == PLANES
    assert recipe.networks() == {plane: (plane,) for plane in PLANES}
    small = load_recipe("spade128-small")
    assert isinstance(small, SliceRecipe)
    assert (small.generator.size, small.spacing_mm) == (128, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"planes": ["axial", "axial"]}, "planes lists one twice"),
        ({"planes": ["oblique"]}, "planes"),
        ({"one_network": True}, "plane_condition"),
        ({"decay_epochs": 3}, "decay_epochs"),
        ({"generator": {"family": "spade", "wdith": 3}}, "did you mean width"),
        ({"generator": {"family": "spade", "channels": 3}}, "slices of volumes are grey"),
        ({"generator": {"family": "spade", "size": 64, "upsampling": "more"}}, "size of 128"),
        ({"generator": {"family": "stylegan"}}, "stylegan"),
    ],
)
def test_faulty_recipes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        tiny(**changes)


def test_the_card_says_what_the_paper_leaves_open() -> None:
    recipe = load_recipe("spade256")
    facts = {"parameters": {"generator": 1}, "images": 9, "images_seen": 18, "subjects": 2}
    facts |= {"seconds": 60.0, "device": "CPU", "precision": "float32", "warnings": []}
    card = model_card(recipe=recipe, facts=facts, source=volumes().source)
    assert "9 slices of 2 subjects" in card
    assert "perceptual loss: none" in card
    assert "normalisation: sync, 1 slices per update" in card
    assert "sagittal, coronal, axial, one network per plane; voxels: each volume's own" in card


def test_a_perceptual_loss_needs_its_weights(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spade = {"family": "spade", "size": 64, "width": 2, "perceptual": "vgg19"}
    words = command(tmp_path, data, tmp_path / "out", generator=spade)
    assert main(words) == 2
    assert "give --perceptual-weights FILE" in capsys.readouterr().err
    weightless = command(tmp_path, data, tmp_path / "out")
    assert main([*weightless, "--perceptual-weights", "x.pth"]) == 2
    assert "has no perceptual loss" in capsys.readouterr().err
    assert not partial_path(tmp_path / "out").exists()
