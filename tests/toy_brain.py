"""A head of ellipsoids and tubes whose every measure is known in closed form, on any grid."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fetalsynth.anatomy import labels as tissue

ATRIUM = ((12.0, -12.0, 12.0), (16.0, -25.0, 0.0))
DEEP_RADII = (8.0, 14.0, 9.0)


@dataclass(frozen=True, kw_only=True)
class ToyBrain:
    """Sizes in mm; the head's own axes are right, anterior, superior of its centre."""

    left_mm: float = 9.0
    right_mm: float = 12.0
    head: tuple[float, float, float] = (40.0, 50.0, 46.0)
    cerebellum_mm: float = 42.0
    joined: bool = False

    @property
    def deep_ml(self) -> float:
        """Deep grey matter of one side."""
        return 4 / 3 * pi * float(np.prod(DEEP_RADII)) / 1000

    def ventricle_ml(self, width_mm: float) -> float:
        """One ventricle: a tube with round ends."""
        radius, length = width_mm / 2, float(np.linalg.norm(np.subtract(*ATRIUM)))
        return (pi * radius**2 * length + 4 / 3 * pi * radius**3) / 1000

    def at(self, points: NDArray[np.float32]) -> NDArray[np.uint8]:
        """FeTA labels at (…, 3) points of the head's frame, mm."""
        x, y, z = (points[..., k] for k in range(3))
        side = np.stack([np.abs(x), y, z], axis=-1)
        labels = np.zeros(x.shape, np.uint8)
        labels[_ellipsoid(points, (0, 0, 0), self.head)] = tissue.EXTERNAL_CSF
        labels[_ellipsoid(points, (0, 0, 8), (35, 46, 29))] = tissue.GREY_MATTER
        labels[_ellipsoid(points, (0, 0, 8), (33, 44, 27))] = tissue.WHITE_MATTER
        labels[_tube(points, (0, -5, -8), (0, -14, -36), 5)] = tissue.BRAINSTEM
        lobe = self.cerebellum_mm / 2 - 10
        labels[_ellipsoid(side, (10, -24, -29), (lobe, 9, 8))] = tissue.CEREBELLUM
        labels[_ellipsoid(side, (9, 3, 0), DEEP_RADII)] = tissue.DEEP_GREY_MATTER
        for sign, width in ((-1, self.left_mm), (1, self.right_mm)):
            own = points * np.array([sign, 1, 1], np.float32)
            labels[_tube(own, *ATRIUM, width / 2)] = tissue.VENTRICLES
        if self.joined:
            labels[(np.abs(x) < 16) & (np.abs(y + 21) < 4) & (np.abs(z) < 6)] = tissue.VENTRICLES
        return labels

    def volume(
        self,
        *,
        spacing_mm: tuple[float, float, float] = (1.1, 1.1, 1.1),
        turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0),
        centre_mm: tuple[float, float, float] = (3.0, -7.0, 11.0),
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """(labels, affine): the head turned by ``turn_deg`` about x, y and z within the grid."""
        turn = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
        shape = tuple(int(np.ceil(112 / step)) for step in spacing_mm)
        affine = np.diag([*spacing_mm, 1.0])
        affine[:3, 3] = np.array(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2 + 0.2)
        voxels = np.stack(np.indices(shape, dtype=np.float32), axis=-1)
        to_own = (affine[:3, :3].T @ turn).astype(np.float32)
        start = ((affine[:3, 3] - centre_mm) @ turn).astype(np.float32)
        return self.at(voxels @ to_own + start), affine


def _ellipsoid(
    points: NDArray[np.float32], centre: tuple[float, ...], radii: tuple[float, ...]
) -> NDArray[np.bool_]:
    shares = (
        ((points[..., k] - np.float32(centre[k])) / np.float32(radii[k])) ** 2 for k in range(3)
    )
    return np.asarray(sum(shares) <= 1)


def _tube(
    points: NDArray[np.float32], start: tuple[float, ...], end: tuple[float, ...], radius: float
) -> NDArray[np.bool_]:
    along = np.subtract(end, start).astype(np.float32)
    own = points - np.array(start, np.float32)
    t = np.clip(own @ along / (along @ along), 0, 1)
    own -= t[..., None] * along
    return np.asarray(np.einsum("...k,...k", own, own) <= radius**2)
