"""HC18 in its official layout: outlines, table, examinations, and what can be missing."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_area, ellipse_mask
from fetalsynth.datasets.hc18 import open_source
from fetalsynth.datasets.outlines import read_outline
from fetalsynth.errors import UserError

NAMES = ("000_HC", "010_HC", "010_2HC")
HEADER = "filename,pixel size(mm),head circumference (mm)"


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """(y, x) of a one-pixel ellipse around (80, 60) with semi-axes 50 and 35, turned by 0.3."""
    t = np.linspace(0, 2 * np.pi, 5000)
    x = 80 + 50 * np.cos(t) * np.cos(0.3) - 35 * np.sin(t) * np.sin(0.3)
    y = 60 + 50 * np.cos(t) * np.sin(0.3) + 35 * np.sin(t) * np.cos(0.3)
    return np.rint(y).astype(int), np.rint(x).astype(int)


def an_archive(root: Path, *, names: tuple[str, ...] = NAMES, level: int = 255) -> Path:
    rng = np.random.default_rng(0)
    folder = root / "training_set"
    folder.mkdir(parents=True)
    rows = [HEADER]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (120, 160), np.uint8)).save(folder / f"{name}.png")
        outline = np.zeros((120, 160), np.uint8)
        outline[drawn()] = level
        Image.fromarray(outline).save(folder / f"{name}_Annotation.png")
        rows.append(f"{name}.png,0.2,53.8")
    (root / "training_set_pixel_size_and_HC.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.mark.parametrize("level", [1, 255])
def test_images_masks_ellipses_and_table(tmp_path: Path, level: int) -> None:
    root = an_archive(tmp_path / "hc18", level=level)
    source = open_source(root)
    images = list(source.images())
    assert [image.name for image in images] == ["000_HC", "010_2HC", "010_HC"]
    assert [image.subject for image in images] == ["000", "010", "010"]
    assert source.count == 3
    assert source.licences[0].licence == "CC BY 4.0"
    assert not source.synthetic
    image = images[0]
    assert image.ellipse is not None
    assert image.mask is not None
    assert image.ellipse.center_x_px == pytest.approx(80, abs=0.2)
    assert image.ellipse.center_y_px == pytest.approx(60, abs=0.3)
    assert image.ellipse.semi_major_px == pytest.approx(50, abs=0.5)
    assert image.ellipse.semi_minor_px == pytest.approx(35, abs=0.5)
    assert image.ellipse.angle_deg == pytest.approx(math.degrees(0.3), abs=0.5)
    area = ellipse_area(image.ellipse)
    assert np.count_nonzero(image.mask) == pytest.approx(area, rel=0.04)
    assert image.pixel_spacing_mm == (0.2, 0.2)
    assert image.extra["head_circumference_mm"] == "53.8"
    h = ((50 - 35) / 85) ** 2
    by_hand = 0.2 * math.pi * 85 * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))
    assert float(image.extra["ellipse_circumference_mm"]) == pytest.approx(by_hand, rel=0.01)


def test_root_and_training_folder_are_the_same_source(tmp_path: Path) -> None:
    root = an_archive(tmp_path / "hc18")
    assert open_source(root).digest == open_source(root / "training_set").digest
    nested = tmp_path / "nested" / "training_set"
    nested.mkdir(parents=True)
    (root / "training_set").rename(nested / "training_set")
    (root / "training_set_pixel_size_and_HC.csv").rename(
        tmp_path / "nested" / "training_set_pixel_size_and_HC.csv"
    )
    assert len(list(open_source(tmp_path / "nested").images())) == 3


def test_test_set_has_no_outlines(tmp_path: Path) -> None:
    folder = tmp_path / "test_set"
    folder.mkdir()
    Image.fromarray(np.full((20, 30), 7, np.uint8)).save(folder / "000_HC.png")
    (tmp_path / "test_set_pixel_size.csv").write_text("filename,pixel size(mm)\n000_HC.png,0.25\n")
    for where in (tmp_path, folder):
        (image,) = open_source(where).images()
        assert image.mask is None
        assert image.ellipse is None
        assert image.pixel_spacing_mm == (0.25, 0.25)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        open_source(tmp_path / "absent")
    with pytest.raises(UserError, match="is not HC18"):
        open_source(tmp_path)
    root = an_archive(tmp_path / "hc18")
    table = root / "training_set_pixel_size_and_HC.csv"
    whole = table.read_text()
    table.write_text(whole.replace("010_2HC.png,0.2,53.8\n", ""))
    with pytest.raises(UserError, match=r"has no row for 010_2HC\.png"):
        open_source(root)
    table.write_text(whole.replace("010_HC.png,0.2", "010_HC.png,zero"))
    with pytest.raises(UserError, match=r"line 3: pixel size\(mm\) must be a positive number"):
        open_source(root)
    table.write_text(whole + "999_HC.png,0.2,50\n")
    with pytest.raises(UserError, match=r"999_HC\.png: is in .* but not there"):
        open_source(root)
    table.write_text(whole + "010_HC.png,0.9,50\n")
    with pytest.raises(UserError, match=r"line 5: a second row for 010_HC\.png"):
        open_source(root)
    table.write_text(whole.replace("head circumference (mm)", "HC"))
    with pytest.raises(UserError, match=r"lacks the column 'head circumference \(mm\)'"):
        open_source(root)
    table.unlink()
    with pytest.raises(UserError, match="training_set_pixel_size_and_HC"):
        open_source(root)
    table.write_text(whole)
    outline = root / "training_set" / "000_HC_Annotation.png"
    outline.unlink()
    with pytest.raises(UserError, match=r"000_HC_Annotation\.png: is missing"):
        open_source(root)
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(outline)
    with pytest.raises(UserError, match=r"000_HC_Annotation\.png: holds no head outline"):
        list(open_source(root).images())
    outline.write_text("no image")
    with pytest.raises(UserError, match=r"000_HC_Annotation\.png: is not a readable image"):
        list(open_source(root).images())


@pytest.mark.parametrize("closed_along_the_border", [True, False])
def test_a_head_that_leaves_the_image_is_still_filled(closed_along_the_border: bool) -> None:
    truth = Ellipse(
        center_x_px=70, center_y_px=20, semi_major_px=60, semi_minor_px=45, angle_deg=10
    )
    whole = ellipse_mask(truth, height=100, width=150) > 0
    inner = np.zeros_like(whole)
    inner[1:-1, 1:-1] = (
        whole[1:-1, 1:-1] & whole[:-2, 1:-1] & whole[2:, 1:-1] & whole[1:-1, :-2] & whole[1:-1, 2:]
    )
    outline = whole & ~inner
    if not closed_along_the_border:
        outline[0] = False
        outline[1:3, 60:75] = False
    mask, ellipse = read_outline(outline.astype(np.uint8))
    shared = np.count_nonzero((mask > 0) & whole) / np.count_nonzero((mask > 0) | whole)
    assert shared > 0.97
    assert ellipse.center_y_px == pytest.approx(20, abs=1.5)
    assert ellipse.semi_minor_px == pytest.approx(45, abs=1.5)


def test_real_circumferences_agree_with_the_table(hc18_folder: Path) -> None:
    source = open_source(hc18_folder)
    assert source.count == 999
    ratios = []
    for image in islice(source.images(), 40):
        known = image.extra
        measured = float(known["ellipse_circumference_mm"])
        ratios.append(measured / float(known["head_circumference_mm"]))
    assert np.median(ratios) == pytest.approx(1, abs=0.01)
    assert np.abs(np.array(ratios) - 1).max() < 0.02
