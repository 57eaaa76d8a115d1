"""Ventriculomegaly in grades: targets, folds, tissues and parts, beside the published dilation.

Every label map is pushed to every width; the dilation that comes nearest to the same ventricle
volume stands beside it with what it destroys. One row per volume and width:

    python benchmarks/anatomy.py VOLUMES [VOLUMES …] [--only GA21 GA25] [--widths 10 12 15 20]
                                 [--table FILE.csv] [--picture FILE.svg]
    python benchmarks/anatomy.py --tables FILE.csv [FILE.csv …] --picture FILE.svg

VOLUMES are folders that `fetalsynth data` made, such as an imported atlas or brain phantoms.
Seconds are processor seconds of one thread, the dilation's not among them. Exit code 1 where a
target is missed by more than 0.5 mm, a voxel folds, or a tissue or a part of one is lost. The
picture shows volume against width of every side, beside the regressions of Ma et al. 2019
(PMC6616102, MRI of 24 to 38 weeks).
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.edits.dilation import dilation, steps_to_volume
from fetalsynth.anatomy.edits.result import EditResult
from fetalsynth.anatomy.edits.ventriculomegaly import TOLERANCE_MM, ventriculomegaly
from fetalsynth.anatomy.labels import FETA, VENTRICLES
from fetalsynth.anatomy.measure.frame import find_frame
from fetalsynth.anatomy.measure.hemispheres import right_share
from fetalsynth.artifacts.volumes import VolumeRecord, read_participants
from fetalsynth.datasets.volumes.nifti import read_nifti, to_ras

Labels = NDArray[np.uint8]
Affine = NDArray[np.float64]
TISSUES = tuple(name.replace(" ", "_") for name in FETA[1:])
# Ma et al. 2019: lateral ventricle in ml = slope · atrial width in mm + intercept
MA_2019 = {
    "left": {"ventriculomegaly": (0.959, -2.074), "normal": (0.438, 1.359)},
    "right": {"ventriculomegaly": (0.799, -0.443), "normal": (0.493, 1.012)},
}
PRINTED = (
    ("volume", 22, "s"),
    ("weeks", 5, ".1f"),
    ("target_mm", 6, "g"),
    ("left_before_mm", 6, ".1f"),
    ("left_mm", 6, ".2f"),
    ("right_mm", 6, ".2f"),
    ("folded", 6, "d"),
    ("min_jacobian", 7, ".3f"),
    ("least_share", 6, ".2f"),
    ("tissues_kept", 7, "s"),
    ("parts_kept", 6, "s"),
    ("mended", 6, "d"),
    ("seconds", 7, ".1f"),
    ("dilation_steps", 5, "d"),
    ("destroyed_ml", 9, ".1f"),
    ("dilation_parts_kept", 6, "s"),
)
HEADS = (
    "volume",
    "weeks",
    "target",
    "before",
    "left",
    "right",
    "folded",
    "min Jac",
    "least",
    "tissues",
    "parts",
    "mended",
    "seconds",
    "steps",
    "destroyed",
    "parts",
)


def wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("volumes", nargs="*", type=Path)
    parser.add_argument("--only", nargs="+", default=[], help="volumes whose name holds one of it")
    parser.add_argument("--widths", nargs="+", type=float, default=[10, 12, 15, 20])
    parser.add_argument("--table", type=Path, help="new CSV file with every number")
    parser.add_argument("--tables", nargs="+", type=Path, default=[], help="of earlier runs")
    parser.add_argument("--picture", type=Path, help="new SVG file")
    parser.add_argument("--device", default="cpu")
    found = parser.parse_args()
    if not (found.volumes or found.tables):
        parser.error("give VOLUMES or --tables")
    return found


def side_volumes(labels: Labels, affine: Affine) -> tuple[float, float]:
    """Ventricles left and right of the midsagittal plane, ml."""
    fluid = labels == VENTRICLES
    share = right_share(labels.shape, affine, frame=find_frame(labels, affine))
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    right = float(share[fluid].sum())
    return (float(fluid.sum()) - right) * voxel_ml, right * voxel_ml


def pushed(result: EditResult, affine: Affine) -> dict[str, Any]:
    report = result.report
    left_ml, right_ml = side_volumes(result.labels, affine)
    shares = {
        name.replace(" ", "_"): report["volumes_ml"].get(name, 0.0) / before
        for name, before in report["volumes_ml_before"].items()
    }
    return {
        "left_before_mm": report["atrial_width_before_mm"]["left"],
        "right_before_mm": report["atrial_width_before_mm"]["right"],
        "left_mm": report["atrial_width_mm"]["left"],
        "right_mm": report["atrial_width_mm"]["right"],
        "folded": report["folded_voxels"],
        "min_jacobian": report["min_jacobian"],
        "least_share": report["strongest_compression"],
        "tissues_kept": "no" if report["tissues_lost"] else "yes",
        "parts_kept": "yes" if report["parts_unchanged"] else "no",
        "mended": report["voxels_mended"],
        "left_ml": left_ml,
        "right_ml": right_ml,
        **{f"share_{name}": shares.get(name) for name in TISSUES},
    }


def dilated(labels: Labels, affine: Affine, *, volume_ml: float) -> dict[str, Any]:
    steps = steps_to_volume(labels, affine, volume_ml=volume_ml)
    if steps == 0:
        return {"dilation_steps": 0}
    report = dilation(labels, affine, steps=steps).report
    return {
        "dilation_steps": steps,
        "destroyed_ml": sum(report["destroyed_ml"].values()),
        "dilation_left_mm": report["atrial_width_mm"]["left"],
        "dilation_parts_kept": "yes" if report["parts_unchanged"] else "no",
        **{
            f"destroyed_{name.replace(' ', '_')}_ml": ml
            for name, ml in report["destroyed_ml"].items()
        },
    }


def rows_of(folder: Path, record: VolumeRecord, options: argparse.Namespace) -> list[Any]:
    voxels, affine = to_ras(read_nifti(folder / str(record.labels)))
    labels = np.ascontiguousarray(voxels.astype(np.uint8))
    rows = []
    for width in options.widths:
        start = time.process_time()
        result = ventriculomegaly(
            labels, affine, atrial_width_mm=width, device=torch.device(options.device)
        )
        seconds = time.process_time() - start
        volume_ml = result.report["volumes_ml"]["ventricles"]
        row = {
            "volume": record.name,
            "weeks": record.gestational_age_weeks,
            "target_mm": width,
            **pushed(result, affine),
            "seconds": seconds,
            **dilated(labels, affine, volume_ml=volume_ml),
        }
        print("  ".join(cell(row.get(key), size, kind) for key, size, kind in PRINTED), flush=True)
        rows.append(row)
    return rows


def cell(value: Any, size: int, kind: str) -> str:
    if value is None:
        return "-".rjust(size)
    return format(value, kind).rjust(size) if kind != "s" else str(value)[-size:].ljust(size)


def read_tables(paths: list[Path]) -> list[dict[str, Any]]:
    rows = []
    for path in paths:
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                words = ("volume", "tissues_kept", "parts_kept", "dilation_parts_kept")
                rows.append({k: v if k in words else float(v) for k, v in row.items() if v})
    return rows


def draw(path: Path, rows: list[dict[str, Any]]) -> None:
    """Volume against width, a panel per side, coloured by weeks; phantoms are squares."""
    import matplotlib

    matplotlib.rcParams |= {"svg.hashsalt": "fetalsynth", "svg.fonttype": "none"}
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 3.9), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, side in zip(panels, ("left", "right"), strict=True):
        for kind, (slope, start) in MA_2019[side].items():
            ends = np.array([10, 21] if kind == "ventriculomegaly" else [4, 10])
            style = "-" if kind == "ventriculomegaly" else "--"
            panel.plot(ends, slope * ends + start, "k" + style, lw=1.2, label=f"Ma 2019, {kind}")
        for marker, name in (("o", "atlas"), ("s", "phantoms")):
            own = [row for row in rows if ("phantom" in row["volume"]) == (name == "phantoms")]
            points = panel.scatter(
                [row[f"{side}_mm"] for row in own],
                [row[f"{side}_ml"] for row in own],
                c=[row["weeks"] for row in own],
                vmin=20,
                vmax=36,
                marker=marker,
                s=24,
                edgecolors="k",
                linewidths=0.4,
                label=name,
            )
        panel.set(title=side, xlabel="atrial width, mm", xlim=(3, 22), ylim=(0, 26))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("lateral ventricle, ml")
    panels[0].legend(frameon=False, fontsize=8)
    figure.colorbar(points, ax=panels, label="weeks")
    figure.savefig(path, metadata={"Date": None})


def report(rows: list[dict[str, Any]]) -> None:
    """How far the volumes of each target are from the regression, over all heads."""
    for width in sorted({row["target_mm"] for row in rows}):
        own = [row for row in rows if row["target_mm"] == width]
        for side, lines in MA_2019.items():
            slope, start = lines["ventriculomegaly"]
            found = np.array([row[f"{side}_ml"] for row in own])
            expected = np.mean([slope * row[f"{side}_mm"] + start for row in own])
            print(
                f"{width:g} mm, {side}: median {np.median(found):.1f} ml "
                f"({found.min():.1f} to {found.max():.1f}), Ma 2019 {expected:.1f} ml"
            )


def good(row: dict[str, Any]) -> bool:
    near = max(abs(row[side] - row["target_mm"]) for side in ("left_mm", "right_mm"))
    kept = row["tissues_kept"] == row["parts_kept"] == "yes"
    return bool(near <= TOLERANCE_MM and row["folded"] == 0 and kept)


def main() -> int:
    options = wanted()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, nibabel {nibabel.__version__}, {options.device}, one thread")
    print("  ".join(head.ljust(size) for head, (_, size, _) in zip(HEADS, PRINTED, strict=True)))
    rows = read_tables(options.tables)
    for folder in options.volumes:
        for record in read_participants(folder):
            if record.labels and (
                not options.only or any(part in record.name for part in options.only)
            ):
                rows += rows_of(folder, record, options)
    if options.table:
        columns = list(dict.fromkeys(key for row in rows for key in row))
        with options.table.open("x", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    report(rows)
    if options.picture:
        draw(options.picture, rows)
    passed = sum(map(good, rows))
    print(f"{passed} of {len(rows)} within {TOLERANCE_MM} mm, without folds, every part kept")
    return int(passed < len(rows))


if __name__ == "__main__":
    sys.exit(main())
