"""One pass over all files of a set: what each is, without stopping at those that are broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.images import ImageRecord, read_table
from fetalsynth.artifacts.manifest import is_artifact, read_manifest
from fetalsynth.datasets.decoding import Pixels, read_bytes
from fetalsynth.datasets.duplicates import pixel_hash, thumbnail
from fetalsynth.datasets.folder import digest_each, pseudonym_key
from fetalsynth.datasets.frames import Frame, read_frames
from fetalsynth.datasets.listing import list_images
from fetalsynth.datasets.loading import with_channels
from fetalsynth.datasets.overlays import Box, find_overlays
from fetalsynth.datasets.parallel import ordered_map
from fetalsynth.errors import UserError

_SMALLEST_WITH_EDGES = 200  # pixels; below, burned-in edges are blurred by resampling


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one image is. ``problem`` says why a file could not be used; the rest is empty then.

    ``grey`` is the luminance; ``levels`` are the least and greatest value of all channels.
    ``own_subject`` is true where nothing is known of the subject but the file's name.
    """

    file: str
    subject: str
    split: str = ""
    problem: str = ""
    changed: bool = False
    shape: tuple[int, ...] = ()
    bits: int = 8
    levels: tuple[int, int] = (0, 0)
    pixel_hash: str = ""
    thumbnail: NDArray[np.float32] | None = None
    boxes: tuple[Box, ...] = ()
    grey: NDArray[Any] | None = None
    burned_in: bool = False
    own_subject: bool = False


def inspect_folder(folder: Path) -> tuple[int, Iterator[list[Seen]]]:
    """(number of files, what every file holds in order) of an artifact or a plain folder.

    Raises UserError only where there is nothing to inspect.
    """
    if is_artifact(folder):
        read_manifest(folder, kind="images")
        rows = read_table(folder)
        if not rows:
            raise UserError(f"{folder}: its table lists no image; import the images again")
        return len(rows), ordered_map(partial(_inspect_row, folder), rows)
    listing = list_images(folder)
    key = pseudonym_key(digest_each(listing))
    inspect: Callable[[Path], list[Seen]] = partial(_inspect_file, folder, key)
    return len(listing.files), ordered_map(inspect, listing.files)


def _inspect_row(folder: Path, row: ImageRecord) -> list[Seen]:
    path = folder / row.file
    try:
        data = read_bytes(path)
        changed = digest_bytes(data) != row.sha256
        frame = read_frames(path, data=data)[0]
    except UserError as error:
        problem = _reason(error, path)
        return [Seen(file=row.file, subject=row.subject, split=row.split, problem=problem)]
    return [
        _seen(
            frame, file=row.file, subject=row.subject, split=row.split, changed=changed, extra=row
        )
    ]


def _inspect_file(folder: Path, key: bytes, path: Path) -> list[Seen]:
    file = path.relative_to(folder).as_posix()
    try:
        frames = read_frames(path, key=key)
    except UserError as error:
        return [Seen(file=file, subject=file, problem=_reason(error, path), own_subject=True)]
    many = len(frames) > 1
    return [
        _seen(frame, file=f"{file}#{number}" if many else file, subject=frame.subject or file)
        for number, frame in enumerate(frames, start=1)
    ]


def _reason(error: UserError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")


def _seen(
    frame: Frame,
    *,
    file: str,
    subject: str,
    split: str = "",
    changed: bool = False,
    extra: ImageRecord | None = None,
) -> Seen:
    pixels = frame.pixels
    grey = with_channels(pixels, 1)[..., 0]
    known = frame.extra if extra is None else extra.extra
    return Seen(
        file=file,
        subject=subject,
        split=split,
        changed=changed,
        shape=pixels.shape,
        bits=8 * pixels.dtype.itemsize,
        levels=(int(pixels.min()), int(pixels.max())),
        pixel_hash=pixel_hash(pixels),
        thumbnail=thumbnail(pixels),
        boxes=tuple(find_overlays(pixels)) if _large(pixels) else (),
        grey=grey,
        burned_in=known.get("burned_in_annotation") == "YES",
        own_subject=extra is None and frame.subject is None,
    )


def _large(pixels: Pixels) -> bool:
    height, width = pixels.shape[:2]
    return bool(min(height, width) >= _SMALLEST_WITH_EDGES)


class StaticPixels:
    """Which pixels of a set hardly change from image to image and yet are not black.

    Tissue and speckle vary by as much as their brightness; a bar or a logo burned into every
    image does not, even where resampling has blurred it. Counts images of the first one's size.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum: NDArray[np.float64] | None = None
        self._squares: NDArray[np.float64] | None = None

    def update(self, images: Iterable[Seen]) -> None:
        """Take in what was seen."""
        for image in images:
            if image.grey is None:
                continue
            values = image.grey.astype(np.float64) / float(np.iinfo(image.grey.dtype).max)
            if self._sum is None or self._squares is None:
                self._sum, self._squares = np.zeros_like(values), np.zeros_like(values)
            if values.shape == self._sum.shape:
                self.count += 1
                self._sum += values
                self._squares += values**2

    def compute(self) -> int:
        """Number of pixels with mean above 4 % of the full scale and a standard deviation below
        30 % of the mean; 0 with fewer than 50 images.
        """
        if self._sum is None or self._squares is None or self.count < 50:
            return 0
        mean = self._sum / self.count
        deviation = np.sqrt(np.maximum(self._squares / self.count - mean**2, 0))
        return int(np.count_nonzero((mean > 0.04) & (deviation < 0.30 * mean)))
