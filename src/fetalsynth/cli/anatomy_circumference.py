"""``fetalsynth anatomy head-circumference``: heads measured on images, without labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from fetalsynth.errors import UserError

if TYPE_CHECKING:
    from fetalsynth.artifacts.manifest import Input, Manifest
    from fetalsynth.cli.anatomy_circumference_rows import Measured
    from fetalsynth.datasets.asked_heads import AskedTable

_ABOUT = "anatomy head-circumference"


@dataclass(frozen=True)
class HeadCircumference:
    """Fit an ellipse to the skull on every image, and compare it with the head asked for."""

    images: Annotated[Path, tyro.conf.Positional]
    """Images artifact, or folder of PNG, JPEG, TIFF or DICOM images."""
    out: Path
    """New folder for the table, the pictures and the report."""
    asked: Path | None = None
    """Heads the images were asked to show: an images artifact (such as the label maps) or a CSV
    file with a column file; by default the images' own table, where it has heads."""
    floor: Path | None = None
    """Real images with outlines (an import of HC18): the error of the measurement itself. Of an
    artifact with a held-out part, that part. Synthetic images are labelled as such: whatever is
    odd about them is in such a floor too."""
    split: str | None = None
    """Only this split of the images (train or test)."""
    seed: int = 0
    """Of the resampling behind the intervals."""


def run(arguments: list[str]) -> int:
    """Run the command: 0, or 1 where no head was found on any image."""
    wanted = tyro.cli(HeadCircumference, args=arguments, prog=f"fetalsynth {_ABOUT}")

    from fetalsynth.artifacts.building import building, is_done, record_facts
    from fetalsynth.artifacts.manifest import read_manifest
    from fetalsynth.cli.anatomy_circumference_rows import measure_set, open_asked, open_set
    from fetalsynth.cli.anatomy_circumference_writing import print_summary, write_all

    _check(wanted)
    asked = open_asked(wanted.asked)
    images = open_set(wanted.images, role="images", split=wanted.split)
    floor = None if wanted.floor is None else open_set(wanted.floor, role="floor", held_out=True)
    manifest = _draft(wanted, images.source, asked, None if floor is None else floor.source)
    if is_done(wanted.out, manifest):
        print(f"already done: {wanted.out} (read {wanted.out / 'report.html'})")
        return 0 if read_manifest(wanted.out).facts.get("found") else 1
    with building(wanted.out, manifest) as folder:
        measured = measure_set(images, asked)
        reference = None if floor is None else _reference(wanted, measure_set(floor, None))
        record_facts(folder, {"images": len(measured.rows), "found": measured.found})
        comparisons = write_all(folder, measured, reference, manifest=manifest, seed=wanted.seed)
    floor_of = None if reference is None else reference.images
    print_summary(measured, comparisons, floor_of=floor_of)
    print(f"report: {wanted.out / 'report.html'}")
    return 0 if measured.found else 1


def _check(wanted: HeadCircumference) -> None:
    for folder in (wanted.images, wanted.asked, wanted.floor):
        if folder is None:
            continue
        if not folder.exists():
            raise UserError(f"{folder}: it does not exist; check the path")
        if folder.is_dir() and wanted.out.resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{wanted.out}: lies inside {folder}; choose another")


def _reference(wanted: HeadCircumference, measured: Measured) -> Measured:
    if len(measured.compared) < 3:
        raise UserError(
            f"{wanted.floor}: fewer than three of its images have an outline; give an import of "
            "HC18 or another set with head ellipses"
        )
    return measured


def _draft(
    wanted: HeadCircumference, images: Input, asked: AskedTable | None, floor: Input | None
) -> Manifest:
    from fetalsynth.artifacts.manifest import draft

    more = (None if asked is None else asked.source, floor)
    return draft(
        kind="scores",
        configuration={"measures": "head circumference", "split": wanted.split},
        seed=wanted.seed,
        inputs=(images, *(one for one in more if one is not None)),
        synthetic=images.manifest is not None and images.manifest.synthetic,
    )
