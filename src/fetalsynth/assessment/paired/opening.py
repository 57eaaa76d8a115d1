"""Pairs from two folders, of whichever kind they hold."""

from __future__ import annotations

from pathlib import Path

from fetalsynth.assessment.paired.images import image_pairs
from fetalsynth.assessment.paired.nifti import holds_volumes
from fetalsynth.assessment.paired.pair import Range
from fetalsynth.assessment.paired.pair_set import PairedSet
from fetalsynth.assessment.paired.volumes import Scaling, volume_pairs
from fetalsynth.datasets.loading import load_images
from fetalsynth.errors import UserError


def open_pairs(
    *,
    real: Path,
    synthetic: Path,
    splits: tuple[str, ...] | None = None,
    window: Range | None = None,
    scaling: Scaling = "stored",
) -> PairedSet:
    """Match the images of two folders (see :mod:`fetalsynth.assessment.paired.partners`).

    Both hold NIfTI volumes (see :mod:`fetalsynth.assessment.paired.nifti` for their names), or
    both hold images as :func:`load_images` reads them. ``window`` is the range of stored values
    that counts, others are set to its ends. Without it, images count from 0 to the end of their
    type, and volumes have the range of each real volume (``stored``) or are brought from their own
    lowest and highest value to 0 and 1, the synthetic ones too (``min-max``).
    Raises UserError for unfit folders, images without a partner and images of different size.
    """
    three = [holds_volumes(folder) for folder in (real, synthetic)]
    if three[0] != three[1]:
        held, other = (real, synthetic) if three[0] else (synthetic, real)
        raise UserError(f"{held}: holds NIfTI volumes and {other} does not; pairs need one kind")
    if three[0]:
        return volume_pairs(real=real, synthetic=synthetic, window=window, scaling=scaling)
    if scaling != "stored":
        raise UserError(
            f"{real}: --scaling {scaling} is for NIfTI volumes; use --window for images"
        )
    return image_pairs(
        real=load_images(real, role="real", splits=splits, channels=1),
        synthetic=load_images(synthetic, role="synthetic", channels=1),
        window=window,
    )
