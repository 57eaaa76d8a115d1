"""How near samples come to the training images while a generator is still being trained.

The measures are those of the copying screen (:mod:`fetalsynth.assessment.parts.copying`) in pixels,
over the same 20 mirrored and turned variants of every training image; what does not change from
look to look is computed once.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from fetalsynth.assessment.features.policy import Pixels, to_grey8
from fetalsynth.assessment.metrics.copying import expected_share, screened
from fetalsynth.assessment.metrics.memorisation import data_copying_z
from fetalsynth.assessment.metrics.nearest import Neighbours, nearest_variant
from fetalsynth.assessment.metrics.variants import plain_rows, variant_rows
from fetalsynth.assessment.parts.copying import SIDE
from fetalsynth.assessment.subjects import subject_numbers


class Nearness(Protocol):
    """How near samples (N, H, W, C) come, against all held-out images or those of some numbers."""

    def __call__(
        self, samples: NDArray[np.uint8], among: NDArray[np.int64] | None = None
    ) -> dict[str, float]: ...


def nearness_to(*, train: Pixels, subjects: list[str], held_out: Pixels) -> Nearness:
    """A function of samples (N, H, W, C) that compares them with training images.

    ``train`` (M, H, W, C) are images of ``subjects``; ``held_out`` (K, H, W, C) are one of each of
    K patients that were not trained on, or slices of their volumes. It returns

    - ``nearest_ratio``: median distance to the nearest training image over that of ``held_out``;
      1 is as far as unseen patients, well below 1 are copies, or blur;
    - ``isolation_ratio``: the same of the isolation, which is low for copies and not for blur;
    - ``copying_z``: the larger z of distance and isolation against ``held_out`` (C_T with one
      cell); below −3 the nearness is no accident, and no blur;
    - ``copy_share``: the share of samples nearer to one training image, and more apart from the
      others, than nearly every image of ``held_out``, with the share that is expected of unseen
      patients (``copy_share_expected``) and the chance of so many without copying (``copy_p``).

    BLAS works on one thread, so that numbers do not depend on the machine's cores.
    """
    grey = to_grey8(pixels=train)
    numbers, _ = subject_numbers(names=subjects, images=grey)
    with threadpool_limits(limits=1, user_api="blas"):
        references = variant_rows(images=grey, side=SIDE)

    def search(pixels: Pixels) -> Neighbours:
        with threadpool_limits(limits=1, user_api="blas"):
            return nearest_variant(
                queries=plain_rows(images=to_grey8(pixels=pixels), side=SIDE),
                references=references,
                reference_subjects=numbers,
            )

    unseen = search(held_out)

    def nearness(
        samples: NDArray[np.uint8], among: NDArray[np.int64] | None = None
    ) -> dict[str, float]:
        return _compared(search(samples), unseen if among is None else unseen.only(among))

    return nearness


def _compared(synthetic: Neighbours, unseen: Neighbours) -> dict[str, float]:
    found = screened(synthetic=synthetic, held_out=unseen)
    pairs = (
        (synthetic.distance, unseen.distance),
        (synthetic.isolation, unseen.isolation),
    )
    ratios = [float(np.median(ours) / (np.median(theirs) or 1.0)) for ours, theirs in pairs]
    return {
        "nearest_ratio": ratios[0],
        "isolation_ratio": ratios[1],
        "copying_z": max(data_copying_z(synthetic=o, held_out=t) for o, t in pairs),
        "copy_share": float(found.suspicious.mean()),
        "copy_share_expected": expected_share(len(unseen.distance)),
        "copy_p": found.p_value,
    }
