"""Pictures for contact sheets of training."""

from __future__ import annotations

import torch
from torch import Tensor


def label_levels(labels: Tensor, *, count: int) -> Tensor:
    """Labels (N, H, W) from 0 to ``count`` − 1 as grey levels (N, 1, H, W) in [−1, 1]."""
    return labels[:, None].float() * (2 / max(1, count - 1)) - 1


def side_by_side(*stacks: Tensor) -> Tensor:
    """Stacks (N, C, H, W) → (K N, C, H, W): the first of each, then the second of each, …"""
    channels = max(stack.shape[1] for stack in stacks)
    full = [stack.float().expand(-1, channels, -1, -1) for stack in stacks]
    return torch.stack(full, 1).flatten(0, 1)
