"""What an edit gives: labels, the map that made them, and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.deformation import jacobian, refine, smallest_jacobian, warp_image
from fetalsynth.anatomy.edits.components import component_counts, keep_components
from fetalsynth.anatomy.edits.flow import Box, Flow, State
from fetalsynth.anatomy.labels import FETA

Labels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Warp:
    """A displacement (3, …) in mm on the voxels of a ``box``; nothing moves beyond."""

    box: Box
    displacement: Tensor

    def image(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """The same map on an image (I, J, K) of the same space, linear between voxels."""
        values = np.asarray(image, np.float32)
        moved = warp_image(self.box.cut(values), self.displacement, spacing_mm=self.box.spacing_mm)
        return self.box.paste(moved, values)

    def source(self) -> NDArray[np.float32]:
        """(3, …) voxel of the box from which each one of its voxels comes."""
        moved = self.displacement.cpu().numpy()
        index = np.indices(self.box.shape, np.float32)
        spacing = np.array(self.box.spacing_mm, np.float32)[:, None, None, None]
        return np.asarray(index + moved / spacing)


@dataclass(frozen=True, kw_only=True)
class EditResult:
    """``labels`` (I, J, K) in the input's space; ``warp`` is None where voxels were overwritten.

    ``report`` is ready for JSON: parameters, what was reached, Jacobians, parts and volumes.
    """

    labels: Labels
    warp: Warp | None
    report: dict[str, Any]


def finish(flow: Flow, state: State, labels: Labels, *, said: dict[str, Any]) -> EditResult:
    """The whole volume from the last state of a flow that began with ``labels``."""
    box = flow.box
    fine = refine(state.displacement, shape=box.shape)
    warp = Warp(box=box, displacement=fine)
    mended, changed = keep_components(flow.original, state.labels, warp.source())
    whole = box.paste(mended, labels)
    smallest, folded = smallest_jacobian(fine, spacing_mm=box.spacing_mm)
    determinant = jacobian(fine, spacing_mm=box.spacing_mm)
    tissue = determinant[torch.from_numpy(mended > 0).to(determinant.device)]
    report = {
        **said,
        "min_jacobian": smallest,
        "folded_voxels": folded,
        "strongest_compression": 1 / max(float(tissue.max()), 1e-9),
        "furthest_moved_mm": float(fine.square().sum(dim=0).max().sqrt()),
        "voxels_mended": changed,
        **compared(labels, whole, spacing_mm=box.spacing_mm),
    }
    return EditResult(labels=whole, warp=warp, report=report)


def compared(before: Labels, after: Labels, *, spacing_mm: Sequence[float]) -> dict[str, Any]:
    """Volumes and numbers of parts before and after, and what was lost."""
    parts, now = component_counts(before), component_counts(after)
    return {
        "volumes_ml_before": volumes_ml(before, spacing_mm=spacing_mm),
        "volumes_ml": volumes_ml(after, spacing_mm=spacing_mm),
        "parts_before": parts,
        "parts": now,
        "parts_unchanged": parts == now,
        "tissues_lost": [name for name in parts if name not in now],
    }


def volumes_ml(labels: Labels, *, spacing_mm: Sequence[float]) -> dict[str, float]:
    """Millilitres by tissue name, for tissues that are there."""
    counts = np.bincount(labels.ravel(), minlength=len(FETA))
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    return {
        name: float(counts[label] * voxel_ml)
        for label, name in enumerate(FETA)
        if label and counts[label]
    }
