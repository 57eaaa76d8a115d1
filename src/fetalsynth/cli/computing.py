"""Device and threads for the verbs that compute with torch."""

from __future__ import annotations

import torch

from fetalsynth.threads import free_cores
from fetalsynth.training.device import choose_device

__all__ = ["choose_device", "set_threads"]


def set_threads(count: int | None = None) -> int:
    """Let torch use ``count`` threads, by default the cores that are free; returns the number."""
    count = count or free_cores()
    torch.set_num_threads(count)
    return count
