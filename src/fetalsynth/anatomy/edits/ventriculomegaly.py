"""Lateral ventricles widened, or narrowed, to a target by pushing the tissue around them.

The posterior fossa, the deep grey matter and the midsagittal plane stay where they are; white and
grey matter are displaced rather than compressed, and the head may grow a little. Mild is 10 to
12 mm of atrial width, moderate 12 to 15, severe more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.anatomy.edits.flow import Box, Flow, State, box_around, flow_to
from fetalsynth.anatomy.edits.incompressible import keep_volume
from fetalsynth.anatomy.edits.pushes import push
from fetalsynth.anatomy.edits.result import EditResult, finish
from fetalsynth.anatomy.labels import (
    BRAINSTEM,
    CEREBELLUM,
    DEEP_GREY_MATTER,
    GREY_MATTER,
    VENTRICLES,
    WHITE_MATTER,
)
from fetalsynth.anatomy.measure.frame import Frame, find_frame
from fetalsynth.anatomy.measure.hemispheres import distance_to_midline, right_share
from fetalsynth.anatomy.measure.ventricles import atrial_widths

Side = Literal["both", "left", "right"]
Affine = NDArray[np.float64]
Labels = NDArray[np.uint8]

SIDES: tuple[Side, ...] = get_args(Side)
TOLERANCE_MM = 0.5
HEAD_GROWTH_MM = 5.0
_AIM = 0.3  # of the tolerance: what the search aims at, to leave room for a frame found anew
_ROUNDS = 5
_ENOUGH_MM = 0.3  # of miss: what mending thinned tissue moves the walls by has to fit in, too
_SWEEP_MM = (0.0, 0.3, 0.6)


def ventriculomegaly(
    labels: Labels,
    affine: Affine,
    *,
    atrial_width_mm: float | None = None,
    volume_ml: float | None = None,
    side: Side = "both",
    head_growth_mm: float = HEAD_GROWTH_MM,
    device: torch.device | None = None,
) -> EditResult:
    """``labels`` (I, J, K) FeTA, RAS+, with lateral ventricles of a target width or volume.

    ``atrial_width_mm`` is that of each atrium on ``side``, as ``anatomy.measure`` takes it;
    ``volume_ml`` that of all that is labelled ventricle on ``side`` (both: together). Give one of
    the two. ``head_growth_mm`` is how far outside the head the map comes to rest; 0 keeps the head.
    ``report["reached"]`` tells whether the target was met within 0.5 mm or 1 % of the volume.

    Raises ValueError where a target is missing or not positive, and where there is no atrium.
    """
    if (atrial_width_mm is None) == (volume_ml is None):
        raise ValueError("give an atrial width or a volume")
    target = atrial_width_mm if volume_ml is None else volume_ml
    if target is None or not (math.isfinite(target) and target > 0):
        raise ValueError(f"a target of {target} is not positive")
    search = _Search(labels, affine, side=side, growth_mm=head_growth_mm, device=device)
    state, aimed = search.run(atrial_width_mm=atrial_width_mm, volume_ml=volume_ml)
    said: dict[str, Any] = {
        "edit": "ventriculomegaly",
        "method": "diffeomorphic",
        "side": side,
        "atrial_width_target_mm": atrial_width_mm,
        "volume_target_ml": volume_ml,
        "head_growth_mm": head_growth_mm,
        "pushed_mm": state.pushed.tolist(),
        "atrial_width_before_mm": _named(widths(labels, affine)),
    }
    result = finish(search.flow, state, labels, said=said)
    now = widths(result.labels, affine)
    result.report["atrial_width_mm"] = _named(now)
    if atrial_width_mm is None:
        result.report["reached"] = bool(
            np.abs(aimed - state.values).max() <= 0.01 * float(aimed.max())
        )
    else:
        misses = [abs((now[k] or 0) - atrial_width_mm) for k in search.sides]
        result.report["reached"] = max(misses) <= TOLERANCE_MM
    return result


def widths(
    labels: Labels, affine: Affine, *, frame: Frame | None = None
) -> tuple[float | None, float | None]:
    """Left and right atrial width in mm, None where there is no atrium."""
    axes = find_frame(labels, affine) if frame is None else frame
    left, right = atrial_widths(labels, affine, frame=axes)
    return (left.length_mm if left else None, right.length_mm if right else None)


class _Search:
    """The flow of one head: a control per side, measured in the frame of the original head."""

    def __init__(
        self,
        labels: Labels,
        affine: Affine,
        *,
        side: Side,
        growth_mm: float,
        device: torch.device | None,
    ) -> None:
        spacing = np.linalg.norm(affine[:3, :3], axis=0)
        self.box: Box = box_around(labels, spacing_mm=spacing)
        self.affine, self.growth = self.box.affine(affine), growth_mm
        inside = self.box.cut(labels)
        self.frame = find_frame(inside, self.affine)
        self.sides = [k for k, name in enumerate(("left", "right")) if side in ("both", name)]
        self.share = right_share(inside.shape, self.affine, frame=self.frame)
        midline = distance_to_midline(inside.shape, self.affine, frame=self.frame)
        self.midline = self.box.thin(midline)
        self.flow = Flow(
            labels,
            box=self.box,
            velocity=self._velocity,
            controls=len(self.sides),
            measure=self._widths,
            device=device,
        )

    def run(
        self, *, atrial_width_mm: float | None, volume_ml: float | None
    ) -> tuple[State, NDArray[np.float64]]:
        """(last state, targets)."""
        if atrial_width_mm is None:
            assert volume_ml is not None
            self.flow.measure = self._volumes
            start = self.flow.start()
            # both sides take part in proportion to what they hold
            targets = volume_ml * start.values / max(float(start.values.sum()), 1e-9)
            close = 0.003 * float(targets.max())
            rate = max(float(start.values.mean()), 0.1) / 4
            return flow_to(self.flow, start, targets=targets, tolerance=close, rate=rate), targets
        wanted = np.full(len(self.sides), float(atrial_width_mm))
        aim, state = wanted.copy(), self.flow.start()
        best, least = state, math.inf
        for _ in range(_ROUNDS):
            state = flow_to(self.flow, state, targets=aim, tolerance=_AIM * TOLERANCE_MM)
            fresh = widths(state.labels, self.affine)
            missed = np.array([(fresh[k] or 0.0) for k in self.sides]) - wanted
            if float(np.abs(missed).max()) < least:
                best, least = state, float(np.abs(missed).max())
            if least <= _ENOUGH_MM:
                break
            # a frame found anew in the edited head cuts the atria in a slightly other plane
            aim = aim - missed
        if least > _ENOUGH_MM:
            # slower, but what the search sees is what is reported
            self.flow.measure = self._widths_anew
            state = replace(best, values=self._widths_anew(best.labels))
            near = flow_to(self.flow, state, targets=wanted, tolerance=_AIM * TOLERANCE_MM)
            best = self._swept(near, wanted)
        return best, wanted

    def _swept(self, state: State, wanted: NDArray[np.float64]) -> State:
        """The nearest of ``state`` and what short pushes towards the targets make of it.

        The measured width jumps where another plane becomes the atrium's, on the other side too; a
        search by rates stops at such a jump though the targets may be met beyond it.
        """
        missing = wanted - state.values
        if np.abs(missing).max() <= _ENOUGH_MM:
            return state
        pushes = product(_SWEEP_MM, repeat=len(wanted))
        tried = [self.flow.step(state, np.sign(missing) * np.array(push)) for push in pushes]
        return min(tried, key=lambda one: float(np.abs(one.values - wanted).max()))

    def _velocity(
        self, labels: Labels, spacing_mm: tuple[float, float, float], amounts: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        amount = np.zeros(labels.shape, np.float32)
        for k, pushed in zip(self.sides, amounts, strict=True):
            amount[(self.midline < 0) if k == 0 else (self.midline > 0)] = pushed
        beyond = ndimage.distance_transform_edt(labels == 0, sampling=spacing_mm)
        still = np.isin(labels, (CEREBELLUM, BRAINSTEM, DEEP_GREY_MATTER))
        # two voxels wide, so that the two halves do not touch
        plane = np.abs(self.midline) <= max(spacing_mm)
        fixed = (beyond > self.growth) | still | plane
        if self.sides == [0]:
            fixed |= self.midline > 0
        elif self.sides == [1]:
            fixed |= self.midline < 0
        ventricles = (labels == VENTRICLES) & ~plane
        pushed = push(ventricles, fixed, spacing_mm=spacing_mm, amount_mm=amount)
        brain = np.isin(labels, (WHITE_MATTER, GREY_MATTER))
        return keep_volume(pushed, brain, fixed, spacing_mm=spacing_mm)

    def _widths(self, labels: Labels) -> NDArray[np.float64]:
        return self._widths_in(labels, self.frame)

    def _widths_anew(self, labels: Labels) -> NDArray[np.float64]:
        return self._widths_in(labels, None)

    def _widths_in(self, labels: Labels, frame: Frame | None) -> NDArray[np.float64]:
        found = widths(labels, self.affine, frame=frame)
        if any(found[k] is None for k in self.sides):
            raise ValueError("there is no atrium to measure: ventricles or deep grey matter lack")
        return np.array([found[k] for k in self.sides], np.float64)

    def _volumes(self, labels: Labels) -> NDArray[np.float64]:
        fluid = labels == VENTRICLES
        voxel_ml = float(np.prod(self.box.spacing_mm)) / 1000
        right = float(self.share[fluid].sum())
        found = (float(fluid.sum()) - right, right)
        return np.array([found[k] * voxel_ml for k in self.sides])


def _named(pair: Sequence[float | None]) -> dict[str, float | None]:
    return {"left": pair[0], "right": pair[1]}
