"""One trained generator out of a ``model`` artifact: its family, with the weights asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from fetalsynth.artifacts.manifest import FILENAME, Manifest
from fetalsynth.artifacts.model import read_weights, snapshot_epochs, snapshot_path
from fetalsynth.errors import UserError
from fetalsynth.generators.families import Family, build
from fetalsynth.generators.settings import FlowSettings, Settings, parse_settings

Weights = Literal["averaged", "raw"]


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A family whose generator has the weights of one snapshot, in eval mode on its device."""

    family: Family
    epoch: int
    weights: Weights


def settings_of(manifest: Manifest, *, folder: Path) -> Settings:
    """The generator's settings; UserError where no family of this version has them."""
    try:
        return parse_settings(manifest.configuration["recipe"]["generator"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{folder / FILENAME}: its generator is not one of this fetalsynth; update it, or "
            "train the model anew"
        ) from error


def load_trained(
    folder: Path,
    *,
    settings: Settings,
    epoch: int | None,
    weights: Weights | None,
    device: torch.device,
) -> Trained:
    """Build the family and load the snapshot of ``folder/snapshots``.

    ``epoch`` None takes the last snapshot; ``weights`` None the moving average where there is one.
    The generator is in float32, however the weights are stored.
    Raises UserError where the epoch or the weights are missing or do not fit.
    """
    epochs = snapshot_epochs(folder)
    if not epochs or (epoch is not None and epoch not in epochs):
        have = ", ".join(map(str, epochs)) or "none"
        wanted = "weights" if epoch is None else f"snapshot of epoch {epoch}"
        raise UserError(f"{folder}: no {wanted} in its snapshots; there are {have}")
    epoch = epochs[-1] if epoch is None else epoch
    has_average = snapshot_path(folder, epoch=epoch, averaged=True).is_file()
    if weights == "averaged" and not has_average:
        raise UserError(f"{folder}: trained without a moving average; give --weights raw")
    weights = weights or ("averaged" if has_average else "raw")
    family = build(settings)
    path = snapshot_path(folder, epoch=epoch, averaged=weights == "averaged")
    if weights == "raw" and has_average and not path.is_file():
        raise UserError(f"{folder}: keeps averaged weights only; leave --weights raw out")
    try:
        family.generator.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit the model's configuration") from error
    family.generator.to(device).eval()
    if isinstance(settings, FlowSettings):
        family.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Trained(family=family, epoch=epoch, weights=weights)
