"""The images of one command measured: rows of the table, comparisons, outlines to draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fetalsynth.anatomy.ellipse import ellipse_columns
from fetalsynth.anatomy.skull.fit import DOUBTFUL
from fetalsynth.artifacts.images import TABLE
from fetalsynth.artifacts.manifest import Input
from fetalsynth.datasets.asked_heads import (
    AskedTable,
    Comparison,
    asked_of_record,
    compare,
    read_asked,
)
from fetalsynth.datasets.head_sheet import Gallery, Shown
from fetalsynth.datasets.measured_heads import MeasuredHead, in_mm, measure_heads
from fetalsynth.errors import UserError
from fetalsynth.progress import Progress

NO_HEAD, DOUBT = "no head found", "doubtful"
Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class OpenSet:
    """Images about to be measured."""

    source: Input
    heads: Iterator[MeasuredHead]
    total: int
    synthetic: bool


@dataclass(kw_only=True)
class Measured:
    """What was found on the images of one set, in their order.

    ``rows`` are those of the table, ``gallery`` some of the images with their outlines.
    """

    source: Input
    synthetic: bool
    gallery: Gallery
    rows: list[Row] = field(default_factory=list)

    @property
    def images(self) -> str:
        """What kind of images they are, in words."""
        return "synthetic images" if self.synthetic else "real images"

    @property
    def found(self) -> int:
        """On how many images a head was found."""
        return sum(row["head_circumference_px"] is not None for row in self.rows)

    @property
    def sizes(self) -> tuple[str, list[float]]:
        """Circumferences in rising order and their unit: mm where any is known, else pixels."""
        for unit in ("mm", "px"):
            known = [row[f"head_circumference_{unit}"] for row in self.rows]
            sizes = sorted(float(value) for value in known if value is not None)
            if sizes:
                return unit, sizes
        return "px", []

    @property
    def compared(self) -> list[Row]:
        """Rows of images that were asked to show a head, found or not."""
        return [row for row in self.rows if row["asked_circumference"] is not None]


def open_asked(path: Path | None) -> AskedTable | None:
    """The heads of ``--asked``, None for those of the images' own table."""
    return None if path is None else read_asked(path)


def open_set(
    folder: Path, *, role: str, split: str | None = None, held_out: bool = False
) -> OpenSet:
    """The images of a folder or artifact; ``held_out`` takes its test part where it has one.

    Raises UserError where nothing is left to measure.
    """
    from fetalsynth.artifacts.images import read_table
    from fetalsynth.artifacts.manifest import is_artifact, read_manifest
    from fetalsynth.datasets.listing import list_images
    from fetalsynth.datasets.splits import TEST

    if is_artifact(folder):
        read_manifest(folder, kind="images")
        splits = {row.split for row in read_table(folder)}
        if held_out and TEST in splits:
            split = TEST
        if split is not None and split not in splits:
            there = ", ".join(repr(one) for one in sorted(splits) if one) or "none"
            raise UserError(f"{folder}: has no split {split!r} (it has: {there})")
        total = sum(split in (None, row.split) for row in read_table(folder))
    else:
        if split is not None:
            raise UserError(f"--split {split}: {folder} is no images artifact; leave it out")
        total = len(list_images(folder).files)
    source, heads = measure_heads(folder, splits=None if split is None else (split,), role=role)
    synthetic = source.manifest is not None and source.manifest.synthetic
    return OpenSet(source=source, heads=heads, total=total, synthetic=synthetic)


def measure_set(images: OpenSet, asked: AskedTable | None) -> Measured:
    """Measure all images and compare them with ``asked``, or with their own table.

    Raises UserError where ``asked`` knows none of the images.
    """
    gallery = Gallery(images.total)
    measured = Measured(source=images.source, synthetic=images.synthetic, gallery=gallery)
    table = Path(images.source.path) / TABLE
    known = 0
    with Progress(label=images.source.role, total=images.total) as progress:
        for head in images.heads:
            record = head.record
            one = asked_of_record(record, table=table) if asked is None else asked.find(record.file)
            known += one is not None
            comparison = None if one is None else compare(head, one)
            outline = None if one is None else one.on(*head.pixels.shape[:2]).ellipse
            row = _row(head, comparison)
            measured.rows.append(row)
            gallery.add(_shown(head, row, outline), doubt=_doubt(row))
            progress.advance()
    if asked is not None and not known:
        raise UserError(f"{asked.source.path}: names none of the images of {images.source.path}")
    return measured


def _row(head: MeasuredHead, comparison: Comparison | None) -> Row:
    fit, spacing = head.fit, head.spacing_mm
    inside = None if fit is None or spacing is None else in_mm(fit.ellipse, spacing)
    row: Row = {
        "file": head.record.file,
        "subject": head.record.subject,
        "split": head.record.split,
        "flag": NO_HEAD if fit is None else DOUBT if fit.confidence < DOUBTFUL else "",
        "confidence": None if fit is None else fit.confidence,
        "bright_fraction": None if fit is None else fit.bright_fraction,
        "head_circumference_px": head.circumference_px,
        "head_circumference_mm": head.circumference_mm,
        "biparietal_diameter_mm": None if inside is None else 2 * inside.semi_minor_px,
        "occipitofrontal_diameter_mm": None if inside is None else 2 * inside.semi_major_px,
        "skull_thickness_px": None if fit is None else fit.thickness_px,
        **dict.fromkeys(_ELLIPSE),
        **({} if fit is None else ellipse_columns(fit.ellipse)),
    }
    return row | _compared(comparison)


_ELLIPSE = (
    "ellipse_center_x_px",
    "ellipse_center_y_px",
    "ellipse_semi_major_px",
    "ellipse_semi_minor_px",
    "ellipse_angle_deg",
)


def _compared(one: Comparison | None) -> Row:
    measured = None if one is None else one.measured
    return {
        "asked_circumference": None if one is None else one.asked,
        "measured_circumference": measured,
        "unit": "" if one is None else one.unit,
        "asked_from": "" if one is None else one.asked_from,
        "relative_error": None if one is None or measured is None else measured / one.asked - 1,
        "overlap": None if one is None else one.overlap,
    }


def _doubt(row: Row) -> float:
    """No head first, then the largest difference from what was asked, then the least confidence."""
    if row["confidence"] is None:
        return 1e6
    if row["relative_error"] is not None:
        return abs(float(row["relative_error"]))
    return -float(row["confidence"])


def _shown(head: MeasuredHead, row: Row, outline: Any) -> Shown:
    error = row["relative_error"]
    words = [row["flag"]] if row["flag"] else []
    words += [] if error is None else [f"{100 * error:+.1f} %"]
    return Shown(
        pixels=head.pixels,
        measured=None if head.fit is None else head.fit.ellipse,
        asked=outline,
        caption=", ".join(words),
    )
