"""Large arrays in nameless temporary files, so that memory does not grow with the images.

Pages of such a file are the operating system's to write out and drop whenever memory is short. The
file lies in the folder that ``TMPDIR`` names and vanishes with its array, or with the process.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fetalsynth.errors import explaining

IN_MEMORY = 1 << 24  # bytes; smaller arrays are not worth a file
_ROWS_AT_ONCE = 64


def scratch(*, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array without defined content: in memory up to 16 MiB, in a temporary file beyond.

    Raises UserError where the disk has no room for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    place = Path(tempfile.gettempdir())
    with explaining(place), tempfile.TemporaryFile(dir=place) as file:
        _reserve(file.fileno(), size)
        return _mapped(file, shape, dtype)


def gathered(array: NDArray[Any], index: NDArray[np.int64]) -> NDArray[Any]:
    """``array[index]`` as such an array, copied a few rows at a time."""
    taken = scratch(shape=(len(index), *array.shape[1:]), dtype=array.dtype)
    for start in range(0, len(index), _ROWS_AT_ONCE):
        part = slice(start, start + _ROWS_AT_ONCE)
        taken[part] = array[index[part]]
    return taken


class Stack:
    """Arrays of one shape and type, of unknown number, added one by one."""

    def __init__(self) -> None:
        self._waiting: list[NDArray[Any]] = []
        self._file: IO[bytes] | None = None
        self._count = 0

    def add(self, array: NDArray[Any]) -> None:
        """Put ``array`` on top; raises UserError where the disk is full."""
        self._waiting.append(array)
        self._count += 1
        if len(self._waiting) * array.nbytes > IN_MEMORY:
            self._write_out()

    def whole(self) -> NDArray[Any]:
        """All of them as (N, …); nothing can be added any more."""
        if self._file is None:
            return np.stack(self._waiting)
        shape, dtype = self._shape, self._dtype
        self._write_out()
        with self._file:
            return _mapped(self._file, (self._count, *shape), dtype)

    def _write_out(self) -> None:
        place = Path(tempfile.gettempdir())
        with explaining(place):
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=place)  # noqa: SIM115 (closed by whole)
                self._shape, self._dtype = self._waiting[0].shape, self._waiting[0].dtype
            for array in self._waiting:
                self._file.write(np.ascontiguousarray(array).data)
            self._file.flush()
        self._waiting.clear()


def _reserve(descriptor: int, size: int) -> None:
    """Take the room at once: a full disk would otherwise kill the process at some later write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)


def _mapped(file: IO[bytes], shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """The file's bytes as a writable array, which keeps them when the file is closed."""
    return np.frombuffer(mmap.mmap(file.fileno(), 0), dtype).reshape(shape)
