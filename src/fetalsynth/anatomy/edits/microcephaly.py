"""The whole head made smaller at the same gestational age, to a target circumference."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.edits.flow import Flow, box_around
from fetalsynth.anatomy.edits.result import EditResult, finish
from fetalsynth.anatomy.measure import measure
from fetalsynth.anatomy.measure.diameters import head_section
from fetalsynth.anatomy.measure.frame import find_frame


def microcephaly(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    hc_mm: float,
    device: torch.device | None = None,
) -> EditResult:
    """``labels`` (I, J, K) FeTA, RAS+, scaled about the head's centre to circumference ``hc_mm``.

    A similarity: every length shrinks alike, proportions stay. Its map is known in closed form,
    u(x) = (1/s − 1)(x − c), so that no search is needed; Jacobian s⁻³ everywhere.
    Raises ValueError where ``hc_mm`` is not between a third of the head's circumference and all of
    it.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    box = box_around(labels, spacing_mm=spacing)
    inside, own = box.cut(labels), box.affine(affine)
    before = head_section(inside, own, frame=find_frame(inside, own)).circumference_mm
    scale = hc_mm / before
    if not (math.isfinite(scale) and 1 / 3 < scale < 1):
        raise ValueError(
            f"a circumference of {hc_mm:g} mm is not between a third and all of {before:.1f} mm"
        )
    flow = Flow(labels, box=box, velocity=_still, measure=lambda _: np.zeros(1), device=device)
    start = flow.start()
    centre = np.argwhere(box.thin(inside) > 0).mean(axis=0)
    arm = np.indices(box.coarse, np.float32)
    for axis, step in enumerate(box.coarse_mm):
        arm[axis] = (arm[axis] - np.float32(centre[axis])) * np.float32(step)
    moved = torch.from_numpy(arm * np.float32(1 / scale - 1)).to(flow.device)
    state = type(start)(
        displacement=moved, labels=flow.warped(moved), values=start.values, pushed=start.pushed
    )
    said = {"edit": "microcephaly", "hc_target_mm": hc_mm, "hc_before_mm": before, "scale": scale}
    result = finish(flow, state, labels, said=said)
    result.report["hc_mm"] = measure(result.labels, affine).hc_mm
    result.report["reached"] = abs(result.report["hc_mm"] - hc_mm) <= 0.01 * hc_mm
    return result


def _still(
    labels: NDArray[np.uint8], spacing_mm: tuple[float, float, float], amounts: NDArray[np.float64]
) -> NDArray[np.float32]:
    return np.zeros((3, *labels.shape), np.float32)
