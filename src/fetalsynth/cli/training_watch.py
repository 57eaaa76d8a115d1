"""What a training is watched with: held-out patients and the assessment's measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.anatomy.planes import Plane
from fetalsynth.datasets.loading import ImageSet
from fetalsynth.datasets.volumes.loading import VolumeSet
from fetalsynth.generators.levels import to_levels
from fetalsynth.training.data import ResidentImages, check_images, known_heads
from fetalsynth.training.held_out import load_held_out, load_held_out_volumes, patient
from fetalsynth.training.recipe import Recipe, WatchedSliceRecipe
from fetalsynth.training.slices import ResidentSlices
from fetalsynth.training.watching import Watch

MOST_SLICES, MOST_REFERENCES = 128, 4000
LEAST_TISSUE = 0.1  # of what the fullest slice holds: slices of little tissue are all alike
CHUNK = 64
OFF = "the recipe turns the watch off (watch.every_epochs 0)"


def watch_for(
    recipe: Recipe, *, folder: Path, training: ImageSet, seed: int, device: torch.device
) -> tuple[Watch | None, str]:
    """The watch on a training with ``training`` out of ``folder``, or None and why there is none.

    Raises UserError for held-out images that do not fit the recipe.
    """
    if _is_off(recipe):
        return None, OFF
    held_out, why = load_held_out(folder, recipe=recipe, training=training, seed=seed)
    if held_out is None:
        return None, why
    from fetalsynth.assessment.nearness import nearness_to

    check_images(held_out.pixels, recipe=recipe)
    heads = known_heads(held_out, recipe=recipe, where=str(folder))
    nearness = nearness_to(
        train=training.pixels,
        subjects=[patient(record) for record in training.records],
        held_out=held_out.pixels,
    )
    resident = ResidentImages(held_out.pixels, device=device, heads=heads)
    watch = Watch(
        settings=recipe.watch, held_out=resident, patients=resident.count, nearness=nearness
    )
    return watch, ""


@dataclass(frozen=True, kw_only=True)
class SliceWatcher:
    """Makes the watch on each network of a training on slices, of the same held-out volumes."""

    recipe: WatchedSliceRecipe
    held_out: VolumeSet
    seed: int
    device: torch.device
    context: int

    def watch(self, training: ResidentSlices, *, planes: Sequence[Plane]) -> Watch:
        """The watch on the network of ``planes``.

        Samples are made from the labels of held-out slices and compared with those slices: up to
        128, spread over the volumes and planes. These and the training slices, up to 4000, show at
        least a tenth of the tissue of the fullest.
        """
        from fetalsynth.assessment.nearness import nearness_to

        slices = ResidentSlices(
            self.held_out,
            planes=planes,
            empty_share=0.0,
            seed=self.seed,
            device=self.device,
            context=self.context,
        )
        slices = _of_tissue(slices, at_most=MOST_SLICES)
        known = _of_tissue(training, at_most=MOST_REFERENCES)
        nearness = nearness_to(
            train=_levels(known), subjects=known.patients(), held_out=_levels(slices)
        )
        return Watch(
            settings=self.recipe.watch,
            held_out=slices,
            patients=len(set(slices.patients())),
            nearness=nearness,
            like_held_out=known,
        )


def slice_watcher(
    recipe: WatchedSliceRecipe,
    *,
    folder: Path,
    training: VolumeSet,
    seed: int,
    device: torch.device,
    context: int,
) -> tuple[SliceWatcher | None, str]:
    """What watches a training on the slices of ``training``, or None and why nothing does."""
    if _is_off(recipe):
        return None, OFF
    held_out, why = load_held_out_volumes(folder, recipe=recipe, training=training, seed=seed)
    if held_out is None:
        return None, why
    watcher = SliceWatcher(
        recipe=recipe, held_out=held_out, seed=seed, device=device, context=context
    )
    return watcher, ""


def _is_off(recipe: Recipe | WatchedSliceRecipe) -> bool:
    return recipe.watch.every_epochs == 0


def _of_tissue(slices: ResidentSlices, *, at_most: int) -> ResidentSlices:
    """Those that show enough, evenly spread."""
    held = slices.held()
    rich = np.flatnonzero(held >= LEAST_TISSUE * held.max())
    places = np.linspace(0, len(rich) - 1, min(at_most, len(rich)))
    return slices.only(rich[places.round().astype(np.int64)])


def _levels(slices: ResidentSlices) -> NDArray[np.uint8]:
    """Their images (N, S, S, 1)."""
    parts = torch.split(torch.arange(slices.count), CHUNK)
    levels = [to_levels(slices.batch(part).images).permute(0, 2, 3, 1).cpu() for part in parts]
    return torch.cat(levels).numpy()
