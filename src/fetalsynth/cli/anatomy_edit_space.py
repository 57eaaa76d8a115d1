"""A label map with its image in RAS+ order, and the way back to the order of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.volumes import WHITE
from fetalsynth.datasets.volumes.label_table import LabelTable
from fetalsynth.datasets.volumes.nifti import check_same_grid, read_nifti
from fetalsynth.datasets.volumes.pair import Pair
from fetalsynth.datasets.volumes.window import apply_window, measure_window
from fetalsynth.synthesis.label_volumes import LabelItem, read_labels

_orientations: Any = nibabel.orientations


@dataclass(frozen=True, kw_only=True)
class Space:
    """``labels`` and ``image`` (0…4095) in RAS+ order, ``affine`` that of this order.

    ``grey`` says in the sidecar how grey levels come from the source's.
    """

    labels: NDArray[np.uint8]
    image: NDArray[np.int16] | None
    affine: NDArray[np.float64]
    turn: NDArray[np.float64]
    grey: dict[str, Any]

    def ras(self, volume: NDArray[Any]) -> NDArray[Any]:
        """The order of the file → RAS+."""
        return np.ascontiguousarray(_orientations.apply_orientation(volume, self.turn))

    def own(self, volume: NDArray[Any]) -> NDArray[Any]:
        """RAS+ → the order of the file."""
        back = _orientations.ornt_transform(_orientations.axcodes2ornt("RAS"), self.turn)
        turned: NDArray[Any] = _orientations.apply_orientation(volume, back)
        return np.ascontiguousarray(turned)


def open_space(
    item: LabelItem, *, table: LabelTable | None, known: int, image: Path | None
) -> tuple[Pair, Space]:
    """Read one label map with the image that belongs to it.

    Raises UserError as ``read_labels`` does, and where image and labels are not on the same voxels.
    """
    read = read_labels(item, table=table, known=known)
    labels = read.labels
    assert labels is not None
    levels, grey = (None, {}) if image is None else _levels(item.path, image, labels)
    turn = _orientations.io_orientation(read.affine)
    own = _orientations.inv_ornt_aff(turn, labels.shape)
    return read, Space(
        labels=np.ascontiguousarray(_orientations.apply_orientation(labels, turn)),
        image=None if levels is None else _orientations.apply_orientation(levels, turn),
        affine=read.affine @ own,
        turn=turn,
        grey=grey,
    )


def _levels(
    path: Path, image: Path, labels: NDArray[np.uint8]
) -> tuple[NDArray[np.int16], dict[str, Any]]:
    seen = read_nifti(image)
    check_same_grid(read_nifti(path), seen)
    if seen.voxels.dtype == np.int16 and seen.voxels.min() >= 0 and seen.voxels.max() <= WHITE:
        return seen.voxels, {"GreyLevels": f"0 black, {WHITE} white"}
    window = measure_window(seen.voxels, labels, where=str(image))
    return apply_window(seen.voxels, window), {"Window": list(window), "White": WHITE}
