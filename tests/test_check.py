"""Every planted fault is found, named and ranked; a sound set is not blamed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft
from fetalsynth.datasets.check import CheckResult, check_images
from fetalsynth.datasets.decoding import decode
from fetalsynth.datasets.duplicates import equal_groups, near_pairs, pixel_hash, thumbnail
from fetalsynth.errors import UserError


def a_picture(seed: int, *, size: int = 48) -> np.ndarray:
    """Smooth random structure with speckle: pictures of different seeds are not alike."""
    rng = np.random.default_rng(seed)
    shape = gaussian_filter(rng.normal(size=(size, size)), size / 10)
    speckle = rng.rayleigh(size=(size, size))
    bright = 120 + 60 * shape / shape.std() + 20 * speckle
    return bright.clip(0, 255).astype(np.uint8)


def an_artifact(
    out: Path, pictures: dict[str, np.ndarray], *, splits: dict[str, str], subjects: dict[str, str]
) -> Path:
    with building(out, draft(kind="images", configuration={}, synthetic=False)) as folder:
        writer = ImagesWriter(folder)
        for name, pixels in pictures.items():
            split = splits.get(name, "train")
            writer.add(pixels, name=name, subject=subjects.get(name, name), split=split)
        writer.close()
    return out


def found(result: CheckResult, severity: str) -> dict[str, tuple[str, ...]]:
    return {f.message: f.files for f in result.findings if f.severity == severity}


@pytest.fixture
def pictures() -> dict[str, np.ndarray]:
    return {f"i{seed}": a_picture(seed) for seed in range(12)}


def test_a_sound_set_is_not_blamed(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    out = an_artifact(tmp_path / "set", pictures, splits={"i3": "test"}, subjects={})
    result = check_images(out)
    assert result.findings == ()
    assert result.usable
    assert result.verdict == "usable, nothing to object to"
    assert result.facts["images"] == "12"
    assert result.facts["sizes"] == "48×48"
    assert result.facts["splits"] == "train (11), test (1)"


def test_leaks_between_splits_are_errors(tmp_path: Path, pictures: dict[str, np.ndarray]) -> None:
    pictures["copy"] = pictures["i0"]
    pictures["brighter"] = (pictures["i1"] * 0.9 + 12).astype(np.uint8)
    splits = dict.fromkeys(("copy", "brighter", "i5"), "test")
    out = an_artifact(tmp_path / "set", pictures, splits=splits, subjects={"i5": "p", "i6": "p"})
    result = check_images(out)
    errors = found(result, "error")
    assert not result.usable
    assert errors["subjects in more than one split: 1"] == ("p: test, train",)
    assert errors["identical pictures in more than one split: 1"] == (
        "images/i0.png = images/copy.png",
    )
    (near,) = errors["nearly identical pictures in more than one split: 1"]
    assert near.startswith("images/i1.png ≈ images/brighter.png")
    assert len(errors) == 3
    assert result.verdict.startswith("not usable as it is: 3 errors")


def test_copies_within_a_split_are_warnings(
    tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    pictures["copy"] = pictures["i0"]
    pictures["flat"] = np.full((48, 48), 9, np.uint8)
    pictures["flat2"] = np.full((48, 48), 10, np.uint8)
    result = check_images(an_artifact(tmp_path / "set", pictures, splits={}, subjects={}))
    assert result.usable
    warnings = found(result, "warning")
    assert "identical pictures within a split: 1" in warnings
    assert warnings["2 images of one grey level only"] == ("images/flat.png", "images/flat2.png")
    assert len(warnings) == 2


def test_broken_missing_and_changed_files_are_errors(
    tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    out = an_artifact(tmp_path / "set", pictures, splits={}, subjects={})
    Image.fromarray(a_picture(99)).save(out / "images" / "i1.png")
    (out / "images" / "i2.png").unlink()
    path = out / "images" / "i3.png"
    path.write_bytes(path.read_bytes()[:200])
    errors = found(check_images(out), "error")
    unreadable = errors["2 files cannot be read"]
    assert unreadable[0] == "images/i2.png: it does not exist"
    assert unreadable[1].startswith("images/i3.png: is not a readable image")
    assert errors["1 file differ from the SHA-256 in the table"] == ("images/i1.png",)


def test_plain_folder_with_mixed_kinds(tmp_path: Path) -> None:
    Image.fromarray(a_picture(0)).save(tmp_path / "a.png")
    Image.fromarray(a_picture(1, size=40)).save(tmp_path / "b.png")
    Image.fromarray(np.dstack([a_picture(2)] * 3)).save(tmp_path / "c.png")
    Image.fromarray(a_picture(3).astype(np.uint16)).save(tmp_path / "d.png")
    (tmp_path / "e.png").write_text("no image")
    result = check_images(tmp_path)
    warnings = found(result, "warning")
    assert "2 different sizes: 48×48 (3), 40×40 (1)" in warnings
    assert "2 different channel counts: 1 (3), 3 (1)" in warnings
    assert "2 different depths: 8-bit (3), 16-bit (1)" in warnings
    (broken,) = found(result, "error")["1 file cannot be read"]
    assert broken.startswith("e.png: is not a readable image")
    assert [f.name for f in result.findings if f.severity == "note"] == ["subjects"]
    assert result.findings[0].severity == "error"


def test_faint_images_are_noticed(tmp_path: Path) -> None:
    for seed in range(3):
        deep = (a_picture(seed).astype(np.uint16)) * 16
        Image.fromarray(deep).save(tmp_path / f"{seed}.png")
    assert any(
        "6.2 % of the full scale" in text for text in found(check_images(tmp_path), "warning")
    )


def test_overlays_are_found_sharp_and_blurred(tmp_path: Path) -> None:
    for seed in range(60):
        large = a_picture(seed, size=256)
        large[20:120, 3:9] = np.linspace(250, 5, 100).astype(np.uint8)[:, None]
        small = Image.fromarray(large).resize((64, 64), Image.Resampling.BILINEAR)
        for name, image in (("large", Image.fromarray(large)), ("small", small)):
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{seed}.png")
    sharp = found(check_images(tmp_path / "large"), "warning")
    assert "60 images with a burned-in grey-level bar" in sharp
    (blurred,) = found(check_images(tmp_path / "small"), "warning")
    assert "hardly change from image to image" in blurred


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no PNG"):
        check_images(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        check_images(tmp_path / "absent")


def test_hashes_and_pairs() -> None:
    a, b = a_picture(0), a_picture(1)
    hashes = [pixel_hash(x) for x in (a, b, a.copy(), a.astype(np.uint16), a.reshape(24, 96))]
    assert equal_groups(hashes) == [[0, 2]]
    many = np.stack([thumbnail(a_picture(seed)) for seed in range(40)])
    reference = np.corrcoef(many)
    expected = {(i, j) for i in range(40) for j in range(i + 1, 40) if reference[i, j] >= 0.1}
    pairs = near_pairs(many, threshold=0.1)
    assert {(pair.first, pair.second) for pair in pairs} == expected
    assert all(
        pair.correlation == pytest.approx(reference[pair.first, pair.second], abs=1e-5)
        for pair in pairs
    )
    assert pairs == sorted(pairs, key=lambda pair: -pair.correlation)
    assert not thumbnail(np.full((9, 9), 7, np.uint8)).any()


def test_near_pairs_cross_the_chunks() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1500, 64)).astype(np.float32)
    vectors[1400] = vectors[3]
    vectors[900] = vectors[899]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert {(p.first, p.second) for p in near_pairs(vectors)} == {(3, 1400), (899, 900)}


# Frames that another user found to be re-exports of one acquired frame, by comparing all pixels.
KNOWN_COPIES = ("243_3HC", "788_2HC", "720_2HC", "507_2HC", "198_2HC", "392_3HC", "220_2HC")


@pytest.mark.slow
def test_known_copies_of_hc18(hc18_folder: Path) -> None:
    files = sorted((hc18_folder / "training_set").glob("*HC.png"))
    marks = np.stack([thumbnail(decode(path.read_bytes(), path=path)[0]) for path in files])
    pairs = [(files[p.first].stem, files[p.second].stem) for p in near_pairs(marks)]
    assert {name for pair in pairs for name in pair} > set(KNOWN_COPIES)
    assert all(a.split("_")[0] == b.split("_")[0] for a, b in pairs)
    assert len(pairs) <= 13
