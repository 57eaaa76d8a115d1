"""Image sets as one array: from an ``images`` artifact or from a plain folder.

Files are read one after the other, and a large array lies in a temporary file, so that memory
holds a few images however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.images import ImageRecord, read_table
from fetalsynth.artifacts.manifest import Input, input_from, is_artifact
from fetalsynth.datasets.decoding import Pixels, read_bytes, to_depth
from fetalsynth.datasets.folder import combined, digest_each, pseudonym_key
from fetalsynth.datasets.frames import read_frames
from fetalsynth.datasets.listing import list_images
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.datasets.scratch import Stack
from fetalsynth.errors import UserError

_Loaded = list[tuple[ImageRecord, Pixels]]


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """Images of one size and depth: ``pixels`` is (N, H, W, C) with C = 1 or 3, one record each.

    ``source`` tells where they were read from, ready to be an input of another artifact.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    records: tuple[ImageRecord, ...]
    source: Input


def load_images(
    folder: Path,
    *,
    role: str,
    splits: Collection[str] | None = None,
    size: int | None = None,
    channels: int | None = None,
) -> ImageSet:
    """Read an ``images`` artifact or a plain folder of images.

    ``splits`` keeps the rows of these splits (a plain folder's images are in split ""). ``size``
    is the width and height they must have; nothing is resized. ``channels`` 1 turns RGB into its
    luminance (ITU-R BT.601), 3 repeats grey, None keeps what is there. 16-bit images stay uint16.
    Every file of an artifact is checked against the SHA-256 in its table.

    Raises UserError that names the file: missing, changed, unreadable, or of another size, number
    of channels or depth than the first; and where nothing is left to read.
    """
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1, 3 or None, not {channels}")
    source, images = read_each(folder, role=role, splits=splits)
    records: list[ImageRecord] = []
    stack, first = Stack(), None
    for record, image in images:
        pixels = with_channels(image, channels)
        first = (record, pixels) if first is None else first
        _check_alike(folder, first, (record, pixels), size=size)
        records.append(record)
        stack.add(pixels)
    if first is None:
        raise UserError(f"{folder}: no image in {_named(splits)}; import it with a held-out part")
    return ImageSet(pixels=stack.whole(), records=tuple(records), source=source)


def read_each(
    folder: Path, *, role: str, splits: Collection[str] | None = None
) -> tuple[Input, Iterator[tuple[ImageRecord, Pixels]]]:
    """Where the images come from, and one after the other as they are, whatever their sizes.

    Pixels are (H, W) or (H, W, 3), uint8 or uint16. Reads the same folders and raises the same
    errors as :func:`load_images`, but lets images differ.
    """
    source, parts = _artifact(folder, role, splits) if is_artifact(folder) else _plain(folder, role)
    every = (item for part in parts for item in part)
    return source, (item for item in every if splits is None or item[0].split in splits)


def _named(splits: Collection[str] | None) -> str:
    return "split " + " or ".join(repr(split) for split in splits or ("",))


def _artifact(
    folder: Path, role: str, splits: Collection[str] | None
) -> tuple[Input, Iterable[_Loaded]]:
    source = input_from(folder, role=role, kind="images")
    rows = [row for row in read_table(folder) if splits is None or row.split in splits]
    return source, ordered_map(partial(_read_row, folder), rows)


def _read_row(folder: Path, row: ImageRecord) -> _Loaded:
    path = folder / row.file
    data = read_bytes(path)
    if digest_bytes(data) != row.sha256:
        raise UserError(f"{path}: was changed after it was written; import the images again")
    return [(row, read_frames(path, data=data)[0].pixels)]


def _plain(folder: Path, role: str) -> tuple[Input, Iterable[_Loaded]]:
    listing = list_images(folder)
    digests = digest_each(listing)
    source = Input(role=role, path=str(folder), digest=combined(listing, digests))
    read: Callable[[Path], _Loaded] = partial(_read_file, folder, pseudonym_key(digests))
    return source, ordered_map(read, listing.files)


def _read_file(folder: Path, key: bytes, path: Path) -> _Loaded:
    data = read_bytes(path)
    digest = digest_bytes(data)
    name = path.relative_to(folder).as_posix()
    found = read_frames(path, data=data, key=key)
    loaded: _Loaded = []
    for number, frame in enumerate(found, start=1):
        down, along = frame.pixel_spacing_mm or (None, None)
        record = ImageRecord(
            file=name if len(found) == 1 else f"{name}#{number}",
            subject=frame.subject or name,
            sha256=digest,
            pixel_spacing_y_mm=down,
            pixel_spacing_x_mm=along,
            extra=frame.extra,
        )
        loaded.append((record, frame.pixels))
    return loaded


def with_channels(pixels: Pixels, channels: int | None) -> Pixels:
    """(H, W) or (H, W, 3) → (H, W, C); luminance 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601)."""
    if pixels.ndim == 2:
        repeated = np.repeat(pixels[..., None], channels or 1, axis=2)
        return to_depth(repeated, deep=pixels.dtype == np.uint16)
    if channels != 1:
        return pixels
    weights = np.array([0.299, 0.587, 0.114])
    return to_depth(np.rint(pixels @ weights)[..., None], deep=pixels.dtype == np.uint16)


def _check_alike(
    folder: Path,
    first: tuple[ImageRecord, Pixels],
    other: tuple[ImageRecord, Pixels],
    *,
    size: int | None,
) -> None:
    mend = "; make them alike with: fetalsynth data import folder … --size"
    (model, like), (record, image) = first, other
    path, channels = folder / record.file, like.shape[2]
    expected = like.shape[:2] if size is None else (size, size)
    if image.shape[:2] != expected:
        there, here = _size(image.shape[:2]), _size(expected)
        against = "needed" if size is not None else f"of {model.file}"
        raise UserError(f"{path}: is {there}, not the {here} {against}{mend}")
    if image.shape[2] != channels:
        raise UserError(
            f"{path}: has {image.shape[2]} channels, but {model.file} has {channels}; "
            "import them with --channels 1 or 3"
        )
    if image.dtype != like.dtype:
        raise UserError(
            f"{path}: has {8 * image.dtype.itemsize} bits, but {model.file} has "
            f"{8 * like.dtype.itemsize}; bring them to one depth"
        )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} pixels"
