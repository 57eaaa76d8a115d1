"""HC18: fetal head ultrasound with outlines and pixel sizes, in its official layout."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from fetalsynth.anatomy.ellipse import ellipse_circumference, scale_ellipse
from fetalsynth.artifacts.digest import digest_files
from fetalsynth.artifacts.manifest import Licence
from fetalsynth.datasets.decoding import Pixels, decode, read_bytes
from fetalsynth.datasets.outlines import read_outline
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.source import Source, SourceImage
from fetalsynth.datasets.subjects import positive
from fetalsynth.errors import UserError, explaining

LICENCE = Licence(
    source="HC18",
    licence="CC BY 4.0",
    citation=(
        "van den Heuvel TLA, de Bruijn D, de Korte CL, van Ginneken B. Automated measurement of "
        "fetal head circumference using 2D ultrasound images. PLoS ONE 2018;13(8):e0200412. "
        "doi:10.1371/journal.pone.0200412"
    ),
    url="https://zenodo.org/records/1327317",
)

_TRAINING = "training_set"
TABLES = {
    _TRAINING: "training_set_pixel_size_and_HC.csv",
    "test_set": "test_set_pixel_size.csv",
}
_SIZE, _HC = "pixel size(mm)", "head circumference (mm)"
_ANNOTATION = "_Annotation.png"


@dataclass(frozen=True, kw_only=True)
class _Row:
    pixel_size_mm: float
    head_circumference_mm: str


def open_source(folder: Path) -> Source:
    """HC18 as a source: the archive's root, or its ``training_set`` or ``test_set`` folder.

    The root stands for the training set where it has one. Training images come with mask, ellipse
    and ``head_circumference_mm`` from the table, beside ``ellipse_circumference_mm`` measured on
    the outline; test images have no outline. The subject is the examination, the number before
    the first underscore (010_HC.png and 010_2HC.png are one).
    Raises UserError for a missing table, row, image or annotation, naming it.
    """
    images, table = _find(folder)
    files = sorted(path for path in images.glob("*.png") if not path.name.startswith("."))
    files = [path for path in files if not path.name.endswith(_ANNOTATION)]
    if not files:
        raise UserError(f"{images}: holds no PNG images; unpack the HC18 archive again")
    rows = _read_rows(table)
    annotated = images.name == _TRAINING
    _check_complete(files, rows, table=table, annotated=annotated)
    drawings = [_annotation(path) for path in files if annotated]
    return Source(
        name="hc18",
        digest=digest_files(table.parent, [*files, *drawings, table]),
        count=len(files),
        images=partial(_images, files, rows, annotated),
        licences=(LICENCE,),
    )


def _find(folder: Path) -> tuple[Path, Path]:
    """The folder of images and its table."""
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; get it: fetalsynth data download hc18")
    folder = folder if folder.name else folder.resolve()
    for name, table in TABLES.items():
        for images in (folder, folder / name, folder / name / name):
            if images.name != name or not images.is_dir():
                continue
            if not any(images.glob("*.png")) and (images / name).is_dir():
                continue
            for above in (images.parent, images.parent.parent):
                if (above / table).is_file():
                    return images, above / table
            raise UserError(f"{images.parent / table}: is missing; put it beside {images.name}")
    raise UserError(
        f"{folder}: is not HC18, which has a folder training_set beside "
        f"{TABLES['training_set']}; get it with: fetalsynth data download hc18"
    )


def _read_rows(table: Path) -> dict[str, _Row]:
    with explaining(table), table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        try:
            header = reader.fieldnames or ()
            measured = (_HC,) if table.name == TABLES[_TRAINING] else ()
            lacking = [name for name in ("filename", _SIZE, *measured) if name not in header]
            if lacking:
                raise UserError(f"{table}: lacks the column {lacking[0]!r}; get the file again")
            lines = [(row, f"{table}, line {reader.line_num}") for row in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"{table}: is no CSV file ({error}); get it again") from error
    rows: dict[str, _Row] = {}
    for row, where in lines:
        if row["filename"] in rows:
            raise UserError(f"{where}: a second row for {row['filename']}; get the file again")
        rows[row["filename"]] = _row(row, where)
    return rows


def _row(row: dict[str, str], where: str) -> _Row:
    size = positive(row[_SIZE], name=_SIZE, where=where)
    if size is None:
        raise UserError(f"{where}: no {_SIZE} for {row['filename']}; get the file again")
    circumference = positive(row.get(_HC), name=_HC, where=where)
    return _Row(
        pixel_size_mm=size,
        head_circumference_mm="" if circumference is None else f"{circumference:.6g}",
    )


def _annotation(path: Path) -> Path:
    return path.with_name(path.stem + _ANNOTATION)


def _check_complete(
    files: list[Path], rows: dict[str, _Row], *, table: Path, annotated: bool
) -> None:
    for path in files:
        if path.name not in rows:
            raise UserError(f"{table}: has no row for {path.name}; get the file again")
        if annotated and not _annotation(path).is_file():
            raise UserError(f"{_annotation(path)}: is missing; unpack the archive again")
    present = {path.name for path in files}
    lost = [name for name in rows if name not in present]
    if lost:
        raise UserError(
            f"{files[0].parent / lost[0]}: is in {table.name} but not there "
            f"({len(lost)} such files); unpack the archive again"
        )


def _images(files: list[Path], rows: dict[str, _Row], annotated: bool) -> Iterator[SourceImage]:
    return ordered_map(lambda path: _image(path, rows[path.name], annotated), files)


def _image(path: Path, row: _Row, annotated: bool) -> SourceImage:
    pixels = _read(path)
    spacing = row.pixel_size_mm
    bare = SourceImage(
        name=path.stem,
        subject=path.stem.split("_")[0],
        pixels=pixels,
        pixel_spacing_mm=(spacing, spacing),
    )
    return _with_outline(bare, _annotation(path), row) if annotated else bare


def _with_outline(image: SourceImage, path: Path, row: _Row) -> SourceImage:
    outline = _read(path)
    if outline.ndim == 3:
        outline = outline.max(axis=2)
    if outline.shape != image.pixels.shape[:2]:
        raise UserError(f"{path}: has another size than its image; unpack the archive again")
    try:
        mask, ellipse = read_outline((outline > 0).astype(np.uint8))
    except ValueError as error:
        raise UserError(f"{path}: holds no head outline ({error})") from error
    in_mm = scale_ellipse(ellipse, x=row.pixel_size_mm, y=row.pixel_size_mm)
    known = {
        "head_circumference_mm": row.head_circumference_mm,
        "ellipse_circumference_mm": f"{ellipse_circumference(in_mm):.6g}",
    }
    return SourceImage(
        name=image.name,
        subject=image.subject,
        pixels=image.pixels,
        pixel_spacing_mm=image.pixel_spacing_mm,
        mask=mask,
        ellipse=ellipse,
        extra=known,
    )


def _read(path: Path) -> Pixels:
    return decode(read_bytes(path), path=path)[0]
