"""The numbers of the copying screen, each with its floor and its words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.scores import Metric
from fetalsynth.assessment.metrics.copying import Screened, expected_share, low_values, rank
from fetalsynth.assessment.metrics.memorisation import authentic_share, data_copying_z
from fetalsynth.assessment.metrics.nearest import Neighbours
from fetalsynth.assessment.metrics.variants import DEGREES
from fetalsynth.assessment.samples import Samples

_SCREEN = "A screen, not a guarantee of privacy."


def distance(
    synthetic: Neighbours, held_out: Neighbours, *, samples: Samples, role: str, side: int
) -> Metric:
    """``nearest-distance``: the median, relative to that of held-out images."""
    usual = float(np.median(held_out.distance)) or 1.0
    low, high = np.percentile(held_out.distance, [2.5, 97.5]) / usual
    below = {
        f"share_below_{name}_percentile": float(
            low_values(values=synthetic.distance, calibration=held_out.distance, share=share).mean()
        )
        for name, share in (("1st", 0.01), ("5th", 0.05))
    }
    expected = {
        f"expected_{name}_percentile": expected_share(len(held_out.distance), share)
        for name, share in (("1st", 0.01), ("5th", 0.05))
    }
    which = "training" if role == "train" else "real"
    return Metric(
        value=float(np.median(synthetic.distance)) / usual,
        direction="none",
        n_real=len(held_out.distance),
        n_synthetic=samples.count("synthetic"),
        settings={
            "references": f"{which} images",
            "reference_images": samples.count(role),
            "side": side,
            **_variants(),
            "usual_distance": usual,
            "held_out_middle_95": [float(low), float(high)],
            **below,
            **expected,
        },
        floor=1.0,
        meaning=f"Median distance of a synthetic image to the nearest {which} image, divided by "
        "the same for unseen real images: 1 is usual, well below 1 may be copying or blur.",
    )


def shares(
    screens: dict[str, Screened], *, samples: Samples, held_out: int, exact: int
) -> dict[str, Metric]:
    """``copy-share`` in pixels (key "") and ``copy-share-⟨space⟩`` in every other space."""
    place = f"number {rank(held_out)} from below of {held_out} held-out images"
    return {
        f"copy-share-{name}" if name else "copy-share": Metric(
            value=float(screen.suspicious.mean()),
            p_value=screen.p_value,
            direction="lower",
            n_real=held_out,
            n_synthetic=len(screen.suspicious),
            settings={
                "threshold": f"{place}, in distance and in isolation",
                "training_images": samples.count("train"),
                **({"variants": 1} if name else {**_variants(), "exact_copies": exact}),
            },
            floor=expected_share(held_out),
            meaning="Share of synthetic images that lie nearer to one training image"
            f"{f' in the features {name}' if name else ''}, and more apart from the others, than "
            f"{most_unseen(held_out)} do; at most {expected_share(held_out):.2g} is expected. "
            f"{_SCREEN}",
        )
        for name, screen in screens.items()
    }


def most_unseen(held_out: int) -> str:
    """Than which unseen real images a suspicious image is nearer, in words."""
    k = rank(held_out)
    if k == 1:
        return f"any of {held_out} unseen real images"
    return f"all but {k - 1} of {held_out} unseen real images"


def summaries(
    synthetic: Neighbours, held_out: Neighbours, *, own: NDArray[np.float64], samples: Samples
) -> dict[str, Metric]:
    """``data-copying-z`` (C_T) and ``authentic-share`` (AuthPct)."""
    from scipy import stats

    z = data_copying_z(synthetic=synthetic.distance, held_out=held_out.distance)
    n_real, n_synthetic = len(held_out.distance), samples.count("synthetic")
    settings = {"training_images": samples.count("train"), **_variants()}
    authentic, expected = (
        authentic_share(distance=found.distance, index=found.index, own=own)
        for found in (synthetic, held_out)
    )
    return {
        "data-copying-z": Metric(
            value=z,
            p_value=float(stats.norm.cdf(z)),
            direction="none",
            settings={**settings, "test": "one-sided Mann–Whitney", "cells": 1},
            floor=0.0,
            meaning="Whether synthetic images as a whole are nearer to the training images than "
            "unseen real ones, in standard errors (C_T): about 0 is usual, below −3 is copying or "
            f"blur, far above 0 is unlike the training images. {_SCREEN}",
            n_real=n_real,
            n_synthetic=n_synthetic,
        ),
        "authentic-share": Metric(
            value=authentic,
            direction="higher",
            settings=settings,
            floor=expected,
            meaning="Share of synthetic images that are farther from their nearest training image "
            "than that one is from other training images (AuthPct); the floor is the same share "
            f"of unseen real images. {_SCREEN}",
            n_real=n_real,
            n_synthetic=n_synthetic,
        ),
    }


def _variants() -> dict[str, object]:
    return {"flips": 4, "turned_by_degrees": sorted(DEGREES)}
