"""Vendi score: the effective number of different images in a set.

Formula
    exp(−Σ λ ln λ) over the eigenvalues λ of K/N, with K the cosines between the feature vectors of
    the N images (Friedman and Dieng, *TMLR* 2023, definition 3.1). The eigenvalues come from the
    smaller of K and the D × D matrix of products of features, which share those above 0.
Direction
    Higher is more varied.
Input
    (N, D) features of one set. A vector of zeros has no direction and is refused.
Ideal and chance
    1 where all images are the same, N where no two share anything, m for m unrelated pictures
    repeated equally often. Features with a large common part give low scores for any set, and the
    score grows with N, so it is read against real images at the same N.
Least number of images
    1 for the formula; 20 for a comparison.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def vendi_score(*, features: NDArray[np.floating]) -> float:
    """The score of (N, D) features, from 1 to N.

    Raises ValueError for other shapes and for rows that are zero or not finite.
    """
    if features.ndim != 2 or not len(features):
        raise ValueError(f"needs (N, D) features, not {features.shape}")
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("features must be finite and not all zero")
    rows /= lengths * np.sqrt(len(rows))
    products = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    eigenvalues = np.linalg.eigvalsh(products)
    positive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(positive * np.log(positive)).sum()))
