"""A PNG file as its reader receives it: chunks, header, filters, size, time, and the pixels."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fetalsynth.errors import UserError, explaining

_MAGIC = b"\x89PNG\r\n\x1a\n"
_PLAIN = (b"IHDR", b"IDAT", b"IEND")


@dataclass(frozen=True, kw_only=True)
class Png:
    """What is in the file besides and with the pixels (H, W), which are grey levels.

    ``header`` is everything that is the same for all files of one encoder: all chunks but the
    image data, and the first two bytes of the zlib stream. ``metadata`` counts the bytes that no
    viewer needs, ``filtered`` is the share of rows with a filter, ``modified`` is in nanoseconds.
    """

    length: int
    chunks: tuple[bytes, ...]
    header: bytes
    metadata: int
    filtered: float
    modified: int
    pixels: NDArray[np.uint8]


def open_png(path: Path) -> Png:
    """Read and take apart one file; raises UserError where it is missing or no grey PNG."""
    with explaining(path):
        data, modified = path.read_bytes(), path.stat().st_mtime_ns
    try:
        chunks, trailing = _chunks(data)
        stream = b"".join(body for kind, body in chunks if kind == b"IDAT")
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture.convert("L"))
        others = [(kind, body) for kind, body in chunks if kind != b"IDAT"]
        return Png(
            length=len(data),
            chunks=tuple(kind for kind, _ in chunks),
            header=b"".join(kind + body for kind, body in others) + stream[:2],
            metadata=sum(12 + len(body) for kind, body in others if kind not in _PLAIN) + trailing,
            filtered=_filtered(chunks[0][1], zlib.decompress(stream)),
            modified=modified,
            pixels=pixels,
        )
    except (ValueError, IndexError, struct.error, zlib.error, OSError) as error:
        raise UserError(f"{path}: is no readable PNG ({error}); make the study anew") from error


def _chunks(data: bytes) -> tuple[list[tuple[bytes, bytes]], int]:
    """Kind and content of every chunk, and the number of bytes after the last."""
    if not data.startswith(_MAGIC):
        raise ValueError("it does not begin like one")
    found, at = [], len(_MAGIC)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
        if found[-1][0] == b"IEND":
            break
    return found, len(data) - at


def _filtered(header: bytes, rows: bytes) -> float:
    """Share of rows whose filter is not "none"; 0 for interlaced files, which have other rows."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    length = 1 + (width * channels * depth + 7) // 8
    if interlaced or len(rows) < length * height:
        return 0.0
    return float(sum(rows[row * length] != 0 for row in range(height)) / height)
