"""Velocity and displacement fields: exponential, composition, Jacobian, smoothing.

Sources: Arsigny et al. 2006 (stationary velocity fields, scaling and squaring), Ashburner 2007
(DARTEL), Liu et al. 2022 (digital Jacobians by one-sided differences).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Length of the first step, in voxels: the error of one Euler step is about half its square times
# the gradient of the velocity, far below what a label map can show.
_FIRST_STEP = 0.05
_FEWEST, _MOST = 3, 14
_TRUNCATE = 3.0


def exponentiate(
    velocity: Tensor, *, spacing_mm: Sequence[float], squarings: int | None = None
) -> Tensor:
    """Displacement (3, I, J, K) of the flow along ``velocity`` for unit time.

    Scaling and squaring: u ← v / 2ⁿ, then n times u ← u ∘ (id + u) + u. ``squarings`` None takes as
    many as make the first step at most a twentieth of a voxel. Differentiable.
    Raises ValueError for a field that is not finite or too fast for 14 squarings.
    """
    n = _squarings(velocity, spacing_mm) if squarings is None else squarings
    displacement = velocity / 2.0**n
    for _ in range(n):
        displacement = compose(displacement, displacement, spacing_mm=spacing_mm)
    return displacement


def _squarings(velocity: Tensor, spacing_mm: Sequence[float]) -> int:
    fastest = max(
        float(velocity[axis].detach().abs().max()) / spacing_mm[axis] for axis in range(3)
    )
    if not math.isfinite(fastest):
        raise ValueError("the velocity field holds values that are not finite")
    needed = math.ceil(math.log2(max(fastest, 1e-9) / _FIRST_STEP))
    if needed > _MOST:
        raise ValueError(f"a velocity of {fastest:.3g} voxels is too fast")
    return max(_FEWEST, needed)


def compose(first: Tensor, second: Tensor, *, spacing_mm: Sequence[float]) -> Tensor:
    """Displacement of x → (id + first)((id + second)(x)): second(x) + first(x + second(x)).

    Beyond the volume the fields go on as at its border.
    """
    return second + sample(first, second, spacing_mm=spacing_mm, padding="border")


def sample(
    values: Tensor, displacement: Tensor, *, spacing_mm: Sequence[float], padding: str = "zeros"
) -> Tensor:
    """``values`` (C, I, J, K) at x + displacement(x), linear between voxels.

    ``padding``: "zeros" outside the volume, or "border" as at its border.
    """
    shape = displacement.shape[1:]
    parts = []
    for axis, length in enumerate(shape):
        index = torch.arange(length, dtype=displacement.dtype, device=displacement.device)
        view = [-1 if axis == a else 1 for a in range(3)]
        there = displacement[axis] / spacing_mm[axis] + index.reshape(view)
        parts.append(there * (2 / max(values.shape[axis + 1] - 1, 1)) - 1)
    grid = torch.stack(parts[::-1], dim=-1)
    found = F.grid_sample(
        values[None], grid[None], mode="bilinear", padding_mode=padding, align_corners=True
    )
    return found[0]


def smooth(field: Tensor, *, sigma_mm: float, spacing_mm: Sequence[float]) -> Tensor:
    """``field`` (C, I, J, K) after a Gaussian of standard deviation ``sigma_mm``, border repeated.

    Cut off at three standard deviations.
    """
    smoothed = field[:, None]
    for axis, step in enumerate(spacing_mm):
        sigma = sigma_mm / step
        reach = max(1, math.ceil(_TRUNCATE * sigma))
        x = torch.arange(-reach, reach + 1, dtype=field.dtype, device=field.device)
        kernel = torch.exp(-0.5 * (x / max(sigma, 1e-3)) ** 2)
        shape = [-1 if axis == a else 1 for a in range(3)]
        pad = [0] * 6
        pad[4 - 2 * axis] = pad[5 - 2 * axis] = reach
        padded = F.pad(smoothed, pad, mode="replicate")
        smoothed = F.conv3d(padded, (kernel / kernel.sum()).reshape(1, 1, *shape))
    return smoothed[:, 0]


def refine(field: Tensor, *, shape: Sequence[int]) -> Tensor:
    """``field`` (C, I, J, K) on ``shape`` voxels between the same corner voxels, linear."""
    return F.interpolate(field[None], size=tuple(shape), mode="trilinear", align_corners=True)[0]


def jacobian(displacement: Tensor, *, spacing_mm: Sequence[float]) -> Tensor:
    """(I, J, K) determinants of the derivative of x + u(x), by central differences.

    1 where nothing changes, 8 where every length doubles, 0 and below where the map folds.
    """
    rows = [
        torch.gradient(displacement, spacing=float(spacing_mm[axis]), dim=axis + 1)[0]
        for axis in range(3)
    ]
    return _determinant(rows)


def smallest_jacobian(displacement: Tensor, *, spacing_mm: Sequence[float]) -> tuple[float, int]:
    """(smallest determinant, number of folded voxels), the strict way.

    At every voxel the determinant is taken with forward and with backward differences along each
    axis, eight ways: where all are positive the linearly interpolated map has no fold at any
    corner of any cell. Central differences skip the voxel itself and miss folds there.
    """
    steps = [torch.diff(displacement, dim=axis + 1) / spacing_mm[axis] for axis in range(3)]
    inner = [slice(0, n - 1) for n in displacement.shape[1:]]
    smallest = math.inf
    folded = torch.zeros(displacement.shape[1:], dtype=torch.bool, device=displacement.device)
    for corner in itertools.product((0, 1), repeat=3):
        # the cell's edges that meet at this corner
        here = [slice(c, c + n - 1) for c, n in zip(corner, displacement.shape[1:], strict=True)]
        rows = []
        for axis in range(3):
            place = [inner[a] if a == axis else here[a] for a in range(3)]
            rows.append(steps[axis][(slice(None), *place)])
        found = _determinant(rows)
        smallest = min(smallest, float(found.min()))
        folded[tuple(here)] |= found <= 0
    return smallest, int(folded.sum())


def _determinant(rows: Sequence[Tensor]) -> Tensor:
    """det(I + G) with G's rows ∂u/∂x, ∂u/∂y, ∂u/∂z, each (3, …)."""
    (a, b, c), (d, e, f), (g, h, i) = rows
    a, e, i = a + 1, e + 1, i + 1
    determinant: Tensor = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return determinant
