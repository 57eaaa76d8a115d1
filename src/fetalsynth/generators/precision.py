"""In which numbers networks compute."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def computing(precision: str | torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """A context in which networks on ``device`` compute so; weights stay as they are."""
    dtype = getattr(torch, precision) if isinstance(precision, str) else precision
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)
