"""Shape as a law of age: ridge regression of shape vectors, and principal modes of what is left.

A shape vector (P,) is any list of numbers per head, here velocities and the head's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

RIDGE = 0.01
MOST_MODES = 40
_NOTHING = 1e-9  # share of the largest variance below which a mode is rounding


@dataclass(frozen=True, kw_only=True)
class AgeLaw:
    """Expected shape at an age: a polynomial, ``coefficients`` (degree + 1, P).

    Ages are counted from ``centre`` weeks in units of ``spread``; from the square its own mean,
    ``square``, is taken off, so that the columns hardly depend on each other.
    """

    coefficients: NDArray[np.float32]
    centre: float
    spread: float
    square: float

    def at(self, weeks: float) -> NDArray[np.float32]:
        """Expected shape (P,) at ``weeks``."""
        columns = _columns(
            np.array([weeks]), self.centre, self.spread, self.square, len(self.coefficients)
        )
        return np.asarray(columns[0].astype(np.float32) @ self.coefficients)


@dataclass(frozen=True, kw_only=True)
class Modes:
    """Principal modes: unit vectors ``directions`` (K, P) and ``variances`` (K,), descending."""

    directions: NDArray[np.float32]
    variances: Matrix


def _columns(weeks: Matrix, centre: float, spread: float, square: float, count: int) -> Matrix:
    z = (weeks - centre) / spread
    return np.stack([np.ones_like(z), z, z**2 - square][:count], axis=1)


def fit_age_law(shapes: NDArray[np.float32], weeks: Matrix, *, ridge: float = RIDGE) -> AgeLaw:
    """Quadratic in age; linear with three or fewer ages, constant with one.

    Minimises Σ |shape − law(age)|² + n · ridge · |slopes|². ``shapes`` is (n, P).
    """
    weeks = np.asarray(weeks, np.float64)
    count = {1: 1, 2: 2, 3: 2}.get(len(np.unique(weeks)), 3)
    centre = float(weeks.mean())
    spread = float(weeks.std()) or 1.0
    square = float((((weeks - centre) / spread) ** 2).mean())
    design = _columns(weeks, centre, spread, square, count)
    penalty = len(weeks) * ridge * np.diag([0.0, 1, 1][:count])
    solver = np.linalg.solve(design.T @ design + penalty, design.T)
    return AgeLaw(
        coefficients=(solver @ shapes).astype(np.float32),
        centre=centre,
        spread=spread,
        square=square,
    )


def fit_modes(
    shapes: NDArray[np.float32], weeks: Matrix, *, law: AgeLaw, most: int = MOST_MODES
) -> Modes:
    """Principal modes of ``shapes`` (n, P) about the law; none where the law takes all freedom.

    Variances are sums of squares over n − (degree + 1).
    """
    freedom = len(shapes) - len(law.coefficients)
    left = shapes - np.stack([law.at(float(age)) for age in weeks])
    if freedom < 1:
        return Modes(directions=left[:0], variances=np.zeros(0))
    # n is small and P large: the eigenvectors of the (n, n) products give those of (P, P)
    values, vectors = np.linalg.eigh(left.astype(np.float64) @ left.T.astype(np.float64))
    order = np.argsort(values)[::-1][: min(most, freedom)]
    order = order[values[order] > _NOTHING * max(values.max(), 1e-30)]
    directions = vectors[:, order].T / np.sqrt(values[order])[:, None] @ left
    signs = np.where(
        directions[np.arange(len(order)), np.abs(directions).argmax(axis=1)] < 0, -1, 1
    )
    return Modes(
        directions=(directions * signs[:, None]).astype(np.float32),
        variances=values[order] / freedom,
    )
