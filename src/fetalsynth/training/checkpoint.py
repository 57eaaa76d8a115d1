"""Resume state: two generations of files that carry their own digest in their names."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import torch

from fetalsynth.artifacts.digest import digest_bytes
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.errors import UserError, explaining

_NAME = re.compile(r"state-(\d{12})-([0-9a-f]{16})\.pt")
KEEP = 2


def save(folder: Path, state: dict[str, Any], *, images_seen: int) -> Path:
    """Write ``state`` (tensors, numbers, text, nested) whole or not at all; drop older ones.

    Older states go only after the new one is on the disk, so a kill or a full disk costs nothing.
    """
    stream = io.BytesIO()
    torch.save(state, stream)
    data = stream.getvalue()
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"state-{images_seen:012d}-{digest_bytes(data)[:16]}.pt"
    write_bytes(path, data)
    for old in _states(folder)[:-KEEP]:
        old.unlink(missing_ok=True)
    return path


def load(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest whole state (None where there is none) and the files that had to be passed over.

    Raises UserError where states exist but none can be read.
    """
    damaged: list[str] = []
    states = _states(folder)
    for path in reversed(states):
        state = _read(path)
        if state is not None:
            return state, damaged
        damaged.append(str(path))
    if states:
        raise UserError(
            f"{folder}: none of the {len(states)} saved states can be read "
            f"({states[-1].name} is damaged); snapshots beside it are whole: keep them, or delete "
            "the folder to start anew"
        )
    return None, damaged


def _states(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("state-*.pt") if _NAME.fullmatch(p.name))


def _read(path: Path) -> dict[str, Any] | None:
    match = _NAME.fullmatch(path.name)
    assert match is not None
    with explaining(path):
        data = path.read_bytes()
    if digest_bytes(data)[:16] != match[2]:
        return None
    try:
        state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError):
        return None
    return state
