"""Trained networks of one or several ``model`` artifacts that turn a cube of labels into images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fetalsynth.anatomy.planes import PLANES, Plane, from_slices, to_slices
from fetalsynth.artifacts.manifest import FILENAME, Manifest, read_manifest
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.errors import UserError
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.randomness import torch_rng
from fetalsynth.synthesis.weights import Weights, load_trained, settings_of

SHARED = "shared"
# Always this many at once, because convolutions round differently in batches of different size.
SLICES = 8
BLACK = -1.0


class SliceFamily(Protocol):
    """What is asked of a family that makes slices from labels."""

    @property
    def generator(self) -> nn.Module: ...
    def latents(self, count: int, rng: torch.Generator) -> Tensor: ...
    def sample(
        self,
        generator: nn.Module,
        latents: Tensor,
        labels: Tensor | None = None,
        planes: Tensor | None = None,
    ) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class PlaneNetwork:
    """The network of one plane and where it came from.

    ``knows_empty`` tells whether it was trained on slices without any label. Elsewhere its answer
    to one means nothing, and black is taken.
    """

    family: SliceFamily
    knows_empty: bool
    folder: Path
    epoch: int
    weights: Weights


@dataclass(frozen=True, kw_only=True)
class VolumeModel:
    """Networks for some planes, all on one grid and with one number of labels."""

    networks: dict[Plane, PlaneNetwork]
    grid: Grid
    label_count: int
    device: torch.device
    precision: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)

    def latents(self, *, seed: int, name: str) -> Tensor:
        """The random numbers (1, latents) of the volume ``name``; none without an encoder."""
        family = next(iter(self.networks.values())).family
        return family.latents(1, torch_rng(seed=seed, stream=f"volume {name}"))

    def synthesise(
        self, labels: NDArray[np.uint8], *, plane: Plane, latents: Tensor
    ) -> NDArray[np.float32]:
        """Labels (S, S, S) in RAS+ order → images (S, S, S) in [−1, 1], slices of ``plane``.

        All slices without labels are alike and are computed once.
        """
        network = self.networks[plane]
        stack = to_slices(labels, plane=plane)
        held = stack.any(axis=(1, 2))
        images = np.empty(stack.shape, np.float32)
        if not held.all():
            images[~held] = (
                self._slices(network, stack[~held][:1], plane=plane, latents=latents)
                if network.knows_empty
                else BLACK
            )
        filled = np.flatnonzero(held)
        for first in range(0, len(filled), SLICES):
            chosen = filled[first : first + SLICES]
            images[chosen] = self._slices(network, stack[chosen], plane=plane, latents=latents)
        return np.ascontiguousarray(from_slices(images, plane=plane))

    def _slices(
        self, network: PlaneNetwork, stack: NDArray[np.uint8], *, plane: Plane, latents: Tensor
    ) -> NDArray[np.float32]:
        """(n, S, S) with n ≤ SLICES → (n, S, S); a short batch is filled up with empty slices."""
        full = np.zeros((SLICES, *stack.shape[1:]), np.uint8)
        full[: len(stack)] = stack
        with torch.inference_mode(), self.precision():
            images = network.family.sample(
                network.family.generator,
                latents.to(self.device).expand(SLICES, -1),
                torch.from_numpy(full).to(self.device),
                torch.full((SLICES,), PLANES.index(plane), device=self.device),
            )
        found: NDArray[np.float32] = images[: len(stack), 0].float().cpu().numpy()
        return found


def is_volume_model(manifest: Manifest) -> bool:
    """Whether the model makes volumes from labels, by its recipe."""
    return "planes" in manifest.configuration.get("recipe", {})


def load_volume_model(
    folders: Sequence[Path],
    *,
    planes: Sequence[Plane],
    epoch: int | None = None,
    weights: Weights | None = None,
    device: torch.device | None = None,
    precision: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> VolumeModel:
    """Load what ``planes`` need from model folders that together must have it.

    ``epoch`` None takes the last snapshot; ``weights`` None the moving average where there is one.
    Raises UserError where a plane is missing or in two models, where grids or labels differ, and
    for everything that is wrong with a model or its weights.
    """
    device = device or torch.device("cpu")
    networks: dict[Plane, PlaneNetwork] = {}
    kinds: dict[Path, tuple[Grid, int]] = {}
    for folder in folders:
        manifest = read_manifest(folder, kind="model")
        settings, recipe = _settings(manifest, folder=folder)
        kinds[folder] = Grid(size=settings.size, spacing_mm=recipe["spacing_mm"]), settings.labels
        here: list[Plane] = [p for p in PLANES if p in recipe["planes"] and p in planes]
        trained = {}
        for plane in here:
            if plane in networks:
                raise UserError(
                    f"{folder}: has a network for {plane} slices, as {networks[plane].folder} has; "
                    "give one of the two"
                )
            part = folder / (SHARED if recipe["one_network"] else plane)
            if part not in trained:
                trained[part] = load_trained(
                    part, settings=settings, epoch=epoch, weights=weights, device=device
                )
            networks[plane] = PlaneNetwork(
                family=trained[part].family,
                knows_empty=recipe["empty_slices"] > 0,
                folder=folder,
                epoch=trained[part].epoch,
                weights=trained[part].weights,
            )
    _check(networks, kinds, planes=planes, folders=folders)
    grid, label_count = kinds[folders[0]]
    return VolumeModel(
        networks=networks,
        grid=grid,
        label_count=label_count,
        device=device,
        precision=precision,
    )


def _settings(manifest: Manifest, *, folder: Path) -> tuple[SPADESettings, dict[str, Any]]:
    settings = settings_of(manifest, folder=folder)
    recipe = manifest.configuration["recipe"]
    missing = {"planes", "one_network", "spacing_mm", "empty_slices"} - set(recipe)
    if not isinstance(settings, SPADESettings) or missing:
        raise UserError(
            f"{folder}: holds a {settings.family} model, which makes no volumes from labels; train "
            "one with: fetalsynth train spade256 --data VOLUMES --out MODEL"
        )
    if settings.channels != 1:
        raise UserError(
            f"{folder / FILENAME}: makes {settings.channels} channels; a volume has one"
        )
    return settings, recipe


def _check(
    networks: dict[Plane, PlaneNetwork],
    kinds: dict[Path, tuple[Grid, int]],
    *,
    planes: Sequence[Plane],
    folders: Sequence[Path],
) -> None:
    first, *others = kinds.items()
    for folder, kind in others:
        if kind != first[1]:
            raise UserError(f"{folder}: {_text(*kind)}, {first[0]} {_text(*first[1])}")
    missing = [plane for plane in planes if plane not in networks]
    if missing:
        have = ", ".join(networks) or "none of them"
        raise UserError(
            f"{' and '.join(map(str, folders))}: no network for {' and '.join(missing)} slices, "
            f"which the fusion needs (there is {have}); add the folder of a model that has it, or "
            "give --fusion of one plane"
        )


def _text(grid: Grid, labels: int) -> str:
    spacing = "each volume's spacing" if grid.spacing_mm is None else f"{grid.spacing_mm:g} mm"
    return f"sees cubes of {grid.size} at {spacing} with {labels} labels"
