"""The ``model`` artifact: safetensors weights, resolved configuration, statistics, previews."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.artifacts.files import write_bytes
from fetalsynth.errors import UserError, explaining

if TYPE_CHECKING:
    from torch import Tensor

STATISTICS = "stats.jsonl"
WATCH = "watch.jsonl"
SNAPSHOTS = "snapshots"
CARD = "model-card.md"


def snapshot_path(folder: Path, *, epoch: int, averaged: bool) -> Path:
    """Weights of the generator after ``epoch`` epochs; ``averaged`` for the moving average."""
    kind = "averaged" if averaged else "raw"
    return folder / SNAPSHOTS / f"epoch-{epoch:04d}-{kind}.safetensors"


def snapshot_epochs(folder: Path) -> list[int]:
    """Epochs of which the model keeps weights, raw or averaged or both, ascending."""
    found = [
        path
        for kind in ("raw", "averaged")
        for path in (folder / SNAPSHOTS).glob(f"epoch-*-{kind}.safetensors")
    ]
    return sorted({int(path.name.split("-")[1]) for path in found})


def chosen_epoch(facts: Mapping[str, Any]) -> int | None:
    """The epoch to take, out of a manifest's facts: the packed one, or that the training chose.

    None where there is neither.
    """
    chosen = facts.get("packed") or facts.get("chosen")
    epoch = chosen.get("epoch") if isinstance(chosen, Mapping) else None
    return epoch if isinstance(epoch, int) else None


def epochs_run(facts: Mapping[str, Any], *, planned: int) -> tuple[int, int]:
    """Least and most epochs that the networks of a model were trained for, of those planned."""
    networks = facts.get("networks", {"": facts})
    ran = [(each.get("stopped") or {}).get("epoch", planned) for each in networks.values()]
    return min(ran), max(ran)


def write_weights(path: Path, tensors: dict[str, Tensor], *, metadata: dict[str, str]) -> None:
    """Write tensors as safetensors, atomically."""
    from safetensors.torch import save

    with explaining(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_bytes(path, save(contiguous, metadata))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; raises UserError where it is missing or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    with explaining(path):
        data = path.read_bytes()
    try:
        return load(data)
    except SafetensorError as error:
        raise UserError(f"{path}: damaged weights ({error}); train or fetch them again") from error


def read_statistics(path: Path) -> list[dict[str, Any]]:
    """Rows of a ``stats.jsonl``; a last line cut off by a kill is left out."""
    with explaining(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines) - 1:
                raise UserError(f"{path}, line {number + 1}: not JSON") from error
    return rows
