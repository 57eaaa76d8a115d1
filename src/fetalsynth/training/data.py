"""Which images of a data set a recipe trains on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fetalsynth.datasets.loading import ImageSet, load_images
from fetalsynth.errors import UserError
from fetalsynth.randomness import numpy_rng
from fetalsynth.training.recipe import Recipe


def load_training_images(folder: Path, *, recipe: Recipe, seed: int) -> ImageSet:
    """Read the images of ``folder`` that ``recipe`` asks for.

    ``split: train`` leaves held-out subjects out where the set has any. ``images: n`` takes whole
    subjects in an order fixed by ``seed`` until n images are there (the last subject may be cut),
    so smaller subsets lie within larger ones. Raises UserError where there are too few.
    """
    everything = load_images(folder, role="data")
    chosen = list(range(len(everything.records)))
    splits = {record.split for record in everything.records}
    if recipe.split == "train" and "train" in splits:
        chosen = [k for k in chosen if everything.records[k].split == "train"]
    if recipe.images is not None:
        if len(chosen) < recipe.images:
            raise UserError(
                f"{folder}: has {len(chosen)} images to train on, the recipe wants "
                f"{recipe.images}; give a smaller --images or import with a smaller held-out part"
            )
        chosen = sorted(_by_subject(everything, chosen, seed=seed)[: recipe.images])
    return replace(
        everything,
        pixels=everything.pixels[chosen],
        records=tuple(everything.records[k] for k in chosen),
    )


def _by_subject(images: ImageSet, chosen: list[int], *, seed: int) -> list[int]:
    """``chosen`` with the images of each subject together and the subjects shuffled."""
    subjects: dict[str, list[int]] = {}
    for k in chosen:
        subjects.setdefault(images.records[k].subject, []).append(k)
    names = sorted(subjects)
    order = numpy_rng(seed=seed, stream="training subset").permutation(len(names))
    return [k for position in order for k in subjects[names[position]]]
