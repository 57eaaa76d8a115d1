"""Pairs from a folder of real images and one or several of synthetic ones, of either kind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fetalsynth.assessment.paired.images import image_pairs
from fetalsynth.assessment.paired.nifti import VolumeFiles, find_volumes, holds_volumes
from fetalsynth.assessment.paired.pair import Range
from fetalsynth.assessment.paired.pair_set import PairedSet
from fetalsynth.assessment.paired.selecting import by_description
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
    reconstruction: str | None = None,
) -> PairedSet:
    """Match the images of two folders, as :func:`open_sets` does with one set.

    Raises UserError, besides, where the folder holds several descriptions of one volume.
    """
    sets = open_sets(
        real=real,
        synthetic={"synthetic": synthetic},
        splits=splits,
        window=window,
        scaling=scaling,
        reconstruction=reconstruction,
    )
    if len(sets) > 1:
        raise UserError(f"{synthetic}: holds several sets of volumes ({', '.join(sets)})")
    return next(iter(sets.values()))


def open_sets(
    *,
    real: Path,
    synthetic: Mapping[str, Path],
    splits: tuple[str, ...] | None = None,
    window: Range | None = None,
    scaling: Scaling = "stored",
    reconstruction: str | None = None,
) -> dict[str, PairedSet]:
    """Match each named set of synthetic images with the real ones, in the order given.

    All folders hold NIfTI volumes (see :mod:`fetalsynth.assessment.paired.nifti` for their names),
    or all hold images as :func:`load_images` reads them. A folder with several descriptions of one
    volume (fused, and single planes) becomes several sets, NAME and NAME-description. ``window`` is
    the range of stored values that counts, others are set to its ends. Without it, images count
    from 0 to the end of their type, and volumes from ``volumes`` artifacts in the range that these
    declare; of other folders they have the range of each real volume (``stored``) or are brought
    from their own lowest and highest value to 0 and 1, the synthetic ones too (``min-max``).
    Raises UserError for unfit folders, images without a partner and images of different size.
    """
    for folder in (real, *synthetic.values()):
        if not folder.is_dir():
            raise UserError(f"{folder}: is no folder; check the path")
    three = {folder: holds_volumes(folder) for folder in (real, *synthetic.values())}
    odd = [folder for folder in synthetic.values() if three[folder] != three[real]]
    if odd:
        held, other = (real, odd[0]) if three[real] else (odd[0], real)
        raise UserError(f"{held}: holds NIfTI volumes and {other} does not; pairs need one kind")
    if three[real]:
        ours = find_volumes(real, role="real")
        return {
            name: volume_pairs(
                real=ours,
                synthetic=files,
                window=window,
                scaling=scaling,
                reconstruction=reconstruction,
            )
            for name, files in _found(synthetic).items()
        }
    for option, value, usual in (
        ("--scaling", scaling, "stored"),
        ("--reconstruction", reconstruction, None),
    ):
        if value != usual:
            raise UserError(f"{real}: {option} {value} is for NIfTI volumes; leave it out")
    images = load_images(real, role="real", splits=splits, channels=1)
    return {
        name: image_pairs(
            real=images,
            synthetic=load_images(folder, role="synthetic", channels=1),
            window=window,
        )
        for name, folder in synthetic.items()
    }


def _found(synthetic: Mapping[str, Path]) -> dict[str, VolumeFiles]:
    """The volumes of every set, sets of several descriptions taken apart."""
    return {
        f"{name}-{description}" if description else name: files
        for name, folder in synthetic.items()
        for description, files in by_description(find_volumes(folder, role="synthetic")).items()
    }
