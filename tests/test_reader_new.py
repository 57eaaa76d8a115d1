"""Reader studies from folders and artifacts: what enters, what it looks like, what it tells."""

from __future__ import annotations

import io
import json
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.cli.main import main
from fetalsynth.errors import UserError
from fetalsynth.reader.choosing import Candidate, choose, thirds
from fetalsynth.reader.pipeline import (
    Crop,
    Plan,
    encode,
    grey,
    make_stimulus,
    plan_images,
    scrambled,
)
from fetalsynth.reader.pipeline_volumes import VolumeFile, make_cube, plan_volumes, tiles
from fetalsynth.reader.study import KeyRow, read_key, read_orders, read_study, stimulus_files

Pixels = NDArray[np.uint8]


def _texture(rng: np.random.Generator, size: int = 48) -> Pixels:
    field = gaussian_filter(rng.normal(size=(size, size)), size / 32)
    return np.uint8(np.clip(110 + 45 * field / field.std(), 0, 255))


def _folder(path: Path, count: int, *, seed: int, size: int = 48) -> Path:
    path.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(count):
        Image.fromarray(_texture(rng, size)).save(path / f"{path.name}{number:03d}.png")
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("sets")
    return _folder(place / "patients", 40, seed=1), _folder(place / "network", 40, seed=2)


def _new(out: Path, real: Path, *synthetic: str | Path, **given: Any) -> int:
    options = {"seed": 3, "n": 24, "practice": 4, "repeat-lag": 5, "readers": 4, **given}
    words = [word for name, value in options.items() for word in (f"--{name}", *str(value).split())]
    switches = [word for word in words if word not in ("True",)]
    made = ["--synthetic", *map(str, synthetic)]
    return main(["reader", "new", "--real", str(real), *made, "--out", str(out), *switches])


def _chosen(study: Path, **wanted: str) -> list[KeyRow]:
    rows = read_key(study).values()
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def _stimulus(study: Path, id: str) -> Pixels:
    return np.asarray(Image.open(study / "stimuli" / f"{id}.png"))


def test_a_study_is_balanced_and_its_files_are_all_alike(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    real, made = folders
    assert _new(tmp_path / "study", real, made, catch=0.1) == 0
    study, key = read_study(tmp_path / "study"), read_key(tmp_path / "study")
    assert {item.id for item in study.items} == set(key)
    counts = Counter((row.role, row.truth) for row in key.values())
    assert counts == {
        ("main", "real"): 12,
        ("main", "synthetic"): 12,
        ("practice", "real"): 2,
        ("practice", "synthetic"): 2,
        ("catch", "synthetic"): 2,
    }
    assert (study.practice, study.main, study.presentations) == (4, 26, 4 + 26 + 3)
    assert len(read_orders(tmp_path / "study")) == 4
    sources = [row.source_sha256 for row in key.values() if row.role != "catch"]
    assert len(set(sources)) == len(sources)
    files = [tmp_path / "study" / stimulus_files(item)[""] for item in study.items]
    assert len({file.stat().st_size for file in files}) == 1
    assert len({file.stat().st_mtime_ns for file in files}) == 1
    for file in files:
        data = file.read_bytes()
        assert re.findall(rb"IHDR|IDAT|IEND|tEXt|pHYs|tIME|gAMA|sRGB|eXIf", data) == [
            b"IHDR",
            b"IDAT",
            b"IEND",
        ]


def test_what_the_server_reads_does_not_tell_the_classes_apart(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    """The same study with the classes exchanged is the same but for the key and the pictures."""
    one, other = folders
    assert _new(tmp_path / "a" / "study", one, f"x={other}") == 0
    assert _new(tmp_path / "b" / "study", other, f"x={one}") == 0
    texts = [(tmp_path / place / "study" / "study.json").read_text() for place in "ab"]
    assert texts[0] == texts[1]
    assert not re.search(r"patients\d|network\d|\"truth\"|\"role\"|\"set\"", texts[0])
    orders = (tmp_path / "a" / "study" / "orders.json").read_text()
    assert not re.search(r"real|synthetic|catch", orders)
    assert all(re.fullmatch(r"[0-9a-f]{32}", item["id"]) for item in json.loads(texts[0])["items"])
    for secret in ("key.csv", "orders.json"):
        assert stat.S_IMODE((tmp_path / "a" / "study" / secret).stat().st_mode) == 0o600


def test_ids_follow_from_a_seed_that_is_written_nowhere(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    real, made = folders
    for name, seed in (("a", 1234567), ("b", 1234567), ("c", 7654321)):
        assert _new(tmp_path / name, real, made, seed=seed) == 0
    ids = {name: set(read_key(tmp_path / name)) for name in "abc"}
    assert ids["a"] == ids["b"]
    assert not ids["a"] & ids["c"]
    written = [path for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert not any(b"1234567" in path.read_bytes() for path in written)
    given = ["--n", "24", "--repeat-lag", "5", "--readers", "4", "--out", str(tmp_path / "d")]
    main(["reader", "new", "--real", str(real), "--synthetic", str(made), *given])
    assert not set(read_key(tmp_path / "d")) & ids["a"]


def test_the_same_command_is_done_and_another_touches_nothing(
    tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real, made = folders
    assert _new(tmp_path / "study", real, made) == 0
    before = (tmp_path / "study" / "key.csv").read_bytes()
    assert _new(tmp_path / "study", real, made) == 0
    assert "already done" in capsys.readouterr().out
    assert _new(tmp_path / "study", real, made, n=20) == 2
    assert (tmp_path / "study" / "key.csv").read_bytes() == before


def test_the_2022_design_asks_what_that_study_asked(tmp_path: Path) -> None:
    real, made = _folder(tmp_path / "r", 36, seed=1), _folder(tmp_path / "s", 36, seed=2)
    words = ["--preset", "ultrasound-2022", "--readers", "3", "--out", str(tmp_path / "study")]
    assert main(["reader", "new", "--real", str(real), "--synthetic", str(made), *words]) == 0
    study, key = read_study(tmp_path / "study"), read_key(tmp_path / "study")
    assert (study.questions.verdict, study.questions.quality) == ("binary", 5)
    assert (study.practice, study.presentations, len(key)) == (0, 68, 68)
    assert Counter(row.truth for row in key.values()) == {"real": 34, "synthetic": 34}
    assert any("2022" in note for note in study.notes)


def test_pairs_have_one_real_image_each_and_twins_meet(tmp_path: Path) -> None:
    """A synthetic image of the same name as a real one shows the same head: they are a pair."""
    real, made = _folder(tmp_path / "r", 40, seed=1), _folder(tmp_path / "s", 40, seed=2)
    for path in (*real.iterdir(), *made.iterdir()):
        path.rename(path.with_name(path.name[1:]))
    out = tmp_path / "study"
    assert _new(out, real, made, preset="pairs", n=20, catch=0.1) == 0
    key = read_key(out)
    assert all(key[row.pair].pair == row.id for row in key.values())
    assert all(key[row.pair].truth != row.truth for row in key.values())
    assert all(key[row.pair].role == row.role for row in key.values())
    # 20 of 40 heads drawn in both classes: ten in common expected, six at the very least
    assert sum(key[row.pair].subject == row.subject for row in _chosen(out, role="main")) >= 12
    shown = [{one.item, one.item2} for one in read_orders(out)[0]]
    assert all({key[id].truth for id in pair if id} == {"real", "synthetic"} for pair in shown)


def _artifact(out: Path, *, subjects: int, per_subject: int) -> Path:
    manifest = draft(kind="images", configuration={}, synthetic=False)
    rng = np.random.default_rng(5)
    with building(out, manifest) as folder:
        writer = ImagesWriter(folder)
        for subject in range(subjects):
            for number in range(per_subject):
                writer.add(
                    _texture(rng),
                    name=f"{subject}-{number}",
                    subject=str(subject),
                    split="test" if subject % 2 else "train",
                    gestational_age_weeks=18 + subject / 4,
                )
        writer.close()
    return out


def test_real_images_are_held_out_one_per_subject_and_spread_over_ages(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    real = _artifact(tmp_path / "real", subjects=60, per_subject=3)
    assert _new(tmp_path / "study", real, folders[1]) == 0
    chosen = _chosen(tmp_path / "study", truth="real", role="main")
    assert all(int(row.subject) % 2 for row in chosen)
    assert len({row.subject for row in chosen}) == len(chosen) == 12
    ages = [row.gestational_age_weeks or 0 for row in chosen]
    edges = np.quantile([18 + subject / 4 for subject in range(1, 60, 2)], [1 / 3, 2 / 3])
    assert np.bincount(np.searchsorted(edges, ages), minlength=3).tolist() == [4, 4, 4]
    assert len({row.stratum for row in chosen}) == 3


def test_synthetic_sets_are_equally_many(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    real, made = folders
    third = _folder(tmp_path / "third", 30, seed=9)
    assert _new(tmp_path / "study", real, f"one={made}", f"two={third}") == 0
    rows = _chosen(tmp_path / "study", truth="synthetic", role="main")
    assert Counter(row.set for row in rows) == {"one": 6, "two": 6}


def test_subjects_repeat_only_when_all_are_used() -> None:
    candidates = [
        Candidate(
            set="s", place=n, truth="real", file=f"{n}", subject=f"{n // 3}", sha256=f"{n}", value=n
        )
        for n in range(30)
    ]
    strata = thirds(candidates, name="n")
    rng = np.random.default_rng(0)
    ten = choose(candidates, count=10, strata=strata, rng=rng)
    assert len({one.subject for one in ten}) == 10
    twelve = choose(candidates, count=12, strata=strata, rng=rng)
    assert len({one.subject for one in twelve}) == 10
    assert len({one.place for one in twelve}) == 12
    with pytest.raises(UserError, match="31 real images"):
        choose(candidates, count=31, strata=strata, rng=rng)


def test_sets_of_different_size_are_all_resampled(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    fine = _folder(tmp_path / "fine", 30, seed=4, size=96)
    assert _new(tmp_path / "study", folders[0], fine, **{"no-audit": True}) == 0
    study = read_study(tmp_path / "study")
    assert {(item.width, item.height) for item in study.items} == {(40, 40)}  # 46 less 3 + 3
    assert any("all resampled" in note for note in study.notes)
    for row in _chosen(tmp_path / "study", role="main", truth="real"):
        original = np.asarray(Image.open(folders[0] / row.source_file))[3:-3, 3:-3]
        shown = _stimulus(tmp_path / "study", row.id)
        assert shown.shape != original.shape
    assert _new(tmp_path / "other", folders[0], fine, size=48) == 2


def test_pixels_only_change_as_the_plan_says() -> None:
    rng = np.random.default_rng(1)
    images = np.stack([_texture(rng) for _ in range(5)])
    images[:, :6] = 0  # padding
    plan = plan_images([grey(images)], floor=4 / 255, margin=0.05)
    assert plan.crop == Crop(top=9, bottom=3, left=3, right=3)
    assert not plan.resampled
    cut = images[0, 9:-3, 3:-3]
    shown = make_stimulus(grey(images[0]), plan)
    assert np.array_equal(shown, np.where(cut < 4, 0, cut))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(shown)))), shown)


def test_resampling_keeps_places_and_removes_what_the_grid_cannot_show() -> None:
    """A slow wave stays where it is, to the pixel; a wave beyond the new grid's limit vanishes."""
    plan = Plan(height=48, width=48, crop=Crop(), floor=0.0, resampled=True)
    x = (np.arange(96) + 0.5) / 96
    slow = np.tile(0.5 + 0.4 * np.sin(4 * np.pi * x), (96, 1))
    coarse = 0.5 + 0.4 * np.sin(4 * np.pi * (np.arange(48) + 0.5) / 48)
    assert np.abs(make_stimulus(slow, plan)[24] / 255 - coarse).max() < 0.01
    fast = np.tile(0.5 + 0.4 * np.sin(2 * np.pi * 40 * x), (96, 1))
    assert np.abs(make_stimulus(fast, plan)[:, 4:-4] / 255 - 0.5).max() < 0.03


def test_catch_trials_have_the_grey_levels_of_images_in_another_place() -> None:
    rng = np.random.default_rng(1)
    image = _texture(rng)
    mixed = scrambled(image, rng)
    assert not np.array_equal(mixed, image)
    assert np.array_equal(np.sort(mixed.ravel()), np.sort(image.ravel()))


def _volume(
    folder: Path, name: str, *, seed: int, turned: bool = False, spacing: float = 1.0
) -> VolumeFile:
    """A head off the centre; ``turned`` stores the same in another order of axes."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((22, 24, 20), np.uint8)
    labels[3:17, 4:20, 2:16] = 1
    image = np.where(labels, gaussian_filter(rng.normal(size=labels.shape), 1) * 200 + 500, 90)
    affine = np.diag([spacing, spacing, spacing, 1])
    if turned:
        image, labels = (np.flip(v.transpose(2, 0, 1), 1) for v in (image, labels))
        affine = affine @ np.array([[0, -1, 0, 21], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
    folder.mkdir(exist_ok=True)
    for voxels, kind in ((image.astype(np.int16), "T2w"), (labels, "dseg")):
        nifti: Any = nibabel
        nifti.save(nifti.Nifti1Image(voxels, affine), folder / f"sub-{name}_{kind}.nii.gz")
    return VolumeFile(
        image=folder / f"sub-{name}_T2w.nii.gz", mask=folder / f"sub-{name}_dseg.nii.gz"
    )


def test_a_volume_looks_the_same_however_its_file_is_stored(tmp_path: Path) -> None:
    one = _volume(tmp_path, "a", seed=1)
    other = _volume(tmp_path, "b", seed=1, turned=True)
    plan = plan_volumes([one, other], floor=0.0)
    assert plan.masked
    assert plan.spacing_mm is None
    cubes = [make_cube(file, plan) for file in (one, other)]
    assert np.array_equal(cubes[0], cubes[1])
    assert plan.size == 20  # 16 voxels and two on either side
    assert (cubes[0] > 0).sum() == 14 * 16 * 14  # black outside the label map
    assert np.percentile(cubes[0][cubes[0] > 0], 99.9) > 250


def test_volumes_of_different_spacing_come_to_one_that_none_has(tmp_path: Path) -> None:
    files = [_volume(tmp_path, "a", seed=1), _volume(tmp_path, "b", seed=1, spacing=0.8)]
    plan = plan_volumes(files, floor=0.0)
    assert plan.spacing_mm == pytest.approx(1 / 0.95)
    cubes = [make_cube(file, plan) for file in files]
    for cube, spacing in zip(cubes, (1.0, 0.8), strict=True):
        for axis, voxels in enumerate((14, 16, 14)):
            across = tuple(other for other in range(3) if other != axis)
            shown = int((cube > 0).any(axis=across).sum())
            assert abs(shown - voxels * spacing * 0.95) <= 1


def test_a_study_of_volumes_shows_every_slice_of_three_planes(tmp_path: Path) -> None:
    for number in range(6):
        _volume(tmp_path / "real", f"r{number}", seed=number)
        _volume(tmp_path / "made", f"s{number}", seed=50 + number)
    out = tmp_path / "study"
    given = {"n": 8, "practice": 2, "catch": 0.1, "repeats": 0}
    assert _new(out, tmp_path / "real", tmp_path / "made", **given) == 0
    study = read_study(out)
    assert study.modality == "volumes"
    item = study.items[0]
    assert item.slices == {"sagittal": 20, "coronal": 20, "axial": 20}
    row = _chosen(out, role="main", truth="real")[0]
    name = row.source_file.removesuffix("_T2w.nii.gz").removeprefix("sub-")
    file = VolumeFile(
        image=tmp_path / "real" / row.source_file,
        mask=tmp_path / "real" / f"sub-{name}_dseg.nii.gz",
    )
    cube = make_cube(file, plan_volumes([file], floor=4 / 255))
    axial = np.asarray(Image.open(out / "stimuli" / row.id / "axial.png"))
    assert axial.shape == (4 * 20, 5 * 20)
    for number in range(20):
        top, left = 20 * (number // 5), 20 * (number % 5)
        # axial slices have anterior up and the left of the body... of the array on the left
        assert np.array_equal(axial[top : top + 20, left : left + 20], cube[:, ::-1, number].T)
    assert tiles(cube, plane="sagittal").shape == (4 * 20, 5 * 20)


def test_a_class_with_another_history_is_refused_unless_asked_for(
    tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real, made = folders
    (tmp_path / "jpeg").mkdir()
    for path in real.iterdir():
        Image.open(path).save(tmp_path / "jpeg" / f"{path.stem}.jpg", quality=75)
    assert _new(tmp_path / "study", tmp_path / "jpeg", made) == 1
    said = capsys.readouterr()
    assert "8 × 8 blocks" in said.out
    assert "--no-audit" in said.err
    assert not (tmp_path / "study").exists()
    assert not list(tmp_path.glob("*.partial"))
    assert _new(tmp_path / "study", tmp_path / "jpeg", made, **{"no-audit": True}) == 0
    assert read_manifest(tmp_path / "study").facts == {"audit": "not run"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"n": 25}, "even number"),
        ({"n": 400}, "lower --n"),
        ({"catch": 0.7}, "--catch"),
        ({"readers": 0}, "--readers"),
        ({"window": "200 100"}, "--window"),
    ],
)
def test_what_cannot_be_made_is_said(
    tmp_path: Path,
    folders: tuple[Path, Path],
    given: dict[str, Any],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _new(tmp_path / "study", *folders, **given) == 2
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_sets_must_be_of_one_kind_and_named_apart(
    tmp_path: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    real, made = folders
    _volume(tmp_path / "volumes", "a", seed=1)
    assert _new(tmp_path / "study", real, tmp_path / "volumes") == 2
    assert "give one kind" in capsys.readouterr().err
    assert _new(tmp_path / "study", real, made, made) == 2
    assert "NAME=DIR" in capsys.readouterr().err
