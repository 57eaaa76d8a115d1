"""Local binary patterns: eight neighbours on a circle of radius 1, as exact integers.

Formula
    code = Σ 2ᵖ [ g_p ≥ g_c ], p = 0 … 7 anticlockwise from the right (Ojala, Pietikäinen and
    Mäenpää, *IEEE TPAMI* 24:971, 2002, eq. 9); diagonal neighbours are interpolated bilinearly at
    0.70711 and pixels outside the image count as 0. This is scikit-image's method "default" with
    P = 8 and R = 1, code by code. Interpolated values are compared as integers with the weights
    a² : a(q − a) : (q − a)², a = 70711, q = 100000, so that every platform gives the same codes.
    Only where an interpolated value ties with the centre exactly (a neighbour equal to it between
    two that average to it) does scikit-image's rounding sometimes lose a bit that is set here.
    ``lbp3x3`` is the classic variant that takes the diagonal pixels themselves.
LBP vector of a set
    The mean over its images of the 256 raw counts (Bautista et al. 2022, section 2.4, leave the
    variant and the order of neighbours open). Other conventions permute or change the codes, so
    "V20" of one program is not "V20" of another.
Direction
    None for a code; a distance between whole vectors is better when lower.
Input
    (N, H, W) uint8 or uint16.
Ideal and chance
    A flat region has code 255, so a black surround fills that bin; :func:`outside_fan` masks it.
Least number of images
    About 50 a side for the whole vector. Single codes are 256 chances to find something.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CODES = 256
_Q, _A = 100_000, 70_711
_DIAGONAL, _BESIDE, _CENTRE = _A * _A, _A * (_Q - _A), (_Q - _A) ** 2
_STEPS = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
_PIXELS_AT_ONCE = 1 << 18


def lbp_codes(*, images: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Codes 0 … 255 of (N, H, W) unsigned integer images; raises ValueError for other input."""
    return _in_blocks(images, interpolate=True)


def lbp3x3(*, images: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Codes of the variant without interpolation, same neighbours, order and border."""
    return _in_blocks(images, interpolate=False)


def _in_blocks(images: NDArray[np.integer], *, interpolate: bool) -> NDArray[np.uint8]:
    if images.ndim != 3 or images.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"needs (N, H, W) uint8 or uint16, not {images.shape} {images.dtype}")
    codes = np.empty(images.shape, np.uint8)
    block = max(1, _PIXELS_AT_ONCE // max(1, images[:1].size))
    for start in range(0, len(images), block):
        part = slice(start, start + block)
        codes[part] = _codes(images[part].astype(np.int64), interpolate=interpolate)
    return codes


def _codes(images: NDArray[np.int64], *, interpolate: bool) -> NDArray[np.uint8]:
    height, width = images.shape[1:]
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))

    def shifted(down: int, right: int) -> NDArray[np.int64]:
        return padded[:, 1 + down : 1 + down + height, 1 + right : 1 + right + width]

    codes = np.zeros(images.shape, np.uint8)
    for bit, (down, right) in enumerate(_STEPS):
        if down and right and interpolate:
            beside = shifted(down, 0) + shifted(0, right)
            sample = _DIAGONAL * shifted(down, right) + _BESIDE * beside
            above = sample >= (_Q * _Q - _CENTRE) * images
        else:
            above = shifted(down, right) >= images
        codes |= above.astype(np.uint8) << bit
    return codes


def lbp_counts(
    *, codes: NDArray[np.uint8], keep: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """Raw counts (N, 256) of codes (N, H, W), over all pixels or those that ``keep`` (N, H, W)."""
    offset = codes.reshape(len(codes), -1) + (np.arange(len(codes)) * CODES)[:, None]
    chosen = offset.ravel() if keep is None else offset[keep.reshape(len(codes), -1)]
    return np.bincount(chosen, minlength=len(codes) * CODES).reshape(len(codes), CODES)


def lbp_vectors(
    *, images: NDArray[np.integer], exclude_outside_fan: bool = False
) -> NDArray[np.int64]:
    """Raw counts (N, 256) of images (N, H, W), a block at a time."""
    counts = np.empty((len(images), CODES), np.int64)
    block = max(1, _PIXELS_AT_ONCE // max(1, images[:1].size))
    for start in range(0, len(images), block):
        part = images[start : start + block]
        keep = ~outside_fan(images=part) if exclude_outside_fan else None
        counts[start : start + block] = lbp_counts(codes=lbp_codes(images=part), keep=keep)
    return counts


def outside_fan(*, images: NDArray[np.integer], black: int = 0) -> NDArray[np.bool_]:
    """Pixels of (N, H, W) images that lie in the flat black surround.

    Rule: a pixel is outside when its whole 3 × 3 neighbourhood (what lies beyond the border counts
    as black) is at most ``black`` and it is connected through such pixels, by edges, to the border
    of the image. Black inside the fan, as in fluid, stays.
    """
    from scipy import ndimage

    flat = ndimage.maximum_filter(images, size=(1, 3, 3), mode="constant", cval=0) <= black
    outside = np.zeros(images.shape, bool)
    for number, mask in enumerate(flat):
        regions, _ = ndimage.label(mask)
        rim = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
        outside[number] = np.isin(regions, rim[rim > 0])
    return outside


def rotation_table() -> NDArray[np.uint8]:
    """``ror`` code (least value over the eight rotations) of each of the 256 codes; 36 differ."""
    turned = [((_ALL << turn) | (_ALL >> (8 - turn))) & 0xFF for turn in range(8)]
    least: NDArray[np.uint8] = np.min(turned, axis=0).astype(np.uint8)
    return least


def uniform_table() -> NDArray[np.uint8]:
    """``uniform`` code 0 … 9 of each code: its ones where it changes at most twice, else 9."""
    return np.where(_changes() <= 2, _BITS.sum(1), 9).astype(np.uint8)


def nri_uniform_table() -> NDArray[np.uint8]:
    """``nri_uniform`` code 0 … 58 of each code: uniform codes keep their orientation.

    0 has no ones, 57 eight; the others are 1 + 8 (ones − 1) + orientation; 58 is not uniform.
    scikit-image's orientation is 8 − first one, or ones − first zero where the run holds bit 0.
    """
    ones = _BITS.sum(1)
    first_one, first_zero = _BITS.argmax(1), (1 - _BITS).argmax(1)
    orientation = np.where(first_one == 0, ones - first_zero, 8 - first_one)
    table = np.where(ones == 0, 0, np.where(ones == 8, 57, 1 + 8 * (ones - 1) + orientation))
    return np.where(_changes() <= 2, table, 58).astype(np.uint8)


_ALL = np.arange(CODES)
_BITS = (_ALL[:, None] >> np.arange(8)) & 1


def _changes() -> NDArray[np.int64]:
    changes: NDArray[np.int64] = np.abs(_BITS - np.roll(_BITS, 1, axis=1)).sum(1)
    return changes
