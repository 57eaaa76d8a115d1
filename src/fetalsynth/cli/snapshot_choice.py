"""Which snapshot ``generate`` takes and why, where the training chose one or could not."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fetalsynth.artifacts.model import snapshot_epochs

if TYPE_CHECKING:
    from fetalsynth.synthesis.volume_model import VolumeModel


def told(
    facts: Mapping[str, Any], *, folder: Path, epoch: int, option: str = "--epoch"
) -> list[str]:
    """A line for standard error about the snapshot of ``epoch`` in ``folder``, or none.

    ``facts`` are those of the training of the network that lies there; ``option`` takes another
    snapshot, where the command has such an option.
    """
    chosen = facts.get("chosen")
    if "packed" in facts or not isinstance(chosen, dict):
        return []
    last = snapshot_epochs(folder)[-1]
    if chosen.get("epoch") is None:
        return [
            f"warning: the training chose no snapshot, because {chosen.get('reason')}; this is "
            f"the last, of epoch {last}: read the copying screen of an assessment"
        ]
    other = f" ({option} {last} is the last)" if option and last != epoch else ""
    return [f"snapshot of epoch {epoch}, because {chosen.get('reason')}{other}"]


def tell_choices(model: VolumeModel, *, option: str = "--epoch") -> None:
    """Print what :func:`told` says of each network of ``model`` to standard error."""
    for network in {network.part: network for network in model.networks.values()}.values():
        lines = told(network.facts, folder=network.part, epoch=network.epoch, option=option)
        for line in lines:
            print(f"{network.part}: {line}", file=sys.stderr)
