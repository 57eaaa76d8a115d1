"""Volumes from label maps: a painter instead of a network shows what must come out, and where."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fetalsynth.anatomy.planes import PLANES, Plane, to_slices
from fetalsynth.artifacts.building import building, partial_path
from fetalsynth.artifacts.manifest import Licence, draft, read_manifest
from fetalsynth.artifacts.model import snapshot_path, write_weights
from fetalsynth.artifacts.volumes import WHITE, VolumesWriter, read_participants
from fetalsynth.cli.main import main
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.errors import UserError
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.spade.family import SPADE
from fetalsynth.synthesis import volume_model, weights
from fetalsynth.synthesis.volume_model import VolumeModel, load_volume_model

untyped: Any = nibabel
GREYS = np.array([-1, -0.6, -0.3, 0.1, 0.9, 0.3, -0.1, 0.5], np.float32)
SIZE = 64


class Painter:
    """Paints every label with its grey, and the planes a little apart; keeps what it saw."""

    def __init__(self, settings: SPADESettings, greys: NDArray[np.float32] = GREYS) -> None:
        self.settings, self.greys = settings, torch.from_numpy(greys)
        self.generator = nn.Linear(1, 1)
        self.seen: list[tuple[NDArray[np.uint8], int]] = []

    def latents(self, count: int, rng: torch.Generator) -> Tensor:
        return torch.empty(count, 0)

    def images(self, labels: Tensor, planes: Tensor, latents: Tensor) -> Tensor:
        self.seen += [(s.numpy().copy(), int(p)) for s, p in zip(labels, planes, strict=True)]
        apart = torch.tensor([-0.05, 0.0, 0.05])[planes][:, None, None]
        inside = (labels > 0).float()
        return (self.greys[labels.long()] + apart * inside)[:, None]


@pytest.fixture
def painter(monkeypatch: pytest.MonkeyPatch) -> list[Painter]:
    """Every network that is loaded paints; the painters, in order of loading."""
    made: list[Painter] = []

    def build(settings: SPADESettings) -> Painter:
        made.append(Painter(settings))
        return made[-1]

    monkeypatch.setattr(weights, "build", build)
    monkeypatch.setattr(volume_model, "_fast", lambda family, dtype: family.images)
    return made


def write_model(
    folder: Path,
    *,
    planes: Sequence[Plane] = PLANES,
    shared: bool = False,
    family: nn.Module | None = None,
    empty_slices: float = 0.5,
    spacing_mm: float | None = None,
    size: int = SIZE,
    **changed: Any,
) -> Path:
    """A model artifact as training leaves it; without ``family`` with a painter's weights."""
    recipe = {
        "name": "tiny",
        "generator": {"family": "spade", "size": size, "width": 2, "hidden": 4, **changed},
        "planes": list(planes),
        "one_network": shared,
        "spacing_mm": spacing_mm,
        "empty_slices": empty_slices,
    }
    manifest = draft(kind="model", configuration={"recipe": recipe}, synthetic=True)
    with building(folder, manifest) as growing:
        for part in ["shared"] if shared else planes:
            state = (family or nn.Linear(1, 1)).state_dict()
            write_weights(
                snapshot_path(growing / part, epoch=2, averaged=False), state, metadata={}
            )
    return folder


def anatomy(shape: tuple[int, int, int] = (30, 36, 28), seed: int = 0) -> NDArray[np.uint8]:
    """Nested ellipsoids off the centre with all seven labels: every axis and direction differs."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape).astype(float)
    labels = np.zeros(shape, np.uint8)
    for label in range(1, 8):
        centre = np.array(shape) * (0.5 + 0.02 * label * rng.uniform(-1, 1, 3))
        radii = np.array([0.40, 0.44, 0.36]) * shape * (1.05 - 0.12 * label)
        inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radii, strict=True))
        labels[np.asarray(inside) < 1] = label
    return labels


def affine_of(codes: str, *, spacing: Sequence[float] = (0.8, 0.7, 0.9), turn: float = 0.0) -> Any:
    """An affine with these axis codes; ``turn`` radians about an oblique axis."""
    orientation = untyped.orientations.axcodes2ornt(codes)
    affine = np.eye(4)
    for own, (axis, sign) in enumerate(orientation):
        affine[:3, own] = 0
        affine[int(axis), own] = sign * spacing[own]
    x, y, z = np.array([1, 2, 3]) / np.sqrt(14)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(turn) * cross + (1 - np.cos(turn)) * cross @ cross
    affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = (-21.5, 13, 40.25)
    return affine


def save(path: Path, voxels: NDArray[Any], affine: Any, codes: tuple[int, int] = (1, 1)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = untyped.Nifti1Image(voxels, affine)
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    untyped.save(image, path)
    return path


def label_folder(folder: Path, count: int = 3) -> Path:
    for k in range(count):
        save(folder / f"sub-{k + 1:02d}_dseg.nii.gz", anatomy(seed=k), affine_of("RAS"))
    return folder


def label_artifact(folder: Path) -> Path:
    """Four subjects, two of them held out, with images and a licence's worth of facts."""
    licence = Licence(source="Somewhere", licence="CC BY 4.0", citation="Someone 2020")
    manifest = draft(kind="volumes", configuration={}, synthetic=False, licences=(licence,))
    with building(folder, manifest) as growing:
        writer = VolumesWriter(growing, label_names=("background", *"abcdefg"))
        for k in range(4):
            labels = anatomy(seed=k)
            writer.add(
                subject=f"{k:03d}",
                image=labels.astype(np.int16) * 500,
                labels=labels,
                affine=affine_of("LPS"),
                reconstruction="mial",
                split="test" if k > 1 else "train",
                gestational_age_weeks=21.5 + k,
                pathology="Neurotypical",
            )
        writer.close()
    return folder


def generate(*words: str | Path) -> int:
    return main(["generate", *map(str, words), "--device", "cpu"])


def voxels(path: Path) -> NDArray[Any]:
    return np.asanyarray(untyped.load(path).dataobj)


def painted(labels: NDArray[np.uint8], greys: NDArray[np.float32] = GREYS) -> NDArray[np.int16]:
    return np.rint((greys[labels] + 1) * (WHITE / 2)).astype(np.int16)


@pytest.mark.parametrize(
    ("codes", "turn", "headers"),
    [("RAS", 0, (1, 1)), ("LPS", 0.2, (1, 0)), ("IAR", 0, (0, 2)), ("PSR", 0.35, (2, 4))],
)
def test_what_goes_in_comes_out_in_its_own_space(
    painter: list[Painter], tmp_path: Path, codes: str, turn: float, headers: tuple[int, int]
) -> None:
    affine = affine_of(codes, turn=turn)
    source = save(tmp_path / "in" / "sub-01_dseg.nii.gz", anatomy(), affine, headers)
    model = write_model(tmp_path / "model")
    assert generate(model, "--labels", tmp_path / "in", "--out", tmp_path / "out") == 0
    name = "sub-01_desc-synth"
    made = untyped.load(tmp_path / "out" / "sub-01" / "anat" / f"{name}_T2w.nii.gz")
    copied = untyped.load(tmp_path / "out" / "sub-01" / "anat" / f"{name}_dseg.nii.gz")
    original = untyped.load(source)
    for image in (made, copied):
        np.testing.assert_allclose(image.affine, original.affine, atol=1e-5)
        assert untyped.aff2axcodes(image.affine) == tuple(codes)
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == headers
    assert np.array_equal(np.asanyarray(copied.dataobj), anatomy())
    difference = np.asanyarray(made.dataobj).astype(int) - painted(anatomy())
    assert np.abs(difference).max() <= 1
    assert made.get_data_dtype() == np.int16


def test_another_spacing_is_resampled_there_and_back(
    painter: list[Painter], tmp_path: Path
) -> None:
    affine = affine_of("IAR", spacing=(0.5, 0.7, 0.6), turn=0.2)
    save(tmp_path / "in" / "sub-01_dseg.nii.gz", anatomy((60, 44, 56)), affine)
    model = write_model(tmp_path / "model", spacing_mm=0.9)
    assert generate(model, "--labels", tmp_path / "in", "--out", tmp_path / "out") == 0
    found = voxels(tmp_path / "out" / "sub-01" / "anat" / "sub-01_desc-synth_T2w.nii.gz")
    truth = painted(anatomy((60, 44, 56)))
    assert found.shape == truth.shape
    assert np.corrcoef(found.ravel(), truth.ravel())[0, 1] > 0.97
    flipped = found[::-1, ::-1, ::-1]
    assert np.corrcoef(flipped.ravel(), truth.ravel())[0, 1] < 0.95


def test_real_scanner_headers_survive(
    painter: list[Painter], tmp_path: Path, spina_bifida_atlas: Path
) -> None:
    folder = spina_bifida_atlas.parent / "mialsrtk_sub01"
    if not folder.is_dir():
        pytest.skip("the sample data set of MIALSRTK is not beside this checkout")
    sources = sorted(folder.rglob("*_T2w.nii.gz"))
    assert len(sources) == 4
    codes = set()
    for k, path in enumerate(sources):
        image = untyped.load(path)
        codes.add("".join(untyped.aff2axcodes(image.affine)))
        grey = np.asanyarray(image.dataobj).reshape(image.shape[:3])
        middle = tuple(slice(max(0, n // 2 - 24), n // 2 + 24) for n in grey.shape)
        mask = np.zeros(grey.shape, np.uint8)
        mask[middle] = 1 + (grey[middle] > np.median(grey[middle]))
        labelled = untyped.Nifti1Image(mask, image.affine, image.header)
        labelled.set_data_dtype(np.uint8)
        (tmp_path / "in").mkdir(exist_ok=True)
        untyped.save(labelled, tmp_path / "in" / f"sub-{k}_dseg.nii.gz")
    assert {"IAR", "IRP"} <= codes
    model = write_model(tmp_path / "model")
    assert generate(model, "--labels", tmp_path / "in", "--out", tmp_path / "out") == 0
    for k, path in enumerate(sources):
        original = untyped.load(path)
        name = f"sub-{k}/anat/sub-{k}_desc-synth_T2w.nii.gz"
        made = untyped.load(tmp_path / "out" / name)
        assert made.shape == original.shape[:3]
        np.testing.assert_allclose(made.affine, original.affine, atol=1e-4)
        for code in ("qform_code", "sform_code"):
            assert made.header[code] == original.header[code]
        labels = voxels(tmp_path / "in" / f"sub-{k}_dseg.nii.gz")
        assert np.abs(np.asanyarray(made.dataobj).astype(int) - painted(labels)).max() <= 1


def test_networks_see_the_slices_that_they_were_trained_on(
    painter: list[Painter], tmp_path: Path
) -> None:
    from fetalsynth.datasets.volumes.loading import load_volumes
    from fetalsynth.training.slices import ResidentSlices

    labels = label_artifact(tmp_path / "labels")
    model = write_model(tmp_path / "model")
    assert generate(model, "--labels", labels, "--out", tmp_path / "out") == 0
    seen = {(stack.tobytes(), plane) for p in painter for stack, plane in p.seen if stack.any()}
    volumes = load_volumes(labels, role="data", grid=Grid(size=SIZE, spacing_mm=None))
    slices = ResidentSlices(
        volumes, planes=PLANES, empty_share=0.0, seed=0, device=torch.device("cpu")
    )
    batch = slices.batch(torch.arange(slices.count))
    assert batch.labels is not None
    assert batch.planes is not None
    pairs = zip(batch.labels.numpy(), batch.planes.tolist(), strict=True)
    assert seen == {(np.ascontiguousarray(stack).tobytes(), plane) for stack, plane in pairs}


def test_empty_slices_are_the_networks_business_or_black(tmp_path: Path) -> None:
    greys = GREYS.copy()
    greys[0] = -0.5
    cube = np.zeros((SIZE,) * 3, np.uint8)
    cube[20:41, 24:50, 10:30] = anatomy((21, 26, 20))
    held = int(to_slices(cube, plane="coronal").any(axis=(1, 2)).sum())
    for empty_slices, expected in ((0.5, -0.5), (0.0, -1.0)):
        family = Painter(SPADESettings(size=SIZE), greys)
        model = model_of(family, tmp_path, knows_empty=empty_slices > 0)
        made = model.synthesise(cube, plane="coronal", latents=torch.empty(1, 0))
        assert set(np.unique(made[:, 0])) == {np.float32(expected)}
        assert np.abs(made[cube == 4] - 0.9).max() < 1e-6
        assert len(family.seen) == (SIZE if empty_slices else held)


def model_of(family: Any, folder: Path, *, knows_empty: bool = True) -> VolumeModel:
    from fetalsynth.synthesis.volume_model import PlaneNetwork

    network = PlaneNetwork(
        family=family,
        images=family.images,
        knows_empty=knows_empty,
        folder=folder,
        part=folder,
        facts={},
        epoch=1,
        weights="raw",
    )
    return VolumeModel(
        networks=dict.fromkeys(PLANES, network),
        grid=Grid(size=SIZE, spacing_mm=None),
        label_count=8,
        device=torch.device("cpu"),
    )


def test_background_far_from_tissue_is_black_unless_not_wished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    greys = GREYS.copy()
    greys[0] = 0.2
    monkeypatch.setattr(weights, "build", lambda settings: Painter(settings, greys))
    monkeypatch.setattr(volume_model, "_fast", lambda family, dtype: family.images)
    labels = np.zeros((60, 60, 60), np.uint8)
    labels[30, 30, 20:40] = 3
    save(tmp_path / "in" / "sub-01_dseg.nii.gz", labels, np.diag([1.0, 1.0, 1.5, 1]))
    model = write_model(tmp_path / "model")
    for name, words in (("masked", []), ("whole", ["--no-mask-background"])):
        out = tmp_path / name
        assert generate(model, "--labels", tmp_path / "in", "--out", out, *words) == 0
    i, j, k = np.indices(labels.shape)
    along = 1.5 * np.maximum(0, np.maximum(20 - k, k - 39))
    distance = np.sqrt((i - 30) ** 2 + (j - 30) ** 2 + along**2)
    file = "sub-01/anat/sub-01_desc-synth_T2w.nii.gz"
    masked, whole = (voxels(tmp_path / name / file) for name in ("masked", "whole"))
    assert np.array_equal(whole, painted(labels, greys))
    assert np.array_equal(masked, np.where(distance <= 10, whole, 0))


def test_table_sidecars_and_manifest_tell_where_volumes_come_from(
    painter: list[Painter], tmp_path: Path
) -> None:
    labels = label_artifact(tmp_path / "labels")
    model = write_model(tmp_path / "model")
    words = (model, "--labels", labels, "--out", tmp_path / "out", "--seed", "3")
    assert generate(*words, "--fusion", "outliers:0.5", "--split", "test") == 0
    rows = read_participants(tmp_path / "out")
    assert [row.name for row in rows] == [f"sub-{k:03d}_rec-mial_desc-synth" for k in (2, 3)]
    assert [row.gestational_age_weeks for row in rows] == [23.5, 24.5]
    assert {row.split for row in rows} == {"test"}
    sidecar = json.loads(
        (tmp_path / "out" / str(rows[0].image).replace(".nii.gz", ".json")).read_text()
    )
    assert sidecar["Synthetic"] is True
    assert sidecar["Notice"] == "Not for clinical use."
    assert sidecar["Seed"] == 3
    assert sidecar["Fusion"] == {"Rule": "outliers", "Threshold": 0.5}
    assert sidecar["Labels"]["File"] == "sub-002/anat/sub-002_rec-mial_dseg.nii.gz"
    assert set(sidecar["Networks"]) == set(PLANES)
    digest = read_manifest(model).content
    assert {network["ModelDigest"] for network in sidecar["Networks"].values()} == {digest}
    manifest = read_manifest(tmp_path / "out", kind="volumes")
    assert manifest.synthetic
    assert [item.role for item in manifest.inputs] == ["model", "labels"]
    assert manifest.facts == {"volumes": 2, "left_out": []}
    assert [licence.citation for licence in manifest.licences] == ["Someone 2020"]
    assert "Someone 2020" in (tmp_path / "out" / "dataset_description.json").read_text()
    assert (tmp_path / "out" / "preview.png").is_file()
    names = (tmp_path / "out" / "dseg.tsv").read_text().split()
    assert names[-1] == "g"


def test_several_fusions_make_a_set_each_that_pairs_with_the_real_one(
    painter: list[Painter], tmp_path: Path
) -> None:
    from fetalsynth.assessment.paired.nifti import find_volumes
    from fetalsynth.assessment.paired.partners import partners

    labels = label_artifact(tmp_path / "labels")
    model = write_model(tmp_path / "model")
    words = ["--labels", labels, "--out", tmp_path / "out", "--fusion", "mean", "in-plane"]
    assert generate(model, *words, "--keep-planes") == 0
    expected = {"mean", "in-plane", *PLANES}
    assert {path.name for path in (tmp_path / "out").iterdir()} == expected
    real = find_volumes(labels, role="real").items()
    for name in expected:
        made = find_volumes(tmp_path / "out" / name, role="synthetic").items()
        assert len(partners(real, made, where=name)) == 4
    file = str(read_participants(tmp_path / "out" / "mean")[0].image)
    truth = anatomy()
    apart = 0.05 * WHITE / 2
    for name, shift in (("sagittal", -apart), ("coronal", 0), ("axial", apart), ("mean", 0)):
        found = voxels(tmp_path / "out" / name / file).astype(float)
        assert np.abs(found - painted(truth) - shift * (truth > 0)).max() <= 1
    calls = sum(len(p.seen) for p in painter)
    assert generate(model, *words, "median") == 0
    assert (tmp_path / "out" / "median" / "fetalsynth.json").is_file()
    assert sum(len(p.seen) for p in painter) > calls


def test_interrupted_command_goes_on_and_ends_the_same(
    painter: list[Painter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, model = label_folder(tmp_path / "in"), write_model(tmp_path / "model")
    words = [model, "--labels", labels, "--fusion", "mean", "median", "--out"]
    assert generate(*words, tmp_path / "whole") == 0
    original, made = VolumeModel.synthesise, []

    def synthesise(self: VolumeModel, labels: Any, *, plane: Plane, latents: Tensor) -> Any:
        made.append(plane)
        if len(made) == 5:
            raise KeyboardInterrupt
        return original(self, labels, plane=plane, latents=latents)

    monkeypatch.setattr(VolumeModel, "synthesise", synthesise)
    assert generate(*words, tmp_path / "parts") == 130
    assert partial_path(tmp_path / "parts" / "mean").is_dir()
    assert generate(*words, tmp_path / "parts") == 0
    assert len(made) == 5 + 2 * 3
    for rule in ("mean", "median"):
        one, other = (read_manifest(tmp_path / name / rule) for name in ("whole", "parts"))
        assert one.content == other.content
    assert generate(*words, tmp_path / "parts") == 0
    assert len(made) == 11


def spoil(folder: Path) -> dict[str, str]:
    """Broken label maps of every sort in ``folder`` → what must be said of each."""
    ras = affine_of("RAS")
    unknown = anatomy()
    unknown[3, 3, 3] = 9
    save(folder / "sub-unknown_dseg.nii.gz", unknown, ras)
    save(folder / "sub-fourth_dseg.nii.gz", np.stack([anatomy()] * 2, -1), ras)
    save(folder / "sub-black_dseg.nii.gz", 0 * anatomy(), ras)
    save(folder / "sub-half_dseg.nii.gz", anatomy().astype(np.float32) / 2, ras)
    broken = anatomy().astype(np.float32)
    broken[1, 2, 3] = np.nan
    save(folder / "sub-nan_dseg.nii.gz", broken, ras)
    save(folder / "sub-large_dseg.nii.gz", np.ones((80, 20, 20), np.uint8), ras)
    whole = save(folder / "sub-cut_dseg.nii.gz", anatomy(), ras)
    whole.write_bytes(whole.read_bytes()[:900])
    (folder / "sub-text_dseg.nii.gz").write_text("no volume")
    (folder / "sub-gzip_dseg.nii.gz").write_bytes(gzip.compress(b"no volume"))
    return {
        "unknown": "labels 9",
        "fourth": "4 axes",
        "black": "every voxel is background",
        "half": "not whole numbers",
        "nan": "not finite",
        "large": "does not fit a cube of 64",
        "cut": "not a readable NIfTI file",
        "text": "not a readable NIfTI file",
        "gzip": "not a readable NIfTI file",
    }


def test_broken_label_maps_are_reported_and_the_rest_go_on(
    painter: list[Painter], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels, model = label_folder(tmp_path / "in", 2), write_model(tmp_path / "model")
    expected = spoil(labels)
    words = (model, "--labels", labels, "--out", tmp_path / "out")
    assert generate(*words) == 1
    said = capsys.readouterr().err
    facts = read_manifest(tmp_path / "out").facts
    assert facts["volumes"] == 2
    reasons = {item["volume"].split("_")[0][4:]: item["reason"] for item in facts["left_out"]}
    assert set(reasons) == set(expected)
    for name, message in expected.items():
        assert message in reasons[name]
        assert f"sub-{name}_dseg.nii.gz" in reasons[name]
        assert reasons[name] in said
        assert "\n" not in reasons[name]
    assert [row.subject for row in read_participants(tmp_path / "out")] == ["01", "02"]
    assert generate(*words) == 1
    assert "9 label maps were left out" in capsys.readouterr().err


def test_nothing_usable_and_wishes_that_cannot_be_are_explained(
    painter: list[Painter], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "model")
    two = write_model(tmp_path / "two", planes=("sagittal", "coronal"))
    other = write_model(tmp_path / "other", planes=("axial",), spacing_mm=1.0)
    more = write_model(tmp_path / "more", planes=("axial",), labels=9)
    colour = write_model(tmp_path / "colour", channels=3)
    images = tmp_path / "images"
    recipe = {"recipe": {"generator": {"family": "dcgan", "size": 32}}}
    with building(images, draft(kind="model", configuration=recipe, synthetic=True)):
        pass
    labels, real = label_folder(tmp_path / "in", 1), label_artifact(tmp_path / "real")
    (tmp_path / "empty").mkdir()
    spoil(tmp_path / "broken")
    out = tmp_path / "out"
    cases: list[tuple[list[str | Path], str]] = [
        ([model, "--labels", tmp_path / "empty"], "holds no NIfTI"),
        ([model, "--labels", tmp_path / "absent"], "does not exist"),
        ([model, "--labels", tmp_path / "broken"], "none of its label maps is usable"),
        ([two, "--labels", labels], "no network for axial slices"),
        ([two, model, "--labels", labels], "has a network for sagittal slices"),
        ([two, other, "--labels", labels], "sees cubes of 64 at 1 mm"),
        ([two, more, "--labels", labels], "with 9 labels"),
        ([colour, "--labels", labels], "makes 3 channels"),
        ([model, "--labels", labels, "--n", "3"], "leave it out"),
        ([model, "--n", "3"], "give --labels DIR instead of --n"),
        ([model], "give --labels DIR"),
        ([images, "--labels", labels], "leave --labels out"),
        ([images], "how many images with --n"),
        ([images, "--n", "2", "--fusion", "median"], "is for volumes"),
        ([model, "--labels", labels, "--fusion", "meen"], "did you mean mean"),
        ([model, "--labels", labels, "--split", "test"], "has no table of splits"),
        ([model, "--labels", real, "--labels-table", "dhcp"], "mapped on import"),
        ([model, "--labels", labels, "--epoch", "7"], "no snapshot of epoch 7"),
    ]
    for words, message in cases:
        assert generate(*words, "--out", out) == 2, words
        said = capsys.readouterr().err.strip().splitlines()
        assert message in said[-1], words
    assert not out.exists()
    assert not partial_path(out).exists()
    assert generate(model, "--labels", labels, "--out", labels / "out") == 2
    assert "lies inside the folder of label maps" in capsys.readouterr().err


def test_a_full_disk_is_no_broken_label_map(
    painter: list[Painter],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def add(self: VolumesWriter, **known: Any) -> None:
        raise UserError("the disk is full")

    labels, model = label_folder(tmp_path / "in"), write_model(tmp_path / "model")
    monkeypatch.setattr(VolumesWriter, "add", add)
    assert generate(model, "--labels", labels, "--out", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert "the disk is full" in said
    assert "left out" not in said


def test_preview_shows_labels_synthetic_and_real_where_they_are(
    painter: list[Painter], tmp_path: Path
) -> None:
    from PIL import Image

    from fetalsynth.datasets.volumes.pictures import coloured

    labels = label_artifact(tmp_path / "labels")
    alone = label_folder(tmp_path / "in", 1)
    model = write_model(tmp_path / "model")
    for source, name in ((labels, "beside"), (alone, "alone")):
        assert generate(model, "--labels", source, "--out", tmp_path / name) == 0
    beside = np.asarray(Image.open(tmp_path / "beside" / "preview.png"))
    cell, gap = 160, 2
    assert beside.shape == (4 * (cell + gap) - gap, 9 * (cell + gap) - gap, 3)
    row = beside[:cell].astype(int)
    tissue, made, real = (
        [row[:, (3 * kind + plane) * (cell + gap) :][:, :cell] for plane in range(3)]
        for kind in range(3)
    )
    for plane in range(3):
        for label in (0, 3, 4):
            where = (tissue[plane] == coloured(np.array(label, np.uint8))).all(-1)
            assert where.any()
            for shown, share in ((made, (GREYS[label] + 1) / 2), (real, label / 7)):
                assert abs(np.median(shown[plane][where]) - 255 * share) < 3
    single = np.asarray(Image.open(tmp_path / "alone" / "preview.png"))
    assert single.shape == (cell, 6 * (cell + gap) - gap, 3)


def test_two_models_share_the_planes(painter: list[Painter], tmp_path: Path) -> None:
    two = write_model(tmp_path / "two", planes=("sagittal", "coronal"))
    one = write_model(tmp_path / "one", planes=("axial",))
    labels = label_folder(tmp_path / "in", 1)
    assert generate(two, one, "--labels", labels, "--out", tmp_path / "out") == 0
    found = voxels(tmp_path / "out/sub-01/anat/sub-01_desc-synth_T2w.nii.gz")
    assert np.abs(found.astype(int) - painted(anatomy())).max() <= 1
    sidecar = json.loads((tmp_path / "out/sub-01/anat/sub-01_desc-synth_T2w.json").read_text())
    digests = [sidecar["Networks"][plane]["ModelDigest"] for plane in PLANES]
    assert digests == [read_manifest(m).content for m in (two, two, one)]


def test_labels_of_another_scheme_go_through_its_table(
    painter: list[Painter], tmp_path: Path, spina_bifida_atlas: Path
) -> None:
    from fetalsynth.anatomy.labels import SPINA_BIFIDA_ATLAS, map_labels

    model = write_model(tmp_path / "model", size=128, spacing_mm=None)
    folder = tmp_path / "in"
    name = "fetal_SB_atlas_GA21_notoperated"
    (folder / name).mkdir(parents=True)
    for file in ("parcellation.nii.gz", "srr.nii.gz", "mask.nii.gz"):
        (folder / name / file).symlink_to(spina_bifida_atlas / name / file)
    words = ["--labels", folder, "--out", tmp_path / "out", "--labels-table"]
    assert generate(model, *words, "spina-bifida-atlas") == 0
    (row,) = read_participants(tmp_path / "out")
    truth = map_labels(
        voxels(folder / name / "parcellation.nii.gz").astype(int), table=SPINA_BIFIDA_ATLAS
    )
    assert np.array_equal(voxels(tmp_path / "out" / str(row.labels)), truth)
    assert np.abs(voxels(tmp_path / "out" / str(row.image)) - painted(truth)).max() <= 1


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("encoder", [False, True])
def test_a_spade_model_makes_volumes_that_its_networks_would(
    tmp_path: Path, shared: bool, encoder: bool
) -> None:
    known = {"plane_condition": shared, "encoder": encoder, "latents": 5}
    settings = SPADESettings(size=SIZE, width=2, hidden=4, **known)
    family = SPADE(settings)
    family.initialise(torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in family.generator.parameters():
            parameter.normal_(0, 0.2)
        family.calibrate(family.generator, torch.empty(1, 0))
    folder = write_model(tmp_path / "model", shared=shared, family=family.generator, **known)
    model = load_volume_model([folder], planes=PLANES)
    cube = np.zeros((SIZE,) * 3, np.uint8)
    cube[20:30, 24:36, 30:39] = anatomy((10, 12, 9))
    latents = model.latents(plane="axial", seed=0, name="a")
    assert latents.shape == (1, 5 if encoder else 0)
    assert torch.equal(latents, model.latents(plane="axial", seed=0, name="a"))
    assert not encoder or not torch.equal(latents, model.latents(plane="axial", seed=0, name="b"))
    for axis, plane in enumerate(PLANES):
        made = model.synthesise(cube, plane=plane, latents=latents)
        assert made.std() > 0.03
        for number in (0, 25, 31):
            labels = np.ascontiguousarray(to_slices(cube, plane=plane)[number])
            with torch.no_grad():
                alone = family.generator.eval()(
                    torch.from_numpy(labels)[None],
                    torch.tensor([axis]),
                    latents if encoder else None,
                )
            found = to_slices(made, plane=plane)[number]
            np.testing.assert_allclose(found, alone[0, 0], atol=1e-4)


def test_models_with_and_without_an_encoder_share_the_planes(tmp_path: Path) -> None:
    folders = []
    for name, known in (("plain", {}), ("variational", {"encoder": True, "latents": 5})):
        family = SPADE(SPADESettings(size=SIZE, width=2, hidden=4, **known))
        family.initialise(torch.Generator().manual_seed(0))
        planes = PLANES[:2] if name == "plain" else PLANES[2:]
        folder = tmp_path / name
        folders.append(write_model(folder, planes=planes, family=family.generator, **known))
    save(tmp_path / "in" / "sub-01_dseg.nii.gz", anatomy((8, 9, 7)), affine_of("RAS"))
    assert generate(*folders, "--labels", tmp_path / "in", "--out", tmp_path / "out") == 0


def test_command_line_runs_a_spade_model(tmp_path: Path) -> None:
    family = SPADE(SPADESettings(size=SIZE, width=2, hidden=4))
    family.initialise(torch.Generator().manual_seed(0))
    model = write_model(tmp_path / "model", family=family.generator)
    labels = tmp_path / "in"
    save(labels / "sub-01_dseg.nii.gz", anatomy((8, 9, 7)), affine_of("RAS"))
    for name in ("one", "two"):
        assert generate(model, "--labels", labels, "--out", tmp_path / name) == 0
    one, two = (read_manifest(tmp_path / name).content for name in ("one", "two"))
    assert one == two


def test_weights_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    family = SPADE(SPADESettings(size=SIZE, width=4, hidden=4))
    model = write_model(tmp_path / "model", family=family.generator)
    with pytest.raises(UserError, match="do not fit"):
        load_volume_model([model], planes=["axial"])
