"""``fetalsynth anatomy head-circumference`` from images to report, and its errors."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fetalsynth.anatomy.ellipse import Ellipse, ellipse_circumference, ellipse_columns
from fetalsynth.artifacts.building import building
from fetalsynth.artifacts.images import ImagesWriter
from fetalsynth.artifacts.manifest import draft, read_manifest
from fetalsynth.artifacts.scores import read_scores
from fetalsynth.cli.main import main
from fetalsynth.datasets.asked_heads import AskedHead, compare, read_asked
from fetalsynth.datasets.measured_heads import measure_heads
from planted_heads import HEAD, PLANTED, Planted, picture, scaled


def images_artifact(
    folder: Path,
    heads: list[Ellipse],
    *,
    sizes: list[float] | None = None,
    side: int = 128,
    synthetic: bool = True,
) -> Path:
    """Planted heads with their ellipses asked for, times ``sizes``, in the table."""
    manifest = draft(kind="images", configuration={"n": len(heads)}, synthetic=synthetic)
    with building(folder, manifest) as inside:
        writer = ImagesWriter(inside)
        for k, head in enumerate(heads):
            image = picture(Planted(ellipse=head, thickness=2.6, seed=k), height=side, width=side)
            factor = 1.0 if sizes is None else sizes[k]
            asked = replace(
                head,
                semi_major_px=head.semi_major_px * factor,
                semi_minor_px=head.semi_minor_px * factor,
            )
            writer.add(
                np.clip(image * 190, 0, 255).astype(np.uint8),
                name=f"head{k}",
                subject=f"s{k}",
                pixel_spacing_y_mm=1.5,
                pixel_spacing_x_mm=1.5,
                extra=ellipse_columns(asked),
            )
        writer.close()
    return folder


HEADS = [
    replace(HEAD, semi_major_px=38 * k, semi_minor_px=30 * k, angle_deg=20 * k)
    for k in (0.75, 0.9, 1.05, 1.2)
]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_command_measures_and_compares(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = images_artifact(tmp_path / "images", HEADS)
    out = tmp_path / "out"
    command = ["anatomy", "head-circumference", str(images), "--out", str(out)]
    assert main([*command, "--floor", str(images)]) == 0
    said = capsys.readouterr().out
    assert "4 heads on 4 images" in said
    rows = rows_of(out / "heads.csv")
    assert [row["file"] for row in rows] == [f"images/head{k}.png" for k in range(4)]
    for row, head in zip(rows, HEADS, strict=True):
        true = ellipse_circumference(head)
        assert float(row["head_circumference_px"]) == pytest.approx(true, rel=0.02)
        assert float(row["head_circumference_mm"]) == pytest.approx(1.5 * true, rel=0.02)
        assert float(row["asked_circumference"]) == pytest.approx(1.5 * true, rel=1e-4)
        assert (row["unit"], row["asked_from"], row["flag"]) == ("mm", "ellipse", "")
        assert float(row["overlap"]) > 0.97
    scores = read_scores(out)
    median = scores.metrics["head-circumference-error-median"]
    assert median.value < 2
    assert median.floor == pytest.approx(median.value)
    assert (median.n_real, median.n_synthetic) == (0, 4)
    assert scores.metrics["head-circumference-within-3-percent"].value == 1
    assert scores.metrics["head-circumference-r"].value > 0.99
    page = (out / "report.html").read_text()
    assert "Measured against asked" in page
    assert page.count("data:image/png") == 1
    assert "Not for clinical use" in page
    assert (out / "agreement.svg").read_text().startswith("<svg xmlns=")
    with Image.open(out / "overview.png") as sheet:
        assert sheet.width > 4 * 190
    assert read_manifest(out).facts == {"images": 4, "found": 4}
    assert main([*command, "--floor", str(images)]) == 0
    assert "already done" in capsys.readouterr().out
    again = ["anatomy", "head-circumference", str(out), "--out", str(tmp_path / "again")]
    assert main(again) == 2
    assert "holds scores, but images are needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("synthetic", "label", "other"),
    [(True, "synthetic images", "real images"), (False, "real images", "synthetic images")],
)
def test_the_floor_is_called_what_its_manifest_says(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    synthetic: bool,
    label: str,
    other: str,
) -> None:
    images = images_artifact(tmp_path / "images", HEADS[:3])
    floor = images_artifact(tmp_path / "floor", HEADS[:3], synthetic=synthetic)
    out = tmp_path / "out"
    command = ["anatomy", "head-circumference", str(images), "--floor", str(floor)]
    assert main([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"floor ({label})" in said
    assert other not in said
    page = (out / "report.html").read_text()
    assert f'<th scope="col">Floor ({label})</th>' in page
    assert ("no floor of real images" in page) == synthetic
    metrics = read_scores(out).metrics.values()
    assert sum(one.floor is not None for one in metrics) == 7
    for one in metrics:
        assert one.settings.get("floor_of") == (None if one.floor is None else label)


def test_heads_of_the_wrong_size_are_told(tmp_path: Path) -> None:
    images = images_artifact(tmp_path / "images", HEADS, sizes=[1.1] * 4)
    out = tmp_path / "out"
    assert main(["anatomy", "head-circumference", str(images), "--out", str(out)]) == 0
    metrics = read_scores(out).metrics
    assert metrics["head-circumference-bias"].value == pytest.approx(100 / 1.1 - 100, abs=2)
    assert metrics["head-circumference-within-5-percent"].value == 0


def test_a_plain_folder_with_heads_asked_for_in_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, side in enumerate((128, 96, 128)):
        head = scaled(HEADS[k], side / 128)
        image = picture(Planted(ellipse=head, thickness=2.6 * side / 128), height=side, width=side)
        Image.fromarray(np.clip(image * 190, 0, 255).astype(np.uint8)).save(folder / f"{k}.png")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "black.png")
    true = [ellipse_circumference(head) * 1.2 for head in HEADS[:3]]
    spacing = [1.2, 1.2 * 128 / 96, 1.2]
    lines = [f"{k}.png,{true[k]:.2f},{spacing[k]},{spacing[k]}" for k in range(3)]
    table = tmp_path / "asked.csv"
    header = "file,head_circumference_mm,pixel_spacing_y_mm,pixel_spacing_x_mm"
    table.write_text("\n".join([header, *lines, "black.png,200,1,1"]) + "\n")
    out = tmp_path / "out"
    command = ["anatomy", "head-circumference", str(folder), "--asked", str(table)]
    assert main([*command, "--out", str(out)]) == 0
    rows = {row["file"]: row for row in rows_of(out / "heads.csv")}
    assert rows["black.png"]["flag"] == "no head found"
    assert rows["black.png"]["head_circumference_px"] == ""
    assert rows["0.png"]["head_circumference_mm"] == ""
    assert all(abs(float(rows[f"{k}.png"]["relative_error"])) < 0.02 for k in range(3))
    metrics = read_scores(out).metrics
    assert metrics["heads-found"].value == pytest.approx(3 / 4)
    assert metrics["head-circumference-within-3-percent"].value == pytest.approx(3 / 4)


def test_asked_heads_of_label_maps_of_another_size(tmp_path: Path) -> None:
    images = images_artifact(tmp_path / "images", HEADS[:3])
    maps = tmp_path / "maps"
    with building(maps, draft(kind="images", configuration={}, synthetic=True)) as inside:
        writer = ImagesWriter(inside)
        for k, head in enumerate(HEADS[:3]):
            extra = ellipse_columns(scaled(head, 2))
            writer.add(np.eye(256, dtype=np.uint8), name=f"head{k}", subject="", extra=extra)
        writer.close()
    out = tmp_path / "out"
    command = ["anatomy", "head-circumference", str(images), "--asked", str(maps)]
    assert main([*command, "--out", str(out)]) == 0
    assert all(abs(float(row["relative_error"])) < 0.02 for row in rows_of(out / "heads.csv"))


ELLIPSE = ",".join(ellipse_columns(HEAD))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "file,head_circumference_mm\nhead0.png,200\nelse.png,210\nhead0.png,220\n",
            "{csv}, line 4: gives other values for head0.png than line 2",
        ),
        (
            "file,head_circumference_mm\nhead0.png,\nhead0.png,220\n",
            "{csv}, line 3: gives other values for head0.png than line 2",
        ),
        (
            "file,head_circumference_mm,pixel_spacing_y_mm\nhead0.png,200,1.5\n",
            "{csv}, line 2: gives pixel_spacing_y_mm without pixel_spacing_x_mm; give both",
        ),
        (
            "file,head_circumference_mm,pixel_spacing_y_mm,pixel_spacing_x_mm\n"
            "head0.png,200,1.5,1.5\nelse.png,200,,1.5\n",
            "{csv}, line 3: gives pixel_spacing_x_mm without pixel_spacing_y_mm; give both",
        ),
        (
            "file,ellipse_center_x_px,ellipse_center_y_px,ellipse_angle_deg\nhead0.png,60,,up\n",
            "{csv}, line 2: its ellipse has no number for ellipse_center_y_px (missing), "
            "ellipse_semi_major_px (missing), ellipse_semi_minor_px (missing), "
            "ellipse_angle_deg (up); give all",
        ),
        (
            f"file,{ELLIPSE}\nhead0.png,60,60,nan,30,0\n",
            "{csv}, line 2: its ellipse has no number for ellipse_semi_major_px (nan); give all",
        ),
        (f"file,{ELLIPSE}\nhead0.png,60,60,20,30,0\n", "{csv}, line 2: the semi-axes"),
    ],
)
def test_faulty_tables_of_asked_heads_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    images = images_artifact(tmp_path / "images", HEADS[:1])
    table, out = tmp_path / "c2.csv", tmp_path / "out"
    table.write_text(text)
    command = ["anatomy", "head-circumference", str(images), "--asked", str(table)]
    assert main([*command, "--out", str(out)]) == 2
    told = capsys.readouterr().err.strip()
    assert said.format(csv=table) in told
    assert "images.csv" not in told
    assert not out.exists()


def test_a_file_listed_twice_alike_is_one_head(tmp_path: Path) -> None:
    table = tmp_path / "asked.csv"
    table.write_text("file,head_circumference_mm\na.png,200\na.png,200.0\n")
    head = read_asked(table).find("images/a.png")
    assert head is not None
    assert head.circumference_mm == 200


@pytest.mark.parametrize("given", ["own", "--asked"])
def test_a_broken_ellipse_of_an_artifact_names_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    images = images_artifact(tmp_path / "images", HEADS[:1])
    broken = tmp_path / "broken"
    with building(broken, draft(kind="images", configuration={}, synthetic=True)) as inside:
        writer = ImagesWriter(inside)
        extra = {"ellipse_center_x_px": "60", "ellipse_angle_deg": "up"}
        writer.add(np.eye(64, dtype=np.uint8), name="head0", subject="", extra=extra)
        writer.close()
    sources = [str(broken)] if given == "own" else [str(images), "--asked", str(broken)]
    out = tmp_path / "out"
    assert main(["anatomy", "head-circumference", *sources, "--out", str(out)]) == 2
    told = capsys.readouterr().err
    assert f"{broken / 'images.csv'}, images/head0.png: its ellipse has no number for" in told


def test_no_common_unit_no_comparison(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = picture(PLANTED, height=128, width=128)
    Image.fromarray(np.clip(image * 190, 0, 255).astype(np.uint8)).save(folder / "a.png")
    head = next(measure_heads(folder)[1])
    assert compare(head, AskedHead(ellipse=None, circumference_mm=250, spacing_mm=None)) is None
    one = compare(head, AskedHead(ellipse=HEAD, circumference_mm=None, spacing_mm=None))
    assert one is not None
    assert one.unit == "px"


def test_images_without_any_head_end_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "black", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "a.png")
    command = ["anatomy", "head-circumference", str(folder), "--out", str(out)]
    assert main(command) == 1
    assert "0 heads on 1 images" in capsys.readouterr().out
    assert json.loads((out / "scores.json").read_text())["unjudged"]
    assert main(command) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--asked", "{tmp}/nothing"], "does not exist"),
        (["--asked", "{tmp}/folder"], "finished images artifact"),
        (["--asked", "{tmp}/bare.csv"], "lacks the column file"),
        (["--asked", "{tmp}/other.csv"], "names none of the images"),
        (["--asked", "{tmp}/broken.csv"], "not a positive number"),
        (["--asked", "{tmp}/empty.csv"], "knows no head"),
        (["--floor", "{tmp}/folder"], "holds no PNG"),
        (["--floor", "{tmp}/plain"], "fewer than three of its images have an outline"),
        (["--split", "test"], "has no split"),
        (["--out", "{tmp}/images/out"], "lies inside"),
    ],
)
def test_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    images_artifact(tmp_path / "images", HEADS[:1])
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").mkdir()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "plain" / "a.png")
    (tmp_path / "bare.csv").write_text("name,head_circumference_mm\na.png,3\n")
    (tmp_path / "other.csv").write_text("file,head_circumference_mm\nelse.png,300\n")
    (tmp_path / "broken.csv").write_text("file,head_circumference_mm\nhead0.png,-3\n")
    (tmp_path / "empty.csv").write_text("file\nhead0.png\n")
    words = [word.format(tmp=tmp_path) for word in more]
    command = ["anatomy", "head-circumference", str(tmp_path / "images")]
    if "--out" not in words:
        words += ["--out", str(tmp_path / "out")]
    assert main([*command, *words]) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert said in told[-1]
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_too_small_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(folder / "tiny.png")
    command = ["anatomy", "head-circumference", str(folder), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "tiny.png: an image of 16×16 pixels is too small" in capsys.readouterr().err
