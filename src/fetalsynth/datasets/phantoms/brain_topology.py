"""Crumbs of tissue that a coarse grid breaks off are given to their neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy import labels as tissue

# How many separate parts each tissue may have: cortex and deep grey matter left and right, the
# fourth ventricle apart from the others.
_PARTS = {
    tissue.EXTERNAL_CSF: 1,
    tissue.GREY_MATTER: 2,
    tissue.WHITE_MATTER: 1,
    tissue.VENTRICLES: 2,
    tissue.CEREBELLUM: 1,
    tissue.DEEP_GREY_MATTER: 2,
    tissue.BRAINSTEM: 1,
}


def tidy(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels with every island given to the tissue next to it, (I, J, K).

    Where a voxel is too coarse for a thin sheet, crumbs of it come loose; a tissue keeps as many
    parts (connected through faces) as it has in anatomy.
    """
    from scipy.ndimage import distance_transform_edt, label

    for _ in range(4):
        crumbs = np.zeros(labels.shape, bool)
        for value, parts in _PARTS.items():
            found, count = label(labels == value)
            if count > 1:
                sizes = np.bincount(found.ravel())
                sizes[0] = 0
                kept = [k for k in np.argsort(sizes)[-parts:] if sizes[k] > 0.01 * sizes.sum()]
                crumbs |= (found > 0) & ~np.isin(found, kept)
        if not crumbs.any():
            break
        _, nearest = distance_transform_edt(crumbs, return_indices=True)
        labels = labels[tuple(nearest)]
    return labels
