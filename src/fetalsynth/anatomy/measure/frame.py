"""The head's own axes: right, anterior and superior of the fetus, whichever way the volume lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.labels import (
    BACKGROUND,
    CEREBELLUM,
    DEEP_GREY_MATTER,
    GREY_MATTER,
    VENTRICLES,
    WHITE_MATTER,
)

Points = NDArray[np.float64]

_COARSE, _FINE = 1_000, 12_000  # voxels that are mirrored in the two stages of the search
_TRUST_IN_HEADER = 0.05  # share of agreement that a plane square to the header's may lack
_LEAST_ELONGATION = 1.1  # of the cerebrum, below which its long axis says nothing


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A right-handed system fixed to the head.

    ``origin`` (3,) mm lies in the midsagittal plane, ``axes`` (3, 3) has the unit vectors to the
    right, anterior and superior as rows. ``symmetry`` is the share of labelled voxels whose mirror
    image has the same label, ``turn_deg`` the angle between these axes and those of the volume.
    """

    origin: Points
    axes: Points
    symmetry: float
    turn_deg: float

    def inside(self, points_mm: Points) -> Points:
        """(…, 3) world mm → right, anterior, superior of the origin, mm."""
        return np.asarray((points_mm - self.origin) @ self.axes.T)

    def world(self, points_mm: Points) -> Points:
        """The inverse of :meth:`inside`."""
        return np.asarray(points_mm @ self.axes + self.origin)


def find_frame(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> Frame:
    """Axes of the head in (I, J, K) FeTA ``labels`` with a (4, 4) ``affine`` in mm.

    The midsagittal plane is the one about which most voxels keep their label when mirrored: all
    directions are tried, then the best is refined. Anterior is the long axis of the cerebrum within
    that plane, the line that the occipitofrontal diameter follows; on a spatio-temporal atlas it
    lies 5° (−1° to 9°) above the atlas's own. It points away from the cerebellum, as superior does.
    Where nothing tells (a sphere), the axes are those of the volume, nearest to RAS+.

    Raises ValueError where all is background.
    """
    voxels = np.argwhere(labels != BACKGROUND)
    if not len(voxels):
        raise ValueError("every voxel is background")
    header = header_axes(affine)
    centre = _world(voxels.mean(axis=0), affine)
    mirror = _Mirror(labels, affine, centre=centre, header=header)
    normal, offset, symmetry = mirror.search(voxels)
    axes = _upright(labels, affine, right=normal, header=header, centre=centre)
    cosine = (np.trace(axes @ header.T) - 1) / 2
    return Frame(
        origin=centre + offset * normal,
        axes=axes,
        symmetry=symmetry,
        turn_deg=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
    )


def header_axes(affine: NDArray[np.float64]) -> Points:
    """(3, 3) unit vectors of the volume's own axes, made square, as rows.

    They are ordered and pointed so that they run nearest to right, anterior and superior.
    """
    from scipy.optimize import linear_sum_assignment

    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    axes = (left @ right).T
    own = axes[linear_sum_assignment(-np.abs(axes.T))[1]]
    return np.asarray(own * np.where(np.diag(own) < 0, -1.0, 1.0)[:, None])


def _world(voxels: NDArray[Any], affine: NDArray[np.float64]) -> Points:
    return np.asarray(voxels @ affine[:3, :3].T + affine[:3, 3])


class _Mirror:
    """How well labels agree with their mirror image about a plane through or near the centre."""

    def __init__(
        self,
        labels: NDArray[np.uint8],
        affine: NDArray[np.float64],
        *,
        centre: Points,
        header: Points,
    ) -> None:
        self.labels, self.affine, self.centre, self.header = labels, affine, centre, header
        self._inverse = np.linalg.inv(affine)

    def search(self, voxels: NDArray[np.int64]) -> tuple[Points, float, float]:
        """(unit normal, distance of the plane from the centre in mm, agreement)."""
        from scipy.optimize import minimize

        few = _thinned(voxels, _COARSE)
        best = min(
            (self._cost(few, normal, shift), tuple(normal), shift)
            for normal in _hemisphere(self.header)
            for shift in (-4.0, 0.0, 4.0)
        )
        start, shift = np.array(best[1]), best[2]
        u, v = np.linalg.svd(start[None])[2][1:]
        many = _thinned(voxels, _FINE)

        def turned(p: NDArray[np.float64]) -> Points:
            normal = start + p[0] * u + p[1] * v
            return np.asarray(normal / np.linalg.norm(normal))

        def cost(p: NDArray[np.float64]) -> float:
            return self._cost(many, turned(p), 20 * p[2])

        simplex = np.array([0, 0, shift / 20]) + np.vstack([np.zeros(3), 0.12 * np.eye(3)])
        options = {"initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-5, "maxfev": 200}
        found = minimize(cost, simplex[0], method="Nelder-Mead", options=options)
        normal, offset = turned(found.x), 20 * float(found.x[2])
        return normal, offset, self._agreement(many, normal, offset)

    def _cost(self, voxels: NDArray[np.int64], normal: Points, offset: float) -> float:
        lean = 1 - abs(float(normal @ self.header[0]))
        return _TRUST_IN_HEADER * lean - self._agreement(voxels, normal, offset)

    def _agreement(self, voxels: NDArray[np.int64], normal: Points, offset: float) -> float:
        """Share of ``voxels`` whose mirror image has their label."""
        flip = np.eye(4)
        flip[:3, :3] -= 2 * np.outer(normal, normal)
        flip[:3, 3] = 2 * float(normal @ self.centre + offset) * normal
        to = self._inverse @ flip @ self.affine
        there = np.rint(voxels @ to[:3, :3].T + to[:3, 3]).astype(np.int64)
        shape = self.labels.shape
        held = ((there >= 0) & (there < shape)).all(axis=1)
        flat = np.ravel_multi_index(there[held].T, shape)
        same = self.labels.ravel()[flat] == self.labels[tuple(voxels[held].T)]
        return float(same.sum()) / len(voxels)


def _thinned(voxels: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """About ``count`` of them, spread evenly and the same at every call."""
    if len(voxels) <= count:
        return voxels
    return voxels[np.random.default_rng(0).choice(len(voxels), count, replace=False)]


def _hemisphere(header: Points) -> Points:
    """Unit vectors on the half sphere around the header's right, about 9° apart, that one first."""
    count = 260
    k = np.arange(count) + 0.5
    rise, angle = k / count, np.pi * (1 + 5**0.5) * k
    flat = np.sqrt(1 - rise**2)
    spread = np.stack([rise, flat * np.cos(angle), flat * np.sin(angle)], axis=1)
    return np.asarray(np.vstack([[1.0, 0, 0], spread]) @ header)


def _upright(
    labels: NDArray[np.uint8],
    affine: NDArray[np.float64],
    *,
    right: Points,
    header: Points,
    centre: Points,
) -> Points:
    """Rows right, anterior and superior, with ``right`` known but for its sign."""
    forward = header[1] - (header[1] @ right) * right
    forward = header[2] - (header[2] @ right) * right if not forward.any() else forward
    basis = np.stack([forward, np.cross(right, forward)]) / np.linalg.norm(forward)
    cerebrum = np.isin(labels, (GREY_MATTER, WHITE_MATTER, VENTRICLES, DEEP_GREY_MATTER))
    inside = _thinned(np.argwhere(cerebrum if cerebrum.any() else labels > 0), 200_000)
    flat = (_world(inside, affine) - centre) @ basis.T
    spread, directions = np.linalg.eigh(np.cov(flat.T)) if len(flat) > 2 else (np.ones(2), None)
    anterior = basis[0]
    if directions is not None and spread[1] > _LEAST_ELONGATION**2 * spread[0]:
        anterior = directions[:, 1] @ basis
    superior = np.cross(right, anterior)
    towards_front, towards_top = _clues(labels, affine, header=header)
    anterior = anterior if anterior @ towards_front >= 0 else -anterior
    superior = superior if superior @ towards_top >= 0 else -superior
    return np.stack([np.cross(anterior, superior), anterior, superior])


def _clues(
    labels: NDArray[np.uint8], affine: NDArray[np.float64], *, header: Points
) -> tuple[Points, Points]:
    """Directions that have a forward and an upward part: from cerebellum to deep grey matter."""
    below, above = labels == CEREBELLUM, labels == DEEP_GREY_MATTER
    if not (below.any() and above.any()):
        return header[1], header[2]
    ends = [_world(np.argwhere(mask).mean(axis=0), affine) for mask in (below, above)]
    return ends[1] - ends[0], ends[1] - ends[0]
