"""A small study end to end: what it leaves, and that it resumes to the same."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.contents import SUMS
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.cli.main import main
from fetalsynth.studies.plan import Plan, read_plan

CLOCKS = {"stats.jsonl", "training-stats.jsonl", "model-card.md", "report.html", "scores.json"}
SMALL = {
    "generator.size": 32,
    "generator.generator_width": 8,
    "generator.discriminator_width": 8,
    "batch_size": 8,
    "average_half_life_images": 0,
    "previews": 1,
}
STUDY = {
    "name": "small",
    "modality": "ultrasound",
    "arms": [
        {
            "name": "size",
            "recipe": "dcgan64",
            "settings": SMALL,
            "grid": {"images": [16, 24], "epochs": [1, 3]},
        }
    ],
    "generate": {"n": 16, "weights": "raw"},
    "assess": {"profile": "paper-ultrasound"},
    "analysis": [{"kind": "trend", "factor": "epochs", "metrics": ["LBPv-L1"]}],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 smooth images of 32 pixels, 16 of them held out."""
    folder = tmp_path_factory.mktemp("data") / "images"
    rng = np.random.default_rng(0)
    manifest = draft(kind="images", configuration={}, synthetic=True)
    with building(folder, manifest) as growing:
        writer = ImagesWriter(growing)
        for k in range(40):
            coarse = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            pixels = np.kron(coarse, np.ones((4, 4), np.uint8))
            writer.add(pixels, name=f"{k}", subject=f"{k}", split="test" if k < 16 else "train")
        writer.close()
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipes") / "small.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


@pytest.fixture(scope="module")
def study(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run without interruption."""
    out = tmp_path_factory.mktemp("studies") / "whole"
    assert run(recipe, data, out) == 0
    return out


def run(recipe: Path, data: Path, out: Path, *more: str) -> int:
    command = ["study", "run", str(recipe), "--data", str(data), "--out", str(out)]
    return main([*command, "--device", "cpu", *more])


def digests(study: Path, plan: Plan) -> dict[str, str]:
    """Of every file of every step but those that tell the time or name a file that does."""
    found = {}
    for step in plan.steps:
        for line in (study / step.out / SUMS).read_text().splitlines():
            digest, _, name = line.partition("  ")
            if Path(name).name not in CLOCKS:
                found[f"{step.name}/{name}"] = digest
    return found


def test_a_study_leaves_results_that_are_its_scores(study: Path) -> None:
    plan = read_plan(study)
    rows = list(csv.DictReader((study / "results.csv").open()))
    assert len(plan.cells) == 4
    assert {(row["images"], row["epochs"]) for row in rows} == {
        (images, epochs) for images in ("16", "24") for epochs in ("1", "3")
    }
    for cell in plan.cells:
        scores = read_scores(study / "runs" / cell.assess)
        own = {row["metric"]: row for row in rows if row["step"] == cell.assess}
        for name, metric in scores.metrics.items():
            assert float(own[name]["value"]) == metric.value
            assert int(own[name]["n_synthetic"]) == metric.n_synthetic
        assert {f"LBPv-V{code}" for code in range(256)} <= set(own)
        made = read_manifest(study / "runs" / cell.generate)
        assert made.configuration["epoch"] == cell.factors["epochs"]
    assert json.loads((study / "analysis.json").read_text())
    assert read_manifest(study, kind="study").facts["trainings"] == 2
    assert not (study / "state").exists()


def test_a_finished_study_says_so_and_its_records_name_places_that_exist(
    study: Path, data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, data, study) == 0
    assert "already done" in capsys.readouterr().out
    for step in read_plan(study).steps:
        for item in read_manifest(study / step.out).inputs:
            assert (study / item.path).exists()


@pytest.mark.slow
def test_a_snapshot_is_what_a_shorter_training_ends_with(
    study: Path, data: Path, tmp_path: Path
) -> None:
    plan = read_plan(study)
    train = next(step for step in plan.of_kind("train") if "images-16" in step.name)
    command = list(train.command)
    assert command[command.index("--epochs") + 1] == "3"
    command[command.index("--epochs") + 1] = "1"
    command[command.index("--out") + 1] = str(tmp_path / "short")
    assert main([*command, "--threads", "1"]) == 0
    name = "snapshots/epoch-0001-raw.safetensors"
    assert (tmp_path / "short" / name).read_bytes() == (study / train.out / name).read_bytes()


@pytest.mark.slow
def test_a_killed_study_goes_on_to_the_same_result(
    study: Path, data: Path, recipe: Path, tmp_path: Path
) -> None:
    out, growing = tmp_path / "killed", tmp_path / "killed.partial"
    command = ["study", "run", str(recipe), "--data", str(data), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "fetalsynth", *command, "--device", "cpu"],
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 120
    while not list(growing.glob("runs/made-*/fetalsynth.json")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {
        path.parent: path.stat().st_mtime_ns for path in growing.glob("runs/*/fetalsynth.json")
    }
    plan = read_plan(growing)
    assert 0 < len(there) < len(plan.steps)
    assert main(["study", "status", str(out)]) == 0

    assert run(recipe, data, out) == 0
    for path, before in there.items():
        assert (out / "runs" / path.name / "fetalsynth.json").stat().st_mtime_ns == before
    assert (out / "results.csv").read_bytes() == (study / "results.csv").read_bytes()
    assert (out / "analysis.json").read_bytes() == (study / "analysis.json").read_bytes()
    assert digests(out, plan) == digests(study, read_plan(study))


@pytest.mark.slow
def test_a_failed_step_is_reported_and_stops_nothing_else(
    study: Path, data: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = read_plan(study)
    broken = plan.cells[0]
    out = tmp_path / "broken"
    obstacle = out.with_name("broken.partial") / "runs" / f"{broken.train}.partial"
    first = run(recipe, data, tmp_path / "first", "--reuse", str(study))
    assert first == 0  # everything is taken over
    assert "steps taken over" in capsys.readouterr().out

    (tmp_path / "first").rename(out.with_name("broken.partial"))
    reopen(out.with_name("broken.partial"))
    remove(out.with_name("broken.partial") / "runs" / broken.train)
    for cell in (cell for cell in plan.cells if cell.train == broken.train):
        remove(out.with_name("broken.partial") / "runs" / cell.generate)
        remove(out.with_name("broken.partial") / "runs" / cell.assess)
    obstacle.mkdir()
    (obstacle / "mine.txt").write_text("not fetalsynth's")

    assert run(recipe, data, out) == 1
    said = capsys.readouterr().out
    assert f"failed {broken.train}" in said
    assert "was not made by fetalsynth" in said
    assert "1 steps failed, 4 needed one of them, 5 are done" in said
    rows = list(csv.DictReader((out.with_name("broken.partial") / "results.csv").open()))
    assert {row["images"] for row in rows} == {"24"}
    assert main(["study", "status", str(out)]) == 1
    assert "blocked" in capsys.readouterr().out

    remove(obstacle)
    assert run(recipe, data, out) == 0
    assert (out / "results.csv").read_bytes() == (study / "results.csv").read_bytes()
    assert main(["study", "status", str(out)]) == 0


def reopen(whole: Path) -> None:
    """Make a finished study one that is not finished."""
    manifest = read_manifest(whole)
    (whole / ".request").write_text(manifest.request)
    (whole / "fetalsynth.json").unlink()
    (whole / SUMS).unlink()


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def test_other_settings_never_touch_a_study(
    study: Path, data: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (study / "fetalsynth.json").read_bytes()
    assert run(recipe, data, study, "--seeds", "0", "1") == 2
    assert "made with other settings" in capsys.readouterr().err
    assert (study / "fetalsynth.json").read_bytes() == before


def test_a_report_anew_keeps_the_study_whole(study: Path, tmp_path: Path) -> None:
    before = (study / "results.csv").read_bytes()
    (study / "results.csv").write_text("")
    assert main(["study", "report", str(study)]) == 2  # changed: not covered up
    (study / "results.csv").write_bytes(before)
    scores = tmp_path / "scores.csv"
    plan = read_plan(study)
    lines = [f"{cell.generate},{2 + k}" for k, cell in enumerate(plan.cells)]
    scores.write_text("\n".join(["set,score", *lines]))
    assert main(["study", "report", str(study), "--readers", str(scores)]) == 0
    assert (study / "results.csv").read_bytes() == before
    assert main(["study", "report", str(study)]) == 0


@pytest.mark.slow
def test_scores_are_kept_once_they_fit_and_earlier_ones_stay(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study, copy)
    bad, first, second = (tmp_path / f"{name}.csv" for name in ("bad", "first", "second"))
    cells = [f"{cell.cell} seed {cell.seed}" for cell in read_plan(study).cells]
    bad.write_text("set,score\na,good\n")
    for path, start in ((first, 1), (second, 2)):
        rows = [f"{name},{k}" for k, name in enumerate(cells, start=start)]
        path.write_text("\n".join(["set,score", *rows]) + "\n")
    kept = sorted(copy.glob("readers*.csv"))
    before = [path.read_bytes() for path in kept]
    assert main(["study", "report", str(copy), "--readers", str(bad)]) == 2
    assert [path.read_bytes() for path in sorted(copy.glob("readers*.csv"))] == before
    assert str(bad) in capsys.readouterr().err
    for path in (first, second, second):
        assert main(["study", "report", str(copy), "--readers", str(path)]) == 0
    assert (copy / "readers.csv").read_bytes() == second.read_bytes()
    earlier = [path.read_bytes() for path in sorted(copy.glob("readers-*.csv"))]
    assert earlier == [*before, first.read_bytes()]
    assert main(["study", "report", str(copy)]) == 0


@pytest.mark.slow
def test_a_dry_run_foretells_and_writes_nothing(
    study: Path, data: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(recipe, data, tmp_path / "never", "--dry-run") == 0
    said = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert "2 trainings serve 4 sets (4 cells): 120 images to train on" in said
    assert all(step.name in said for step in read_plan(study).steps)
