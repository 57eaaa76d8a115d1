"""What one training step sees."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Real images and, for conditional families, what they are to be made from.

    ``images`` are (N, C, H, W) in [−1, 1]; ``labels`` (N, H, W) uint8; ``planes`` (N,) int64,
    the index in :data:`fetalsynth.anatomy.planes.PLANES` of each slice's plane.
    """

    images: Tensor
    labels: Tensor | None = None
    planes: Tensor | None = None
