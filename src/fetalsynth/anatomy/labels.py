"""Tissue label schemes and the explicit tables that map other schemes to the canonical one.

The canonical scheme is that of the Fetal Tissue Annotation data set (FeTA; Payette et al.,
*Scientific Data* 8:167, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

FETA = (
    "background",
    "external CSF",
    "grey matter",
    "white matter",
    "ventricles",
    "cerebellum",
    "deep grey matter",
    "brainstem",
)
BACKGROUND, EXTERNAL_CSF, GREY_MATTER, WHITE_MATTER = 0, 1, 2, 3
VENTRICLES, CEREBELLUM, DEEP_GREY_MATTER, BRAINSTEM = 4, 5, 6, 7

# Fidon et al. 2021 label the corpus callosum (8) apart from the white matter (1).
SPINA_BIFIDA_ATLAS = {0: 0, 1: 3, 2: 4, 3: 5, 4: 1, 5: 2, 6: 6, 7: 7, 8: 3}
# Draw-EM's nine tissues; hippocampus and amygdala (9) count as grey matter.
DHCP = {0: 0, 1: 1, 2: 2, 3: 3, 4: 0, 5: 4, 6: 5, 7: 6, 8: 7, 9: 2}

TABLES: dict[str, Mapping[int, int]] = {
    "feta": {label: label for label in range(len(FETA))},
    "spina-bifida-atlas": SPINA_BIFIDA_ATLAS,
    "dhcp": DHCP,
}


_MOST_COUNTS = 1 << 16


class UnknownLabels(ValueError):  # noqa: N818 - it names what was found
    """Labels that a table does not have; ``labels`` lists them."""

    def __init__(self, labels: list[int], known: list[int]) -> None:
        self.labels = labels
        super().__init__(
            f"has labels {', '.join(map(str, labels))}, the scheme knows "
            f"{', '.join(map(str, known))}"
        )


def map_labels(labels: NDArray[np.integer], *, table: Mapping[int, int]) -> NDArray[np.uint8]:
    """Labels of any shape through ``table`` (source label → label from 0 to 255).

    Raises UnknownLabels for labels that the table lacks.
    """
    found, codes = _coded(labels)
    unknown = [int(value) for value in found if int(value) not in table]
    if unknown:
        raise UnknownLabels(unknown, sorted(table))
    mapped = np.array([table[int(value)] for value in found], np.uint8)
    return np.asarray(mapped[codes].reshape(labels.shape))


def _coded(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct labels in order, which of them every voxel has).

    Counting takes a tenth of the time of sorting, as long as there is room for the counts.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if high - low > _MOST_COUNTS:
        found, codes = np.unique(labels, return_inverse=True)
        return found.astype(np.int64), codes
    places = labels.astype(np.int64) - low
    there = np.flatnonzero(np.bincount(places.ravel()))
    order = np.zeros(high - low + 1, np.int64)
    order[there] = np.arange(len(there))
    return there + low, order[places]
