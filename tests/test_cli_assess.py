"""``fetalsynth assess`` from folders to report: roles, files, repetition, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import Input, Manifest, draft, input_from, read_manifest
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.assessment.metrics.lbp import lbp_codes, lbp_counts
from fetalsynth.cli.assess import run
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError


def textures(n: int, seed: int, *, side: int = 24) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layout = gaussian_filter(rng.standard_normal((n, side, side)), (0, 4, 4))
    speckle = rng.standard_normal((n, side, side))
    values = 128 + 40 * layout / layout.std() + 12 * speckle
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def artifact(
    folder: Path, images: np.ndarray, *, splits: list[str], manifest: Manifest | None = None
) -> Path:
    configuration = {"name": folder.name}
    made = manifest or draft(kind="images", configuration=configuration, synthetic=False)
    with building(folder, made) as partial:
        writer = ImagesWriter(partial)
        for number, (image, split) in enumerate(zip(images, splits, strict=True)):
            writer.add(image, name=f"{number:04d}", subject=f"s{number}", split=split)
        writer.close()
    return folder


def real_artifact(folder: Path) -> Path:
    return artifact(folder, textures(150, 1), splits=["train"] * 90 + ["test"] * 60)


def generated(
    folder: Path,
    images: np.ndarray,
    *,
    data: Path,
    split: str = "train",
    subset: int | None = None,
) -> Path:
    """Images with the record of a model that was trained on ``data``."""
    model = folder.with_name(folder.name + "-model")
    recipe = {"recipe": {"name": "dcgan64", "split": split, "images": subset}}
    source = input_from(data, role="data")
    with building(
        model, draft(kind="model", configuration=recipe, synthetic=True, inputs=(source,))
    ) as partial:
        (partial / "weights").write_text("w")
    inputs = (input_from(model, role="model"),)
    manifest = draft(kind="images", configuration={}, synthetic=True, inputs=inputs)
    return artifact(folder, images, splits=[""] * len(images), manifest=manifest)


def plain(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
    return folder


def command(real: Path, synthetic: Path, out: Path, *more: str) -> list[str]:
    return ["--real", str(real), "--synthetic", str(synthetic), "--out", str(out), *more]


def test_artifacts_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = real_artifact(tmp_path / "real")
    planted = textures(70, 2)
    planted[3] = textures(150, 1)[40]
    synthetic = generated(tmp_path / "synthetic", planted, data=real)
    out = tmp_path / "scores"
    assert run(command(real, synthetic, out)) == 0
    scores = read_scores(out)
    assert {role: read["count"] for role, read in scores.inputs.items()} == {
        "real": 60,
        "synthetic": 70,
        "train": 90,
    }
    assert "record" in scores.inputs["train"]["note"]
    assert [alarm.name for alarm in scores.alarms] == ["copying"]
    assert set(scores.unjudged) == {"shift"}
    manifest = read_manifest(out, kind="scores")
    assert [item.role for item in manifest.inputs] == ["real", "synthetic", "train"]
    assert not manifest.synthetic
    for file in (*scores.pictures.values(), "report.html", "metrics.csv", "lbp_vector.csv"):
        assert (out / file).is_file(), file
    assert len(scores.closest_pairs) == 12
    first = scores.closest_pairs[0]
    ours, theirs = (
        np.asarray(Image.open(out / path)) for path in (first.picture_synthetic, first.picture_real)
    )
    assert np.array_equal(ours, theirs)
    said = capsys.readouterr().out
    assert "alarm copying" in said
    assert "not judged shift" in said
    assert str(out / "report.html") in said


def test_the_same_command_again_does_nothing_and_another_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, synthetic = (
        plain(tmp_path / "real", textures(20, 3)),
        plain(tmp_path / "synthetic", textures(20, 4)),
    )
    out = tmp_path / "scores"
    run(command(real, synthetic, out))
    before = (out / "scores.json").read_bytes()
    changed = (out / "scores.json").stat().st_mtime_ns
    run(command(real, synthetic, out))
    assert "already done" in capsys.readouterr().out
    assert (out / "scores.json").stat().st_mtime_ns == changed
    with pytest.raises(UserError, match="other settings"):
        run(command(real, synthetic, out, "--seed", "1"))
    run(command(real, synthetic, tmp_path / "again"))
    assert (tmp_path / "again" / "scores.json").read_bytes() == before


def test_tables_agree_with_the_images(tmp_path: Path) -> None:
    images = textures(30, 5), textures(40, 6)
    real, synthetic = plain(tmp_path / "r", images[0]), plain(tmp_path / "s", images[1])
    run(command(real, synthetic, tmp_path / "out"))
    with (tmp_path / "out" / "lbp_vector.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["code"]) for row in rows] == list(range(256))
    means = [lbp_counts(codes=lbp_codes(images=x)).mean(0) for x in images]
    assert np.allclose([float(row["reference"]) for row in rows], means[0])
    assert np.allclose([float(row["synthetic"]) for row in rows], means[1])
    assert np.allclose([float(row["difference"]) for row in rows], means[0] - means[1])
    scored = [float(row["z"]) for row in rows if row["z"]]
    assert 0.5 < np.std(scored) < 1.5
    scores = read_scores(tmp_path / "out")
    with (tmp_path / "out" / "metrics.csv").open() as stream:
        table = {row["metric"]: row for row in csv.DictReader(stream)}
    assert set(table) == set(scores.metrics)
    for name, metric in scores.metrics.items():
        assert float(table[name]["value"]) == metric.value
        assert (table[name]["p_value"] == "") == (metric.p_value is None)
    assert scores.metrics["LBPv-V8"].value == pytest.approx(float(rows[8]["difference"]))
    sheet = np.asarray(Image.open(tmp_path / "out" / "samples_real.png"))
    assert sheet.shape == (5 * 26 - 2, 6 * 26 - 2)


def test_trained_on_everything_means_that_nothing_is_held_out(tmp_path: Path) -> None:
    real = real_artifact(tmp_path / "real")
    synthetic = generated(tmp_path / "synthetic", textures(60, 7), data=real, split="all")
    run(command(real, synthetic, tmp_path / "out"))
    scores = read_scores(tmp_path / "out")
    assert "train" not in scores.inputs
    assert "nothing is held out" in scores.unjudged["copying"]
    assert "nothing is held out" in scores.inputs["real"]["note"]


def test_training_images_elsewhere_are_found_or_missed_aloud(tmp_path: Path) -> None:
    data = artifact(tmp_path / "data", textures(40, 8), splits=[""] * 40)
    synthetic = generated(tmp_path / "synthetic", textures(60, 9), data=data, subset=30)
    real = plain(tmp_path / "real", textures(60, 10))
    run(command(real, synthetic, tmp_path / "found"))
    found = read_scores(tmp_path / "found").inputs["train"]
    assert (found["path"], found["count"]) == (str(data), 40)
    assert "saw 30 of them" in found["note"]
    data.rename(tmp_path / "moved")
    run(command(real, synthetic, tmp_path / "missed"))
    scores = read_scores(tmp_path / "missed")
    assert "train" not in scores.inputs
    assert "--train" in scores.inputs["synthetic"]["note"]
    run(command(real, synthetic, tmp_path / "told", "--train", str(tmp_path / "moved")))
    assert read_scores(tmp_path / "told").inputs["train"]["count"] == 40


def test_unknown_origin_uses_the_other_rows_and_says_so(tmp_path: Path) -> None:
    real = real_artifact(tmp_path / "real")
    synthetic = plain(tmp_path / "synthetic", textures(60, 11))
    (synthetic / "training-stats.jsonl").write_text('{"images_seen": 1}\n')
    run(command(real, synthetic, tmp_path / "out"))
    scores = read_scores(tmp_path / "out")
    assert scores.inputs["train"]["count"] == 90
    assert "not recorded" in scores.inputs["train"]["note"]
    copied = (tmp_path / "out" / "training-stats.jsonl").read_text()
    assert copied == '{"images_seen": 1}\n'


def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = plain(tmp_path / "real", textures(20, 12))
    small = plain(tmp_path / "small", textures(20, 13, side=16))
    out = tmp_path / "out"
    for arguments, words in (
        (command(real, small, out), "--size 24"),
        (command(real, tmp_path / "absent", out), "absent"),
        (command(real, real, out, "--inception-weights", str(tmp_path / "w.npz")), "w.npz"),
        (command(real, real, out, "--window", "5", "5"), "--window"),
    ):
        assert main(["assess", *arguments]) == 2
        said = capsys.readouterr().err.splitlines()
        errors = [line for line in said if "error" in line]
        assert len(errors) == 1
        assert words in errors[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["real", "small"]


@pytest.mark.slow
def test_inception_judges_shift(tmp_path: Path, inception_weights: Path) -> None:
    real = plain(tmp_path / "real", textures(50, 14))
    same = plain(tmp_path / "same", textures(50, 15))
    stripes = np.broadcast_to(np.indices((24, 24))[0] % 6 < 3, (50, 24, 24))
    striped = np.clip(textures(50, 16) + 60.0 * stripes, 0, 255).astype(np.uint8)
    other = plain(tmp_path / "other", striped)
    weights = ("--inception-weights", str(inception_weights))
    run(command(real, same, tmp_path / "quiet", *weights))
    run(command(real, other, tmp_path / "loud", *weights))
    quiet, loud = (read_scores(tmp_path / name) for name in ("quiet", "loud"))
    assert not quiet.alarms
    assert "shift" in {alarm.name for alarm in loud.alarms}
    assert "shift" not in loud.unjudged
    settings = loud.metrics["FD-Inception768"].settings
    assert len(settings["weights_sha256"]) == 64
    assert settings["resizing"] == "clean"
    assert not any(name.startswith("FID") for name in loud.metrics)
    recorded = json.loads((tmp_path / "loud" / "fetalsynth.json").read_text())
    assert recorded["inputs"][-1]["role"] == "inception-weights"


def test_two_imports_of_one_source_do_not_pass_training_subjects_off_as_held_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Input(role="source", path="hc18", digest="the same bytes")

    def imported(name: str, splits: list[str], *, seed: int) -> Path:
        made = draft(
            kind="images",
            configuration={"name": name},
            synthetic=False,
            inputs=(source,),
        )
        return artifact(tmp_path / name, textures(80, seed), splits=splits, manifest=made)

    first = imported("first", ["train"] * 60 + ["test"] * 20, seed=1)
    second = imported("second", ["test"] * 30 + ["train"] * 50, seed=2)
    made = generated(tmp_path / "made", textures(60, 3), data=first)
    words = ["assess", "--real", str(second), "--synthetic", str(made)]
    assert main([*words, "--out", str(tmp_path / "scores")]) == 2
    said = capsys.readouterr().err
    assert "30 of its 30 subjects, such as s0, are training subjects" in said
    assert not (tmp_path / "scores").exists()
