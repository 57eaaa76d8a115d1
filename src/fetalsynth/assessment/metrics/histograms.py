"""Distances between two histograms of the same bins.

Direction
    Lower is closer.
Input
    Two non-negative vectors of one length; each is divided by its sum first.
Ideal and chance
    0 for proportional histograms, the upper end of the range for histograms without a common bin.
    Two finite samples of one distribution never reach 0, the less the fewer images: read against
    the floor at the same number of images.
Least number of images
    About 50 a side for 256 bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def l1(*, first: Vector, second: Vector) -> float:
    """Σ |p − q|, from 0 to 2; half of it is the total variation distance."""
    p, q = _shares(first, second)
    return float(np.abs(p - q).sum())


def chi_squared(*, first: Vector, second: Vector) -> float:
    """½ Σ (p − q)² / (p + q) over the bins that are filled, from 0 to 1."""
    p, q = _shares(first, second)
    both = p + q
    filled = both > 0
    return float(0.5 * ((p - q)[filled] ** 2 / both[filled]).sum())


def jensen_shannon(*, first: Vector, second: Vector) -> float:
    """Jensen–Shannon divergence in nats, from 0 to ln 2 (Lin, IEEE Trans. Inf. Theory 37:145).

    JS = ½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2.
    """
    p, q = _shares(first, second)
    middle = (p + q) / 2
    return float(max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2))


def wasserstein(*, first: Vector, second: Vector) -> float:
    """Earth mover's distance in bins: Σ |P − Q| of the cumulated shares, 0 to bins − 1."""
    p, q = _shares(first, second)
    return float(np.abs(np.cumsum(p - q)).sum())


def wasserstein_p_value(
    *, first: Vector, second: Vector, permutations: int, rng: np.random.Generator
) -> float:
    """p-value of the earth mover's distance between two sets' mean histograms, by permutation.

    ``first`` (N, B) and ``second`` (M, B) hold one histogram of shares per image. The share of
    relabellings of images with at least the observed distance, (1 + b)/(1 + permutations).
    """
    cumulated = np.cumsum(np.concatenate([first, second]), axis=1)
    member = np.zeros((1 + permutations, len(cumulated)))
    member[:, : len(first)] = 1
    member[1:] = rng.permuted(member[1:], axis=1)
    gaps = member @ cumulated / len(first) - (1 - member) @ cumulated / len(second)
    distances = np.abs(gaps).sum(1)
    return float((1 + (distances[1:] >= distances[0] - 1e-12).sum()) / (1 + permutations))


def _divergence(p: Vector, q: Vector) -> float:
    filled = p > 0
    return float((p[filled] * np.log(p[filled] / q[filled])).sum())


def _shares(first: Vector, second: Vector) -> tuple[Vector, Vector]:
    if first.shape != second.shape:
        raise ValueError(f"histograms differ in length: {first.shape} and {second.shape}")
    totals = first.sum(), second.sum()
    if min(totals) <= 0:
        raise ValueError("a histogram is empty")
    return first / totals[0], second / totals[1]
