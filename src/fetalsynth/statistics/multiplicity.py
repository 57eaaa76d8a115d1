"""Adjusted p-values for many tests at once.

Sources
    Family-wise error: Holm, *Scand. J. Statist.* 6:65, 1979. False discovery rate: Benjamini and
    Hochberg, *J. R. Statist. Soc. B* 57:289, 1995; under any dependence: Benjamini and
    Yekutieli, *Ann. Statist.* 29:1165, 2001.

p-values that are NaN (nothing to test) stay NaN and do not count as tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjusted p (m,): the chance of even one false positive stays below α."""
    p, order, out = _sorted(p_values)
    stepped = np.maximum.accumulate(p * np.arange(len(p), 0, -1))
    out[order] = np.minimum(stepped, 1.0)
    return out


def benjamini_hochberg(p_values: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p (m,) that hold the share of false discoveries, tests being positively related."""
    return _step_up(p_values, any_dependence=False)


def benjamini_yekutieli(p_values: ArrayLike) -> NDArray[np.float64]:
    """Like :func:`benjamini_hochberg`, whatever the dependence between the tests."""
    return _step_up(p_values, any_dependence=True)


def _step_up(p_values: ArrayLike, *, any_dependence: bool) -> NDArray[np.float64]:
    p, order, out = _sorted(p_values)
    ranks = np.arange(1, len(p) + 1)
    factor = (1 / ranks).sum() if any_dependence else 1.0
    stepped = np.minimum.accumulate((p * factor * len(p) / ranks)[::-1])[::-1]
    out[order] = np.minimum(stepped, 1.0)
    return out


def _sorted(
    p_values: ArrayLike,
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Finite p-values in rising order, their positions, and an array of NaN to fill."""
    p = np.asarray(p_values, np.float64)
    if p.ndim != 1 or ((p < 0) | (p > 1)).any():
        raise ValueError("needs (m,) p-values between 0 and 1")
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    return p[order], order, np.full(len(p), np.nan)
