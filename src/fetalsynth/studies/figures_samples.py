"""What the sets of a study look like, cell by cell: the first images or slices, never chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.images import read_table
from fetalsynth.studies.cells import text
from fetalsynth.studies.figures_canvas import Sheet, panels, plain, styled
from fetalsynth.studies.figures_data import in_order, named
from fetalsynth.studies.plan import Plan, PlannedCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLANES = ("sagittal", "coronal", "axial")
ALONE = 8
REAL = "real"
_SIDE, _WIDE = 1.15, 1.6  # inches of a single image and of a square of several
Pixels = NDArray[np.float64]


def image_samples(
    folder: Path,
    plan: Plan,
    *,
    arm: str,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    stem: str,
    per_side: int = 2,
    real: Path | None = None,
) -> Sheet | None:
    """Rows of one factor by columns of another, the first images of every cell's set.

    Without ``columns`` a row shows the first eight images one beside the other. ``real`` is a
    folder of real images for a row of its own. None where there are no sets.
    """
    cells = _first_seed(plan, arm)
    outs = {step.name: folder / step.out for step in plan.steps}
    down, across = _levels(cells, rows), _levels(cells, columns)
    grid: dict[tuple[str, str], tuple[Pixels, list[str]]] = {}
    for cell in cells:
        key = _at(cell, rows), _at(cell, columns)
        made = outs[cell.generate]
        if (made / "images.csv").is_file():
            grid[key] = _tile(made, side=per_side if columns else 0)
    if not grid:
        return None
    if real is not None:
        down = [REAL, *down]
        for place, level in enumerate(across):
            side = per_side if columns else 0
            grid[REAL, level] = _tile(real, side=side, split="test", skip=place * side * side)
    inches = _WIDE if columns else _SIDE
    return _sheet(
        grid,
        down=down,
        across=across,
        size=(inches if columns else inches * ALONE, inches),
        stem=stem,
        arm=arm,
        names=(named(rows), named(columns)),
        caption=f"The first images of every set with seed {cells[0].seed}, not chosen. "
        f"{'The top row is real. ' if real else ''}Synthetic images are not for clinical use.",
    )


def volume_samples(
    folder: Path,
    plan: Plan,
    *,
    arm: str,
    rows: tuple[str, ...],
    stem: str,
    fusion: str | None = None,
    real: Path | None = None,
) -> Sheet | None:
    """A row for each cell, the middle slices in three planes of the first subject's volume.

    ``real`` is a folder of real volumes, for that subject's own in the first row.

    Pixels are nearest neighbours of the array's own axes, turned to the usual view. None where
    there are no volumes.
    """
    shown = ""
    cells = _first_seed(plan, arm)
    steps = {step.name: step for step in plan.steps}
    grid: dict[tuple[str, str], tuple[Pixels, list[str]]] = {}
    for cell in cells:
        made = folder / steps[cell.generate].out
        made = made / fusion if fusion and steps[cell.generate].parts else made
        file = next(iter(sorted(made.glob("sub-*/**/*_T2w.nii.gz"))), None)
        if file is not None:
            for plane, image in zip(PLANES, _middle(file), strict=True):
                grid[_at(cell, rows), plane] = image, [file.relative_to(folder).as_posix()]
            shown = file.relative_to(made).parts[0]
    if not grid:
        return None
    down = _levels(cells, rows)
    own = next(iter(sorted(real.glob(f"{shown}/**/*_T2w.nii.gz"))), None) if real else None
    if real is not None and own is not None:
        down = [REAL, *down]
        for plane, image in zip(PLANES, _middle(own), strict=True):
            grid[REAL, plane] = image, [own.relative_to(real).as_posix()]
    return _sheet(
        grid,
        down=down,
        across=list(PLANES),
        size=(1.5, 1.5),
        stem=stem,
        arm=arm,
        names=(named(rows), ""),
        caption=f"Middle slices of the first subject’s volume with seed {cells[0].seed}, not "
        f"chosen. {'The top row is real. ' if own else ''}Synthetic images are not for clinical "
        "use.",
    )


def _sheet(
    grid: dict[tuple[str, str], tuple[Pixels, list[str]]],
    *,
    down: Sequence[str],
    across: Sequence[str],
    size: tuple[float, float],
    stem: str,
    arm: str,
    names: tuple[str, str],
    caption: str,
) -> Sheet:
    with styled():
        count = len(down) * len(across)
        figure, places = panels(count, width=size[0], height=size[1], columns=len(across))
        headed = int(down[0] == REAL and across != list(PLANES))
        for place, axes in enumerate(places):
            a, b = down[place // len(across)], across[place % len(across)]
            axes.set_axis_off()
            if (a, b) in grid:
                axes.imshow(grid[a, b][0], cmap="gray", vmin=0, vmax=1, interpolation="none")
            if place // len(across) == headed:
                axes.set_title(plain(b), loc="center", fontsize=8, fontweight="normal")
            if place % len(across) == 0:
                _row_label(axes, a)
        figure.supylabel(plain(names[0]), fontsize=9)
        if names[1]:
            figure.supxlabel(plain(names[1]), fontsize=9)
    return Sheet(
        stem=stem,
        kind="samples",
        arm=arm,
        heading=f"{arm}: what the sets look like",
        caption=caption,
        figure=figure,
        header=("row", "column", "place", "file"),
        rows=[
            (a, b, place, name)
            for (a, b), (_, files) in grid.items()
            for place, name in enumerate(files)
        ],
    )


def _row_label(axes: Axes, label: str) -> None:
    axes.text(
        -0.05,
        0.5,
        plain(label),
        transform=axes.transAxes,
        ha="right",
        va="center",
        rotation=90,
        fontsize=8,
    )


def _tile(
    made: Path, *, side: int, split: str | None = None, skip: int = 0
) -> tuple[Pixels, list[str]]:
    """The first images as a square of ``side`` × ``side``, or as one row, with their names."""
    from PIL import Image

    records = read_table(made)
    records = [one for one in records if split is None or one.split == split] or records
    count = side * side or ALONE
    records = records[skip : skip + count] or records[:count]
    found = []
    for record in records:
        with Image.open(made / record.file) as image:
            deep = image.mode.startswith("I")
            pixels = np.asarray(image if deep else image.convert("L"), np.float64)
            found.append(pixels / (65535 if deep else 255))
    blank = np.ones_like(found[0])
    found += [blank] * (count - len(found))
    found = [np.pad(image, 1, constant_values=1.0) for image in found]
    across = side or ALONE
    lines = [np.hstack(found[k : k + across]) for k in range(0, count, across)]
    return np.vstack(lines), [record.file for record in records]


def _middle(file: Path) -> list[Pixels]:
    """Sagittal, coronal and axial slices through the middle, the top of the head up."""
    import nibabel as nib

    loaded: Any = nib.load(file)
    image: Any = nib.as_closest_canonical(loaded)  # type: ignore[no-untyped-call]
    values = np.asarray(image.dataobj, np.float64)
    values = values[..., 0] if values.ndim == 4 else values
    top = float(np.percentile(values, 99.8)) or 1.0
    cut: list[Callable[[Pixels], Pixels]] = [
        lambda v: v[v.shape[0] // 2],
        lambda v: v[:, v.shape[1] // 2],
        lambda v: v[:, :, v.shape[2] // 2],
    ]
    return [np.clip(np.rot90(one(values)) / top, 0, 1) for one in cut]


def _first_seed(plan: Plan, arm: str) -> list[PlannedCell]:
    cells = [cell for cell in plan.cells if cell.arm == arm]
    return [cell for cell in cells if cell.seed == cells[0].seed]


def _at(cell: PlannedCell, axis: Sequence[str]) -> str:
    return " / ".join(text(cell.factors[name]) for name in axis)


def _levels(cells: Sequence[PlannedCell], axis: Sequence[str]) -> list[str]:
    return in_order(_at(cell, axis) for cell in cells)
