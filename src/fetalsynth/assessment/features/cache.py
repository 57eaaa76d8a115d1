"""Features on disk, so that the same images never go through the same network twice.

One ``.npz`` per set of images, extractor and treatment of pixels, under the digest of the three.
An entry is whole or absent; processes that share a folder at worst compute the same entry twice.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fetalsynth.artifacts.digest import digest_json
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.errors import DataWarning, explaining

_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile)


@dataclass(frozen=True, kw_only=True)
class Key:
    """What features depend on: pixels, extractor (digest of its weights) and policy."""

    images: str
    extractor: str
    policy: str

    @property
    def file(self) -> str:
        """Name of the entry's file."""
        return f"{digest_json([self.images, self.extractor, self.policy])}.npz"


def key_of(*, images: NDArray[np.uint8], extractor: str, policy: str) -> Key:
    """The key of a set of images (N, H, W)."""
    pixels = hashlib.sha256()
    for image in images:
        pixels.update(np.ascontiguousarray(image).data)
    content = digest_json([list(images.shape), images.dtype.str, pixels.hexdigest()])
    return Key(images=content, extractor=extractor, policy=policy)


def stored(folder: Path, key: Key, *, count: int) -> NDArray[np.float64] | None:
    """Features (``count``, D) of an earlier run, None where there are none.

    A damaged entry is reported as :class:`DataWarning` and treated as absent.
    """
    path = folder / key.file
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as entry:
            features, of = entry["features"], str(entry["key"])
        if of != _text(key) or features.shape[:1] != (count,) or features.dtype != np.float64:
            raise ValueError("it holds something else")
        if not np.isfinite(features).all():
            raise ValueError("it holds values that are not finite")
    except _DAMAGE as error:
        said = f"{path}: damaged entry of the feature cache ({error}); the features are taken again"
        warnings.warn(said, DataWarning, stacklevel=2)
        return None
    return np.asarray(features, np.float64)


def store(folder: Path, key: Key, features: NDArray[np.float64]) -> None:
    """Keep ``features`` under ``key``; raises UserError where the folder cannot be written."""
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    np.savez(stream, features=features, key=np.array(_text(key)))
    write_bytes(folder / key.file, stream.getvalue())


def _text(key: Key) -> str:
    return f"{key.images} {key.extractor} {key.policy}"
