"""Image sets come back exactly as they were written, or not at all, with the file named."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.datasets.loading import load_images
from fetalsynth.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 12, 10), dtype=np.uint8)


def an_artifact(out: Path, pixels: np.ndarray, splits: list[str]) -> Path:
    manifest = draft(kind="images", configuration={}, synthetic=False)
    with building(out, manifest) as folder:
        writer = ImagesWriter(folder)
        for number, (image, split) in enumerate(zip(pixels, splits, strict=True)):
            writer.add(image, name=f"i{number}", subject=f"s{number}", split=split)
        writer.close()
    return out


def a_folder(folder: Path, images: dict[str, np.ndarray]) -> Path:
    for name, pixels in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_artifact_comes_back_by_split(tmp_path: Path) -> None:
    out = an_artifact(tmp_path / "set", GREY, ["train", "test", "train", "", "test"])
    everything = load_images(out, role="data")
    assert np.array_equal(everything.pixels[..., 0], GREY)
    held_out = load_images(out, role="real", splits={"test"})
    assert np.array_equal(held_out.pixels[..., 0], GREY[[1, 4]])
    assert [record.subject for record in held_out.records] == ["s1", "s4"]
    assert held_out.source.role == "real"
    assert held_out.source.digest == read_manifest(out).content
    assert held_out.source.manifest is not None


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (3, 6, 6), dtype=np.uint16)
    out = an_artifact(tmp_path / "set", deep, ["train"] * 3)
    found = load_images(out, role="data", size=6).pixels
    assert found.dtype == np.uint16
    assert np.array_equal(found[..., 0], deep)


def test_plain_folder_in_order_with_digests_of_its_files(tmp_path: Path) -> None:
    a_folder(tmp_path, {"b.png": GREY[1], "a/z.png": GREY[0], "c.tif": GREY[2]})
    (tmp_path / ".hidden.png").write_text("no image")
    (tmp_path / "notes.txt").write_text("no image")
    found = load_images(tmp_path, role="synthetic")
    assert [record.file for record in found.records] == ["a/z.png", "b.png", "c.tif"]
    assert np.array_equal(found.pixels[..., 0], GREY[:3])
    digest = hashlib.sha256((tmp_path / "b.png").read_bytes()).hexdigest()
    assert found.records[1].sha256 == digest
    first = found.source.digest
    (tmp_path / "b.png").rename(tmp_path / "d.png")
    assert load_images(tmp_path, role="synthetic").source.digest != first


def test_luminance_agrees_with_pillow_and_grey_is_repeated(tmp_path: Path) -> None:
    colour = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
    a_folder(tmp_path / "rgb", {"a.png": colour})
    as_it_is = load_images(tmp_path / "rgb", role="x").pixels
    assert np.array_equal(as_it_is[0], colour)
    grey = load_images(tmp_path / "rgb", role="x", channels=1).pixels[0, ..., 0]
    reference = np.asarray(Image.fromarray(colour).convert("L"), dtype=int)
    assert np.abs(grey.astype(int) - reference).max() <= 1
    a_folder(tmp_path / "grey", {"a.png": GREY[0]})
    tripled = load_images(tmp_path / "grey", role="x", channels=3).pixels
    assert tripled.shape == (1, 12, 10, 3)
    assert np.array_equal(tripled[0], np.stack([GREY[0]] * 3, axis=-1))


def test_other_size_names_the_first_odd_file_and_both_sizes(tmp_path: Path) -> None:
    a_folder(tmp_path, {"a.png": GREY[0], "b.png": GREY[1][:, :8], "c.png": GREY[2]})
    with pytest.raises(UserError, match=r"b\.png: is 8×12 pixels, not the 10×12.*--size"):
        load_images(tmp_path, role="x")
    with pytest.raises(UserError, match=r"a\.png: is 10×12 pixels, not the 64×64"):
        load_images(tmp_path, role="x", size=64)


def test_mixed_channels_or_depths_are_refused(tmp_path: Path) -> None:
    colour = np.stack([GREY[0]] * 3, axis=-1)
    a_folder(tmp_path, {"a.png": GREY[0], "b.png": colour})
    with pytest.raises(UserError, match=r"b\.png: has 3 channels"):
        load_images(tmp_path, role="x")
    assert load_images(tmp_path, role="x", channels=1).pixels.shape == (2, 12, 10, 1)
    a_folder(tmp_path, {"b.png": GREY[0].astype(np.uint16)})
    with pytest.raises(UserError, match=r"b\.png: has 16 bits"):
        load_images(tmp_path, role="x")


def test_changed_or_lost_file_of_an_artifact_is_named(tmp_path: Path) -> None:
    out = an_artifact(tmp_path / "set", GREY, ["train"] * 5)
    path = out / "images" / "i3.png"
    Image.fromarray(GREY[0]).save(path)
    with pytest.raises(UserError, match=r"i3\.png: was changed"):
        load_images(out, role="x")
    path.unlink()
    with pytest.raises(UserError, match=r"i3\.png: it does not exist"):
        load_images(out, role="x")


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_images(tmp_path / "absent", role="x")
    with pytest.raises(UserError, match="holds no PNG"):
        load_images(tmp_path, role="x")
    out = an_artifact(tmp_path / "set", GREY, ["train"] * 5)
    with pytest.raises(UserError, match="no image in split 'test'"):
        load_images(out, role="x", splits=["test"])


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    a_folder(tmp_path, {"a.png": GREY[0]})
    (tmp_path / "b.png").write_bytes(content)
    with pytest.raises(UserError, match=r"b\.png: is not a readable image"):
        load_images(tmp_path, role="x")


@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_truncated_files_are_named(tmp_path: Path, kind: str, kept: float) -> None:
    noise = RNG.integers(0, 256, (200, 200), dtype=np.uint8)
    path = a_folder(tmp_path, {f"a.{kind}": noise}) / f"a.{kind}"
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=rf"a\.{kind}: is not a readable image"):
        load_images(tmp_path, role="x")
