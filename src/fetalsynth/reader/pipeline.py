"""One way from any image to a stimulus, the same for real and synthetic ones.

Grey → common window → common grid → common crop → black floor → 8 bits → one encoder. Where the
sets differ in size, the grid is a little coarser than the coarsest of them, so that every image is
resampled and none of the classes alone. The encoder stores without compressing: files of one size
in pixels have one size in bytes, whatever they show.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.errors import UserError

Grey = NDArray[np.float32]
Stimulus = NDArray[np.uint8]

COARSER = 0.95  # of the coarsest side, where sizes differ
_ASPECT = 0.01  # difference of the ratio of the sides that is taken for rounding
_DEAD = 99.0  # percentile of a line of pixels that decides whether nothing is ever seen in it


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Pixels cut off each side of the common grid."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is done to every image; ``height`` and ``width`` are those of the grid before the crop.

    ``floor``: grey values below this fraction of the window become black.
    """

    height: int
    width: int
    crop: Crop
    floor: float
    resampled: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the stimuli."""
        crop = self.crop
        return self.height - crop.top - crop.bottom, self.width - crop.left - crop.right

    def said(self) -> tuple[str, ...]:
        """The plan in sentences."""
        height, width = self.shape
        how = (
            "all resampled with the same kernel (bicubic, widened against aliasing)"
            if self.resampled
            else "none resampled"
        )
        crop = self.crop
        cut = f"top {crop.top}, bottom {crop.bottom}, left {crop.left}, right {crop.right}"
        return (
            f"grid: {self.width}×{self.height} pixels, {how}",
            f"crop of all images: {cut} pixels, leaving {width}×{height}",
            f"grey values below {self.floor:.3g} of the window are black in all images",
        )


def plan_images(
    sets: Sequence[NDArray[Any]], *, size: int | None = None, margin: float = 0.05, floor: float
) -> Plan:
    """What to do to all images of these ``sets``, each (N, H, W) with grey values from 0 to 1.

    ``size`` is the longer side of the grid. ``margin`` is the share of the sides cut off all round,
    on top of what is black in nearly every image of one of the sets (padding, for instance).
    Raises UserError where the sides are in another ratio or ``size`` would leave some image alone.
    """
    shapes = [(int(one.shape[1]), int(one.shape[2])) for one in sets]
    height, width = _grid(shapes, size)
    dead = [_dead(one, floor=floor) for one in sets]
    cut = []
    for side, length in enumerate((height, height, width, width)):
        share = max(one[side] for one in dead)
        cut.append(math.ceil(share * length - 1e-9) + math.ceil(margin * length - 1e-9))
    top, bottom, left, right = cut
    if top + bottom > height - 8 or left + right > width - 8:
        raise UserError(
            "hardly anything is left of the images within their margins; lower --margin"
        )
    return Plan(
        height=height,
        width=width,
        crop=Crop(top=top, bottom=bottom, left=left, right=right),
        floor=floor,
        resampled=any(shape != (height, width) for shape in shapes),
    )


def _grid(shapes: Sequence[tuple[int, int]], size: int | None) -> tuple[int, int]:
    first = shapes[0]
    for shape in shapes[1:]:
        if abs(math.log(shape[0] / shape[1] * first[1] / first[0])) > _ASPECT:
            raise UserError(
                f"images of {first[1]}×{first[0]} and {shape[1]}×{shape[0]} pixels are of "
                "different form; bring them to one with: fetalsynth data import folder … --size"
            )
    least = min(shapes, key=max)
    alike = len(set(shapes)) == 1
    if size is None:
        scale = 1.0 if alike else COARSER
    elif size > max(least) or (size == max(least) and not alike):
        raise UserError(
            f"--size {size}: the coarsest images have {max(least)} pixels, and all must be "
            f"resampled alike; {math.floor(COARSER * max(least))} or less would do"
        )
    else:
        scale = size / max(least)
    return max(1, round(scale * least[0])), max(1, round(scale * least[1]))


def _dead(images: NDArray[Any], *, floor: float) -> tuple[float, float, float, float]:
    """Shares of the sides at top, bottom, left and right in which a set is always black."""
    rows = np.percentile(images, _DEAD, axis=(0, 2)) > floor
    columns = np.percentile(images, _DEAD, axis=(0, 1)) > floor
    if not rows.any() or not columns.any():
        raise UserError("the images of one set are black; check the window")
    return (
        float(rows.argmax() / len(rows)),
        float(rows[::-1].argmax() / len(rows)),
        float(columns.argmax() / len(columns)),
        float(columns[::-1].argmax() / len(columns)),
    )


def grey(pixels: NDArray[Any], *, window: tuple[float, float] | None = None) -> Grey:
    """Stored values → 0 … 1, clipped: ``window`` are those of black and white, else the type's."""
    low, high = window or (0.0, float(np.iinfo(pixels.dtype).max))
    found: Grey = ((pixels.astype(np.float32) - low) / np.float32(high - low)).clip(0, 1)
    return found


def make_stimulus(image: Grey, plan: Plan) -> Stimulus:
    """(H, W) grey values from 0 to 1 → the pixels that are shown, as the plan has it."""
    if plan.resampled:
        picture = Image.fromarray(np.ascontiguousarray(image, np.float32))
        resized = picture.resize((plan.width, plan.height), Image.Resampling.BICUBIC)
        image = np.asarray(resized, np.float32)
    height, width = plan.shape
    top, left = plan.crop.top, plan.crop.left
    return to_bytes(image[top : top + height, left : left + width], floor=plan.floor)


def to_bytes(values: NDArray[Any], *, floor: float) -> Stimulus:
    """0 … 1 → 0 … 255, rounded; black below ``floor``."""
    clipped = np.asarray(values, np.float32).clip(0, 1)
    levels: Stimulus = np.rint(np.where(clipped < floor, 0, clipped) * 255).astype(np.uint8)
    return levels


def encode(pixels: Stimulus) -> bytes:
    """PNG of (H, W) grey pixels: IHDR, one IDAT, IEND; its length depends on the size only.

    Rows are not filtered and the stream is stored, not deflated (PNG 1.2, sections 4.1 and 5).
    """
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def noise(image: Stimulus, rng: np.random.Generator) -> Stimulus:
    """The pixels of an image in random order: for everybody to see that it is none."""
    return rng.permutation(image.ravel()).reshape(image.shape)


def scrambled(image: Stimulus, rng: np.random.Generator, *, parts: int = 6) -> Stimulus:
    """An image cut into blocks along every axis that lie in random order; same shape, any axes."""
    found = image
    for axis, length in enumerate(image.shape):
        ends = np.linspace(0, length, parts + 1).astype(int)
        blocks = [np.arange(a, b) for a, b in pairwise(ends)]
        order = np.concatenate([blocks[place] for place in rng.permutation(len(blocks))])
        found = np.take(found, order, axis=axis)
    return found
