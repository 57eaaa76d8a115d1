"""In which numbers networks compute while images and volumes are made."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def computing(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """A context in which networks on ``device`` compute in ``dtype``; weights stay as they are."""
    return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)
