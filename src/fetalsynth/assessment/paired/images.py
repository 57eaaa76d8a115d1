"""Pairs of images in the plane, from ``images`` artifacts or plain folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fetalsynth.assessment.features.policy import full_window, to_grey8
from fetalsynth.assessment.paired.pair import ImagePair, Range
from fetalsynth.assessment.paired.pair_set import PairedSet, check_side
from fetalsynth.assessment.paired.partners import Item, partners, stem_of
from fetalsynth.assessment.regions import Mask
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.errors import UserError, explaining


def image_pairs(*, real: ImageSet, synthetic: ImageSet, window: Range | None) -> PairedSet:
    """Match two sets of images and bring both to 8-bit grey.

    Raises UserError for different sizes, images without a partner and images below 11 pixels.
    """
    paths = real.source.path, synthetic.source.path
    if real.pixels.shape[1:3] != synthetic.pixels.shape[1:3]:
        here, there = (f"{s.pixels.shape[2]}×{s.pixels.shape[1]}" for s in (synthetic, real))
        raise UserError(
            f"{paths[1]}: images are {here} pixels, those in {paths[0]} {there}; bring them to one "
            "size (fetalsynth data import folder … --size)"
        )
    matched = partners(_items(real), _items(synthetic), where=" and ".join(paths))
    grey = [to_grey8(pixels=s.pixels, window=window) for s in (real, synthetic)]
    check_side(grey[0].shape[1:], paths[0])

    def load(number: int) -> ImagePair:
        first, second = matched[number]
        record = real.records[first]
        return ImagePair(
            subject=record.subject or record.file,
            real_file=record.file,
            synthetic_file=synthetic.records[second].file,
            real=grey[0][first],
            synthetic=grey[1][second],
            black=0.0,
            data_range=255.0,
            real_bins=(0, 256),
            synthetic_bins=(0, 256),
            mask=_image_mask(Path(paths[0]), record.extra.get("mask"), grey[0].shape[1:]),
        )

    shown = [full_window(s.pixels) if window is None else window for s in (real, synthetic)]
    return PairedSet(
        sources=(real.source, synthetic.source),
        count=len(matched),
        load=load,
        least_size=grey[0].shape[1:],
        settings={
            "data_range": 255,
            "black_and_white_real": list(shown[0]),
            "black_and_white_synthetic": list(shown[1]),
        },
    )


def _items(images: ImageSet) -> list[Item]:
    """A subject that is the file's own name is none: the file had no table."""
    return [
        Item(
            subject="" if record.subject == record.file else record.subject,
            file=record.file,
            stem=stem_of(record.file),
        )
        for record in images.records
    ]


def _image_mask(folder: Path, name: str | None, shape: tuple[int, ...]) -> Mask | None:
    """The mask that the table names; all that is not 0 is inside."""
    if name is None:
        return None
    from PIL import Image

    path = folder / name
    with explaining(path), Image.open(path) as picture:
        mask = np.asarray(picture.convert("L")) > 0
    if mask.shape != shape or not mask.any():
        raise UserError(f"{path}: is empty or not of its image's size; import the images again")
    return mask
