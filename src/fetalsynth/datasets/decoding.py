"""Bytes of a PNG, JPEG or TIFF file → pixels, without changing a grey level unasked."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from fetalsynth.datasets.tiff import decode_tiff
from fetalsynth.errors import UserError, explaining

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

TIFF_SUFFIXES = (".tif", ".tiff")
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", *TIFF_SUFFIXES)

_AS_THEY_ARE = ("L", "RGB", "I;16")
_DIRECT = {"1": "L", "YCbCr": "RGB"}


def read_bytes(path: Path) -> bytes:
    """Content of the file; UserError where it cannot be read."""
    with explaining(path):
        return path.read_bytes()


def to_depth(values: NDArray[Any], *, deep: bool) -> Pixels:
    """The values, which must fit already, as uint16 (``deep``) or uint8."""
    return values.astype(np.uint16) if deep else values.astype(np.uint8)


def decode(data: bytes, *, path: Path) -> list[Pixels]:
    """Images in one file: (H, W) or (H, W, 3), uint8 or uint16; more than one for a paged TIFF.

    Opaque alpha channels and palettes are resolved and the camera orientation of a JPEG is
    applied. Raises UserError that names ``path`` where the content does not decode completely or
    could only be read with loss (transparency, 16-bit colour PNG, floats without a known range).
    """
    try:
        if path.suffix.lower() in TIFF_SUFFIXES:
            return decode_tiff(data, path=path)
        return [_with_pillow(data, path=path)]
    except UserError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged bytes
        reason = "it is empty" if not data else _reason(error)
        raise UserError(
            f"{path}: is not a readable image ({reason}); replace it or take it out of the folder"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its content is no image of a known format"
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _with_pillow(data: bytes, *, path: Path) -> Pixels:
    if _is_deep_colour_png(data):
        raise UserError(f"{path}: a 16-bit colour PNG; save it as TIFF, which keeps all 16 bits")
    with Image.open(io.BytesIO(data)) as image:
        if getattr(image, "n_frames", 1) > 1:
            raise UserError(f"{path}: an animation; save its frames as single images")
        image.load()
        return to_pixels(ImageOps.exif_transpose(image), path=path)


def _is_deep_colour_png(data: bytes) -> bool:
    """Pillow halves the depth of these without a word; bytes 24 and 25 are depth and type."""
    is_png = data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR"
    return is_png and len(data) > 25 and data[24] == 16 and data[25] != 0


def to_pixels(image: Image.Image, *, path: Path) -> Pixels:
    """Pixels of a loaded Pillow image, as :func:`decode` returns them."""
    if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
        image = _without_alpha(image, path=path)
    if image.mode == "P":
        image = _without_palette(image)
    image = image.convert(_DIRECT[image.mode]) if image.mode in _DIRECT else image
    if image.mode in ("I;16B", "I;16N"):
        return np.asarray(image).astype(np.uint16)
    if image.mode not in _AS_THEY_ARE:
        raise UserError(f"{path}: pixels of kind {image.mode} are not read; save it as grey or RGB")
    if image.mode == "I;16":
        return np.array(image, dtype=np.uint16)
    return np.array(image, dtype=np.uint8)


def _without_alpha(image: Image.Image, *, path: Path) -> Image.Image:
    full = image.convert("RGBA")
    if full.getchannel("A").getextrema() != (255, 255):
        raise UserError(f"{path}: has transparent pixels; flatten it onto black or white first")
    return full.convert("RGB" if image.mode not in ("L", "LA") else "L")


def _without_palette(image: Image.Image) -> Image.Image:
    colour = image.convert("RGB")
    red, green, blue = colour.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    return red if grey else colour
