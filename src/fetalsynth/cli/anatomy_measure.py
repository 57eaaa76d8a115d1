"""``fetalsynth anatomy measure``: a table, a picture of every head and a report."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Manifest
    from fetalsynth.cli.anatomy_heads import Head, Heads

TABLE = "measurements.csv"
_PICTURES = "pictures"
Row = dict[str, Any]


@dataclass(frozen=True)
class Measure:
    """Measure label maps as a radiologist would: atrial widths, diameters, volumes by side."""

    labels: Annotated[Path, tyro.conf.Positional]
    """Volumes artifact, folder of NIfTI label maps, or one such file."""
    out: Path
    """Folder for the table, the pictures and the report."""
    labels_table: str | None = None
    """Scheme of a plain folder's labels: feta, spina-bifida-atlas, dhcp, or a CSV file."""
    split: str | None = None
    """Only this split of an artifact (train or test)."""
    weeks: float | None = None
    """Gestational age of the volumes for which none is recorded."""
    tissues: bool = False
    """Show the tissues in the pictures even where there is an image."""


def run(arguments: list[str]) -> int:
    """Run the command: 0, or 1 where volumes could not be measured."""
    wanted = tyro.cli(Measure, args=arguments, prog="fetalsynth anatomy measure")

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import read_manifest
    from fetalsynth.cli.anatomy_heads import find_heads

    if wanted.labels.is_dir() and wanted.out.resolve().is_relative_to(wanted.labels.resolve()):
        raise UserError(f"{wanted.out}: lies inside the folder of label maps; choose another")
    heads = find_heads(
        wanted.labels, labels_table=wanted.labels_table, split=wanted.split, weeks=wanted.weeks
    )
    manifest = _draft(wanted, heads)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return 1 if read_manifest(wanted.out).facts.get("failed") else 0
    with building(wanted.out, manifest, resumable=True) as folder:
        rows, failed = _measure_all(heads, folder, tissues=wanted.tissues)
        if not rows:
            raise UserError(next(iter(failed.values())))
        record_facts(folder, {"volumes": len(rows), "failed": failed})
        _finish(folder, rows, failed, heads, manifest)
    _print(rows, failed)
    print(f"report: {wanted.out / 'report.html'}")
    return 1 if failed else 0


def _draft(wanted: Measure, heads: Heads) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    configuration = {
        "measures": "anatomy",
        "labels_table": wanted.labels_table,
        "split": wanted.split,
        "weeks": wanted.weeks,
        "tissues": wanted.tissues,
    }
    return draft(
        kind="scores",
        configuration=configuration,
        inputs=(heads.source,),
        synthetic=_synthetic(heads),
    )


def _synthetic(heads: Heads) -> bool:
    return heads.source.manifest is not None and heads.source.manifest.synthetic


def _measure_all(heads: Heads, folder: Path, *, tissues: bool) -> tuple[list[Row], dict[str, str]]:
    """Rows of the table, and the reason for every volume that has none."""
    from fetalsynth.artifacts.building import STATE
    from fetalsynth.progress import Progress

    for name in (STATE, _PICTURES):
        (folder / name).mkdir(exist_ok=True)
    rows, failed = [], {}
    with Progress(label="measure", total=len(heads.heads), unit="volumes") as progress:
        for head in heads.heads:
            try:
                rows.append(_measure_one(head, heads, folder, tissues=tissues))
            except UserError as error:
                failed[head.name] = str(error)
                print(f"note: left out: {error}", file=sys.stderr)
            progress.advance(note=head.name)
    return rows, failed


def _measure_one(head: Head, heads: Heads, folder: Path, *, tissues: bool) -> Row:
    """Measure and draw one volume, or take what an interrupted run has left of it."""
    from fetalsynth.anatomy.measure.measuring import columns, measure
    from fetalsynth.anatomy.measure.picture import annotated_picture
    from fetalsynth.artifacts.building import STATE
    from fetalsynth.artifacts.files import write_bytes, write_text
    from fetalsynth.cli.anatomy_heads import read_head

    kept = folder / STATE / f"{head.name}.json"
    picture = folder / _PICTURES / f"{head.name}.png"
    if kept.is_file() and picture.is_file():
        row: Row = json.loads(kept.read_text(encoding="utf-8"))
        return row
    volume = read_head(head, table=heads.table, image=not tissues)
    try:
        measured = measure(volume.labels, volume.affine, gestational_age_weeks=head.weeks)
    except ValueError as error:
        raise UserError(f"{head.item.path}: {error}; check its labels and its voxels") from error
    drawn = annotated_picture(
        volume.labels, volume.affine, measured, title=head.name, image=volume.image
    )
    write_bytes(picture, _png(drawn), sync=False)
    row = {"volume": head.name, "labels": head.item.file, **columns(measured)}
    write_text(kept, json.dumps(row, indent=2, allow_nan=False) + "\n")
    return row


def _png(pixels: Any) -> bytes:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return stream.getvalue()


def _finish(
    folder: Path, rows: list[Row], failed: dict[str, str], heads: Heads, manifest: Manifest
) -> None:
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.artifacts.scores import write_scores
    from fetalsynth.assessment.tables import csv_text
    from fetalsynth.cli.anatomy_scores import summary_of
    from fetalsynth.reports.anatomy import write_report

    names = list(rows[0])
    cells = [[_rounded(row[name]) for name in names] for row in rows]
    write_text(folder / TABLE, csv_text(names, cells))
    write_scores(folder, summary_of(rows, source=heads.source, synthetic=_synthetic(heads)))
    pictures = {row["volume"]: f"{_PICTURES}/{row['volume']}.png" for row in rows}
    write_report(folder, manifest, rows=rows, pictures=pictures, failed=failed)


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _print(rows: list[Row], failed: dict[str, str]) -> None:
    """A table that a narrow terminal and a log file both hold; everything else is in the CSV."""
    shown = {
        "weeks": "gestational_age_weeks",
        "atrium L": "atrial_width_left_mm",
        "R mm": "atrial_width_right_mm",
        "HC mm": "hc_mm",
        "TCD mm": "tcd_mm",
        "cortex mm": "cortical_thickness_mm",
        "ventricles ml": "ventricles_ml",
    }
    width = max(len("volume"), *(len(row["volume"]) for row in rows))
    print(f"{'volume':<{width}}  " + "  ".join(shown))
    for row in rows:
        cells = [
            f"{'–' if row[name] is None else format(row[name], '.1f'):>{len(title)}}"
            for title, name in shown.items()
        ]
        print(f"{row['volume']:<{width}}  " + "  ".join(cells))
    print(f"{len(rows)} volumes measured, {len(failed)} left out")
