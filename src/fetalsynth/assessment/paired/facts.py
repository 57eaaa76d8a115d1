"""What a reader must know of each paired score: its words, its direction, its range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from fetalsynth.assessment.metrics.mutual_information import BINS

_PLACES = {
    "full": "over the whole image",
    "box": "over the box around the foreground",
    "mask": "over the foreground",
    "axial": "over whole axial planes that hold foreground",
    "coronal": "over whole coronal planes that hold foreground",
    "sagittal": "over whole sagittal planes that hold foreground",
    "mean": "as the plain mean of all labels",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a reader must know of a metric: ``least`` and ``most`` are the ends of its range."""

    words: str
    direction: Literal["lower", "higher", "none"] = "higher"
    least: float = -np.inf
    most: float = np.inf
    unit: str | None = None
    settings: dict[str, Any]


_GAUSSIAN = {"window": "Gaussian, σ 1.5, 11 pixels a side", "K1": 0.01, "K2": 0.03}
_UNIFORM = {"window": "uniform, 7 pixels a side, sample variances", "K1": 0.01, "K2": 0.03}
_BINNED = {"bins": BINS}
METRICS: dict[str, Facts] = {
    "SSIM": Facts(words="Likeness of local structure", least=-1, most=1, settings=_GAUSSIAN),
    "SSIM-uniform7": Facts(
        words="Likeness of local structure", least=-1, most=1, settings=_UNIFORM
    ),
    "MS-SSIM": Facts(
        words="Likeness of structure at several scales", least=0, most=1, settings=_GAUSSIAN
    ),
    "correlation": Facts(
        words="Correlation of grey values, whatever brightness and contrast",
        least=-1,
        most=1,
        settings={},
    ),
    "combined": Facts(
        words="(2 SSIM + correlation)/3, the score of the fetal MRI study",
        least=-1,
        most=1,
        settings=_GAUSSIAN,
    ),
    "MSE": Facts(
        words="Mean squared difference in units of the squared range of values",
        direction="lower",
        least=0,
        settings={"divided_by": "squared data range"},
    ),
    "PSNR": Facts(words="Signal over error, pixel by pixel", unit="dB", settings={}),
    "MI": Facts(
        words="How much the grey value of one image tells about the other",
        unit="nats",
        settings={**_BINNED, "correction": "Miller–Madow"},
    ),
    "NMI-Studholme": Facts(
        words="Mutual information as (Hx + Hy)/Hxy, from 1 to 2", least=1, most=2, settings=_BINNED
    ),
    "NMI-arithmetic": Facts(
        words="Mutual information over the mean entropy, from 0 to 1",
        least=0,
        most=1,
        settings=_BINNED,
    ),
    "Dice": Facts(
        words="Overlap of the labels that the segmentation network finds in the synthetic image "
        "with those that it was made from",
        least=0,
        most=1,
        settings={"absent_from_both": "left out", "absent_from_one": 0},
    ),
    "error-absolute": Facts(
        words="Mean absolute error in shares of the range of values",
        direction="lower",
        least=0,
        settings={},
    ),
    "error-signed": Facts(
        words="Mean error in shares of the range of values, above 0 where too bright",
        direction="none",
        settings={},
    ),
}


def split_name(name: str) -> tuple[str, str]:
    """Metric and region of a score's name: "SSIM-uniform7-mask" → ("SSIM-uniform7", "mask")."""
    metric, _, region = name.rpartition("-")
    return metric, region


def place_of(region: str, label_names: Sequence[str] = ()) -> str:
    """The region of a score in words; labels by their names where these are known."""
    if not region.startswith("label"):
        return _PLACES.get(region, f"within {region}")
    label = int(region.removeprefix("label"))
    named = f" ({label_names[label]})" if label < len(label_names) else ""
    return f"within label {label}{named}"
