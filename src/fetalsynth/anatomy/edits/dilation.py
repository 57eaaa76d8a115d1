"""Ventricles dilated voxel by voxel, as published, for comparison with pushed tissue.

Fernandez Garcia et al. 2022 (arXiv 2209.09696, Figure 6) dilated the ventricle label to make
degrees of hydrocephalus. What the label grows over is gone, and nothing else moves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.edits.result import EditResult, compared
from fetalsynth.anatomy.edits.ventriculomegaly import Side, widths
from fetalsynth.anatomy.labels import BACKGROUND, FETA, VENTRICLES, WHITE_MATTER
from fetalsynth.anatomy.measure.frame import Frame, find_frame
from fetalsynth.anatomy.measure.hemispheres import distance_to_midline


def dilation(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    steps: int,
    side: Side = "both",
    only_white_matter: bool = False,
) -> EditResult:
    """``labels`` (I, J, K) FeTA with the ventricle label dilated ``steps`` times by a cross.

    One step takes the six face neighbours of every ventricle voxel, over any tissue or, with
    ``only_white_matter``, over white matter alone; background is never taken. The report's
    ``destroyed_ml`` says how much of which tissue was overwritten.
    Raises ValueError for fewer than one step.
    """
    if steps < 1:
        raise ValueError("at least one step of dilation is needed")
    ventricles = labels == VENTRICLES
    frame = find_frame(labels, affine)
    free = _free(labels, affine, frame=frame, side=side, only_white_matter=only_white_matter)
    grown = ndimage.binary_dilation(ventricles, iterations=steps, mask=free | ventricles)
    after = np.where(grown, np.uint8(VENTRICLES), labels)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    taken = np.bincount(labels[grown & ~ventricles], minlength=len(FETA))
    voxel_ml = float(np.prod(spacing)) / 1000
    names = ("left", "right")
    report = {
        "edit": "ventriculomegaly",
        "method": "dilation",
        "side": side,
        "steps": steps,
        "only_white_matter": only_white_matter,
        "atrial_width_before_mm": dict(
            zip(names, widths(labels, affine, frame=frame), strict=True)
        ),
        "atrial_width_mm": dict(zip(names, widths(after, affine), strict=True)),
        "destroyed_ml": {FETA[k]: float(n * voxel_ml) for k, n in enumerate(taken) if n},
        **compared(labels, after, spacing_mm=spacing),
    }
    return EditResult(labels=after, warp=None, report=report)


def steps_to_volume(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    volume_ml: float,
    side: Side = "both",
    most: int = 40,
) -> int:
    """How many steps of dilation bring all that is labelled ventricle nearest to ``volume_ml``.

    0 where the ventricles hold as much already, or where the first step overshoots by more than it
    lacks; ``most`` at the most.
    """
    frame = find_frame(labels, affine)
    free = _free(labels, affine, frame=frame, side=side, only_white_matter=False)
    grown = labels == VENTRICLES
    cross = ndimage.generate_binary_structure(3, 1)
    wanted = volume_ml * 1000 / float(abs(np.linalg.det(affine[:3, :3])))
    misses = [abs(wanted - grown.sum())]
    while len(misses) <= most and grown.sum() < wanted:
        grown = ndimage.binary_dilation(grown, cross, mask=free | grown)
        misses.append(abs(wanted - grown.sum()))
    return int(np.argmin(misses))


def _free(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    frame: Frame,
    side: Side,
    only_white_matter: bool,
) -> NDArray[np.bool_]:
    """What the ventricles may grow over."""
    free: NDArray[np.bool_] = labels == WHITE_MATTER if only_white_matter else labels != BACKGROUND
    if side == "both":
        return free
    distance = distance_to_midline(labels.shape, affine, frame=frame)
    return np.asarray(free & ((distance < 0) if side == "left" else (distance > 0)))
