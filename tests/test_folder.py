"""Folders of files as people have them: formats, depths, tables of subjects, broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from fetalsynth.datasets.decoding import decode
from fetalsynth.datasets.folder import open_source
from fetalsynth.datasets.source import SourceImage
from fetalsynth.errors import UserError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (9, 7), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (9, 7, 3), dtype=np.uint8)
DEEP_COLOUR = RNG.integers(0, 65536, (9, 7, 3), dtype=np.uint16)


def images_of(folder: Path, **options: Path) -> dict[str, SourceImage]:
    return {image.name: image for image in open_source(folder, **options).images()}


def only(path: Path) -> np.ndarray:
    (pixels,) = decode(path.read_bytes(), path=path)
    return pixels


def test_every_format_and_depth_comes_back_exactly(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(DEEP).save(tmp_path / "b.png")
    Image.fromarray(COLOUR).save(tmp_path / "c.PNG")
    tifffile.imwrite(tmp_path / "d.tif", DEEP)
    tifffile.imwrite(tmp_path / "e.tiff", DEEP_COLOUR, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "f.tif",
        np.moveaxis(DEEP_COLOUR, -1, 0),
        photometric="rgb",
        planarconfig="separate",
    )
    tifffile.imwrite(tmp_path / "g.tif", DEEP, byteorder=">", compression="zlib")
    Image.fromarray(GREY).save(tmp_path / "h.tif", compression="tiff_lzw")
    tifffile.imwrite(tmp_path / "i.tif", 255 - GREY, photometric="miniswhite")
    found = images_of(tmp_path)
    expected = {"a": GREY, "b": DEEP, "c": COLOUR, "d": DEEP, "e": DEEP_COLOUR}
    expected |= {"f": DEEP_COLOUR, "g": DEEP, "h": GREY, "i": GREY}
    assert found.keys() == expected.keys()
    for name, pixels in expected.items():
        assert found[name].pixels.dtype == pixels.dtype, name
        assert np.array_equal(found[name].pixels, pixels), name


def test_jpeg_is_what_pillow_decodes_and_turned_as_its_camera_says(tmp_path: Path) -> None:
    smooth = np.tile(np.arange(0, 160, 10, dtype=np.uint8), (16, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95, exif=exif)
    found = only(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.array_equal(found, np.rot90(np.asarray(image), -1))


def test_palette_opaque_alpha_and_one_bit_are_resolved(tmp_path: Path) -> None:
    Image.fromarray(GREY).convert("P").save(tmp_path / "palette.png")
    opaque = np.dstack([COLOUR, np.full((9, 7), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "alpha.png")
    Image.fromarray(GREY > 127).save(tmp_path / "bits.png")
    assert np.array_equal(only(tmp_path / "palette.png"), GREY)
    assert np.array_equal(only(tmp_path / "alpha.png"), COLOUR)
    assert np.array_equal(only(tmp_path / "bits.png"), np.where(GREY > 127, 255, 0))
    opaque[3, 3, 3] = 10
    Image.fromarray(opaque).save(tmp_path / "alpha.png")
    with pytest.raises(UserError, match=r"alpha\.png: has transparent pixels"):
        only(tmp_path / "alpha.png")


def test_float_tiff_with_known_range_and_without(tmp_path: Path) -> None:
    values = RNG.random((9, 7)).astype(np.float32)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values)
    assert np.abs(only(path) / 65535 - values).max() < 1 / 65535
    tags = [(340, "f", 1, -1000.0, True), (341, "f", 1, 1000.0, True)]
    tifffile.imwrite(path, values * 2000 - 1000, extratags=tags)
    assert np.abs(only(path) / 65535 - values).max() < 2 / 65535
    tifffile.imwrite(path, values * 2000)
    with pytest.raises(UserError, match=r"a\.tif: float pixels from .* outside \[0, 1\]"):
        only(path)
    values[2, 3] = np.nan
    tifffile.imwrite(path, values)
    with pytest.raises(UserError, match=r"a\.tif: 1 pixels are NaN"):
        only(path)


def test_what_could_only_be_read_with_loss_is_refused(tmp_path: Path) -> None:
    signed = tmp_path / "signed.tif"
    tifffile.imwrite(signed, (DEEP.astype(np.int32) - 5000).astype(np.int32))
    with pytest.raises(UserError, match=r"signed\.tif: int32 pixels from -"):
        only(signed)
    deep = tmp_path / "deep.png"
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"\x00\x00\x00\x01" * 2 + b"\x10\x02"
    deep.write_bytes(header + b"\x00" * 40)
    with pytest.raises(UserError, match=r"deep\.png: a 16-bit colour PNG"):
        only(deep)


def test_pages_of_a_tiff_are_images_of_one_subject(tmp_path: Path) -> None:
    stack = np.stack([DEEP, DEEP[::-1]])
    tifffile.imwrite(tmp_path / "cine.tif", stack, photometric="minisblack")
    source = open_source(tmp_path)
    found = {image.name: image for image in source.images()}
    assert source.count == 2
    assert list(found) == ["cine-f0001", "cine-f0002"]
    assert np.array_equal(found["cine-f0002"].pixels, DEEP[::-1])
    assert {image.subject for image in found.values()} == {"cine"}


def test_a_tiff_that_lost_pages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cine.tif"
    for pages in (2, 3):
        tifffile.imwrite(path, np.stack([DEEP] * pages), photometric="minisblack", contiguous=False)
        whole = path.read_bytes()
        path.write_bytes(whole[:-100])
        with pytest.raises(UserError, match=r"cine\.tif: is not a readable image"):
            images_of(tmp_path)


def test_names_are_safe_and_unique(tmp_path: Path) -> None:
    for name in ("a b.png", "x/a.png", "x_a.png", "x/a.jpg", "ä.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(GREY).save(tmp_path / name)
    names = list(images_of(tmp_path))
    assert len({name.casefold() for name in names}) == 5
    assert all(name.isascii() and "/" not in name and " " not in name for name in names)


def test_others_are_counted_and_outlines_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    (tmp_path / ".b.png").write_text("x")
    (tmp_path / "readme.txt").write_text("x")
    notes = open_source(tmp_path).notes
    assert any(note.startswith("2 hidden files or other kinds") for note in notes)
    assert any("every file counts as its own subject" in note for note in notes)
    Image.fromarray(GREY).save(tmp_path / "001_HC_Annotation.png")
    with pytest.raises(UserError, match="import hc18"):
        open_source(tmp_path)


def a_table(folder: Path, text: str) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name in ("a", "b"):
        Image.fromarray(GREY).save(folder / "images" / f"{name}.png")
    (folder / "subjects.csv").write_text(text)
    return folder / "subjects.csv"


def test_table_of_subjects(tmp_path: Path) -> None:
    text = "file,subject,pixel_spacing_mm,gestational_age_weeks,scanner\n"
    table = a_table(tmp_path, "\ufeff" + text + "a.png,p7,0.1,30.5,E8\nb.png,p7,,,\n")
    source = open_source(tmp_path / "images", subjects=table)
    a, b = source.images()
    assert (a.subject, b.subject) == ("p7", "p7")
    assert a.pixel_spacing_mm == (0.1, 0.1)
    assert a.gestational_age_weeks == 30.5
    assert dict(a.extra) == {"scanner": "E8"}
    assert (b.pixel_spacing_mm, b.gestational_age_weeks, dict(b.extra)) == (None, None, {})
    assert source.notes == ()
    assert source.digest != open_source(tmp_path / "images").digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,subject\na.png,p1\nc.png,p2\n", r"line 3: there is no image 'c\.png'"),
        ("file,subject\na.png,p1\n", r"no row for 1 of 2 images, such as b\.png"),
        ("file,subject\n", r"no row for 2 of 2 images"),
        ("name;subject\na.png;p1\n", "lacks the column file and subject"),
        ("file,subject\na.png,\nb.png,p2\n", r"line 2: no subject for a\.png"),
        ("file,subject\na.png,p1\na.png,p2\n", r"line 3: a second row for a\.png"),
        ("file,subject\na.png,p1,3\nb.png,p2\n", "line 2: has not as many cells"),
        ("file,subject,pixel_spacing_mm\na.png,p1,0\n", "line 2: pixel_spacing_mm must be"),
        (
            "file,subject,gestational_age_weeks\na.png,p1,ten\n",
            "gestational_age_weeks must .*'ten'",
        ),
        ("file,subject,pixel_spacing_y_mm\na.png,p1,1\n", "line 2: give pixel_spacing_mm"),
        ("file,subject,split\na.png,p1,test\n", "the column split is made at import"),
        ("", "lacks the column"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path: Path, text: str, message: str) -> None:
    table = a_table(tmp_path, text)
    with pytest.raises(UserError, match=rf"subjects\.csv.*{message}"):
        open_source(tmp_path / "images", subjects=table)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    table = a_table(tmp_path, "")
    table.write_bytes(b"file,subject\n\xff\xfe\x00,1\n")
    with pytest.raises(UserError, match=r"subjects\.csv: not a UTF-8 CSV"):
        open_source(tmp_path / "images", subjects=table)
    with pytest.raises(UserError, match="does not exist"):
        open_source(tmp_path / "images", subjects=tmp_path / "absent.csv")
