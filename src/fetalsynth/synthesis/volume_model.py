"""Trained networks of one or several ``model`` artifacts that turn a cube of labels into images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fetalsynth.anatomy.planes import PLANES, Plane, from_slices, to_slices
from fetalsynth.artifacts.manifest import FILENAME, Manifest, read_manifest
from fetalsynth.artifacts.model import chosen_epoch
from fetalsynth.datasets.volumes.grid import Grid
from fetalsynth.errors import UserError
from fetalsynth.generators.families import Family
from fetalsynth.generators.settings import FlowSettings, SPADESettings
from fetalsynth.generators.spade.fast import FastGenerator
from fetalsynth.generators.spade.generator import SPADEGenerator
from fetalsynth.randomness import torch_rng
from fetalsynth.synthesis.weights import Weights, load_trained, settings_of

SHARED = "shared"
BLACK = -1.0

SliceImages = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class PlaneNetwork:
    """The network of one plane and where it came from.

    ``images`` makes (N, 1, S, S) in [−1, 1] of labels (N, S, S), planes (N,) and latents (N, n);
    None where whole cubes are sampled (:mod:`fetalsynth.synthesis.sampled`). ``knows_empty`` tells
    whether it was trained on slices without any label. Elsewhere its answer to one means nothing,
    and black is taken. It lies in ``part`` of the model ``folder``; ``facts`` are of its training.
    """

    family: Family
    images: SliceImages | None
    knows_empty: bool
    folder: Path
    part: Path
    facts: Mapping[str, Any]
    epoch: int
    weights: Weights


@dataclass(frozen=True, kw_only=True)
class VolumeModel:
    """Networks for some planes, all of one family, on one grid and with one number of labels.

    ``dtype`` is that of the computation.
    """

    networks: dict[Plane, PlaneNetwork]
    grid: Grid
    label_count: int
    device: torch.device
    dtype: torch.dtype = torch.float32

    def latents(self, *, plane: Plane, seed: int, name: str) -> Tensor:
        """The random numbers (1, latents) of the volume ``name``; none without an encoder.

        Networks of other planes have the same, as far as they want as many.
        """
        family = self.networks[plane].family
        return family.latents(1, torch_rng(seed=seed, stream=f"volume {name}"))

    def synthesise(
        self, labels: NDArray[np.uint8], *, plane: Plane, latents: Tensor
    ) -> NDArray[np.float32]:
        """Labels (S, S, S) in RAS+ order → images (S, S, S) in [−1, 1], slices of ``plane``.

        Slices without labels are black where the network was not trained on any.
        """
        network = self.networks[plane]
        assert network.images is not None
        stack = to_slices(labels, plane=plane)
        wanted = np.ones(len(stack), bool) if network.knows_empty else stack.any(axis=(1, 2))
        chosen = torch.from_numpy(np.ascontiguousarray(stack[wanted])).to(self.device)
        planes = torch.full((len(chosen),), PLANES.index(plane), device=self.device)
        z = latents.to(self.device).expand(len(chosen), -1)
        images = np.full(stack.shape, BLACK, np.float32)
        with torch.inference_mode():
            images[wanted] = network.images(chosen, planes, z)[:, 0].cpu().numpy()
        return np.ascontiguousarray(from_slices(images, plane=plane))


def load_volume_model(
    folders: Sequence[Path],
    *,
    planes: Sequence[Plane],
    epoch: int | None = None,
    weights: Weights | None = None,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
) -> VolumeModel:
    """Load what ``planes`` need from model folders that together must have it.

    ``epoch`` None takes of each network the snapshot that its training chose, or else the last;
    ``weights`` None the moving average where there is one. ``dtype`` is that of the computation;
    bfloat16 is less exact.

    Raises UserError where a plane is missing or in two models, where families, grids or labels
    differ, and for everything that is wrong with a model or its weights.
    """
    device = device or torch.device("cpu")
    networks: dict[Plane, PlaneNetwork] = {}
    loaded: dict[Path, PlaneNetwork] = {}
    kinds: dict[Path, _Kind] = {}
    for folder in folders:
        manifest = read_manifest(folder, kind="model")
        settings, recipe = _settings(manifest, folder=folder)
        kinds[folder] = _kind(settings, spacing_mm=recipe["spacing_mm"])
        here: list[Plane] = [p for p in PLANES if p in recipe["planes"] and p in planes]
        for plane in here:
            if plane in networks:
                raise UserError(
                    f"{folder}: has a network for {plane} slices, as {networks[plane].folder} has; "
                    "give one of the two"
                )
            part = folder / (SHARED if recipe["one_network"] else plane)
            if part not in loaded:
                facts = manifest.facts.get("networks", {}).get(part.name, {})
                trained = load_trained(
                    part,
                    settings=settings,
                    epoch=chosen_epoch(facts) if epoch is None else epoch,
                    weights=weights,
                    device=device,
                )
                loaded[part] = PlaneNetwork(
                    family=trained.family,
                    images=None
                    if isinstance(settings, FlowSettings)
                    else _fast(trained.family, dtype=dtype),
                    knows_empty=recipe["empty_slices"] > 0,
                    folder=folder,
                    part=part,
                    facts=facts,
                    epoch=trained.epoch,
                    weights=trained.weights,
                )
            networks[plane] = loaded[part]
    _check(networks, kinds, planes=planes, folders=folders)
    kind = kinds[folders[0]]
    return VolumeModel(
        networks=networks, grid=kind.grid, label_count=kind.labels, device=device, dtype=dtype
    )


def _fast(family: Family, *, dtype: torch.dtype) -> SliceImages:
    assert isinstance(family.generator, SPADEGenerator)
    return FastGenerator(family.generator, dtype=dtype)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What models must have in common to make one volume; ``path`` is the scale of a flow model."""

    family: str
    grid: Grid
    labels: int
    path: tuple[float, ...]

    def __str__(self) -> str:
        spacing = self.grid.spacing_mm
        size = "each volume's spacing" if spacing is None else f"{spacing:g} mm"
        path = f", scaled by {' '.join(f'{x:g}' for x in self.path)}" if self.path else ""
        return (
            f"is a {self.family} model that sees cubes of {self.grid.size} at {size} with "
            f"{self.labels} labels{path}"
        )


def _kind(settings: SPADESettings | FlowSettings, *, spacing_mm: float | None) -> _Kind:
    path: tuple[float, ...] = ()
    if isinstance(settings, FlowSettings):
        s = settings
        path = (s.image_mean, s.image_sd, s.time_mean, s.time_sd)
    grid = Grid(size=settings.size, spacing_mm=spacing_mm)
    return _Kind(family=settings.family, grid=grid, labels=settings.labels, path=path)


def _settings(
    manifest: Manifest, *, folder: Path
) -> tuple[SPADESettings | FlowSettings, dict[str, Any]]:
    settings = settings_of(manifest, folder=folder)
    recipe = manifest.configuration["recipe"]
    missing = {"planes", "one_network", "spacing_mm", "empty_slices"} - set(recipe)
    if not isinstance(settings, SPADESettings | FlowSettings) or missing:
        raise UserError(
            f"{folder}: holds a {settings.family} model, which makes no volumes from labels; train "
            "one with: fetalsynth train flow-mri128 --data VOLUMES --out MODEL"
        )
    if settings.channels != 1:
        raise UserError(
            f"{folder / FILENAME}: makes {settings.channels} channels; a volume has one"
        )
    return settings, recipe


def _check(
    networks: dict[Plane, PlaneNetwork],
    kinds: dict[Path, _Kind],
    *,
    planes: Sequence[Plane],
    folders: Sequence[Path],
) -> None:
    first, *others = kinds.items()
    for folder, kind in others:
        if kind != first[1]:
            raise UserError(f"{folder}: {kind}, {first[0]} {first[1]}")
    missing = [plane for plane in planes if plane not in networks]
    if missing:
        have = ", ".join(networks) or "none of them"
        raise UserError(
            f"{' and '.join(map(str, folders))}: no network for {' and '.join(missing)} slices, "
            f"which the fusion needs (there is {have}); add the folder of a model that has it, or "
            "give --fusion of one plane"
        )
