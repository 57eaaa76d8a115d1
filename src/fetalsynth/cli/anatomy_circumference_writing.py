"""What ``fetalsynth anatomy head-circumference`` writes and says."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from fetalsynth.artifacts.manifest import Manifest
from fetalsynth.cli.anatomy_circumference_rows import DOUBT, Measured
from fetalsynth.cli.anatomy_circumference_scores import scores_of

if TYPE_CHECKING:
    from fetalsynth.statistics.measurement import MeasurementError

TABLE, OVERVIEW, WORST, FIGURE = "heads.csv", "overview.png", "worst.png", "agreement.svg"
_FLOOR_TABLE = "floor.csv"


def write_all(
    folder: Path, measured: Measured, reference: Measured | None, *, manifest: Manifest, seed: int
) -> tuple[MeasurementError | None, MeasurementError | None]:
    """Tables, pictures, scores and report; returns the errors of the images and of the floor."""
    from fetalsynth.artifacts.scores import write_scores
    from fetalsynth.datasets.head_sheet import write_sheet
    from fetalsynth.reports.circumference import write_report

    error = _error(measured, seed=seed)
    floor = None if reference is None else _error(reference, seed=seed)
    _write_table(folder / TABLE, measured)
    if reference is not None:
        _write_table(folder / _FLOOR_TABLE, reference)
    pictures = {"overview": OVERVIEW}
    write_sheet(folder / OVERVIEW, measured.gallery.overview)
    if len(measured.rows) > len(measured.gallery.overview):
        pictures["worst"] = WORST
        write_sheet(folder / WORST, measured.gallery.worst)
    figure = _figure(folder, measured, error)
    floor_of = None if reference is None else reference.images
    scores = scores_of(measured, error, floor, floor_of=floor_of, pictures=pictures)
    write_scores(folder, scores)
    write_report(folder, manifest, scores=scores, rows=measured.rows, figure=figure, table=TABLE)
    return error, floor


def _error(measured: Measured, *, seed: int) -> MeasurementError | None:
    """None with fewer than three heads that were found and asked for."""
    from fetalsynth.randomness import numpy_rng
    from fetalsynth.statistics.measurement import LEAST, measurement_error

    rows = [row for row in measured.compared if row["relative_error"] is not None]
    if len(rows) < LEAST:
        return None
    return measurement_error(
        measured=[row["measured_circumference"] for row in rows],
        true=[row["asked_circumference"] for row in rows],
        clusters=[row["subject"] or row["file"] for row in rows],
        missing=len(measured.compared) - len(rows),
        rng=numpy_rng(seed=seed, stream="head-circumference"),
    )


def _write_table(path: Path, measured: Measured) -> None:
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.assessment.tables import csv_text

    names = list(measured.rows[0])
    cells = [[_rounded(row[name]) for name in names] for row in measured.rows]
    write_text(path, csv_text(names, cells))


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


def _figure(folder: Path, measured: Measured, error: MeasurementError | None) -> str | None:
    """The plots, written as a file too; None where there is nothing to compare or two units."""
    from fetalsynth.artifacts.files import write_text
    from fetalsynth.reports.agreement import agreement_plots

    rows = [row for row in measured.compared if row["relative_error"] is not None]
    units = {row["unit"] for row in rows}
    if error is None or len(units) != 1:
        return None
    svg = agreement_plots(
        [(row["asked_circumference"], row["measured_circumference"]) for row in rows],
        unit=units.pop(),
        bias=error.bias,
        limits=error.limits,
        description="Measured against asked head circumference, and their relative difference",
    )
    write_text(folder / FIGURE, svg + "\n")
    return svg


def print_summary(
    measured: Measured,
    errors: tuple[MeasurementError | None, MeasurementError | None],
    *,
    floor_of: str | None,
) -> None:
    """What a person wants to know before opening the report."""
    doubtful = sum(row["flag"] == DOUBT for row in measured.rows)
    print(f"{measured.found} heads on {len(measured.rows)} images, {doubtful} of them doubtful")
    unit, sizes = measured.sizes
    if sizes:
        middle = median(sizes)
        print(f"  circumference {sizes[0]:.0f} to {sizes[-1]:.0f} {unit}, median {middle:.0f}")
    names = ("asked against measured", f"floor ({floor_of})")
    for name, error in zip(names, errors, strict=True):
        if error is not None:
            print(f"  {name}: {in_words(error)}")


def in_words(error: MeasurementError) -> str:
    """The errors in one line."""
    low, high = (100 * end for end in error.limits)
    r = "" if error.r is None else f"r {error.r:.3f}, "
    shares = ", ".join(
        f"{100 * share.value:.0f} % within {100 * share.within:.0f} %" for share in error.shares
    )
    return (
        f"median error {100 * error.median_absolute:.2f} %, bias {100 * error.bias:+.2f} % "
        f"(limits {low:+.1f} to {high:+.1f} %), {r}{shares}; "
        f"{error.n} of {error.asked} heads"
    )
