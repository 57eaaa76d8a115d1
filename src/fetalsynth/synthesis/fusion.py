"""Three volumes, one synthesised slice by slice in each plane → one volume.

The first rules are those of Fernandez Garcia et al. 2022 (mean, "average 2", Listing 1), here in
closed form: of three values only the order and the two gaps matter. ``in-plane`` is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES, Plane
from fetalsynth.errors import UserError

Volume = NDArray[np.float32]
Spacing = tuple[float, float, float]

EPSILON = 1e-4  # of Listing 1, in units of the images, which run from −1 to 1
DEFAULT_THRESHOLD = 2.0
_PADDING = 0.25
_LEAST_PADDING = 16


def mean(volumes: Volume, *, spacing_mm: Spacing = (1, 1, 1)) -> Volume:
    """The mean of the three values of a voxel; (3, I, J, K) → (I, J, K)."""
    return np.asarray(volumes.mean(axis=0, dtype=np.float32))


def median(volumes: Volume, *, spacing_mm: Spacing = (1, 1, 1)) -> Volume:
    """The middle one of the three values of a voxel; (3, I, J, K) → (I, J, K)."""
    return _by_slab(volumes, lambda low, middle, high: middle)


def average_2(volumes: Volume, *, spacing_mm: Spacing = (1, 1, 1)) -> Volume:
    """The mean of the two of a voxel's three values that lie closest; (3, I, J, K) → (I, J, K).

    Two pairs that are equally close count both, which gives the middle value.
    """

    def rule(low: Volume, middle: Volume, high: Volume) -> Volume:
        below, above = middle - low, high - middle
        partner = np.where(below < above, low, np.where(above < below, high, middle))
        return np.asarray((middle + partner) / 2)

    return _by_slab(volumes, rule)


def outliers(
    volumes: Volume, *, spacing_mm: Spacing = (1, 1, 1), threshold: float = DEFAULT_THRESHOLD
) -> Volume:
    """The mean after values far from the median were replaced by it; (3, I, J, K) → (I, J, K).

    Listing 1 of the 2022 study with ``m`` = ``threshold`` (0.5 and 2 there): a value stays whose
    distance from the median, divided by the median of the three distances plus 10⁻⁴, is below m.
    That median is the smaller gap g, the larger one being G, so that the nearer value stays where
    g < m·(g + 10⁻⁴) and the farther one where G < m·(g + 10⁻⁴).
    """

    def rule(low: Volume, middle: Volume, high: Volume) -> Volume:
        below, above = middle - low, high - middle
        deviation = np.minimum(below, above) + np.float32(EPSILON)
        kept_low = np.where(below / deviation < threshold, low, middle)
        kept_high = np.where(above / deviation < threshold, high, middle)
        return np.asarray((kept_low + middle + kept_high) / 3)

    return _by_slab(volumes, rule)


def through_plane(volumes: Volume, *, spacing_mm: Spacing) -> Volume:
    """Every spatial frequency rather from the networks whose slices lie across it.

    Directional weights (see :func:`_directional`) with b = 1: twice as much for a network along its
    normal as within its plane. What varies from slice to slice comes from the labels alone; within
    a slice a network smooths and invents in one piece. It came nearer to held-out volumes within
    the brain than the mean did, where the networks' slices hang together well.
    """
    return _directional(volumes, spacing_mm=spacing_mm, b=1.0)


def in_plane(volumes: Volume, *, spacing_mm: Spacing) -> Volume:
    """Every spatial frequency from the networks that saw it in their plane; (3, I, J, K) → volume.

    Directional weights with b = −1: nothing from a network along its normal, which takes the
    jitter of its slices away. For networks whose slices jitter strongly.
    """
    return _directional(volumes, spacing_mm=spacing_mm, b=-1.0)


def _directional(volumes: Volume, *, spacing_mm: Spacing, b: float) -> Volume:
    """The weight of network o with slices of normal n_o at frequency k (mm⁻¹) depends on its angle.

    w_o = (1 + b·(k·n_o)²/|k|²) / (3 + b), which add up to 1; at k = 0 they are equal. With the
    deviations d from the mean, which add up to 0, the result is
    mean + b/(3 + b) · F⁻¹[((k₁² − k₃²)·F d₁ + (k₂² − k₃²)·F d₂) / |k|²]: two transforms suffice,
    and padding with 0 invents no edge. No voxel leaves the range of its three values by more than
    the width of that range, so that where the three agree, as on black, they stay as they are to
    the last bit.
    """
    import scipy.fft

    centre = mean(volumes)
    shape = centre.shape
    padded = [
        scipy.fft.next_fast_len(n + max(_LEAST_PADDING, round(_PADDING * n)), real=True)
        for n in shape
    ]
    squares = _squared_frequencies(padded, spacing_mm)
    total = squares[0] + squares[1] + squares[2]
    total[0, 0, 0] = 1  # the mean of the deviations has weight 0 in any case
    spectrum = np.zeros(total.shape, np.complex64)
    for axis in (0, 1):
        deviation = scipy.fft.rfftn(volumes[axis] - centre, s=padded)
        deviation *= squares[axis] - squares[2]
        spectrum += deviation
        del deviation
    spectrum *= np.float32(b / (3 + b))
    spectrum /= total
    correction = scipy.fft.irfftn(spectrum, s=padded, overwrite_x=True)
    centre += correction[: shape[0], : shape[1], : shape[2]]
    low, high = volumes.min(axis=0), volumes.max(axis=0)
    width = high - low
    return np.asarray(np.clip(centre, low - width, high + width))


def _squared_frequencies(shape: list[int], spacing_mm: Spacing) -> list[Volume]:
    """k² along each axis in mm⁻², ready to be broadcast over the half spectrum of ``shape``."""
    found = []
    for axis, (length, step) in enumerate(zip(shape, spacing_mm, strict=True)):
        make = np.fft.rfftfreq if axis == 2 else np.fft.fftfreq
        along = (make(length, step) ** 2).astype(np.float32)
        found.append(along.reshape([-1 if axis == a else 1 for a in range(3)]))
    return found


def _by_slab(volumes: Volume, rule: Callable[[Volume, Volume, Volume], Volume]) -> Volume:
    """``rule`` of the sorted values, slab by slab, so that what it needs on the way stays small."""
    fused = np.empty(volumes.shape[1:], np.float32)
    for k in range(len(fused)):
        first, second, third = volumes[:, k]
        small, large = np.minimum(first, second), np.maximum(first, second)
        middle = np.maximum(small, np.minimum(large, third))
        fused[k] = rule(np.minimum(small, third), middle, np.maximum(large, third))
    return fused


def _one(plane: Plane) -> Callable[..., Volume]:
    def alone(volumes: Volume, *, spacing_mm: Spacing = (1, 1, 1)) -> Volume:
        return np.asarray(volumes[PLANES.index(plane)])

    return alone


FUSIONS: dict[str, Callable[..., Volume]] = {
    "mean": mean,
    "average-2": average_2,
    "outliers": outliers,
    "median": median,
    "through-plane": through_plane,
    "in-plane": in_plane,
    "sagittal": _one("sagittal"),
    "coronal": _one("coronal"),
    "axial": _one("axial"),
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A fusion and its parameter: ``threshold`` is Listing 1's m, None for all other fusions."""

    fusion: str
    threshold: float | None = None

    @property
    def planes(self) -> tuple[Plane, ...]:
        """The planes whose networks it needs."""
        return tuple(p for p in PLANES if p == self.fusion) or PLANES

    @property
    def name(self) -> str:
        """Fit for a folder: ``mean``, ``outliers-0.5``."""
        return self.fusion if self.threshold is None else f"{self.fusion}-{self.threshold:g}"

    def describe(self) -> dict[str, Any]:
        """As it stands in configurations and sidecars."""
        return {"Rule": self.fusion} | ({"Threshold": self.threshold} if self.threshold else {})

    def fuse(self, volumes: Mapping[Plane, Volume], *, spacing_mm: Spacing) -> Volume:
        """One volume (I, J, K) from those of :attr:`planes`, in RAS+ order with this spacing."""
        if len(self.planes) == 1:
            return volumes[self.planes[0]]
        stack = np.stack([volumes[plane] for plane in PLANES])
        if self.threshold is None:
            return FUSIONS[self.fusion](stack, spacing_mm=spacing_mm)
        return FUSIONS[self.fusion](stack, spacing_mm=spacing_mm, threshold=self.threshold)


def parse_rule(text: str) -> Rule:
    """``mean``, ``in-plane``, …, ``outliers:0.5``; ``outliers`` alone has m = 2.

    Raises UserError for an unknown fusion or a parameter that it does not take.
    """
    name, colon, number = text.partition(":")
    if name not in FUSIONS:
        close = get_close_matches(name, FUSIONS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise UserError(f"--fusion {text}: {hint}there are {', '.join(FUSIONS)}")
    if name != "outliers":
        if colon:
            raise UserError(f"--fusion {text}: {name} has no parameter; outliers:0.5 has")
        return Rule(fusion=name)
    try:
        threshold = float(number) if colon else DEFAULT_THRESHOLD
    except ValueError:
        threshold = math.nan
    if not (math.isfinite(threshold) and threshold > 0):
        raise UserError(f"--fusion {text}: m is a positive number, as in outliers:0.5")
    return Rule(fusion=name, threshold=threshold)
