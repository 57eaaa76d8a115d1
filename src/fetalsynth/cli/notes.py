"""Warnings about the user's data, one line each on the error stream."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fetalsynth.errors import DataWarning


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Inside the block, every :class:`DataWarning` is printed as "note: …", each text once."""
    said: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in said:
            said.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", DataWarning)
        warnings.showwarning = show
        yield
