"""Head ellipses in image coordinates: fitting, measuring, mapping, drawing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Ellipse:
    """An ellipse on a pixel grid.

    Centres are in pixels (x to the right, y down, the centre of the first pixel at 0). Semi-axes
    are in pixels, ``semi_major_px`` ≥ ``semi_minor_px``. ``angle_deg`` is the direction of the
    major axis, from +x towards +y, in (−90, 90].
    """

    center_x_px: float
    center_y_px: float
    semi_major_px: float
    semi_minor_px: float
    angle_deg: float


def fit_ellipse(points: NDArray[np.floating[Any]]) -> Ellipse:
    """Ellipse through (N, 2) points (x, y) with least algebraic distance, N ≥ 5.

    Direct least squares with the constraint 4ac − b² = 1 (Fitzgibbon, Pilu & Fisher 1999, IEEE
    TPAMI 21:476) in the numerically stable form of Halíř & Flusser 1998 (WSCG), on centred and
    scaled points. Raises ValueError where the points lie on no ellipse (fewer than five, a line).
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 5:
        raise ValueError("an ellipse needs at least five (x, y) points")
    centre = points.mean(axis=0)
    scale = float(np.abs(points - centre).max())
    if not np.isfinite(scale) or scale == 0:
        raise ValueError("the points lie on no ellipse")
    conic = _fit_conic((points - centre) / scale)
    return _from_conic(conic, centre=centre, scale=scale)


def _fit_conic(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (a, b, c, d, e, f) of a x² + b xy + c y² + d x + e y + f = 0."""
    x, y = points.T
    D1 = np.column_stack([x * x, x * y, y * y])
    D2 = np.column_stack([x, y, np.ones_like(x)])
    S1, S2, S3 = D1.T @ D1, D1.T @ D2, D2.T @ D2
    if np.linalg.cond(S3) > 1e12:
        raise ValueError("the points lie on no ellipse")
    T = -np.linalg.solve(S3, S2.T)
    M = S1 + S2 @ T
    vectors = np.real(np.linalg.eig(np.array([M[2] / 2, -M[1], M[0] / 2]))[1])
    constraint = 4 * vectors[0] * vectors[2] - vectors[1] ** 2
    if not constraint.max() > 0:
        raise ValueError("the points lie on no ellipse")
    quadratic = vectors[:, int(np.argmax(constraint))]
    return np.concatenate([quadratic, T @ quadratic])


def _from_conic(
    conic: NDArray[np.float64], *, centre: NDArray[np.float64], scale: float
) -> Ellipse:
    a, b, c, d, e, f = conic
    Q = np.array([[a, b / 2], [b / 2, c]])
    middle = np.linalg.solve(Q, [-d / 2, -e / 2])
    level = middle @ Q @ middle - f
    values, vectors = np.linalg.eigh(Q / level)
    if not (np.isfinite(values).all() and values[0] > 0):
        raise ValueError("the points lie on no ellipse")
    axes = vectors @ np.diag(1 / np.sqrt(values))
    return _from_axes(centre + scale * middle, scale * axes)


def _from_axes(centre: NDArray[np.float64], axes: NDArray[np.float64]) -> Ellipse:
    """The image of the unit circle under u → centre + axes · u (2×2)."""
    directions, lengths, _ = np.linalg.svd(axes)
    angle = math.degrees(math.atan2(directions[1, 0], directions[0, 0]))
    angle -= 180 * math.ceil(angle / 180 - 0.5)
    return Ellipse(
        center_x_px=float(centre[0]),
        center_y_px=float(centre[1]),
        semi_major_px=float(lengths[0]),
        semi_minor_px=float(lengths[1]),
        angle_deg=angle,
    )


def map_ellipse(
    ellipse: Ellipse, *, matrix: NDArray[np.float64], shift: tuple[float, float]
) -> Ellipse:
    """The ellipse after (x, y) → matrix · (x, y) + shift; again an ellipse for every matrix."""
    centre = matrix @ [ellipse.center_x_px, ellipse.center_y_px] + np.asarray(shift)
    return _from_axes(centre, matrix @ _axes(ellipse))


def scale_ellipse(ellipse: Ellipse, *, x: float, y: float) -> Ellipse:
    """The ellipse with both axes of the grid scaled, for instance by mm per pixel."""
    return map_ellipse(ellipse, matrix=np.diag([x, y]), shift=(0.0, 0.0))


def _axes(ellipse: Ellipse) -> NDArray[np.float64]:
    """Columns: the semi-axes as vectors."""
    angle = math.radians(ellipse.angle_deg)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ np.diag([ellipse.semi_major_px, ellipse.semi_minor_px])


def ellipse_area(ellipse: Ellipse) -> float:
    """π a b, in the square of the ellipse's unit."""
    return math.pi * ellipse.semi_major_px * ellipse.semi_minor_px


def ellipse_circumference(ellipse: Ellipse) -> float:
    """Ramanujan's second approximation (1914), in the ellipse's unit.

    π (a + b) (1 + 3h / (10 + √(4 − 3h))), h = ((a − b) / (a + b))²: exact to 1e-9 relative for
    the axis ratios of heads (above 0.5).
    """
    a, b = ellipse.semi_major_px, ellipse.semi_minor_px
    h = ((a - b) / (a + b)) ** 2
    return math.pi * (a + b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def ellipse_mask(ellipse: Ellipse, *, height: int, width: int) -> NDArray[np.uint8]:
    """(height, width) uint8: 255 where the centre of the pixel is inside, else 0."""
    axes = _axes(ellipse)
    reach_x, reach_y = np.hypot(axes[:, 0], axes[:, 1])
    columns = _span(ellipse.center_x_px, reach_x, width)
    rows = _span(ellipse.center_y_px, reach_y, height)
    x = np.arange(width)[columns] - ellipse.center_x_px
    y = np.arange(height)[rows, None] - ellipse.center_y_px
    angle = math.radians(ellipse.angle_deg)
    along = (x * math.cos(angle) + y * math.sin(angle)) / ellipse.semi_major_px
    across = (y * math.cos(angle) - x * math.sin(angle)) / ellipse.semi_minor_px
    mask = np.zeros((height, width), np.uint8)
    mask[rows, columns] = np.where(along**2 + across**2 <= 1, np.uint8(255), np.uint8(0))
    return mask


def _span(centre: float, reach: float, length: int) -> slice:
    """Indices within ``reach`` of ``centre``, inside an axis of ``length``."""
    return slice(
        max(0, math.floor(centre - reach)), max(0, min(length, math.ceil(centre + reach) + 1))
    )


def ellipse_columns(ellipse: Ellipse) -> dict[str, str]:
    """The ellipse as columns of an image table (``ellipse_center_x_px`` …)."""
    return {f"ellipse_{name}": f"{value:.6g}" for name, value in asdict(ellipse).items()}


def ellipse_from_columns(columns: Mapping[str, str]) -> Ellipse | None:
    """The ellipse that :func:`ellipse_columns` wrote, None where the columns are absent.

    Raises ValueError where only some are there or one is not a number.
    """
    names = [field.name for field in fields(Ellipse)]
    texts = [columns.get(f"ellipse_{name}", "") for name in names]
    if not any(texts):
        return None
    return Ellipse(**{name: float(text) for name, text in zip(names, texts, strict=True)})
