"""Labels of one volume → its synthetic images, one per fusion rule, in the labels' own space."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import PLANES
from fetalsynth.artifacts.volumes import WHITE
from fetalsynth.datasets.volumes.grid import conform_labels, place, restore_image
from fetalsynth.datasets.volumes.nifti import spacing_of
from fetalsynth.datasets.volumes.pair import Pair
from fetalsynth.synthesis.background import near_tissue
from fetalsynth.synthesis.fusion import Rule, Spacing
from fetalsynth.synthesis.sampled import Asked, Sampled, own_sampling, sample_cubes
from fetalsynth.synthesis.volume_model import VolumeModel


def synthesise(
    model: VolumeModel,
    read: Pair,
    *,
    rules: Sequence[Rule],
    seed: int,
    name: str,
    mask_background: bool,
    where: str,
    weeks: float | None = None,
    sampled: Sampled | None = None,
    tick: Callable[[], None] = lambda: None,
) -> dict[Rule, NDArray[np.int16]]:
    """One image per rule in the labels' own space, from 0 (black) to ``WHITE``.

    ``name`` and ``seed`` decide the latents of a network that has some, and the noise of a flow
    model, which is also told the age in ``weeks`` (None: unknown) and ``sampled`` as given (None:
    as its settings say), with a ``tick`` after every pass. Voxels outside the model's cube are
    black. Raises UserError, naming ``where``, for labels that do not fit the cube.
    """
    labels = read.labels
    assert labels is not None
    size = model.grid.size
    placement = place(
        shape=labels.shape, affine=read.affine, labels=labels, grid=model.grid, where=where
    )
    cube = conform_labels(labels, placement, size=size)
    far = ~near_tissue(labels, spacing_mm=spacing_of(read.affine)) if mask_background else None
    sagittal, coronal, axial = (float(step) for step in spacing_of(placement.affine))
    spacing = (sagittal, coronal, axial)
    asked = Asked(seed=seed, name=name, weeks=weeks)
    how = sampled or own_sampling(model)
    cubes = (
        _painted(model, cube, rules=rules, asked=asked, spacing_mm=spacing)
        if how is None
        else sample_cubes(
            model, cube, rules=rules, how=how, asked=asked, spacing_mm=spacing, tick=tick
        )
    )
    found = {}
    for rule, fused in cubes:
        own = restore_image(((fused + 1) * (WHITE / 2)).clip(0, WHITE), placement)
        if far is not None:
            own[far] = 0
        found[rule] = np.rint(own).astype(np.int16)
    return found


def _painted(
    model: VolumeModel,
    cube: NDArray[np.uint8],
    *,
    rules: Sequence[Rule],
    asked: Asked,
    spacing_mm: Spacing,
) -> Iterator[tuple[Rule, NDArray[np.float32]]]:
    """The same as ``sample_cubes`` for networks that paint a slice in one pass."""
    planes = [p for p in PLANES if any(p in rule.planes for rule in rules)]
    latents = {p: model.latents(plane=p, seed=asked.seed, name=asked.name) for p in planes}
    made = {p: model.synthesise(cube, plane=p, latents=latents[p]) for p in planes}
    for rule in rules:
        yield rule, rule.fuse(made, spacing_mm=spacing_mm)
