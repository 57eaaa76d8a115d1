"""Manifests without the places of one machine: of every path on its disk the last part remains.

What is given away tells which data it was made from by digest and licence; in whose folders they
lay is nobody's business.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

from fetalsynth.artifacts.manifest import Input, Manifest

_BEFORE = r"(?<![\w./:~-])"  # not within a word, a relative path or an address
_ABSOLUTE = re.compile(_BEFORE + r"(?:/[^\s/:;,'\"()]+){2,}/?")
_INPUT = set(Input.model_fields)


def without_places(manifest: Manifest) -> Manifest:
    """``manifest`` and those of its inputs with the last part of every path, whatever field it is.

    Digests stay: they are of contents, and a request stays that of the command that was given.
    """
    known = places(manifest)
    return Manifest.model_validate(_portable(manifest.model_dump(mode="json"), known))


def places(manifest: Manifest) -> frozenset[str]:
    """The folders that inputs lay in, those of the inputs' own manifests included."""
    found: set[str] = set()
    for item in manifest.inputs:
        parent = str(PurePosixPath(item.path).parent)
        found |= {parent} if parent.startswith("/") and parent != "/" else set()
        found |= places(item.manifest) if item.manifest else set()
    return frozenset(found)


def text_without_places(text: str, known: Collection[str] = ()) -> str:
    """``text`` with the last part of every absolute path in it.

    ``known`` are folders that are recognised even with spaces in their names.
    """
    for place in sorted(known, key=len, reverse=True):
        text = re.sub(_BEFORE + re.escape(place) + "/", "", text)
    return _ABSOLUTE.sub(lambda found: PurePosixPath(found[0]).name, text)


def _portable(value: Any, known: Collection[str]) -> Any:
    if isinstance(value, dict):
        changed = {
            text_without_places(name, known): _portable(one, known) for name, one in value.items()
        }
        return {**changed, "path": _last(value)} if set(value) == _INPUT else changed
    if isinstance(value, list):
        return [_portable(one, known) for one in value]
    return text_without_places(value, known) if isinstance(value, str) else value


def _last(item: dict[str, Any]) -> str:
    path = str(item["path"])
    name = PurePosixPath(path).name
    return path if "://" in path else (str(item["role"]) if name in ("", "..") else name)
