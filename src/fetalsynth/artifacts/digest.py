"""SHA-256 digests of files, directories and JSON values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fetalsynth.errors import explaining


def digest_bytes(data: bytes) -> str:
    """Hexadecimal SHA-256 of ``data``."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Hexadecimal SHA-256 of the file's bytes."""
    with explaining(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_json(value: Any) -> str:
    """Hexadecimal SHA-256 of ``value`` as canonical JSON (sorted keys, no white space)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return digest_bytes(text.encode())


def digest_files(folder: Path, files: Iterable[Path]) -> str:
    """One digest of many files: of their names relative to ``folder`` and their contents."""
    ordered = sorted(files)
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(digest_file, ordered))
    named = [
        [path.relative_to(folder).as_posix(), digest]
        for path, digest in zip(ordered, digests, strict=True)
    ]
    return digest_json(named)
