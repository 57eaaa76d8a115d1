"""What a training of images is watched with: held-out patients and the assessment's measures."""

from __future__ import annotations

from pathlib import Path

import torch

from fetalsynth.datasets.loading import ImageSet
from fetalsynth.training.data import ResidentImages, check_images, known_heads
from fetalsynth.training.held_out import load_held_out, patient
from fetalsynth.training.recipe import Recipe
from fetalsynth.training.watching import Watch


def watch_for(
    recipe: Recipe, *, folder: Path, training: ImageSet, seed: int, device: torch.device
) -> tuple[Watch | None, str]:
    """The watch on a training with ``training`` out of ``folder``, or None and why there is none.

    Raises UserError for held-out images that do not fit the recipe.
    """
    if recipe.watch.every_epochs == 0:
        return None, "the recipe turns the watch off (watch.every_epochs 0)"
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
    return Watch(settings=recipe.watch, held_out=resident, nearness=nearness), ""
