"""Files that are either whole or absent: write beside, flush to disk, rename."""

from __future__ import annotations

import os
from pathlib import Path

from fetalsynth.errors import explaining


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write ``data`` to ``path`` so that a kill or a full disk leaves the old content or the new.

    ``sync`` False leaves flushing to the caller: for many small files of one artifact, which is
    flushed as a whole before it gets its name.
    Raises UserError that names the file and what to do.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explaining(path):
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 ``text`` as :func:`write_bytes` does."""
    write_bytes(path, text.encode("utf-8"))
