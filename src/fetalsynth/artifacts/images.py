"""The ``images`` artifact: ``images/*.png``, optional ``masks/*.png`` and ``images.csv``."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.artifacts.digest import digest_bytes, digest_file
from fetalsynth.artifacts.files import write_bytes, write_text
from fetalsynth.errors import UserError, explaining

TABLE = "images.csv"
COLUMNS = (
    "file",
    "subject",
    "split",
    "pixel_spacing_y_mm",
    "pixel_spacing_x_mm",
    "gestational_age_weeks",
    "sha256",
)


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """One row of ``images.csv``.

    ``file`` is relative to the artifact. ``split`` is "train", "test" or "" (not split).
    Spacings are mm per pixel and age is weeks, None where unknown. ``extra`` holds whatever else
    the source knows, as text, one column per key (for instance ``head_circumference_mm``).
    """

    file: str
    subject: str
    sha256: str
    split: str = ""
    pixel_spacing_y_mm: float | None = None
    pixel_spacing_x_mm: float | None = None
    gestational_age_weeks: float | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class ImagesWriter:
    """Writes images one by one into a growing artifact and the table at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: list[ImageRecord] = []
        self._names: set[str] = set()
        with explaining(folder):
            (folder / "images").mkdir(exist_ok=True)

    def add(
        self,
        pixels: NDArray[np.uint8] | NDArray[np.uint16],
        *,
        name: str,
        subject: str,
        split: str = "",
        pixel_spacing_y_mm: float | None = None,
        pixel_spacing_x_mm: float | None = None,
        gestational_age_weeks: float | None = None,
        extra: Mapping[str, str] | None = None,
        mask: NDArray[np.uint8] | None = None,
    ) -> None:
        """Write ``pixels`` (H, W) or (H, W, 3) as ``images/<name>.png``; ``mask`` beside it.

        Raises UserError where an image of that name was added before.
        """
        if name in self._names:
            raise UserError(f"two images would be called {name}.png; rename one of their files")
        self._names.add(name)
        data = encode_png(pixels)
        write_bytes(self.folder / "images" / f"{name}.png", data, sync=False)
        known = dict(extra or {})
        if mask is not None:
            with explaining(self.folder):
                (self.folder / "masks").mkdir(exist_ok=True)
            write_bytes(self.folder / "masks" / f"{name}.png", encode_png(mask), sync=False)
            known["mask"] = f"masks/{name}.png"
        self.records.append(
            ImageRecord(
                file=f"images/{name}.png",
                subject=subject,
                split=split,
                pixel_spacing_y_mm=pixel_spacing_y_mm,
                pixel_spacing_x_mm=pixel_spacing_x_mm,
                gestational_age_weeks=gestational_age_weeks,
                sha256=digest_bytes(data),
                extra=known,
            )
        )

    def adopt(
        self,
        *,
        name: str,
        subject: str,
        pixel_spacing_y_mm: float | None = None,
        pixel_spacing_x_mm: float | None = None,
        gestational_age_weeks: float | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> bool:
        """Take over an image that an earlier, interrupted call wrote; False if there is none."""
        path = self.folder / "images" / f"{name}.png"
        if not path.is_file():
            return False
        self.records.append(
            ImageRecord(
                file=f"images/{name}.png",
                subject=subject,
                pixel_spacing_y_mm=pixel_spacing_y_mm,
                pixel_spacing_x_mm=pixel_spacing_x_mm,
                gestational_age_weeks=gestational_age_weeks,
                sha256=digest_file(path),
                extra=extra or {},
            )
        )
        return True

    def close(self) -> None:
        """Write ``images.csv``."""
        write_table(self.folder / TABLE, self.records)


def encode_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """PNG bytes of (H, W) or (H, W, 3) uint8 pixels, or (H, W) uint16 pixels; no metadata."""
    if pixels.dtype == np.uint16 and pixels.ndim != 2:
        raise ValueError("16-bit PNG is written for grey images only")
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"PNG needs uint8 or uint16 pixels, not {pixels.dtype}")
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "PNG")
    return stream.getvalue()


def write_table(path: Path, records: list[ImageRecord]) -> None:
    """Write the rows as CSV; the extra columns are the union of all rows', in order of arrival."""
    extra = list(dict.fromkeys(key for record in records for key in record.extra))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *extra])
    for record in records:
        known = [_text(getattr(record, column)) for column in COLUMNS]
        writer.writerow([*known, *(record.extra.get(key, "") for key in extra)])
    write_text(path, stream.getvalue())


def _text(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:.10g}"


def read_table(folder: Path) -> list[ImageRecord]:
    """Rows of ``folder/images.csv``, in file order.

    Raises UserError with the line where it is malformed: cells missing or left over, a file twice
    or outside the folder, a spacing or an age that is no positive number.
    """
    path = folder / TABLE
    with explaining(path), path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            rows = csv.DictReader(stream)
            missing = {"file", "subject", "sha256"} - set(rows.fieldnames or ())
            if missing:
                raise UserError(f"{path}: lacks the column {', '.join(sorted(missing))}")
            records = [_record(row, where=f"{path}, line {rows.line_num}") for row in rows]
        except csv.Error as error:
            raise UserError(f"{path}: is no CSV file ({error}); restore it") from error
    twice = [file for file, count in Counter(r.file for r in records).items() if count > 1]
    if twice:
        raise UserError(f"{path}: lists {twice[0]} twice; restore the table or make the set anew")
    return records


def _record(row: dict[str, str], *, where: str) -> ImageRecord:
    if None in row or None in row.values():
        raise UserError(f"{where}: has not as many cells as the first line; restore the table")
    file = PurePosixPath(row["file"])
    if file.is_absolute() or ".." in file.parts or not file.parts:
        raise UserError(f"{where}: {row['file']!r} is not a file of this folder; restore the table")

    def number(column: str) -> float | None:
        text = row.get(column) or ""
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not (math.isfinite(value) and value > 0):
            raise UserError(f"{where}: {column} is not a positive number: {text}")
        return value

    return ImageRecord(
        file=row["file"],
        subject=row["subject"],
        split=row.get("split") or "",
        pixel_spacing_y_mm=number("pixel_spacing_y_mm"),
        pixel_spacing_x_mm=number("pixel_spacing_x_mm"),
        gestational_age_weeks=number("gestational_age_weeks"),
        sha256=row["sha256"],
        extra={key: value for key, value in row.items() if key not in COLUMNS and value},
    )
