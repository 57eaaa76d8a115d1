"""What the network is told besides the noisy image: maps of shares, and one vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.generators.augmented import AUGMENTED
from fetalsynth.generators.batch import Batch
from fetalsynth.generators.settings import FlowSettings

MIDDLE_AGE, AGE_SPREAD = 26.0, 8.0  # weeks


@dataclass(frozen=True, kw_only=True)
class Condition:
    """``maps`` (N, labels · slices, H, W) and ``told`` (N, V); None where there are none."""

    maps: Tensor | None
    told: Tensor | None

    def without_maps(self, dropped: Tensor) -> Condition:
        """The same with no condition where ``dropped`` (N,) is true: maps and age all zero."""
        if self.maps is None:
            return self
        kept = (~dropped).to(self.maps.dtype)
        return replace(self.without_age(dropped), maps=self.maps * kept[:, None, None, None])

    def without_age(self, dropped: Tensor) -> Condition:
        """The same with the age unknown where ``dropped`` (N,) is true."""
        if self.maps is None or self.told is None:
            return self
        kept = (~dropped).to(self.told.dtype)
        told = torch.cat([self.told[:, :-2], self.told[:, -2:] * kept[:, None]], 1)
        return replace(self, told=told)


def told_size(settings: FlowSettings) -> int:
    """V: how many numbers the network is told."""
    s = settings
    conditioned = s.condition != "none"
    return (
        (AUGMENTED if s.augmentation_condition else 0)
        + (len(PLANES) if s.plane_condition else 0)
        + (2 if conditioned else 0)
    )


def condition_of(batch: Batch, settings: FlowSettings) -> Condition:
    """The condition of a batch; its ``images`` only say how many there are, and where.

    The vector is [how the image was augmented, the plane, the age and whether it is known], each
    part where the settings have it. Raises ValueError for missing maps or planes, and for labels
    that the settings do not know.
    """
    count, device = len(batch.images), batch.images.device
    parts = []
    if settings.augmentation_condition:
        none = torch.zeros(count, AUGMENTED, device=device)
        parts.append(none if batch.augmented is None else batch.augmented.to(device))
    if settings.plane_condition:
        if batch.planes is None:
            raise ValueError("this network must be told the plane of every slice")
        parts.append(F.one_hot(batch.planes.long(), len(PLANES)).float())
    if settings.condition != "none":
        parts.append(_age(batch, count=count, device=device))
    told = torch.cat(parts, 1) if parts else None
    return Condition(maps=_maps(batch, settings), told=told)


def _age(batch: Batch, *, count: int, device: torch.device) -> Tensor:
    ages = batch.ages
    if ages is None:
        return torch.zeros(count, 2, device=device)
    known = ~ages.isnan()
    scaled = torch.where(known, (ages - MIDDLE_AGE) / AGE_SPREAD, 0.0)
    return torch.stack([scaled, known.float()], 1).float().to(device)


def _maps(batch: Batch, settings: FlowSettings) -> Tensor | None:
    if settings.condition == "none":
        return None
    if settings.condition == "head":
        size = settings.size
        none = torch.zeros(len(batch.images), settings.labels, size, size)
        return none.to(batch.images.device) if batch.shares is None else batch.shares
    if batch.labels is None:
        raise ValueError("this network makes images from labels: give labels (N, H, W)")
    labels = batch.labels if batch.labels.ndim == 4 else batch.labels[:, None]
    if labels.shape[1] != settings.label_slices:
        raise ValueError(
            f"labels of {labels.shape[1]} slices, the network sees {settings.label_slices}"
        )
    if labels.numel() and int(labels.max()) >= settings.labels:
        raise ValueError(
            f"label {int(labels.max())} is not one of the {settings.labels} that the generator "
            "was trained with"
        )
    each = torch.arange(settings.labels, device=labels.device, dtype=labels.dtype)
    return (labels[:, :, None] == each[:, None, None]).flatten(1, 2).float()
