"""A small study of volumes end to end: decaying rates, rules of fusion, a judge."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import yaml

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft, is_artifact
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.artifacts.volumes import VolumesWriter
from fetalsynth.cli.main import main
from fetalsynth.studies.plan import read_plan

STUDY = {
    "name": "small",
    "modality": "mri",
    "arms": [
        {
            "name": "epochs",
            "recipe": "spade128-small",
            "settings": {
                "generator.size": 64,
                "generator.width": 2,
                "generator.hidden": 4,
                "generator.discriminator_width": 2,
                "generator.labels": 3,
                "batch_size": 4,
                "average_half_life_images": 0,
                "previews": 1,
            },
            "zip": {"epochs": [2, 1, 2], "decay_epochs": [1, 0, 0]},
        }
    ],
    "generate": {"labels_split": "test", "fusion": ["mean", "axial"]},
    "assess": {
        "profile": "small-n",
        "judge": {
            "recipe": "segment128",
            "settings": {
                "generator.size": 64,
                "generator.width": 2,
                "generator.labels": 3,
                "epochs": 1,
                "decay_epochs": 0,
                "empty_slices": 0.0,
            },
        },
    },
    "analysis": [{"kind": "kruskal", "factor": "fusion", "metrics": ["SSIM-mask"]}],
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three noisy cubes within cubes, one of them held out."""
    folder = tmp_path_factory.mktemp("data") / "volumes"
    rng = np.random.default_rng(0)
    with building(folder, draft(kind="volumes", configuration={}, synthetic=True)) as growing:
        writer = VolumesWriter(growing, label_names=("background", "rim", "core"))
        for k in range(3):
            labels = np.zeros((24, 24, 24), np.uint8)
            labels[4:20, 5:19, 6:18] = 1
            labels[8 + k : 16, 8:16, 8:16] = 2
            image = labels.astype(np.int64) * 1200 + rng.integers(0, 400, labels.shape)
            writer.add(
                subject=f"{k}",
                image=image.astype(np.int16),
                labels=labels,
                affine=np.eye(4),
                split="test" if k == 0 else "train",
            )
        writer.close()
    return folder


@pytest.mark.slow
def test_a_study_of_volumes_ends_with_scores_by_fusion(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = tmp_path / "small.yaml", tmp_path / "study"
    recipe.write_text(yaml.safe_dump(STUDY))
    command = ["study", "run", str(recipe), "--data", str(data), "--out", str(out)]
    assert main([*command, "--device", "cpu", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 trainings serve 3 sets" in said
    assert not out.exists()
    # 16 + 14 + 12 slices of two volumes: two trainings of two epochs, a judge of one
    assert f"{2 * 2 * 84 + 84:,} images to train on" in said

    assert main([*command, "--device", "cpu"]) == 0
    plan = read_plan(out)
    assert len(plan.of_kind("train")) == 3
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert {row["fusion"] for row in rows} == {"mean", "axial"}
    assert {(row["epochs"], row["decay_epochs"]) for row in rows} == {
        ("2", "1"),
        ("1", "0"),
        ("2", "0"),
    }
    assert {row["set"] for row in rows if row["metric"].startswith("SSIM")} == {
        "volume",
        "sagittal",
        "coronal",
        "axial",
    }
    assert any(row["metric"] == "Dice-mean" for row in rows)
    for cell in plan.cells:
        metrics = read_scores(out / "runs" / cell.assess).metrics
        own = [row for row in rows if row["step"] == cell.assess]
        assert len(own) == len(metrics)
        for row in own:
            assert float(row["value"]) == metrics[f"{row['fusion']}/{row['metric']}"].value
        assert is_artifact(out / "runs" / cell.generate / "mean")
    by_hand = out / "commands.sh"
    assert len(by_hand.read_text().splitlines()) == 3 + len(plan.steps)
