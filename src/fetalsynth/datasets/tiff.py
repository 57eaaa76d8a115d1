"""TIFF as microscopes, scanners and NumPy users write it: 8 or 16 bit, grey or RGB, float, pages.

tifffile reads what Pillow cannot (16-bit colour, float, planar); Pillow reads the compressions
for which tifffile would need a further package (LZW, JPEG).
"""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.errors import UserError

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_BUILT_IN_COMPRESSION = (1, 8, 32773, 32946)  # none, deflate, PackBits, old deflate
_GREY_INVERTED, _GREY, _RGB = 0, 1, 2


def decode_tiff(data: bytes, *, path: Path) -> list[Pixels]:
    """Every page as (H, W) or (H, W, 3), uint8 or uint16.

    Float pages become uint16: their declared range (tags MinSampleValue and MaxSampleValue or
    SMinSampleValue and SMaxSampleValue), else [0, 1], is mapped to [0, 65535].
    Raises UserError for NaN, values out of range and other pixel types; anything else the
    libraries raise means damaged bytes.
    """
    import tifffile

    with _complaints() as complaints, tifffile.TiffFile(io.BytesIO(data)) as file:
        pages: list[Any] = list(file.pages)
        lost = [text for text in complaints if "TiffPages" in text]
        if lost:
            raise ValueError(f"pages are missing: {lost[0]}")
        return [_page(page, data, index=i, path=path) for i, page in enumerate(pages)]


def count_pages(data: bytes) -> int:
    """How many pages there are; 1 where the bytes are damaged, which decoding will tell."""
    import tifffile

    try:
        with _complaints(), tifffile.TiffFile(io.BytesIO(data)) as file:
            return max(1, len(file.pages))
    except Exception:  # as on decoding: anything can come of damaged bytes
        return 1


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile writes to its log about this thread's file: it drops lost pages otherwise."""
    thread, texts = threading.get_ident(), list[str]()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                texts.append(record.getMessage())

    listener, log = Listener(), logging.getLogger("tifffile")
    log.addHandler(listener)
    try:
        yield texts
    finally:
        log.removeHandler(listener)


def _page(page: Any, data: bytes, *, index: int, path: Path) -> Pixels:
    simple = page.photometric in (_GREY_INVERTED, _GREY, _RGB)
    if not simple or int(page.compression) not in _BUILT_IN_COMPRESSION:
        return _with_pillow(page, data, index=index, path=path)
    values: NDArray[Any] = page.asarray()
    if page.axes[0] == "S":
        values = np.moveaxis(values, 0, -1)
    values = _without_alpha(values, path=path)
    if values.ndim != 2 and (values.ndim != 3 or values.shape[-1] != 3):
        raise UserError(
            f"{path}: has pixels of shape {values.shape}; save single grey or RGB pages"
        )
    values = _as_integers(values, page, path=path)
    return np.iinfo(values.dtype).max - values if page.photometric == _GREY_INVERTED else values


def _with_pillow(page: Any, data: bytes, *, index: int, path: Path) -> Pixels:
    from fetalsynth.datasets.decoding import to_pixels

    if int(page.bitspersample) > 8 and int(page.samplesperpixel) > 1:
        raise UserError(
            f"{path}: 16-bit colour in a compression that is not read without loss; save it "
            "uncompressed or with deflate"
        )
    with Image.open(io.BytesIO(data)) as image:
        image.seek(index)
        image.load()
        return to_pixels(image, path=path)


def _without_alpha(values: NDArray[Any], *, path: Path) -> NDArray[Any]:
    if values.ndim != 3 or values.shape[-1] not in (2, 4):
        return values
    alpha = values[..., -1]
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1.0
    if np.any(alpha != full):
        raise UserError(f"{path}: has transparent pixels; flatten it onto black or white first")
    return values[..., 0] if values.shape[-1] == 2 else values[..., :3]


def _as_integers(values: NDArray[Any], page: Any, *, path: Path) -> Pixels:
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0))
    if values.dtype.kind == "f":
        return _from_float(values.astype(np.float64), page, path=path)
    if values.dtype.newbyteorder("=") in (np.dtype(np.uint8), np.dtype(np.uint16)):
        native: Pixels = values.astype(values.dtype.newbyteorder("="))
        return native
    if values.dtype.kind in "iu" and values.min() >= 0 and values.max() <= 65535:
        return values.astype(np.uint16)
    raise UserError(
        f"{path}: {values.dtype} pixels from {values.min()} to {values.max()} do not fit 16 bits; "
        "rescale them to 0…65535 and save as 16-bit"
    )


def _from_float(values: NDArray[np.float64], page: Any, *, path: Path) -> NDArray[np.uint16]:
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise UserError(f"{path}: {bad} pixels are NaN or infinite; repair or leave out this file")
    low, high = _declared_range(page) or (0.0, 1.0)
    if values.min() < low or values.max() > high or high <= low:
        raise UserError(
            f"{path}: float pixels from {values.min():.6g} to {values.max():.6g} outside "
            f"[{low:g}, {high:g}]; rescale them to [0, 1] or declare their range with the tags "
            "SMinSampleValue and SMaxSampleValue"
        )
    return np.rint((values - low) / (high - low) * 65535).astype(np.uint16)


def _declared_range(page: Any) -> tuple[float, float] | None:
    for prefix in ("S", ""):
        lower, upper = (page.tags.get(f"{prefix}{end}SampleValue") for end in ("Min", "Max"))
        if lower is not None and upper is not None:
            return float(np.min(lower.value)), float(np.max(upper.value))
    return None
