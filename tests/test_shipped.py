"""Shipped models: packed small and without paths, found by name, checked as any other input."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from fetalsynth.artifacts.building import building, partial_path
from fetalsynth.artifacts.contents import SUMS, verify_sums
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import Input, Manifest, draft, input_from, read_manifest
from fetalsynth.artifacts.model import read_statistics, read_weights, snapshot_path
from fetalsynth.artifacts.portable import text_without_places, without_places
from fetalsynth.artifacts.scores import Alarm, Metric, Scores, write_scores
from fetalsynth.cli.main import main
from fetalsynth.cli.quickstart import Quickstart, commands
from fetalsynth.datasets.hc18 import LICENCE
from fetalsynth.datasets.typical_heads import TYPICAL_HEADS
from fetalsynth.synthesis import packing, shipped
from fetalsynth.synthesis.images import load_model, sample, shows_heads
from fetalsynth.synthesis.shipped import resolve_model, shipped_models

ROOT = Path(__file__).resolve().parents[1]
HOME = "/home/Jane Doe/scans"
FAMILIES = {
    "dcgan": {"family": "dcgan", "size": 32, "generator_width": 8, "discriminator_width": 4},
    "flow": {"family": "flow", "size": 16, "widths": [16, 24], "steps": 3},
}
RECIPE = {"epochs": 2, "batch_size": 8, "snapshots": [1], "previews": 1}


def images(out: Path, *, size: int, licences: bool = True) -> Path:
    """Images as an import of HC18 leaves them, from a folder in somebody's home."""
    source = Input(role="source", path=f"{HOME}/hc18", digest="0" * 64)
    manifest = draft(
        kind="images",
        configuration={"source": "HC18", "table": f"{HOME}/pixel sizes.csv"},
        inputs=(source,),
        licences=(LICENCE,) if licences else (),
        synthetic=False,
    )
    pixels = np.random.default_rng(0).integers(0, 256, (12, size, size), np.uint8)
    with building(out, manifest) as folder:
        writer = ImagesWriter(folder)
        for k, image in enumerate(pixels):
            writer.add(image, name=f"{k:02d}", subject=f"{k:02d}", split="train")
        writer.close()
    return out


def train(folder: Path, data: Path, name: str, **changes: object) -> Path:
    recipe = {"name": name, **RECIPE, **changes}
    (folder / f"{name}.yaml").write_text(json.dumps(recipe))
    words = ["train", str(folder / f"{name}.yaml"), "--data", str(data), "--threads", "1"]
    assert main([*words, "--out", str(folder / name)]) == 0
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained models ``dcgan`` and ``flow``, and ``models`` with what was packed of them."""
    folder = tmp_path_factory.mktemp("place")
    for name, generator in FAMILIES.items():
        data = images(folder / f"{name}-data", size=int(str(generator["size"])))
        model = train(folder, data, name, generator=generator)
        out = folder / "models" / f"hc18-{name}"
        assert main(["model", "pack", str(model), "--out", str(out), "--epoch", "1"]) == 0
    return folder


@pytest.fixture
def models(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships the packed models; the working directory is empty."""
    monkeypatch.setattr(shipped, "MODELS", place / "models")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return place / "models"


@pytest.fixture
def no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "nothing")


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_images_by_name_are_those_of_the_trained_model(models: Path, place: Path) -> None:
    for name in FAMILIES:
        by_name = ["generate", f"hc18-{name}", "--n", "3", "--out", f"{name}-ours"]
        by_path = ["generate", str(place / name), "--epoch", "1", "--n", "3"]
        assert main(by_name) == 0
        assert main([*by_path, "--out", f"{name}-theirs"]) == 0
        ours, theirs = files(Path(f"{name}-ours")), files(Path(f"{name}-theirs"))
        ours.pop("fetalsynth.json"), theirs.pop("fetalsynth.json")
        assert ours == theirs
        loaded = load_model(resolve_model(f"hc18-{name}"))
        assert (loaded.epoch, loaded.weights) == (1, "averaged")


def test_a_packed_model_is_one_snapshot_and_its_record(models: Path, place: Path) -> None:
    for name in FAMILIES:
        assert set(files(models / f"hc18-{name}")) == {
            "fetalsynth.json",
            "model-card.md",
            "stats.jsonl",
            SUMS,
            "snapshots/epoch-0001-averaged.safetensors",
            "previews/epoch-0001.png",
        }
        trained = read_manifest(place / name)
        manifest = read_manifest(models / f"hc18-{name}", kind="model")
        assert manifest.configuration["recipe"] == trained.configuration["recipe"]
        assert manifest.facts["images_seen"] == trained.facts["images_seen"]
        assert manifest.facts["packed"]["model"] == trained.content
        assert manifest.facts["packed"]["storage"] == "float32"
        assert manifest.inputs[0].digest == trained.inputs[0].digest
        assert manifest.seed == trained.seed


def test_licences_go_from_the_data_to_card_record_and_images(models: Path) -> None:
    folder = models / "hc18-dcgan"
    assert read_manifest(folder).licences == (LICENCE,)
    card = (folder / "model-card.md").read_text()
    assert all(part in card for part in ("CC BY 4.0", LICENCE.citation, LICENCE.url))
    assert "Not for clinical use" in card
    assert main(["generate", "hc18-dcgan", "--n", "1", "--out", "made"]) == 0
    assert read_manifest(Path("made")).licences == (LICENCE,)


def test_nothing_of_this_machine_is_in_a_packed_model(models: Path, place: Path) -> None:
    for name in FAMILIES:
        for file, data in files(models / f"hc18-{name}").items():
            for place_of_someone in (str(place), "Jane", "/home", str(Path.home()) + "/"):
                assert place_of_someone.encode() not in data, file
            if not file.endswith((".safetensors", ".png")):
                assert data.endswith(b"\n")
                assert not re.search(rb"[ \t]\n", data)
        inputs = read_manifest(models / f"hc18-{name}").inputs
        assert inputs[0].path == f"{name}-data"
        assert inputs[0].manifest is not None
        assert inputs[0].manifest.inputs[0].path == "hc18"
        assert inputs[0].manifest.configuration["table"] == "pixel sizes.csv"


def test_only_places_are_taken_out_of_texts() -> None:
    known = {"/srv/My Data"}
    for text, expected in {
        "/srv/My Data/a/x.png: broken": "a/x.png: broken",
        "see /var/lib/scans/one.png, twice": "see one.png, twice",
        "https://zenodo.org/records/1327317": "https://zenodo.org/records/1327317",
        "mean 1/2 and/or 3 km/h (a/b/c)": "mean 1/2 and/or 3 km/h (a/b/c)",
        "../heads/images": "../heads/images",
    }.items():
        assert text_without_places(text, known) == expected
    plain = Manifest(kind="model", configuration={"a": [1, None, "b/c"]}, synthetic=True)
    assert without_places(plain) == plain
    for path, last in (("../../Jane/heads", "heads"), ("..", "data"), ("HC18", "HC18")):
        item = Input(role="data", path=path, digest="")
        moved = without_places(plain.model_copy(update={"inputs": (item,)}))
        assert moved.inputs[0].path == last


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_half_the_bytes_are_float32_again_and_nearly_the_same_images(
    half: str, name: str, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "half"
    assert main(["model", "pack", str(place / name), "--out", str(out), "--half", half]) == 0
    stored = read_weights(snapshot_path(out, epoch=2, averaged=True))
    assert {str(v.dtype) for v in stored.values() if v.ndim > 1} == {f"torch.{half}"}
    assert all(v.dtype != getattr(torch, half) for v in stored.values() if v.ndim < 2)
    loaded, exact = load_model(out), load_model(place / name)
    assert {p.dtype for p in loaded.family.generator.parameters()} == {torch.float32}
    gap = sample(loaded, first=0, count=36, seed=0).astype(int)
    gap = np.abs(gap - sample(exact, first=0, count=36, seed=0))
    assert (gap <= 1).mean() > (0.99 if half == "float16" else 0.9)
    packed = read_manifest(out).facts["packed"]
    assert packed["storage"] == half
    assert packed["rounding"]["within_one_share"] == pytest.approx((gap <= 1).mean())
    assert packed["rounding"]["largest"] == gap.max()
    assert f"stored in {half}" in (out / "model-card.md").read_text()


def test_a_weight_too_large_for_float16_is_refused(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    large = {"0.weight": torch.full((2, 2), 1e6)}
    monkeypatch.setattr(packing, "read_weights", lambda _: large)
    words = ["model", "pack", str(place / "dcgan"), "--out", str(tmp_path / "out")]
    assert main([*words, "--half", "float16"]) == 2
    assert "float16 cannot hold; take --half bfloat16" in capsys.readouterr().err


def test_tampered_weights_are_refused(
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(models, tmp_path / "package")
    monkeypatch.setattr(shipped, "MODELS", tmp_path / "package")
    path = snapshot_path(tmp_path / "package" / "hc18-dcgan", epoch=1, averaged=True)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert main(["generate", "hc18-dcgan", "--n", "1", "--out", "made"]) == 2
    assert "was changed after it was written" in capsys.readouterr().err
    assert not Path("made").exists()


def test_using_a_shipped_model_writes_nothing_beside_it(models: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in models.rglob("*")}
    changed = [path for path in models.rglob("*") if path.is_dir()]
    for path in (*changed, models):
        path.chmod(0o555)
    try:
        assert main(["generate", "hc18-flow", "--n", "2", "--out", "made"]) == 0
    finally:
        for path in (*changed, models):
            path.chmod(0o755)
    assert {path: path.stat().st_mtime_ns for path in models.rglob("*")} == before


def test_a_folder_of_the_same_name_wins_and_it_is_said(
    models: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["generate", "hc18-dcgan", "--n", "1", "--out"]
    assert main([*words, "shipped"]) == 0
    assert "note: hc18-dcgan is the shipped model: 0." in capsys.readouterr().err
    shutil.copytree(place / "dcgan", "hc18-dcgan")
    assert main([*words, "own"]) == 0
    assert "the folder here, not the shipped model" in capsys.readouterr().err
    ours, theirs = (read_manifest(Path(name)).inputs[0].digest for name in ("own", "shipped"))
    assert ours == read_manifest(place / "dcgan").content != theirs
    assert resolve_model("hc18-dcgan") == Path("hc18-dcgan")
    assert resolve_model("hc18-flow") == models / "hc18-flow"


def test_unknown_names_are_met_with_those_that_there_are(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("mine")
    for word, messages in {
        "hc18-dcgn": ["no shipped model has that name", "did you mean hc18-dcgan?", "hc18-flow;"],
        "somebody": ["shipped are hc18-dcgan, hc18-flow"],
        "runs/mine": ["runs/mine: it does not exist; check the path"],
        "file": ["file: no fetalsynth.json in it"],
    }.items():
        assert main(["generate", word, "--n", "1", "--out", "made"]) == 2
        said = capsys.readouterr().err.strip()
        assert len(said.splitlines()) == 1
        assert all(message in said for message in messages), said
    monkeypatch.setattr(shipped, "MODELS", models / "nothing")
    assert main(["generate", "hc18-dcgan", "--n", "1", "--out", "made"]) == 2
    assert "none ships with this version" in capsys.readouterr().err


def test_a_packed_model_has_averaged_weights_only(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "hc18-dcgan", "--n", "1", "--out", "x", "--weights", "raw"]) == 2
    assert "averaged weights only; leave --weights raw out" in capsys.readouterr().err


def test_help_doctor_and_list_tell_what_ships(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    line = "hc18-dcgan  0.3 MB, 32 × 32 grey images by a DCGAN, trained on HC18 (CC BY 4.0)"
    for words in (["model", "list"], ["doctor"], ["generate", "--help"]):
        with suppress(SystemExit):
            assert main(words) == 0
        said = capsys.readouterr().out
        assert line in said
        assert "16 × 16 grey images by flow matching" in said
    assert list(shipped_models()) == ["hc18-dcgan", "hc18-flow"]


@pytest.mark.usefixtures("no_models")
def test_without_shipped_models_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert shipped_models() == {}
    for words in (["model", "list"], ["doctor"]):
        assert main(words) == 0
        assert "none with this version" in capsys.readouterr().out


def test_quickstart_begins_with_the_quickest_shipped_model(
    models: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *rest = commands(Quickstart(seed=7))
    out = ["--n", "16", "--out", "quickstart/shipped", "--seed", "7"]
    assert first == ["generate", "hc18-flow", *out]
    assert [command[0] for command in rest] == ["data", "train", "generate", "assess"]
    assert main(first) == 0
    assert "quickstart/shipped/preview.png" in capsys.readouterr().out
    assert Path("quickstart/shipped/preview.png").is_file()
    shutil.copytree(place / "dcgan", "hc18-flow")
    assert commands(Quickstart(seed=7))[0] == ["generate", str(models / "hc18-flow"), *out]


@pytest.mark.usefixtures("no_models")
def test_quickstart_needs_no_shipped_model() -> None:
    assert [c[0] for c in commands(Quickstart())] == ["data", "train", "generate", "assess"]


def test_too_large_a_model_is_refused_and_leaves_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["model", "pack", str(place / "dcgan"), "--out", str(out)]
    weights = snapshot_path(place / "dcgan", epoch=2, averaged=True).stat().st_size
    for limit in (weights // 3, weights + 10):  # the weights alone, and only with the rest
        monkeypatch.setattr(packing, "LARGEST_BYTES", limit)
        assert main(words) == 2
        said = capsys.readouterr().err
        assert "MB packed, and a shipped model may take" in said
        assert "--half float16" in said
        assert not out.exists()
        assert not partial_path(out).exists()


def test_what_cannot_be_packed_is_explained(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    without = images(tmp_path / "without", size=32, licences=False)
    small = {"generator": FAMILIES["dcgan"], "epochs": 1, "snapshots": []}
    unknown = train(tmp_path, without, "unknown", **small)
    raw = train(tmp_path, place / "dcgan-data", "raw", **small, average_half_life_images=0)
    sliced = shutil.copytree(place / "dcgan", tmp_path / "sliced")
    text = (sliced / "fetalsynth.json").read_text()
    (sliced / "fetalsynth.json").write_text(text.replace('"recipe": {', '"recipe": {"planes": [],'))
    capsys.readouterr()
    for model, more, message in (
        (unknown, [], "its data came without a licence line"),
        (raw, [], "trained without a moving average"),
        (sliced, [], "is no model of images"),
        (place / "models" / "hc18-dcgan", [], "is packed already"),
        (place / "dcgan-data", [], "holds images, but model are needed"),
        (place / "dcgan", ["--epoch", "9"], "there are 1, 2"),
        (place / "dcgan", ["--despite-copying", "so"], "give --assessment SCORES"),
    ):
        assert main(["model", "pack", str(model), "--out", str(tmp_path / "out"), *more]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert len(said.splitlines()) == 1
    inside = str(place / "dcgan" / "packed")
    assert main(["model", "pack", str(place / "dcgan"), "--out", inside]) == 2
    assert "lies inside the model" in capsys.readouterr().err


def scores(out: Path, synthetic: Path, *, copying: bool = False) -> Path:
    """An assessment of ``synthetic``, as ``fetalsynth assess`` leaves it."""
    found = Scores(
        metrics={
            "KID-LBP": Metric(
                value=0.0213,
                ci95=(0.0181, 0.0245),
                direction="lower",
                n_real=100,
                n_synthetic=100,
                settings={"floor_interval": [0.0, 0.002]},
                floor=0.001,
            )
        },
        inputs={
            "real": {"count": 196, "splits": ["test"]},
            "synthetic": {"count": 4},
            "train": {"count": 803},
        },
        alarms=(Alarm(name="copying", reason="2 synthetic images are training images"),)
        if copying
        else (),
        unjudged={"shift": f"needs the images in {HOME}/hc18"},
    )
    manifest = draft(
        kind="scores",
        configuration={},
        inputs=(input_from(synthetic, role="synthetic"),),
        synthetic=False,
    )
    with building(out, manifest) as folder:
        write_scores(folder, found)
    return out


@pytest.fixture
def made(place: Path, tmp_path: Path) -> Path:
    out = tmp_path / "made"
    assert main(["generate", str(place / "dcgan"), "--n", "4", "--out", str(out)]) == 0
    return out


def test_an_assessment_goes_into_card_and_record(place: Path, made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["model", "pack", str(place / "dcgan"), "--out", str(out)]
    assessed = scores(tmp_path / "scores", made)
    assert main([*words, "--assessment", str(assessed)]) == 0
    card = (out / "model-card.md").read_text()
    row = "| Texture | Look closer | KID-LBP | 0.0213 | 0.0181 to 0.0245 | 0.00100 |"
    assert row in card
    assert (
        "4 images by the weights before they were packed (epoch 2, seed 0) against 196 held-out"
        in card
    )
    assert "Copying screen: no alarm." in card
    assert "Jane" not in card
    facts = read_manifest(out).facts["assessment"]
    assert facts["metrics"]["KID-LBP"]["ci95"] == [0.0181, 0.0245]
    assert facts["alarms"] == {}
    assert facts["scores"] == read_manifest(assessed).content
    assert [item.role for item in read_manifest(out).inputs] == ["data", "assessment"]
    again = tmp_path / "again"
    assert main(["generate", str(out), "--n", "4", "--out", str(again)]) == 0
    words = ["model", "pack", str(place / "dcgan"), "--out", str(tmp_path / "second")]
    assert main([*words, "--assessment", str(scores(tmp_path / "scores2", again))]) == 0
    assert "4 images by these very weights" in (tmp_path / "second" / "model-card.md").read_text()


def test_a_flow_keeps_the_sampling_that_it_was_assessed_with(place: Path, tmp_path: Path) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    words = ["generate", str(place / "flow"), "--n", "4", "--sampler", "multistep", "--steps", "5"]
    assert main([*words, "--out", str(made)]) == 0
    words = ["model", "pack", str(place / "flow"), "--out", str(out)]
    assert main([*words, "--assessment", str(scores(tmp_path / "scores", made))]) == 0
    generator = read_manifest(out).configuration["recipe"]["generator"]
    assert (generator["sampler"], generator["steps"], generator["guidance"]) == ("multistep", 5, 1)
    assert "noise in 5 steps, sampler multistep" in (out / "model-card.md").read_text()
    again = tmp_path / "again"
    assert main(["generate", str(out), "--n", "4", "--out", str(again)]) == 0
    assert "computed in" not in (out / "model-card.md").read_text()
    for path in (made / "images").iterdir():
        assert path.read_bytes() == (again / "images" / path.name).read_bytes()


def test_what_a_flow_was_assessed_with_is_told_or_refused(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, more in {"half": ["--precision", "bfloat16"], "many": ["--steps", "1001"]}.items():
        words = ["generate", str(place / "flow"), "--n", "1", "--sampler", "euler", *more]
        assert main([*words, "--out", str(tmp_path / name)]) == 0
    words = ["model", "pack", str(place / "flow"), "--assessment"]
    half = scores(tmp_path / "half-scores", tmp_path / "half")
    assert main([*words, str(half), "--out", str(tmp_path / "out")]) == 0
    assert "computed in bfloat16)" in (tmp_path / "out" / "model-card.md").read_text()
    many = scores(tmp_path / "many-scores", tmp_path / "many")
    capsys.readouterr()
    assert main([*words, str(many), "--out", str(tmp_path / "never")]) == 2
    assert "cannot become the model's own" in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


def test_a_copying_model_ships_only_with_a_reason(
    place: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, assessed = tmp_path / "out", scores(tmp_path / "scores", made, copying=True)
    words = ["model", "pack", str(place / "dcgan"), "--out", str(out)]
    words += ["--assessment", str(assessed)]
    for more in ([], ["--despite-copying", " "]):
        assert main([*words, *more]) == 2
        assert "raised the copying alarm (2 synthetic images" in capsys.readouterr().err
        assert not out.exists()
    assert main([*words, "--despite-copying", "Phantoms have no privacy."]) == 0
    card = (out / "model-card.md").read_text()
    assert "**Copying screen: alarm.** Packed all the same because: Phantoms have no" in card
    assert "- alarm copying: 2 synthetic images are training images" in card
    assert read_manifest(out).facts["packed"]["despite_copying"] == "Phantoms have no privacy."


def test_an_assessment_of_other_images_is_refused(
    place: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plain").mkdir()
    shutil.copy(made / "images" / "synthetic-000000.png", tmp_path / "plain")
    unknown = tmp_path / "unknown"
    with building(unknown, draft(kind="scores", configuration={}, synthetic=False)) as folder:
        write_scores(folder, Scores(metrics={}, inputs={}))
    assessed = scores(tmp_path / "scores", made)
    for model, more, folder, message in (
        ("dcgan", [], unknown, "do not say which model made them"),
        ("flow", [], assessed, "made by another model (dcgan)"),
        ("dcgan", ["--epoch", "1"], assessed, "after epoch 2, and the averaged ones after epoch 1"),
        ("dcgan", ["--despite-copying", "so"], assessed, "raised no copying alarm; leave it out"),
    ):
        words = ["model", "pack", str(place / model), "--out", str(tmp_path / "out"), *more]
        assert main([*words, "--assessment", str(folder)]) == 2
        assert message in capsys.readouterr().err


def test_the_wheel_and_the_repository_take_the_models_along() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel = hatch["targets"]["wheel"]
    assert wheel["packages"] == ["src/fetalsynth"]
    assert not {"exclude", "include", "only-include"} & {*wheel, *hatch}
    assert (ROOT / "src/fetalsynth").resolve() in shipped.MODELS.resolve().parents
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no checkout to ask git about")
    for file in ("fetalsynth.json", "SHA256SUMS", "stats.jsonl", "snapshots/a.safetensors"):
        path = f"src/fetalsynth/models/hc18-flow64/{file}"
        ignored = subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False)
        assert ignored.returncode == 1, path
        words = ["git", "check-attr", "text", "--", path]
        told = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
        assert told.stdout.strip().endswith("text: unset"), path


def test_every_model_in_the_package_is_fit_to_ship() -> None:
    assert {"hc18-flow64", "hc18-flow128"} <= shipped_models().keys()
    for name, folder in shipped_models().items():
        manifest = read_manifest(folder, kind="model")
        verify_sums(folder, content=manifest.content)
        assert shipped.folder_bytes(folder) <= shipped.LARGEST_BYTES, name
        assert manifest.licences, name
        assert all(
            item.licence in (folder / "model-card.md").read_text() for item in manifest.licences
        )
        assert manifest == without_places(manifest), name
        assert read_statistics(folder / "stats.jsonl")
        assert load_model(folder).weights == "averaged"
        assessment = manifest.facts["assessment"]
        assert "copying" not in {*assessment["alarms"], *assessment["unjudged"]}, name
        assert {"copy-share", "nearest-distance"} <= assessment["metrics"].keys(), name
        assert "**Copying screen: no alarm." in (folder / "model-card.md").read_text(), name
        assert (folder / TYPICAL_HEADS).is_file() == shows_heads(load_model(folder).settings)
        assert len(list((folder / "snapshots").iterdir())) == 1
