"""Fréchet distance between the Gaussians that fit two sets of features.

Formula
    d² = ‖μ₁ − μ₂‖² + tr C₁ + tr C₂ − 2 tr (C₁ C₂)^½ (Dowson and Landau, *J. Multivar. Anal.*
    12:450, 1982; Heusel et al. 2017 for image features). With A = (X₁ − μ₁)/√(n₁ − 1) and B
    likewise, C₁ = AᵀA and tr (C₁ C₂)^½ = ‖A Bᵀ‖ in the nuclear norm (Mathiasen and Hvilshøj,
    arXiv 2009.14075): real, never negative, exact with fewer images than features. With more
    images than features the small matrix is LᵀC₂L, C₁ = LLᵀ. No matrix square root is taken.
Direction
    Lower is closer.
Input
    (N, D) features. The result is named after them: FID only for the standard 2048 Inception
    features, FD-⟨features⟩ for all others.
Ideal and chance
    0 for equal moments; but two finite sets of one distribution score far above 0, the more the
    fewer images (for 2048 features, 95 % of the number at 300 images is this bias). Read it
    against the floor at the same counts; values at different counts are not comparable.
Least number of images
    50 a side against a matched floor. Resampling with replacement is invalid here: duplicates
    raise the distance above its own estimate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def frechet_distance(*, first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Squared Fréchet distance of two feature sets (N, D) and (M, D), N and M at least 2.

    Goes through the N × M products when the smaller set has at most D rows, else through the
    covariances. Raises ValueError for unfit shapes or features that are not finite.
    """
    x, y = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"needs (N, D) and (M, D) with N, M ≥ 2, not {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("features are not finite")
    if min(len(x), len(y)) > x.shape[1]:
        return from_moments(
            mean_first=x.mean(0), covariance_first=_covariance(x),
            mean_second=y.mean(0), covariance_second=_covariance(y),
        )  # fmt: skip
    return _from_products(x, y)


def from_moments(
    *,
    mean_first: Matrix,
    covariance_first: Matrix,
    mean_second: Matrix,
    covariance_second: Matrix,
) -> float:
    """Squared Fréchet distance of two Gaussians with means (D,) and covariances (D, D).

    Raises ValueError where a covariance is not positive semi-definite.
    """
    root = _factor(covariance_first)
    eigenvalues = np.linalg.eigvalsh(_symmetric(root.T @ covariance_second @ root))
    cross = np.sqrt(_not_negative(eigenvalues)).sum()
    shift = ((mean_first - mean_second) ** 2).sum()
    total = shift + np.trace(covariance_first) + np.trace(covariance_second) - 2 * cross
    return float(max(total, 0.0))


def _from_products(x: Matrix, y: Matrix) -> float:
    mean_x, mean_y = x.mean(0), y.mean(0)
    a, b = x - mean_x, y - mean_y
    n, m = len(x) - 1, len(y) - 1
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(n * m)
    spread = np.vdot(a, a) / n + np.vdot(b, b) / m
    total = ((mean_x - mean_y) ** 2).sum() + spread - 2 * cross
    return float(max(total, 0.0))


def _covariance(x: Matrix) -> Matrix:
    centred = x - x.mean(0)
    return np.asarray(centred.T @ centred / (len(x) - 1))


def _factor(covariance: Matrix) -> Matrix:
    """L with LLᵀ = covariance: Cholesky, or the eigenvectors where it is singular."""
    try:
        return np.asarray(np.linalg.cholesky(covariance))
    except np.linalg.LinAlgError:
        eigenvalues, vectors = np.linalg.eigh(_symmetric(covariance))
        return np.asarray(vectors * np.sqrt(_not_negative(eigenvalues)))


def _not_negative(eigenvalues: NDArray[np.floating]) -> Matrix:
    """Rounding noise below zero becomes zero; anything larger is an error in the input."""
    largest = float(np.abs(eigenvalues).max(initial=0.0))
    if eigenvalues.min(initial=0.0) < -1e-10 * largest:
        raise ValueError("a covariance matrix is not positive semi-definite")
    clipped: Matrix = np.clip(eigenvalues, 0.0, None).astype(np.float64)
    return clipped


def _symmetric(matrix: Matrix) -> Matrix:
    return (matrix + matrix.T) / 2
