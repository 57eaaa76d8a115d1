"""Tissue that flows step by step until a measure reaches its target.

Every step is the exponential of a smooth velocity field made for the labels as they are by then;
the steps are composed, and the labels are always warped from the original, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation import compose, exponentiate, refine, warp_labels

# Velocities are smooth over several millimetres, so that coarser voxels hold them without loss.
_COARSE_MM = 1.2
_MARGIN_MM = 10.0  # of background around the labels, for the flow to die out in

Labels = NDArray[np.uint8]
# (labels on the coarse grid, its spacing, mm to push with each control) → (3, …) velocity, mm
Velocity = Callable[[Labels, tuple[float, float, float], NDArray[np.float64]], NDArray[np.float32]]
Measure = Callable[[Labels], NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class Box:
    """The part of a volume that is worked on, and the coarser grid that velocities live on.

    ``start`` (3,) is the volume's voxel at the box's corner (negative beyond the volume); the box
    has ``factor``·(``coarse`` − 1) + 1 voxels along each axis, and both grids share their corners.
    """

    start: tuple[int, int, int]
    factor: tuple[int, int, int]
    coarse: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the box along each axis."""
        i, j, k = (f * (n - 1) + 1 for f, n in zip(self.factor, self.coarse, strict=True))
        return i, j, k

    @property
    def coarse_mm(self) -> tuple[float, float, float]:
        """Spacing of the coarse grid."""
        i, j, k = (f * s for f, s in zip(self.factor, self.spacing_mm, strict=True))
        return i, j, k

    def cut(self, volume: NDArray[Any]) -> NDArray[Any]:
        """The box of a volume, 0 beyond it; a copy."""
        box = np.zeros(self.shape, volume.dtype)
        inner, outer = self._overlap(volume.shape)
        box[inner] = volume[outer]
        return box

    def paste(self, box: NDArray[Any], volume: NDArray[Any]) -> NDArray[Any]:
        """A copy of ``volume`` with the box's content in its place."""
        whole = volume.copy()
        inner, outer = self._overlap(volume.shape)
        whole[outer] = box[inner]
        return whole

    def thin(self, box: NDArray[Any]) -> NDArray[Any]:
        """The box's values on the coarse grid; a view."""
        i, j, k = self.factor
        return box[::i, ::j, ::k]

    def affine(self, affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """The affine of the box in a volume with ``affine``."""
        own = affine.copy()
        own[:3, 3] += affine[:3, :3] @ np.array(self.start)
        return own

    def _overlap(self, shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        outer = [
            slice(max(0, s), min(n, s + m))
            for s, n, m in zip(self.start, shape, self.shape, strict=True)
        ]
        inner = [slice(o.start - s, o.stop - s) for o, s in zip(outer, self.start, strict=True)]
        return tuple(inner), tuple(outer)


def box_around(labels: Labels, *, spacing_mm: Sequence[float]) -> Box:
    """The box of ``labels`` > 0 with a margin. Raises ValueError where all is background."""
    start, factor, coarse = [], [], []
    for axis, step in enumerate(spacing_mm):
        across = tuple(other for other in range(3) if other != axis)
        held = np.flatnonzero(labels.any(axis=across))
        if not len(held):
            raise ValueError("every voxel is background")
        times = max(1, round(_COARSE_MM / step))
        margin = math.ceil(_MARGIN_MM / (times * step))
        start.append(int(held[0]) - margin * times)
        factor.append(times)
        coarse.append(2 * margin + 1 + math.ceil((held[-1] - held[0]) / times))
    i, j, k = spacing_mm
    return Box(
        start=(start[0], start[1], start[2]),
        factor=(factor[0], factor[1], factor[2]),
        coarse=(coarse[0], coarse[1], coarse[2]),
        spacing_mm=(float(i), float(j), float(k)),
    )


@dataclass(frozen=True, kw_only=True)
class State:
    """``displacement`` (3, …) mm on the coarse grid, the ``labels`` (box) it makes, their values.

    ``pushed`` is the length in mm that each control has been driven along its velocity.
    """

    displacement: Tensor
    labels: Labels
    values: NDArray[np.float64]
    pushed: NDArray[np.float64]


class Flow:
    """Labels in their box and what moves them: one velocity field with ``controls`` amounts."""

    def __init__(
        self,
        labels: Labels,
        *,
        box: Box,
        velocity: Velocity,
        controls: int = 1,
        measure: Measure,
        device: torch.device | None = None,
    ) -> None:
        self.original, self.box = box.cut(labels), box
        self.velocity, self.controls, self.measure = velocity, controls, measure
        self.device = device or torch.device("cpu")

    def start(self) -> State:
        """Nothing moved."""
        return State(
            displacement=torch.zeros((3, *self.box.coarse), device=self.device),
            labels=self.original,
            values=self.measure(self.original),
            pushed=np.zeros(self.controls),
        )

    def step(self, state: State, amounts: NDArray[np.float64]) -> State:
        """Push by ``amounts`` (mm per control) from ``state``."""
        coarse, spacing = self.box.thin(state.labels), self.box.coarse_mm
        total = self.velocity(coarse, spacing, amounts)
        # labels are pulled back, so the newest step comes first on the way to the original
        back = exponentiate(-torch.from_numpy(total).to(self.device), spacing_mm=spacing)
        displacement = compose(state.displacement, back, spacing_mm=spacing)
        labels = self.warped(displacement)
        return State(
            displacement=displacement,
            labels=labels,
            values=self.measure(labels),
            pushed=state.pushed + np.abs(amounts),
        )

    def warped(self, displacement: Tensor) -> Labels:
        """The original labels through a displacement on the coarse grid."""
        fine = refine(displacement, shape=self.box.shape)
        return warp_labels(self.original, fine, spacing_mm=self.box.spacing_mm)


def flow_to(
    flow: Flow,
    state: State,
    *,
    targets: NDArray[np.float64],
    tolerance: float,
    longest_mm: float = 1.5,
    rate: float = 1.0,
    most_steps: int = 60,
    patience: int = 10,
) -> State:
    """Push until every value is within ``tolerance`` of its target, or the steps are used up.

    It ends too where ``patience`` steps in a row came no nearer: what is measured on voxels jumps.

    One control per value. How far a value moves per mm of push is learnt on the way, ``rate`` is
    the first guess; where a step went too far, the next ones are shorter and lead back. Returns the
    state whose largest miss is smallest.
    """
    rates = np.full(len(targets), rate)
    damping = np.ones(len(targets))
    best, idle = state, 0
    for _ in range(most_steps):
        missing = targets - state.values
        if np.abs(targets - best.values).max() <= tolerance or idle == patience:
            break
        amounts = np.clip(damping * missing / rates, -longest_mm, longest_mm)
        amounts[np.abs(missing) <= tolerance / 2] = 0
        after = flow.step(state, amounts)
        gained = after.values - state.values
        for k in np.flatnonzero(np.abs(amounts) > 1e-3):
            seen = gained[k] / amounts[k]
            rates[k] = np.sign(rate) * np.clip(
                seen * np.sign(rate), 0.2 * abs(rates[k]), 5 * abs(rates[k])
            )
            if missing[k] * (targets[k] - after.values[k]) < 0:
                damping[k] = max(0.2, 0.7 * damping[k])
        state = after
        idle += 1
        if np.abs(targets - state.values).max() < np.abs(targets - best.values).max():
            best, idle = state, 0
    return best
