"""The command line: help at once, one-line errors with exit code 2, done / resume / refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from fetalsynth.artifacts.building import partial_path
from fetalsynth.cli.main import VERBS, main
from fetalsynth.errors import UserError
from fetalsynth.training.recipe import load_recipe, parse_recipe

RECIPE = {
    "name": "tiny",
    "generator": {"family": "dcgan", "size": 32, "generator_width": 4, "discriminator_width": 4},
    "epochs": 1,
    "batch_size": 8,
}


def write_images(folder: Path, *, count: int = 16, size: int = 32) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(count):
        Image.fromarray(rng.integers(0, 256, (size, size), np.uint8)).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(RECIPE))
    return path


def train(recipe: Path | str, data: Path, out: Path, *more: str) -> int:
    words = ["train", str(recipe), "--data", str(data), "--out", str(out), "--threads", "1"]
    return main([*words, *more])


def test_top_level_help_names_every_verb_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from fetalsynth.cli.main import main; main(['--help']);"
        "heavy = {'torch', 'numpy', 'scipy', 'pydantic', 'tyro', 'rich', 'matplotlib', 'PIL'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(verb in done.stdout for verb in VERBS)
    assert "Not for clinical use" in done.stdout


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help_without_loading_torch(verb: str) -> None:
    code = (
        "import sys; from fetalsynth.cli.main import main\n"
        f"try:\n    main([{verb!r}, '--help'])\n"
        "except SystemExit as stop:\n    assert not stop.code\n"
        "assert 'torch' not in sys.modules and 'scipy.stats' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_unknown_verb_and_setting_suggest_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generat"]) == 2
    assert "did you mean 'generate'" in capsys.readouterr().err
    assert train("dcgan46", tmp_path, tmp_path / "out") == 2
    assert "did you mean dcgan64" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        train("dcgan64", tmp_path, tmp_path / "out", "--epoch", "3")
    assert stop.value.code == 2
    assert "--epochs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "epoch is no setting (did you mean epochs?)"),
        ({"epochs": 0}, "epochs: Input should be greater than or equal to 1"),
        ({"batch_size": "many"}, "batch_size"),
        ({"generator": {"family": "dcgan", "size": 48}}, "power of two"),
        ({"generator": {"family": "dcgan", "sise": 64}}, "did you mean size?"),
        ({"snapshots": [0]}, "snapshots are epochs from 1 on"),
    ],
)
def test_faulty_recipes_are_explained(change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_recipe({**RECIPE, **change}, where="mine.yaml")
    assert message in str(error.value)
    assert "mine.yaml" in str(error.value)


def test_recipe_file_that_is_no_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: [unclosed")
    with pytest.raises(UserError, match=r"mine\.yaml: not valid YAML"):
        load_recipe(str(path))
    path.write_text("just words")
    with pytest.raises(UserError, match="a recipe is a mapping"):
        load_recipe(str(path))


def test_resolved_recipe_is_saved_with_the_model_and_overrides_count(
    recipe: Path, tmp_path: Path
) -> None:
    data = write_images(tmp_path / "data")
    more = ["--epochs", "2", "--generator.beta1", "0.4", "--augmentation.fill", "grey"]
    assert train(recipe, data, tmp_path / "model", *more) == 0
    saved = json.loads((tmp_path / "model" / "fetalsynth.json").read_text())["configuration"]
    again = parse_recipe(saved["recipe"], where="model")
    assert (again.epochs, again.generator.beta1, again.augmentation.fill) == (2, 0.4, "grey")
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(saved["recipe"]))
    assert load_recipe(str(tmp_path / "again.yaml")) == again


def test_what_was_changed_on_the_command_line_is_told_in_the_record(
    recipe: Path, tmp_path: Path
) -> None:
    data = write_images(tmp_path / "data")
    assert (
        train(recipe, data, tmp_path / "model", "--batch-size", "4", "--augmentation.no-flip") == 0
    )
    saved = json.loads((tmp_path / "model" / "fetalsynth.json").read_text())["configuration"]
    told = saved["recipe"]["description"]
    assert told == "Changed here: augmentation.flip False, batch_size 4."
    assert told in (tmp_path / "model" / "model-card.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--generator.size", "48"], "power of two"),
        (["--epochs", "0"], "epochs: Input should be greater than or equal to 1"),
        (["--generator.beta1", "1.5"], "generator.beta1"),
    ],
)
def test_settings_out_of_range_are_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("dcgan64", tmp_path, tmp_path / "out", *words) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert len(said.splitlines()) == 1


def test_same_command_says_done_another_refuses(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = write_images(tmp_path / "data"), tmp_path / "model"
    assert train(recipe, data, out) == 0
    before = (out / "fetalsynth.json").read_bytes()
    capsys.readouterr()
    assert train(recipe, data, out) == 0
    assert "already done" in capsys.readouterr().out
    assert train(recipe, data, out, "--epochs", "2") == 2
    assert "other settings or inputs" in capsys.readouterr().err
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(data / "one-more.png")
    assert train(recipe, data, out) == 2
    assert (out / "fetalsynth.json").read_bytes() == before


def make_bad(kind: str, data: Path) -> str:
    """Spoil the folder ``data`` and return what the error must name."""
    if kind == "text":
        (data / "notes.png").write_text("these are my notes")
    elif kind == "truncated":
        whole = (data / "003.png").read_bytes()
        (data / "003.png").write_bytes(whole[: len(whole) // 2])
    elif kind == "mixed":
        Image.fromarray(np.zeros((48, 32), np.uint8)).save(data / "odd.png")
    elif kind == "nan":
        values = np.full((32, 32), 0.5, np.float32)
        values[3, 4] = np.nan
        Image.fromarray(values).save(data / "float.tif")
    keep = {"empty": 0, "few": 5}.get(kind, 99)
    for path in sorted(data.iterdir())[keep:]:
        path.unlink()
    named = {"text": "notes.png", "truncated": "003.png", "mixed": "odd.png", "nan": "float.tif"}
    return named.get(kind, "fewer than one batch" if kind == "few" else "data")


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "mixed", "nan", "few"])
def test_bad_data_end_in_one_line_with_the_files_name(
    kind: str, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "data")
    named = make_bad(kind, data)
    assert train(recipe, data, tmp_path / "out") == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(error) == 1
    assert named in error[0]
    assert not (tmp_path / "out").exists()


def test_unwritable_output_is_explained(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "data")
    (tmp_path / "file").write_text("mine")
    assert train(recipe, data, tmp_path / "file" / "out") == 2
    assert "a part of the path is a file" in capsys.readouterr().err
    assert train(recipe, data, tmp_path / "file") == 2
    assert (tmp_path / "file").read_text() == "mine"
    assert train(recipe, data, Path("/proc/fetalsynth")) == 2
    assert "/proc/fetalsynth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", "0"], "epochs: Input should be greater"),
        (["--threads", "-1"], "--threads -1"),
        (["--device", "meta"], "use auto, cpu or cuda"),
        (["--tensorboard", "FILE"], "FILE"),
        (["--tensorboard", "OUT/events"], "lies inside --out"),
    ],
)
def test_a_wrong_option_is_named_and_the_corrected_command_runs(
    more: list[str],
    message: str,
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = write_images(tmp_path / "data"), tmp_path / "OUT"
    (tmp_path / "FILE").write_text("mine")
    places = [re.sub("^(FILE|OUT)", rf"{tmp_path}/\1", word) for word in more]
    assert train(recipe, data, out, *places) == 2
    assert message in capsys.readouterr().err
    assert train(recipe, data, out) == 0


def test_the_model_does_not_grow_among_its_images(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "data")
    assert train(recipe, data, data / "model") == 2
    assert "lies inside the folder of images" in capsys.readouterr().err
    assert len(list(data.iterdir())) == 16


def test_quickstart_refuses_at_once_what_its_last_step_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quickstart", "--out", str(tmp_path / "out"), "--n", "0"]) == 2
    assert "--n 0: must be 8 or more" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_training_error_is_one_line_and_keeps_what_was_reached(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_images(tmp_path / "data")
    more = ["--epochs", "20", "--generator.generator-learning-rate", "1e30"]
    assert train(recipe, data, tmp_path / "out", *more, "--precision", "float32") == 2
    assert "infinite or NaN" in capsys.readouterr().err
    assert partial_path(tmp_path / "out").is_dir()
    assert not (tmp_path / "out").exists()


def test_doctor_tells_versions_and_missing_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "torch" in said
    assert "free now" in said
    assert "extra dicom" in said
