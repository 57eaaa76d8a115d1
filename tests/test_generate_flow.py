"""Flow models from the command line: heads asked for, sampling told, resumed bit by bit."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import numpy as np
import pytest

from fetalsynth.anatomy.ellipse import ellipse_circumference, ellipse_from_columns, scale_ellipse
from fetalsynth.artifacts.images import read_table
from fetalsynth.artifacts.manifest import read_manifest
from fetalsynth.artifacts.model import CARD
from fetalsynth.cli.main import main
from fetalsynth.datasets.loading import load_images
from fetalsynth.datasets.typical_heads import TYPICAL_HEADS
from fetalsynth.synthesis import images as synthesis

GENERATOR = {"family": "flow", "size": 32, "widths": [16, 32], "steps": 3, "image_mean": -0.5}
RECIPE = {"epochs": 2, "batch_size": 8, "augmentation": {"shift": 0.05, "share": 0.5}}


def trained(folder: Path, data: Path, name: str, **generator: object) -> Path:
    recipe = {"name": name, "generator": {**GENERATOR, **generator}, **RECIPE}
    (folder / f"{name}.yaml").write_text(json.dumps(recipe))
    words = ["train", str(folder / f"{name}.yaml"), "--data", str(data), "--threads", "1"]
    assert main([*words, "--out", str(folder / name)]) == 0
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    phantoms = ["data", "phantom", "ultrasound", "--n", "20", "--size", "32"]
    assert main([*phantoms, "--out", str(folder / "data")]) == 0
    heads = ["anatomy", "ellipses", "--n", "20", "--size", "64", "--seed", "7"]
    assert main([*heads, "--out", str(folder / "asked")]) == 0
    return folder


@pytest.fixture(scope="module")
def with_heads(place: Path) -> Path:
    return trained(place, place / "data", "heads", condition="head", labels=3)


@pytest.fixture(scope="module")
def plain(place: Path) -> Path:
    return trained(place, place / "data", "plain")


def test_images_show_the_heads_that_were_asked_for(place: Path, with_heads: Path) -> None:
    out = place / "made"
    words = ["generate", str(with_heads), "--heads", str(place / "asked"), "--out", str(out)]
    assert main([*words, "--n", "18"]) == 0
    asked, made = read_table(place / "asked"), read_table(out)
    assert len(made) == 18
    for wanted, row in zip(asked[:18], made, strict=True):
        assert row.extra["head"] == wanted.file
        assert row.gestational_age_weeks == wanted.gestational_age_weeks
        assert row.pixel_spacing_x_mm == pytest.approx(2 * (wanted.pixel_spacing_x_mm or 0))
        ellipse = ellipse_from_columns(row.extra)
        assert ellipse is not None
        in_mm = scale_ellipse(ellipse, x=row.pixel_spacing_x_mm or 0, y=row.pixel_spacing_y_mm or 0)
        circumference = float(wanted.extra["head_circumference_mm"])
        assert ellipse_circumference(in_mm) == pytest.approx(circumference, rel=1e-4)
    roles = {item.role for item in read_manifest(out, kind="images").inputs}
    assert roles == {"model", "heads"}
    again = place / "fewer"
    assert main([*words[:-1], str(again), "--n", "3"]) == 0
    for path in (again / "images").iterdir():
        assert path.read_bytes() == (out / "images" / path.name).read_bytes()


def test_another_head_is_another_image_and_no_head_is_no_error(
    place: Path, with_heads: Path
) -> None:
    made = {}
    for name, more in {
        "drawn": ["--n", "4"],
        "none": ["--n", "4", "--without-heads"],
        "asked": ["--heads", str(place / "asked")],
    }.items():
        out = place / f"head-{name}"
        assert main(["generate", str(with_heads), "--out", str(out), *more]) == 0
        made[name] = load_images(out, role="made").pixels[:4].tobytes()
    assert len(set(made.values())) == 3
    assert ellipse_from_columns(read_table(place / "head-none")[0].extra) is None


def test_sampling_is_as_told_and_recorded(place: Path, plain: Path) -> None:
    made = {}
    for steps, sampler in ((3, "heun"), (6, "heun"), (6, "euler")):
        out = place / f"{sampler}-{steps}"
        words = ["generate", str(plain), "--n", "2", "--steps", str(steps), "--out", str(out)]
        assert main([*words, "--sampler", sampler]) == 0
        told = read_manifest(out, kind="images").configuration["sampling"]
        assert told == {"sampler": sampler, "steps": steps, "guidance": 1.0}
        made[out.name] = load_images(out, role="made").pixels
    assert len({pixels.tobytes() for pixels in made.values()}) == 3
    assert main(["generate", str(plain), "--n", "2", "--out", str(place / "own")]) == 0
    own = load_images(place / "own", role="made").pixels
    assert np.array_equal(own, made["heun-3"])


def test_bfloat16_images_are_the_same_to_the_eye_and_say_so(place: Path, with_heads: Path) -> None:
    made = {}
    for precision in ("float32", "bfloat16"):
        out = place / precision
        words = ["generate", str(with_heads), "--n", "4", "--precision", precision]
        assert main([*words, "--out", str(out)]) == 0
        made[precision] = load_images(out, role="made").pixels.astype(float)
    gap = np.abs(made["float32"] - made["bfloat16"])
    assert 0 < gap.mean() < 1
    assert read_manifest(place / "bfloat16").configuration["precision"] == "bfloat16"
    assert "precision" not in read_manifest(place / "float32").configuration


def test_a_model_of_heads_says_how_many_it_keeps_to_draw_from(
    tmp_path: Path, with_heads: Path
) -> None:
    phantoms = ["data", "phantom", "ultrasound", "--n", "30", "--size", "32"]
    assert main([*phantoms, "--out", str(tmp_path / "data")]) == 0
    model = trained(tmp_path, tmp_path / "data", "more", condition="head", labels=3)
    kept = len((model / TYPICAL_HEADS).read_text().splitlines()) - 1
    assert kept == read_manifest(model).facts["typical_heads"] > 0
    assert f"- heads.csv: {kept} heads drawn" in (model / CARD).read_text()
    assert read_manifest(with_heads).facts["typical_heads"] == 0
    assert "heads.csv" not in (with_heads / CARD).read_text()


def test_the_card_says_how_images_are_made_and_the_facts_what_training_held(plain: Path) -> None:
    card = (plain / CARD).read_text()
    assert "- images come from noise in 3 steps, sampler heun\n" in card
    mib = read_manifest(plain).facts["peak_memory_mib"]
    assert 100 < mib <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_fewer_images_than_one_are_refused(plain: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        synthesis.sample(synthesis.load_model(plain), first=0, count=0, seed=0)


def test_images_of_an_interrupted_call_are_kept_with_their_heads(
    place: Path, with_heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = ["anatomy", "ellipses", "--n", "70", "--size", "64", "--out", str(tmp_path / "asked")]
    assert main(many) == 0
    words = ["generate", str(with_heads), "--heads", str(tmp_path / "asked"), "--steps", "1"]
    assert main([*words, "--out", str(tmp_path / "whole")]) == 0
    original, made = synthesis._chunk, list[int]()

    def chunk(model: object, *, number: int, seed: int, wanted: object) -> np.ndarray:
        made.append(number)
        if made == [0, 1, 2, 3, 4]:
            raise KeyboardInterrupt
        return original(model, number=number, seed=seed, wanted=wanted)  # type: ignore[arg-type]

    monkeypatch.setattr(synthesis, "_chunk", chunk)
    assert main([*words, "--out", str(tmp_path / "parts")]) == 130
    assert main([*words, "--out", str(tmp_path / "parts")]) == 0
    assert 3 not in made[5:]
    assert read_manifest(tmp_path / "parts").content == read_manifest(tmp_path / "whole").content


@pytest.mark.parametrize(
    ("model", "more", "words"),
    [
        ("plain", ["--heads", "asked"], "was trained without heads"),
        ("plain", ["--n", "1", "--guidance", "2"], "--guidance: follows the head"),
        ("plain", ["--n", "1", "--steps", "0"], "--steps 0: must be 1 or more"),
        ("with_heads", ["--heads", "asked", "--n", "21"], "has 20 heads"),
        ("with_heads", ["--heads", "made-of-nothing"], "made-of-nothing"),
        ("with_heads", [], "say how many images"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    place: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    *,
    model: str,
    more: list[str],
    words: str,
) -> None:
    folder = request.getfixturevalue(model)
    told = [str(place / word) if word in ("asked", "made-of-nothing") else word for word in more]
    assert main(["generate", str(folder), "--out", str(place / "never"), *told]) == 2
    said = capsys.readouterr().err.strip()
    assert words in said
    assert len(said.splitlines()) == 1
    assert not (place / "never").exists()


def test_data_without_outlines_cannot_teach_heads(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain_folder = tmp_path / "plain"
    plain_folder.mkdir()
    for path in (place / "data" / "images").iterdir():
        (plain_folder / path.name).write_bytes(path.read_bytes())
    generator = {**GENERATOR, "condition": "head", "labels": 3}
    recipe = {"name": "heads", "generator": generator, **RECIPE}
    (tmp_path / "heads.yaml").write_text(json.dumps(recipe))
    words = ["train", str(tmp_path / "heads.yaml"), "--data", str(plain_folder)]
    assert main([*words, "--out", str(tmp_path / "model")]) == 2
    assert "has no head ellipse" in capsys.readouterr().err
