"""The score by which the fetal MRI study chose its settings.

Formula
    (2 · SSIM + r) / 3, r being the Pearson correlation (Fernandez Garcia et al. 2022, its own
    definition).
Direction
    Higher is more alike.
Input
    The two scores, of one pair and one region.
Ideal and chance
    1 for equal images, about 0 for unrelated ones. It inherits what flatters both: a common
    background. Painting every tissue of a 21-week brain with one grey value reaches 0.989 over
    the whole volume (see trivial_baseline).
Least number of images
    One pair.
"""

from __future__ import annotations


def combined_score(*, ssim: float, correlation: float) -> float:
    """(2 · SSIM + correlation) / 3."""
    return (2 * ssim + correlation) / 3
