"""What one training step sees."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Real images and, for conditional families, what they are to be made from.

    ``images`` are (N, C, H, W) in [−1, 1]; ``labels`` (N, H, W) uint8, or (N, K, H, W) with those
    of neighbouring slices, the slice itself in the middle; ``planes`` (N,) int64, the index in
    :data:`fetalsynth.anatomy.planes.PLANES` of each slice's plane. ``shares`` are (N, labels, H, W)
    in [0, 1], how much of a pixel each label covers; ``ages`` (N,) weeks of gestation, NaN where
    unknown. ``augmented`` (N, A) tells how each image was augmented, 0 for not at all.
    """

    images: Tensor
    labels: Tensor | None = None
    planes: Tensor | None = None
    shares: Tensor | None = None
    ages: Tensor | None = None
    augmented: Tensor | None = None
