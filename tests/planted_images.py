"""Cheap pictures like ultrasound, and the faults that tests plant in them.

A bright ring of random size, place and tilt lies in a fan of log-compressed Rayleigh speckle on
softly varying tissue; everything outside the fan is black. Images are independent draws, so that
two sets of one kind are samples of one distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from fetalsynth.artifacts.images import ImageRecord
from fetalsynth.artifacts.manifest import Input
from fetalsynth.assessment.suite import assess_images
from fetalsynth.datasets.loading import ImageSet

Images = NDArray[np.uint8]
Disguise = Callable[[Images], Images]
SIDE = 64
GRAIN = 0.8
COPIES_TURNED_DEGREES = 4.0


def levels(values: NDArray[Any]) -> Images:
    """Rounded and cut to 0 … 255."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def scans(n: int, seed: int, *, grain: float = GRAIN) -> Images:
    """``n`` independent pictures (N, 64, 64); ``grain`` is the size of the speckle in pixels."""
    rng = np.random.default_rng(seed)
    tissue = ndimage.gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, 7, 7))
    echo = 0.9 * tissue / tissue.std() + 1.6 * _rings(n, rng)
    parts = [
        ndimage.gaussian_filter(rng.standard_normal((n, SIDE, SIDE)), (0, grain, grain))
        for _ in range(2)
    ]
    speckle = np.hypot(*(part / part.std() for part in parts))
    grey = levels(95 + 22 * (echo + np.log(speckle + 0.05)) + rng.normal(0, 6, (n, 1, 1)))
    return np.where(_fan(), np.maximum(grey, 1), 0).astype(np.uint8)


def _rings(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    long = rng.uniform(14, 25, (n, 1, 1))
    short = long * rng.uniform(0.68, 0.85, (n, 1, 1))
    down, right = rng.normal(2, 3, (2, n, 1, 1))
    tilt = rng.normal(0, 0.5, (n, 1, 1))
    along = (x - right) * np.cos(tilt) + (y - down) * np.sin(tilt)
    across = (y - down) * np.cos(tilt) - (x - right) * np.sin(tilt)
    radius = np.hypot(along / long, across / short)
    return np.exp(-(((radius - 1) * short / 1.6) ** 2)) - 0.5 * (radius < 1)


def _fan() -> NDArray[np.bool_]:
    y, x = np.indices((SIDE, SIDE)).astype(float)
    dx, dy = x - (SIDE - 1) / 2, y + 12
    return (np.abs(np.arctan2(dx, dy)) < 0.62) & (np.hypot(dx, dy) < SIDE + 10)


def blurred(images: Images, *, sigma: float = 0.7) -> Images:
    """Gaussian blur of ``sigma`` pixels."""
    return levels(ndimage.gaussian_filter(images.astype(float), (0, sigma, sigma)))


def noisy(images: Images, *, sd: float = 8.0) -> Images:
    """White noise of ``sd`` grey levels on everything that is not black."""
    noise = np.random.default_rng(5).normal(0, sd, images.shape)
    return np.where(images > 0, levels(images + noise), 0).astype(np.uint8)


def brighter(images: Images, *, by: float = 8.0) -> Images:
    """Lighter by ``by`` grey levels where it is not black."""
    return np.where(images > 0, levels(images + by), 0).astype(np.uint8)


def ten_modes(images: Images) -> Images:
    """As many pictures, but only ten different ones under a little noise."""
    chosen = np.resize(np.arange(10), len(images))
    return noisy(images[chosen], sd=4.0)


def mirrored(images: Images) -> Images:
    """Left to right."""
    return images[:, :, ::-1].copy()


def turned(images: Images) -> Images:
    """By four degrees, bicubic."""
    return levels(
        ndimage.rotate(
            images.astype(float), COPIES_TURNED_DEGREES, axes=(1, 2), reshape=False, order=3
        )
    )


def as_is(images: Images) -> Images:
    """No disguise."""
    return images.copy()


DISGUISES: dict[str, Disguise] = {
    "exact": as_is,
    "mirrored": mirrored,
    "turned by 4°": turned,
    "noisy": noisy,
}


def with_copies(synthetic: Images, train: Images, disguise: Disguise, *, share: float) -> Images:
    """``share`` of the synthetic images replaced by disguised training images, at the front."""
    count = round(share * len(synthetic))
    return np.concatenate([disguise(train[:count]), synthetic[count:]])


def image_set(images: Images, role: str) -> ImageSet:
    """As :func:`load_images` gives it; every image is a subject of its own."""
    names = [f"{role}{k:04d}.png" for k in range(len(images))]
    records = tuple(ImageRecord(file=name, subject=name, sha256="") for name in names)
    source = Input(role=role, path=f"/data/{role}", digest=role)
    return ImageSet(pixels=images[..., None], records=records, source=source)


def assess(real: Images, synthetic: Images, train: Images | None = None, **options: Any) -> Any:
    """The scores of these images."""
    return assess_images(
        real=image_set(real, "real"),
        synthetic=image_set(synthetic, "synthetic"),
        train=None if train is None else image_set(train, "train"),
        **options,
    )
