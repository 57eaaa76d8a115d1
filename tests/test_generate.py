"""Generating: image k is the same whatever N, whenever interrupted; bad models are explained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fetalsynth.artifacts.building import partial_path
from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.cli.main import main
from fetalsynth.synthesis.images import CHUNK, Wanted, load_model, sample

RECIPE = {
    "name": "tiny",
    "generator": {"family": "dcgan", "size": 32, "generator_width": 8, "discriminator_width": 8},
    "epochs": 2,
    "batch_size": 8,
    "snapshots": [1],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "data").mkdir()
    for k, image in enumerate(np.random.default_rng(0).integers(0, 256, (24, 32, 32), np.uint8)):
        Image.fromarray(image).save(folder / "data" / f"{k}.png")
    recipe = folder / "tiny.yaml"
    recipe.write_text(json.dumps(RECIPE))
    words = ["train", str(recipe), "--data", str(folder / "data"), "--out", str(folder / "model")]
    assert main([*words, "--threads", "1"]) == 0
    return folder / "model"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "images").iterdir()}


def test_image_k_is_the_same_whatever_n(model: Path, tmp_path: Path) -> None:
    for n in (5, 40):
        assert main(["generate", str(model), "--n", str(n), "--out", str(tmp_path / str(n))]) == 0
    few, many = files(tmp_path / "5"), files(tmp_path / "40")
    assert (len(few), len(many)) == (5, 40)
    assert all(many[name] == data for name, data in few.items())
    assert len(set(many.values())) == 40


def test_a_model_of_another_make_is_explained(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(model, tmp_path / "other")
    text = (other / "fetalsynth.json").read_text().replace('"family": "dcgan"', '"family": "vae"')
    (other / "fetalsynth.json").write_text(text)
    assert main(["generate", str(other), "--n", "1", "--out", str(tmp_path / "out")]) == 2
    assert "its generator is not one of this fetalsynth" in capsys.readouterr().err


def test_images_do_not_grow_inside_their_model(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(model), "--n", "1", "--out", str(model / "images")]) == 2
    assert "lies inside the model" in capsys.readouterr().err


def test_image_k_is_the_same_whatever_the_piece_it_is_asked_in(model: Path) -> None:
    loaded = load_model(model)
    whole = sample(loaded, first=0, count=3 * CHUNK, seed=1)
    pieces = [sample(loaded, first=k, count=7, seed=1) for k in range(0, 3 * CHUNK - 7, 7)]
    joined = np.concatenate(pieces)
    assert np.array_equal(joined, whole[: len(joined)])
    assert not np.array_equal(whole, sample(loaded, first=0, count=3 * CHUNK, seed=2))


def test_images_carry_their_origin(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    assert main(["generate", str(model), "--n", "3", "--seed", "7", "--out", str(out)]) == 0
    manifest = read_manifest(out)
    assert manifest.synthetic
    assert manifest.notice == "Not for clinical use."
    assert manifest.inputs[0].digest == read_manifest(model).content
    rows = read_table(out)
    assert [(row.extra["seed"], row.extra["number"]) for row in rows] == [
        ("7", "0"),
        ("7", "1"),
        ("7", "2"),
    ]
    assert all(digest_file(out / row.file) == row.sha256 for row in rows)
    assert (out / "training-stats.jsonl").read_text() == (model / "stats.jsonl").read_text()


def test_interrupted_command_goes_on_and_ends_the_same(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fetalsynth.synthesis.images as synthesis

    words = ["generate", str(model), "--n", "100", "--out"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    original, made = synthesis._chunk, []

    def chunk(model: object, *, number: int, seed: int, wanted: object) -> np.ndarray:
        made.append(number)
        if made == [0, 1, 2, 3, 4]:
            raise KeyboardInterrupt
        return original(model, number=number, seed=seed, wanted=wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis, "_chunk", chunk)
    assert main([*words, str(tmp_path / "parts")]) == 130
    assert partial_path(tmp_path / "parts").is_dir()
    assert main([*words, str(tmp_path / "parts")]) == 0
    assert 3 not in made[5:]
    assert read_manifest(tmp_path / "parts").content == read_manifest(tmp_path / "whole").content


def test_snapshots_and_weights_can_be_chosen(model: Path) -> None:
    images = {
        (epoch, weights): sample(
            load_model(model, epoch=epoch, weights=weights), first=0, count=2, seed=0
        ).tobytes()
        for epoch in (1, 2)
        for weights in ("averaged", "raw")
    }
    assert len(set(images.values())) == 4
    assert sample(load_model(model), first=0, count=2, seed=0).tobytes() == images[2, "averaged"]


def test_a_model_without_average_gives_its_raw_weights(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = broken(model, tmp_path, "raw")
    for path in (raw / "snapshots").glob("*-averaged.safetensors"):
        path.unlink()
    assert load_model(raw).weights == "raw"
    out = str(tmp_path / "out")
    assert main(["generate", str(raw), "--n", "2", "--out", out, "--weights", "averaged"]) == 2
    assert "give --weights raw" in capsys.readouterr().err


def test_bfloat16_is_near_float32(model: Path) -> None:
    exact, near = (
        sample(load_model(model), first=0, count=4, seed=0, wanted=Wanted(precision=name))
        for name in ("float32", "bfloat16")
    )
    assert near.dtype == np.uint8
    gap = np.abs(exact.astype(float) - near.astype(float))
    assert 0 < gap.mean() < 2


def test_loaded_generator_is_the_trained_one(model: Path) -> None:
    loaded = load_model(model)
    z = loaded.family.latents(2, torch.Generator().manual_seed(0))
    twice = [loaded.family.sample(loaded.family.generator, z) for _ in range(2)]
    alone = loaded.family.sample(loaded.family.generator, z[:1])
    assert torch.equal(*twice)
    assert torch.allclose(alone, twice[0][:1], atol=1e-5)


def broken(model: Path, folder: Path, name: str) -> Path:
    copy = folder / name
    shutil.copytree(model, copy)
    return copy


def test_bad_models_and_wishes_are_explained(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truncated = broken(model, tmp_path, "truncated")
    path = truncated / "snapshots" / "epoch-0002-averaged.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "empty").mkdir()
    out = str(tmp_path / "out")
    cases = [
        ([str(truncated), "--n", "2"], "epoch-0002-averaged.safetensors: damaged weights"),
        ([str(tmp_path / "empty"), "--n", "2"], "no fetalsynth.json"),
        ([str(tmp_path / "absent"), "--n", "2"], "does not exist"),
        ([str(model), "--n", "0"], "at least one image"),
        ([str(model), "--n", "2", "--epoch", "9"], "there are 1, 2"),
    ]
    for words, message in cases:
        assert main(["generate", *words, "--out", out]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert len(said.splitlines()) == 1
    assert not Path(out).exists()
    assert not partial_path(Path(out)).exists()
