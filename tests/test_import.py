"""Importing: one grid with everything measured on it, no patient on both sides, overlays gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_from_columns, ellipse_mask, fit_ellipse
from fetalsynth.artifacts.images import read_table
from fetalsynth.datasets.geometry import Fit, fit_to_square
from fetalsynth.datasets.hc18 import open_source
from fetalsynth.datasets.importing import import_images
from fetalsynth.datasets.overlays import Box, find_overlays
from fetalsynth.datasets.painting import paint_over
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.source import Source, SourceImage
from fetalsynth.datasets.splits import split_subjects
from fetalsynth.errors import DataWarning, UserError

HEAD = Ellipse(center_x_px=420, center_y_px=230, semi_major_px=200, semi_minor_px=150, angle_deg=20)


def an_image(name: str = "a", *, seed: int = 0, subject: str = "s") -> SourceImage:
    rng = np.random.default_rng(seed)
    mask = ellipse_mask(HEAD, height=540, width=800)
    pixels = np.where(mask > 0, 180, 40).astype(np.uint8) + rng.integers(
        0, 20, (540, 800), np.uint8
    )
    return SourceImage(
        name=name,
        subject=subject,
        pixels=pixels,
        mask=mask,
        ellipse=HEAD,
        pixel_spacing_mm=(0.1, 0.1),
        gestational_age_weeks=24.5,
        extra={"scanner": "E8"},
    )


def a_source(images: list[SourceImage], **changes: object) -> Source:
    def read() -> Iterator[SourceImage]:
        yield from images

    source = Source(name="made", digest="d", count=len(images), images=read)
    return replace(source, **changes)  # type: ignore[arg-type]


def boundary_points(mask: np.ndarray) -> np.ndarray:
    inside = mask > 0
    inner = np.zeros_like(inside)
    inner[1:-1, 1:-1] = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    y, x = np.nonzero(inside & ~inner)
    return np.column_stack([x, y])


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", [64, 256, 1000])
def test_pixels_mask_ellipse_and_spacing_stay_together(fit: Fit, size: int) -> None:
    small = fit_to_square(an_image(), size=size, fit=fit)
    assert small.pixels.shape == small.mask.shape == (size, size)
    assert small.ellipse is not None
    assert small.mask is not None
    drawn = ellipse_mask(small.ellipse, height=size, width=size) > 0
    union = np.count_nonzero(drawn | (small.mask > 0))
    assert np.count_nonzero(drawn & (small.mask > 0)) > (0.95 if size == 64 else 0.99) * union
    bright = small.pixels > 110
    assert np.count_nonzero(bright & drawn) > (0.95 if size == 64 else 0.99) * np.count_nonzero(
        bright | drawn
    )
    refit = fit_ellipse(boundary_points(small.mask))
    assert refit.center_x_px == pytest.approx(small.ellipse.center_x_px, abs=0.3)
    assert refit.center_y_px == pytest.approx(small.ellipse.center_y_px, abs=0.3)
    spacing_y, spacing_x = small.pixel_spacing_mm or (0, 0)
    area = np.pi * small.ellipse.semi_major_px * small.ellipse.semi_minor_px
    assert area * spacing_x * spacing_y == pytest.approx(np.pi * 20 * 15, rel=1e-6)
    rows = np.flatnonzero(small.pixels.any(axis=1))
    height = size if fit == "squash" else round(540 * size / 800)
    assert len(rows) == height
    assert (size - height) // 2 == rows[0]


def test_resampling_is_antialiased_and_keeps_sixteen_bits() -> None:
    stripes = np.tile(np.array([0, 60000], np.uint16), (400, 200))
    image = SourceImage(name="a", subject="s", pixels=stripes)
    small = fit_to_square(image, size=50, fit="pad").pixels
    assert small.dtype == np.uint16
    assert np.abs(small[:, 1:-1].astype(int) - 30000).max() < 100
    already = replace(image, pixels=stripes[:50, :50])
    assert fit_to_square(already, size=50, fit="pad") is already


def test_split_is_by_subject_reproducible_and_nested() -> None:
    subjects = [f"{i:03d}" for i in range(200)]
    small = split_subjects(subjects, held_out=0.1, seed=0)
    large = split_subjects(reversed(subjects * 2), held_out=0.3, seed=0)
    test_of = [{s for s, split in found.items() if split == "test"} for found in (small, large)]
    assert [len(found) for found in test_of] == [20, 60]
    assert test_of[0] < test_of[1]
    assert split_subjects(subjects, held_out=0.1, seed=1) != small
    assert set(split_subjects(subjects, held_out=0, seed=0).values()) == {"train"}
    assert list(split_subjects(["a", "b"], held_out=0.01, seed=0).values()).count("test") == 1
    for subjects_, fraction in ((["a"], 0.2), (subjects, 1.0), (subjects, -0.1), (["a", "b"], 0.9)):
        with pytest.raises(UserError, match=r"held-out|split"):
            split_subjects(subjects_, held_out=fraction, seed=0)


def test_import_writes_what_the_source_knows(tmp_path: Path) -> None:
    images = [an_image(f"i{n}", seed=n, subject=f"s{n // 2}") for n in range(10)]
    images.append(replace(images[0], name="copy"))
    with pytest.warns(DataWarning, match="identical images, all kept: i0 = copy"):
        facts = import_images(a_source(images), folder=tmp_path, size=64, held_out=0.4)
    rows = read_table(tmp_path)
    assert [row.file for row in rows] == [f"images/{image.name}.png" for image in images]
    assert facts["duplicates"] == [["i0", "copy"]]
    assert facts["images"] == 11
    assert (facts["train_subjects"], facts["test_subjects"]) == (3, 2)
    by_subject = {row.subject: row.split for row in rows}
    assert all(by_subject[row.subject] == row.split for row in rows)
    row = rows[3]
    assert row.gestational_age_weeks == 24.5
    assert row.pixel_spacing_x_mm == pytest.approx(0.1 * 800 / 64)
    assert row.extra["scanner"] == "E8"
    expected = fit_to_square(images[3], size=64, fit="pad")
    assert np.array_equal(np.asarray(Image.open(tmp_path / row.file)), expected.pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / row.extra["mask"])), expected.mask)
    ellipse = ellipse_from_columns(row.extra)
    assert ellipse is not None
    assert expected.ellipse is not None
    assert ellipse.semi_major_px == pytest.approx(expected.ellipse.semi_major_px, rel=1e-4)
    with Image.open(tmp_path / "preview.png") as sheet:
        assert sheet.width > 8 * 64


def test_import_keeps_sizes_and_notes_and_converts_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    first = SourceImage(name="a", subject="a", pixels=colour)
    second = SourceImage(name="b", subject="b", pixels=colour[:20, :10])
    source = a_source([first, second], notes=("read me",))
    with pytest.warns(DataWarning, match="read me"):
        facts = import_images(source, folder=tmp_path, size=None, channels=1, held_out=0)
    assert facts["notes"] == ["read me"]
    shapes = [np.asarray(Image.open(tmp_path / row.file)).shape for row in read_table(tmp_path)]
    assert shapes == [(40, 30), (20, 10)]
    deep = replace(first, pixels=colour.astype(np.uint16))
    with pytest.raises(UserError, match=r"a: 16-bit colour .* --channels 1"):
        import_images(a_source([deep]), folder=tmp_path, size=None)
    for size in (0, 5000):
        with pytest.raises(UserError, match=f"--size {size}"):
            import_images(a_source([first]), folder=tmp_path, size=size)


def test_results_keep_their_order_and_errors_stop() -> None:
    assert list(ordered_map(lambda n: n * n, range(100))) == [n * n for n in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(ordered_map(lambda n: 1 // (5 - n), range(100)))


def a_scan(*, seed: int = 0, level: float = 90) -> np.ndarray:
    """Speckle (Rayleigh) in a sector that is cut by the frame at both sides, without overlays."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    re, im = (gaussian_filter(rng.normal(size=(540, 800)), 1.5) for _ in range(2))
    speckle = np.hypot(re, im)
    y, x = np.mgrid[:540, :800]
    sector = (np.abs(x - 400) < 250 + 0.5 * y) & (np.hypot(x - 400, y + 300) < 820)
    pixels = np.clip(level * speckle / speckle.mean(), 1, 250)
    return np.where(sector, pixels, 0).astype(np.uint8)


def with_overlays(scan: np.ndarray) -> np.ndarray:
    marked = scan.copy()
    marked[24:186, 3:12] = np.linspace(243, 1, 162).astype(np.uint8)[:, None]
    marked[440:523, 590:] = 0
    return marked


def test_planted_overlays_are_found_and_clean_scans_are_not_blamed() -> None:
    for seed in range(3):
        assert find_overlays(a_scan(seed=seed)) == []
        found = find_overlays(with_overlays(a_scan(seed=seed)))
        assert Box(kind="bar", top=24, left=3, bottom=186, right=12) in found
        boxes = [box for box in found if box.kind == "box"]
        assert [(box.top, box.left) for box in boxes] == [(440, 590)]
        assert boxes[0].bottom >= 523


@pytest.mark.parametrize("turn", [(slice(None), slice(None, None, -1)), (slice(None, None, -1),)])
def test_boxes_are_found_in_every_corner(turn: tuple[slice, ...]) -> None:
    scan = with_overlays(a_scan())
    straight, turned = find_overlays(scan), find_overlays(scan[turn])
    assert len([box for box in turned if box.kind == "box"]) == 1
    assert {box.kind for box in turned} == {box.kind for box in straight}


def test_painted_tissue_is_like_its_surroundings_and_black_stays_black() -> None:
    truth = a_scan()
    marked = with_overlays(truth)
    painted = paint_over(marked, boxes=find_overlays(marked))
    assert find_overlays(painted) == []
    assert not painted[24:186, 3:12].any()
    hole = np.zeros(truth.shape, bool)
    hole[440:523, 590:] = True
    tissue, air = hole & (truth > 0), hole & (truth == 0)
    assert np.mean(painted[tissue] > 0) > 0.97
    assert np.mean(painted[air] == 0) > 0.9
    inner = tissue & (painted > 0)
    assert painted[inner].mean() == pytest.approx(truth[tissue].mean(), rel=0.1)
    assert painted[inner].std() == pytest.approx(truth[tissue].std(), rel=0.35)
    untouched = ~hole
    untouched[:, :12] = untouched[436:527, 586:] = False
    assert np.array_equal(painted[untouched], marked[untouched])
    assert np.array_equal(painted, paint_over(marked, boxes=find_overlays(marked)))
    assert paint_over(truth, boxes=[]) is truth


def test_imported_overlays_are_recorded(tmp_path: Path) -> None:
    scans = [a_scan(seed=1), with_overlays(a_scan(seed=2))]
    images = [SourceImage(name=n, subject=n, pixels=p) for n, p in zip("ab", scans, strict=True)]
    import_images(a_source(images), folder=tmp_path, size=64, mask_overlays=True, held_out=0)
    first, second = (row.extra["overlays"] for row in read_table(tmp_path))
    assert first == "none"
    assert second.startswith("bar:24,3,186,12;box:440,590,")


@pytest.mark.slow
def test_overlays_of_real_images(hc18_folder: Path) -> None:
    images = [image for n, image in enumerate(open_source(hc18_folder).images()) if n % 20 == 0]
    found = [find_overlays(image.pixels) for image in images]
    kinds = [{box.kind for box in boxes} for boxes in found]
    assert np.mean(["bar" in kind for kind in kinds]) >= 0.95
    assert np.mean(["box" in kind for kind in kinds]) >= 0.95
    for image, boxes in zip(images, found, strict=True):
        if "box" in {box.kind for box in boxes}:
            again = find_overlays(paint_over(image.pixels, boxes=boxes))
            assert all(box.kind != "bar" for box in again)
