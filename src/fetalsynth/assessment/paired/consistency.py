"""Whether a synthetic image shows the labels it was made from: a network segments it, Dice tells.

The network learned from real images. What it makes of the real partner is the ceiling, since no
image can be expected to be segmented better than real ones are; what it makes of the trivial
baseline (every label painted with its mean) shows how little realism a high Dice needs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.metrics.dice import dice

Labels = NDArray[np.integer[Any]]
Segment = Callable[[NDArray[np.float32], NDArray[np.float64], Labels], Labels]
"""(image from 0 black to 1, RAS+ affine, label map that says where the brain lies) → labels."""


@dataclass(frozen=True, kw_only=True)
class Segmenter:
    """``segment`` and what a reader must know of the network: path, digest, what it has seen."""

    segment: Segment
    about: dict[str, Any]


def found_again(
    *,
    image: NDArray[Any],
    truth: Labels,
    black: float,
    data_range: float,
    affine: NDArray[np.float64],
    segment: Segment,
) -> dict[str, float]:
    """Segment ``image`` (I, J, K) and compare with ``truth``: Dice-label1, …, Dice-mean.

    Grey values from ``black`` to ``black + data_range`` become 0 to 1.
    """
    scaled = np.clip((image.astype(np.float32) - black) / data_range, 0, 1)
    return overlaps(segment(scaled.astype(np.float32), affine, truth), truth)


def overlaps(found: Labels, truth: Labels) -> dict[str, float]:
    """Dice of every label but 0 that either map has, and their plain mean."""
    present = sorted({int(x) for side in (found, truth) for x in np.unique(side)} - {0})
    each = dice(first=found, second=truth, labels=present)
    values = {f"Dice-label{label}": value for label, value in each.items()}
    defined = [value for value in each.values() if not math.isnan(value)]
    return {**values, "Dice-mean": float(np.mean(defined))} if defined else values
