"""A trained segmentation network and a volume → its tissue labels, in the volume's own space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES, Plane, from_slices, to_slices
from fetalsynth.artifacts.manifest import FILENAME, Input, input_from
from fetalsynth.artifacts.model import read_weights, snapshot_epochs, snapshot_path
from fetalsynth.datasets.volumes.grid import Grid, conform_image, place, restore_labels
from fetalsynth.errors import UserError
from fetalsynth.generators.settings import UNetSettings, parse_settings
from fetalsynth.generators.unet import UNet, segment

SHARED = "shared"
_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class SegmentationModel:
    """One network per plane (the same one three times where it is shared), ready on ``device``."""

    networks: dict[Plane, UNet]
    grid: Grid
    labels: int
    source: Input
    device: torch.device


def load_segmenter(folder: Path, *, device: torch.device) -> SegmentationModel:
    """Load the last snapshot of a ``model`` artifact of the family "unet".

    Averaged weights are taken where there are any. Raises UserError where it is another kind of
    model, weights are missing or damaged.
    """
    source = input_from(folder, role="segmenter", kind="model")
    assert source.manifest is not None
    recipe = source.manifest.configuration.get("recipe", {})
    try:
        settings = parse_settings(recipe["generator"])
        grid = Grid(size=settings.size, spacing_mm=recipe["spacing_mm"])
        planes: list[Plane] = [plane for plane in PLANES if plane in recipe["planes"]]
        shared = bool(recipe["one_network"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / FILENAME}: is no model of label volumes; {_MAKE}") from error
    if not isinstance(settings, UNetSettings):
        raise UserError(
            f"{folder}: holds a {settings.family} model, which segments nothing; {_MAKE}"
        )
    parts: dict[Plane, str] = {plane: SHARED if shared else plane for plane in planes}
    loaded = {part: _load(folder / part, settings, device) for part in set(parts.values())}
    return SegmentationModel(
        networks={plane: loaded[part] for plane, part in parts.items()},
        grid=grid,
        labels=settings.labels,
        source=source,
        device=device,
    )


_MAKE = "make one with: fetalsynth train segment128 --data VOLUMES --out MODEL"


def _load(folder: Path, settings: UNetSettings, device: torch.device) -> UNet:
    epochs = snapshot_epochs(folder)
    if not epochs:
        raise UserError(f"{folder}: no weights in its snapshots; train the model again")
    averaged = snapshot_path(folder, epoch=epochs[-1], averaged=True)
    raw = snapshot_path(folder, epoch=epochs[-1], averaged=False)
    path = averaged if averaged.is_file() else raw
    network = UNet(settings)
    try:
        network.load_state_dict(read_weights(path))
    except RuntimeError as error:
        raise UserError(f"{path}: the weights do not fit the model's configuration") from error
    return network.to(device).eval()


def segment_volume(
    model: SegmentationModel,
    *,
    voxels: NDArray[Any],
    affine: NDArray[np.float64],
    brain: NDArray[Any],
    where: str,
) -> NDArray[np.uint8]:
    """Labels (I, J, K) of a volume of grey values from 0 (black) to 1, in any axis order.

    ``brain`` (labels or a mask of the same shape) only says what to centre the model's cube on.
    The planes' probabilities are averaged; voxels outside the cube are background.
    Raises UserError, naming ``where``, for a brain that is empty or larger than the cube.
    """
    size = model.grid.size
    placement = place(shape=voxels.shape, affine=affine, labels=brain, grid=model.grid, where=where)
    cube = conform_image(voxels, placement, size=size)
    votes = np.zeros((model.labels, size, size, size), np.float32)
    for plane, network in model.networks.items():
        _vote(votes, cube, network, plane=plane, device=model.device)
    return restore_labels(votes.argmax(0).astype(np.uint8), placement)


def _vote(
    votes: NDArray[np.float32],
    cube: NDArray[np.float32],
    network: UNet,
    *,
    plane: Plane,
    device: torch.device,
) -> None:
    """Add the probabilities of every slice of ``plane``; slices all black are background."""
    stack = np.ascontiguousarray(to_slices(cube, plane=plane))
    found = np.zeros((votes.shape[0], *stack.shape), np.float32)
    found[0] = 1
    filled = np.flatnonzero(stack.any(axis=(1, 2)))
    for first in range(0, len(filled), _BATCH):
        numbers = filled[first : first + _BATCH]
        images = torch.from_numpy(stack[numbers])[:, None] * 2 - 1
        planes = torch.full((len(numbers),), PLANES.index(plane))
        chances = segment(network, images.to(device), planes=planes.to(device))
        found[:, numbers] = chances.cpu().numpy().swapaxes(0, 1)
    for label, stack_of_label in enumerate(found):
        votes[label] += from_slices(stack_of_label, plane=plane)
