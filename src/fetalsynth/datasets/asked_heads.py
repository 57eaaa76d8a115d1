"""The heads that images were asked to show: their own tables, another image set's or a CSV file."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from fetalsynth.anatomy.ellipse import (
    Ellipse,
    ellipse_circumference,
    ellipse_from_columns,
    map_ellipse,
)
from fetalsynth.artifacts.digest import digest_file
from fetalsynth.artifacts.images import TABLE, ImageRecord, read_table
from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
from fetalsynth.datasets.measured_heads import MeasuredHead, Spacing, in_mm, overlap
from fetalsynth.errors import UserError, explaining

CIRCUMFERENCE = "head_circumference_mm"
_SPACINGS = ("pixel_spacing_y_mm", "pixel_spacing_x_mm")
_ELLIPSE = tuple(f"ellipse_{field.name}" for field in fields(Ellipse))


@dataclass(frozen=True, kw_only=True)
class AskedHead:
    """What one image should show: an outline, a circumference in mm, or both.

    ``size`` (height, width) is that of the picture on which the outline and ``spacing_mm`` are
    given, None where that is the measured image itself.
    """

    ellipse: Ellipse | None
    circumference_mm: float | None
    spacing_mm: Spacing | None
    size: tuple[int, int] | None = None

    def on(self, height: int, width: int) -> AskedHead:
        """The same on a picture of another size that shows the same field of view."""
        if self.size is None or self.size == (height, width):
            return replace(self, size=None)
        y, x = height / self.size[0], width / self.size[1]
        ellipse = self.ellipse
        if ellipse is not None:
            shift = (0.5 * x - 0.5, 0.5 * y - 0.5)
            ellipse = map_ellipse(ellipse, matrix=np.diag([x, y]), shift=shift)
        spacing = self.spacing_mm
        if spacing is not None:
            spacing = (spacing[0] / y, spacing[1] / x)
        return replace(self, ellipse=ellipse, spacing_mm=spacing, size=None)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A measured circumference beside the one asked for, in ``unit`` ("mm" or "px").

    ``asked_from`` is "ellipse" or "head_circumference_mm"; ``overlap`` the Dice coefficient of the
    measured ellipse with the asked one, None where no outline was asked for. ``measured`` is
    None where no head was found.
    """

    measured: float | None
    asked: float
    unit: str
    asked_from: str
    overlap: float | None


@dataclass(frozen=True, kw_only=True)
class AskedTable:
    """Asked heads by the name of their image, and where they were read."""

    by_file: Mapping[str, AskedHead]
    source: Input

    def find(self, file: str) -> AskedHead | None:
        """By the whole name, else by the name without folder and ending."""
        return self.by_file.get(file) or self.by_file.get(_stem(file))


def compare(head: MeasuredHead, asked: AskedHead) -> Comparison | None:
    """What was measured beside what was asked for; None where they have no common unit.

    The outline counts where there is one, else the circumference, which needs a pixel spacing:
    the image's, else that of the asked head.
    """
    height, width = head.pixels.shape[:2]
    asked = asked.on(height, width)
    spacing = head.spacing_mm or asked.spacing_mm
    found = None if head.fit is None else head.fit.ellipse
    if asked.ellipse is not None:
        wanted = asked.ellipse if spacing is None else in_mm(asked.ellipse, spacing)
        true, origin = ellipse_circumference(wanted), "ellipse"
    elif asked.circumference_mm is not None and spacing is not None:
        true, origin = asked.circumference_mm, CIRCUMFERENCE
    else:
        return None
    measured = None
    if found is not None:
        measured = ellipse_circumference(found if spacing is None else in_mm(found, spacing))
    return Comparison(
        measured=measured,
        asked=true,
        unit="px" if spacing is None else "mm",
        asked_from=origin,
        overlap=None if found is None or asked.ellipse is None else overlap(found, asked.ellipse),
    )


def asked_of_record(record: ImageRecord, *, table: Path = Path(TABLE)) -> AskedHead | None:
    """What a row of the ``images.csv`` at ``table`` asks for; None where it knows no head.

    Raises UserError that names ``table`` for a broken ellipse or circumference.
    """
    cells = dict(record.extra)
    down, along = record.pixel_spacing_y_mm, record.pixel_spacing_x_mm
    spacing = None if down is None or along is None else (down, along)
    return _asked(cells, spacing, where=f"{table}, {record.file}")


def read_asked(path: Path) -> AskedTable:
    """The heads of an ``images`` artifact, or of a CSV file with the column ``file``.

    A CSV file has the columns ``ellipse_*`` (in pixels of the measured images) or
    ``head_circumference_mm``, or both. Raises UserError where it has none of these, a line of it is
    broken or contradicts another, or an artifact was changed or has no heads.
    """
    rows, source = _artifact(path) if is_artifact(path) else _csv(path)
    known = {file: head for file, head in rows if head is not None}
    if not known:
        raise UserError(f"{path}: knows no head (columns ellipse_… or {CIRCUMFERENCE})")
    stems = Counter(map(_stem, known))
    short = {_stem(file): head for file, head in known.items() if stems[_stem(file)] == 1}
    return AskedTable(by_file={**short, **known}, source=source)


def _stem(file: str) -> str:
    return PurePosixPath(file).stem


def _artifact(folder: Path) -> tuple[list[tuple[str, AskedHead | None]], Input]:
    source = input_from(folder, role="asked", kind="images")
    rows = []
    for record in read_table(folder):
        head = asked_of_record(record, table=folder / TABLE)
        if head is not None:
            head = replace(head, size=_size(folder / record.file))
        rows.append((record.file, head))
    return rows, source


def _size(path: Path) -> tuple[int, int]:
    with explaining(path):
        try:
            with Image.open(path) as image:
                return image.height, image.width
        except UnidentifiedImageError as error:
            raise UserError(f"{path}: is no image; make the set anew") from error


def _csv(path: Path) -> tuple[list[tuple[str, AskedHead | None]], Input]:
    if path.is_dir():
        raise UserError(f"{path}: is no finished images artifact; give one, or a CSV file")
    with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
        table = csv.DictReader(stream)
        if "file" not in (table.fieldnames or ()):
            raise UserError(f"{path}: lacks the column file")
        rows: dict[str, tuple[int, AskedHead | None]] = {}
        for cells in table:
            where = f"{path}, line {table.line_num}"
            if None in cells or None in cells.values():
                raise UserError(f"{where}: has not as many cells as the first line")
            head = _asked(cells, _spacing(cells, where=where), where=where)
            line, before = rows.setdefault(cells["file"], (table.line_num, head))
            if head != before:
                raise UserError(
                    f"{where}: gives other values for {cells['file']} than line {line}; keep one"
                )
    source = Input(role="asked", path=str(path), digest=digest_file(path))
    return [(file, head) for file, (_, head) in rows.items()], source


def _spacing(cells: Mapping[str, str], *, where: str) -> Spacing | None:
    down, along = (_number(cells, name, where=where) for name in _SPACINGS)
    if down is not None and along is not None:
        return down, along
    if down is not None or along is not None:
        there, lacking = _SPACINGS if along is None else _SPACINGS[::-1]
        raise UserError(f"{where}: gives {there} without {lacking}; give both or neither")
    return None


def _asked(cells: Mapping[str, str], spacing: Spacing | None, *, where: str) -> AskedHead | None:
    ellipse = _ellipse(cells, where=where)
    circumference = _number(cells, CIRCUMFERENCE, where=where)
    if ellipse is None and circumference is None:
        return None
    return AskedHead(ellipse=ellipse, circumference_mm=circumference, spacing_mm=spacing)


def _ellipse(cells: Mapping[str, str], *, where: str) -> Ellipse | None:
    texts = {name: cells.get(name, "") for name in _ELLIPSE}
    bad = [f"{name} ({text or 'missing'})" for name, text in texts.items() if not _is_number(text)]
    if bad and any(texts.values()):
        raise UserError(
            f"{where}: its ellipse has no number for {', '.join(bad)}; give all of "
            f"{', '.join(_ELLIPSE)}, or none"
        )
    ellipse = ellipse_from_columns(texts)
    if ellipse is not None and not ellipse.semi_major_px >= ellipse.semi_minor_px > 0:
        raise UserError(
            f"{where}: the semi-axes of its ellipse are not positive, or ellipse_semi_minor_px is "
            "the longer; mend them"
        )
    return ellipse


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(cells: Mapping[str, str], name: str, *, where: str) -> float | None:
    text = cells.get(name) or ""
    try:
        value = float(text) if text else None
    except ValueError:
        value = float("nan")
    if value is not None and not 0 < value < float("inf"):
        raise UserError(f"{where}: {name} is not a positive number: {text}")
    return value
