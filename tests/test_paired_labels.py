"""Labels found again: planted segmentations, a trained network, and the space of its answer."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import f1_score

from fetalsynth.anatomy.planes import PLANES, to_slices
from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.manifest import draft, input_from
from fetalsynth.artifacts.model import snapshot_path, write_weights
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter
from fetalsynth.assessment.paired.consistency import Segmenter, overlaps
from fetalsynth.assessment.paired.opening import open_pairs
from fetalsynth.assessment.paired.pair import PairScores
from fetalsynth.assessment.paired.tables import dice_csv
from fetalsynth.assessment.paired.writing import assess_pairs
from fetalsynth.cli.assess import run
from fetalsynth.cli.main import main
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.errors import UserError
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import UNetSettings
from fetalsynth.generators.unet import Segmenter as Family
from fetalsynth.generators.unet import UNet
from fetalsynth.synthesis.segmentation import SegmentationModel, load_segmenter, segment_volume

SHAPE = (30, 26, 28)
LEVELS = np.array([0, 0.9, 0.35, 0.6])
CPU = torch.device("cpu")


def head(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three shells of clear contrast (0 … WHITE), off centre, with noise; labels 1 to 3."""
    rng = np.random.default_rng(seed)
    centre = np.array(SHAPE) / 2 + rng.uniform(-1.5, 1.5, 3)
    radius = np.linalg.norm(np.moveaxis(np.indices(SHAPE), 0, -1) - centre, axis=-1)
    labels = np.select([radius < 4, radius < 7, radius < 10], [3, 2, 1], 0).astype(np.uint8)
    image = LEVELS[labels] + 0.05 * rng.standard_normal(SHAPE) * (labels > 0)
    return np.rint(WHITE * np.clip(image, 0, 1)).astype(np.int16), labels


def nearest_level(image: np.ndarray, affine: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A segmentation by grey value alone."""
    return np.abs(image[..., None] - LEVELS).argmin(-1).astype(np.uint8)


def artifact(folder: Path, *, fault: bool = False, seeds: range = range(3)) -> Path:
    manifest = draft(kind="volumes", configuration={"fault": fault}, synthetic=fault)
    with building(folder, manifest) as partial:
        writer = VolumesWriter(partial, label_names=("background", "rim", "shell", "core"))
        for seed in seeds:
            image, labels = head(seed)
            if fault:
                image = np.where(labels == 3, 0.36 * WHITE, image).astype(np.int16)
            writer.add(
                subject=f"s{seed}",
                image=image,
                labels=labels,
                affine=np.eye(4),
                desc="synth" if fault else "",
                split="" if fault else "test" if seed < 2 else "train",
            )
        writer.close()
    return folder


def test_overlaps_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    found, truth = rng.integers(0, 5, (2, 9, 8, 7))
    expected = f1_score(truth.ravel(), found.ravel(), average=None)[1:]
    values = overlaps(found, truth)
    assert [values[f"Dice-label{k}"] for k in range(1, 5)] == pytest.approx(list(expected))
    assert values["Dice-mean"] == pytest.approx(np.mean(expected))
    truth[truth == 4] = 0
    assert overlaps(found, truth)["Dice-label4"] == 0, "an invented label counts"


def test_a_tissue_that_is_not_drawn_is_not_found(tmp_path: Path) -> None:
    """The core is as grey as the shell: its Dice is lost, the rim's is not, the real keeps all."""
    real, made = artifact(tmp_path / "real"), artifact(tmp_path / "made", fault=True)
    (tmp_path / "out").mkdir()
    pairs = open_pairs(real=real, synthetic=made)
    judge = Segmenter(segment=nearest_level, about={"path": "rule", "note": "a rule"})
    scores = assess_pairs(tmp_path / "out", pairs=pairs, segmenter=judge)
    core, rim = scores.metrics["Dice-label3"], scores.metrics["Dice-label1"]
    assert core.value < 0.05
    assert rim.value > 0.95
    assert core.settings["real"] > 0.95
    assert core.settings["baseline"] == pytest.approx(1), "painted tissues are easy"
    assert core.settings["minus_real"] == pytest.approx(core.value - core.settings["real"])
    assert core.settings["region"] == "label 3 (core)"
    assert scores.inputs["segmenter"]["note"] == "a rule"
    with (tmp_path / "out" / "dice.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["tissue"] == "core"]
    assert [row["subject"] for row in rows] == ["s0", "s1"]
    image, labels = head(0)
    expected = overlaps(nearest_level(image / WHITE, np.eye(4), labels), labels)
    assert float(rows[0]["real"]) == pytest.approx(expected["Dice-label3"])


def trained() -> Family:
    """A network that learned slices of six heads."""
    family = Family(UNetSettings(size=32, labels=4, width=8, levels=2, learning_rate=2e-2))
    family.initialise(torch.Generator().manual_seed(0))
    optimizers = family.optimizers()
    rng = np.random.default_rng(1)
    heads = [[np.pad(x, ((1, 1), (3, 3), (2, 2))) for x in head(seed)] for seed in range(10, 16)]
    for _ in range(90):
        image, labels = heads[rng.integers(len(heads))]
        plane = PLANES[rng.integers(3)]
        numbers = rng.integers(6, 26, 8)
        cut = [np.ascontiguousarray(to_slices(x, plane=plane)[numbers]) for x in (image, labels)]
        family.step(
            Batch(
                images=torch.from_numpy(cut[0] / (WHITE / 2) - 1).float()[:, None],
                labels=torch.from_numpy(cut[1]),
            ),
            torch.empty(8, 0),
            optimizers=optimizers,
            precision=nullcontext,
            average_gradients=lambda parameters: None,
        )
    return family


def model(folder: Path, family: Family, *, data: Path, weights: bool = True) -> Path:
    recipe = {
        "generator": family.settings.model_dump(),
        "planes": list(PLANES),
        "one_network": True,
        "spacing_mm": None,
        "split": "train",
    }
    manifest = draft(
        kind="model",
        configuration={"recipe": recipe},
        synthetic=True,
        inputs=(input_from(data, role="data"),),
    )
    with building(folder, manifest) as partial:
        (partial / "shared").mkdir()
        if weights:
            path = snapshot_path(partial / "shared", epoch=3, averaged=False)
            write_weights(path, family.generator.state_dict(), metadata={})
    return folder


def test_a_trained_network_judges_through_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, made = artifact(tmp_path / "real"), artifact(tmp_path / "made", fault=True)
    network = model(tmp_path / "model", trained(), data=real)
    command = ["--paired", "--real", str(real), "--synthetic", str(made), "--out"]
    assert run([*command, str(tmp_path / "out"), "--segmenter", str(network)]) == 0
    scores = read_scores(tmp_path / "out")
    core, mean = scores.metrics["Dice-label3"], scores.metrics["Dice-mean"]
    assert core.settings["real"] > 0.8
    assert core.value < 0.4
    assert mean.settings["real"] > mean.value
    assert "held out" in scores.inputs["segmenter"]["note"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Are the labels there?" in page
    assert "label 3 (core)" in page
    assert "Dice-mean" in capsys.readouterr().out


def test_labels_come_back_in_the_volumes_own_space() -> None:
    """The same anatomy stored in another axis order is segmented alike, whatever the weights."""
    torch.manual_seed(3)
    network = UNet(UNetSettings(size=32, labels=4, width=4, levels=2)).eval()
    whole = SegmentationModel(
        networks=dict.fromkeys(PLANES, network),
        grid=Grid(size=32),
        labels=4,
        source=draft_input(),
        device=CPU,
    )
    image, labels = head(5)
    straight = nibabel.Nifti1Image(image.astype(np.float32) / WHITE, np.diag([0.8, 0.8, 0.8, 1]))
    found = segment_volume(
        whole, voxels=straight.get_fdata(), affine=straight.affine, brain=labels, where="x"
    )
    assert found.shape == SHAPE
    assert len(np.unique(found)) > 1
    flip = nibabel.orientations.axcodes2ornt(("P", "I", "R"))
    turned = straight.as_reoriented(flip)
    brain = nibabel.Nifti1Image(labels, straight.affine).as_reoriented(flip)
    other = segment_volume(
        whole,
        voxels=turned.get_fdata(),
        affine=turned.affine,
        brain=np.asarray(brain.dataobj),
        where="x",
    )
    expected = nibabel.Nifti1Image(found, straight.affine).as_reoriented(flip)
    assert np.mean(other == np.asarray(expected.dataobj)) > 0.999
    with pytest.raises(UserError, match="head: the labelled brain"):
        segment_volume(
            whole,
            voxels=np.ones((40, 40, 40)),
            affine=np.eye(4),
            brain=np.ones((40, 40, 40)),
            where="head",
        )


def draft_input():  # type: ignore[no-untyped-def]
    from fetalsynth.artifacts.manifest import Input

    return Input(role="segmenter", path="nowhere", digest="")


def test_black_slices_are_background() -> None:
    class Loud(torch.nn.Module):
        def forward(self, images: torch.Tensor, planes: torch.Tensor | None) -> torch.Tensor:
            assert (images > -1).flatten(1).any(1).all(), "a black slice was computed"
            logits = torch.zeros(len(images), 4, *images.shape[2:])
            logits[:, 2] = 9
            return logits

    whole = SegmentationModel(
        networks=dict.fromkeys(PLANES, Loud()),  # type: ignore[arg-type]
        grid=Grid(size=32),
        labels=4,
        source=draft_input(),
        device=CPU,
    )
    image = np.zeros(SHAPE, np.float32)
    image[10:20, 8:18, 9:19] = gaussian_filter(np.random.default_rng(0).random((10, 10, 10)), 1)
    found = segment_volume(whole, voxels=image, affine=np.eye(4), brain=image > 0, where="x")
    assert (found[12:18, 10:16, 11:17] == 2).all()
    assert not found[:9, :7].any(), "outvoted by two planes of three"


def test_models_that_do_not_segment_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = artifact(tmp_path / "data")
    family = Family(UNetSettings(size=32, labels=4, width=4, levels=2))
    empty = model(tmp_path / "empty", family, data=data, weights=False)
    with pytest.raises(UserError, match="no weights"):
        load_segmenter(empty, device=CPU)
    recipe = {"generator": {"family": "dcgan"}, "planes": [], "one_network": True}
    for name, more in (("images", {}), ("dcgan", {"spacing_mm": None})):
        manifest = draft(kind="model", configuration={"recipe": {**recipe, **more}}, synthetic=True)
        with building(tmp_path / name, manifest) as partial:
            (partial / "x.txt").write_text("x")
        with pytest.raises(UserError, match="fetalsynth train segment128"):
            load_segmenter(tmp_path / name, device=CPU)
    real, out = str(data), str(tmp_path / "out")
    command = ["assess", "--paired", "--real", real, "--synthetic", real, "--out", out]
    assert main([*command, "--segmenter", str(empty)]) == 2
    assert "no weights" in capsys.readouterr().err


def test_a_label_that_the_data_do_not_name_is_listed_without_a_name() -> None:
    """A segmentation network may know more labels than the volumes that it judges."""
    pair = PairScores(
        subject="a",
        real_file="real",
        synthetic_file="synthetic",
        values={"Dice-label1": 0.5, "Dice-label7": 0.25},
        baseline={},
        rules={},
        brightness_ratio=1.0,
    )
    rows = dice_csv([pair], label_names=("background", "external CSF")).splitlines()
    assert rows[1:] == ["a,1,external CSF,0.5,,", "a,7,,0.25,,"]
