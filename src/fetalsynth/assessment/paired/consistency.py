"""Whether a synthetic image shows the labels it was made from: a network segments it, Dice tells.

The network learned from real images. What it makes of the real partner is the ceiling, since no
image can be expected to be segmented better than real ones are; what it makes of the trivial
baseline (every label painted with its mean) shows how little realism a high Dice needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.dice import dice

Labels = NDArray[np.integer[Any]]
Segment = Callable[[NDArray[np.float32], NDArray[np.float64], Labels], Labels]
"""(image from 0 black to 1, RAS+ affine, label map that says where the brain lies) → labels."""


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Dice by name (Dice-label3, Dice-mean) of the three images of one pair."""

    synthetic: dict[str, float] = field(default_factory=dict)
    real: dict[str, float] = field(default_factory=dict)
    painted: dict[str, float] = field(default_factory=dict)


def label_consistency(
    *,
    synthetic: NDArray[Any],
    real: NDArray[Any],
    painted: NDArray[Any],
    labels: Labels,
    input_labels: Labels | None,
    black: float,
    data_range: float,
    affine: NDArray[np.float64],
    segment: Segment,
) -> Consistency:
    """Segment the images (I, J, K) of a pair and compare with the labels that they should show.

    The synthetic image is compared with ``input_labels`` where it has a map of its own; the real
    one and the painted one with ``labels``. Grey values from ``black`` to ``black + data_range``
    become 0 to 1.
    """

    def found(image: NDArray[Any], truth: Labels) -> dict[str, float]:
        scaled = np.clip((image.astype(np.float32) - black) / data_range, 0, 1)
        return overlaps(segment(scaled.astype(np.float32), affine, truth), truth)

    return Consistency(
        synthetic=found(synthetic, labels if input_labels is None else input_labels),
        real=found(real, labels),
        painted=found(painted, labels),
    )


def overlaps(found: Labels, truth: Labels) -> dict[str, float]:
    """Dice of every label but 0 that either map has, and their plain mean."""
    present = sorted({int(x) for side in (found, truth) for x in np.unique(side)} - {0})
    each = dice(first=found, second=truth, labels=present)
    values = {f"Dice-label{label}": value for label, value in each.items()}
    defined = [value for value in each.values() if not math.isnan(value)]
    return {**values, "Dice-mean": float(np.mean(defined))} if defined else values
