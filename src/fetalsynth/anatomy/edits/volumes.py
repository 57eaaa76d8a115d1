"""Cerebellar hypoplasia and enlarged external CSF: one tissue driven to a target volume."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.edits.flow import Flow, Velocity, box_around, flow_to
from fetalsynth.anatomy.edits.result import EditResult, finish
from fetalsynth.anatomy.edits.scaling import shrinking
from fetalsynth.anatomy.labels import (
    BACKGROUND,
    BRAINSTEM,
    CEREBELLUM,
    EXTERNAL_CSF,
    FETA,
    VENTRICLES,
)

Labels = NDArray[np.uint8]
Affine = NDArray[np.float64]
_CLOSE = 0.01  # of the target
_LONGEST = 0.15  # of every length in one step


def cerebellar_hypoplasia(
    labels: Labels, affine: Affine, *, share: float, device: torch.device | None = None
) -> EditResult:
    """``labels`` (I, J, K) FeTA, RAS+, with the cerebellum at ``share`` (0 to 1) of its volume.

    It is drawn towards the brainstem; the fluid around fills its place, everything else stays.
    Raises ValueError for a share outside 0.1 to 1 and where the cerebellum is missing.
    """
    if not 0.1 <= share < 1:
        raise ValueError(f"a share of {share:g} is not from 0.1 to 1")
    return _to_volume(
        labels,
        affine,
        label=CEREBELLUM,
        times=share,
        velocity=_cerebellum,
        said={"edit": "cerebellar-hypoplasia", "share": share},
        device=device,
    )


def external_csf(
    labels: Labels, affine: Affine, *, times: float, device: torch.device | None = None
) -> EditResult:
    """``labels`` (I, J, K) FeTA, RAS+, with ``times`` (above 1) the external CSF, in the same head.

    The brain shrinks towards the brainstem as a whole; the outer border of the fluid stays.
    Raises ValueError for a factor outside 1 to 10 and where there is no external CSF.
    """
    if not 1 < times <= 10:
        raise ValueError(f"a factor of {times:g} is not from 1 to 10")
    return _to_volume(
        labels,
        affine,
        label=EXTERNAL_CSF,
        times=times,
        velocity=_brain,
        said={"edit": "external-csf", "times": times},
        device=device,
    )


def _cerebellum(
    labels: Labels, spacing_mm: tuple[float, float, float], amounts: NDArray[np.float64]
) -> NDArray[np.float32]:
    region = labels == CEREBELLUM
    still = ~np.isin(labels, (CEREBELLUM, EXTERNAL_CSF, VENTRICLES))
    centre = _anchor(labels, region)
    drawn = shrinking(region, still, centre=centre, spacing_mm=spacing_mm)
    return drawn * np.float32(amounts[0])


def _brain(
    labels: Labels, spacing_mm: tuple[float, float, float], amounts: NDArray[np.float64]
) -> NDArray[np.float32]:
    region = ~np.isin(labels, (BACKGROUND, EXTERNAL_CSF))
    centre = _anchor(labels, region)
    drawn = shrinking(region, labels == BACKGROUND, centre=centre, spacing_mm=spacing_mm)
    return drawn * np.float32(amounts[0])


def _anchor(labels: Labels, region: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The voxel of ``region`` nearest to the brainstem's middle, or the region's own middle."""
    inside = np.argwhere(region)
    stem = np.argwhere(labels == BRAINSTEM)
    if not len(stem):
        return np.asarray(inside.mean(axis=0))
    apart = ((inside - stem.mean(axis=0)) ** 2).sum(axis=1)
    return np.asarray(inside[apart.argmin()], np.float64)


def _to_volume(
    labels: Labels,
    affine: Affine,
    *,
    label: int,
    times: float,
    velocity: Velocity,
    said: dict[str, Any],
    device: torch.device | None,
) -> EditResult:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    voxel_ml = float(np.prod(spacing)) / 1000

    def volume(now: Labels) -> NDArray[np.float64]:
        return np.array([(now == label).sum() * voxel_ml])

    before = float(volume(labels)[0])
    if before == 0:
        raise ValueError(f"there is no {FETA[label]}")
    box = box_around(labels, spacing_mm=spacing)
    flow = Flow(labels, box=box, velocity=velocity, measure=volume, device=device)
    target = times * before
    state = flow_to(
        flow,
        flow.start(),
        targets=np.array([target]),
        tolerance=_CLOSE * target / 2,
        longest_mm=_LONGEST,
        rate=math.copysign(3 * before, times - 1),
    )
    said |= {"volume_before_ml": before, "volume_target_ml": target}
    result = finish(flow, state, labels, said=said)
    reached = float(volume(result.labels)[0])
    result.report.update(
        {"volume_ml": reached, "reached": abs(reached - target) <= _CLOSE * target}
    )
    return result
