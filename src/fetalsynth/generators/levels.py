"""Between grey levels of files and the [−1, 1] that networks see."""

from __future__ import annotations

import torch
from torch import Tensor


def from_levels(levels: Tensor, *, full_scale: float) -> Tensor:
    """Integer levels 0 … ``full_scale`` → float32 in [−1, 1]."""
    return levels.float() * (2 / full_scale) - 1


def to_levels(images: Tensor) -> Tensor:
    """Images (N, C, H, W) in [−1, 1] → uint8 levels, rounded to the nearest."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
