"""Grey images through the Inception network that FID uses: 768 or 2048 features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.assessment.features.policy import RESIZING
from fetalsynth.inception.layout import DIMENSIONS
from fetalsynth.inception.network import Network
from fetalsynth.progress import Progress

SIDE = 299
BATCH = 4  # larger ones leave the caches; measured with benchmarks/features.py


def inception_features(
    *,
    images: NDArray[np.uint8],
    network: Network,
    resizing: str = "clean",
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """Features (N, 768) or (N, 2048) of grey images (N, H, W) with values 0 … 255.

    Grey is repeated to RGB, resized to 299 × 299 by the policy named ``resizing`` and mapped to
    2x/255 − 1, a batch at a time, so that memory grows by the features only. Every batch is
    filled up to ``BATCH``, because features differ in the last bits with its size.
    """
    import torch

    features = np.empty((len(images), DIMENSIONS[network.last]))
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            part = RESIZING[resizing](images[start : start + BATCH], side=SIDE)
            whole = np.resize(part, (BATCH, SIDE, SIDE))
            grey = torch.from_numpy(whole)[:, None] * (2 / 255) - 1
            batch = grey.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
            found = network.features(batch)[: len(part)]
            features[start : start + len(part)] = found.double().numpy()
            if progress is not None:
                progress.advance(len(part))
    return features
