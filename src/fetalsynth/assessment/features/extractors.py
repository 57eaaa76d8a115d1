"""Every feature extractor, by the name that its results carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.features import inception, lbp
from fetalsynth.progress import Progress

Features = dict[str, NDArray[np.float64]]
Images = dict[str, NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the extractors can be told: which weights, which resizing, which pixels count."""

    inception_weights: Path | None = None
    resizing: str = "clean"
    exclude_outside_fan: bool = False


@dataclass(frozen=True, kw_only=True)
class Extractor:
    """Features of every set of images (N, H, W) at once: (N, ``dimensions``) per set.

    ``weights_option`` names the option of the command line that gives weights, None where none
    are needed. ``settings`` says all that a result must record.
    """

    dimensions: int
    weights_option: str | None
    extract: Callable[[Images, Options], Features]
    settings: Callable[[Options], dict[str, Any]]

    def available(self, options: Options) -> bool:
        """Whether it can run with these options."""
        return self.weights_option is None or options.inception_weights is not None


def _lbp(sets: Images, options: Options) -> Features:
    return {
        role: lbp.lbp_features(images=images, exclude_outside_fan=options.exclude_outside_fan)
        for role, images in sets.items()
    }


def _lbp_settings(options: Options) -> dict[str, Any]:
    return {
        "features": "16 × root of the share of each LBP code (P=8, R=1, default)",
        "outside_fan": "excluded" if options.exclude_outside_fan else "included",
    }


def _inception(sets: Images, options: Options) -> Features:
    assert options.inception_weights is not None
    weights = inception.load_weights(options.inception_weights)
    total = sum(map(len, sets.values()))
    with Progress(label="Inception features", total=total) as progress:
        return {
            role: inception.inception_features(
                images=images, weights=weights, resizing=options.resizing, progress=progress
            )
            for role, images in sets.items()
        }


def _inception_settings(options: Options) -> dict[str, Any]:
    from fetalsynth.artifacts.digest import digest_file

    assert options.inception_weights is not None
    return {
        "features": "mean of Mixed_6e of inception-2015-12-05; not the FID layer",
        "weights_sha256": digest_file(options.inception_weights),
        "resizing": options.resizing,
        "batch": inception.BATCH,
        "precision": "float32",
    }


EXTRACTORS: dict[str, Extractor] = {
    "LBP256": Extractor(
        dimensions=lbp.DIMENSIONS,
        weights_option=None,
        extract=_lbp,
        settings=_lbp_settings,
    ),
    "Inception768": Extractor(
        dimensions=inception.DIMENSIONS,
        weights_option="--inception-weights",
        extract=_inception,
        settings=_inception_settings,
    ),
}
