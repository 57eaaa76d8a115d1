"""How fast this machine is at a study's networks: a few real training steps and samples of each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import torch

from fetalsynth.generators.families import Family, build
from fetalsynth.generators.precision import computing
from fetalsynth.generators.settings import SPADESettings
from fetalsynth.generators.unet import Segmenter
from fetalsynth.randomness import torch_rng
from fetalsynth.studies.data import DataFacts
from fetalsynth.training.data import ResidentImages, TrainingData, load_training_images
from fetalsynth.training.device import resolve_precision
from fetalsynth.training.recipe import Recipe, SliceRecipe
from fetalsynth.training.slices import ResidentSlices, load_training_volumes

if TYPE_CHECKING:
    from torch import nn

LEAST_STEPS, MOST_STEPS = 3, 12
ENOUGH_SECONDS = 2.0
SAMPLED = 16


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds per image trained on and per image sampled, and bytes of one copy of the weights.

    A network that makes no images, such as one that finds labels, takes 0 seconds to sample.
    ``state_bytes`` is what one resume state takes while training runs.
    """

    train_seconds: float
    sample_seconds: float
    weight_bytes: int
    state_bytes: int


def count_items(recipe: Recipe | SliceRecipe, data: DataFacts) -> int:
    """How many images or slices an epoch of ``recipe`` has, over all its networks."""
    if isinstance(recipe, Recipe):
        return recipe.images or data.to_train_on(recipe.split)
    return _resident(recipe, data, torch.device("cpu")).count


def measure(recipe: Recipe | SliceRecipe, data: DataFacts, *, device: torch.device) -> Speed:
    """Train a fresh network of ``recipe`` for a few steps on the real data, then sample it.

    The first step, which compiles and allocates, is not counted; the time of a step is the median
    of the others. A perceptual loss is left out of the timing.
    """
    settings = recipe.generator
    if isinstance(settings, SPADESettings) and settings.perceptual != "none":
        recipe = recipe.model_copy(
            update={"generator": settings.model_copy(update={"perceptual": "none"})}
        )
    resident = _resident(recipe, data, device)
    family = build(recipe.generator)
    family.initialise(torch_rng(seed=0, stream="initial weights"))
    for network in family.networks().values():
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    seconds = _step_seconds(family, recipe, resident, device)
    weights = _bytes(family.generator)
    trained = sum(_bytes(network) for network in family.networks().values())
    return Speed(
        train_seconds=seconds / recipe.batch_size,
        sample_seconds=_sample_seconds(family, resident, device),
        weight_bytes=weights,
        state_bytes=3 * trained + weights,  # weights, Adam's two moments, moving average
    )


def _resident(
    recipe: Recipe | SliceRecipe, data: DataFacts, device: torch.device
) -> ResidentImages | ResidentSlices:
    if isinstance(recipe, Recipe):
        images = load_training_images(data.path, recipe=recipe, seed=0)
        return ResidentImages(images.pixels, device=device)
    return ResidentSlices(
        load_training_volumes(data.path, recipe=recipe, seed=0),
        planes=recipe.planes,
        empty_share=recipe.empty_slices,
        seed=0,
        device=device,
    )


def _step_seconds(
    family: Family, recipe: Recipe | SliceRecipe, data: TrainingData, device: torch.device
) -> float:
    optimizers = family.optimizers()
    precision = partial(computing, resolve_precision(recipe.precision, device), device)
    taken: list[float] = []
    for step in range(1 + MOST_STEPS):
        indices = torch.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size)
        began = time.perf_counter()
        batch = data.batch(indices % data.count)
        latents = family.latents(recipe.batch_size, torch_rng(seed=0, stream="latents"))
        losses = family.step(
            batch,
            latents.to(device),
            optimizers=optimizers,
            precision=precision,
            average_gradients=_alone,
        )
        _wait(losses.values())
        taken.append(time.perf_counter() - began)
        if step >= LEAST_STEPS and sum(taken[1:]) > ENOUGH_SECONDS:
            break
    return median(taken[1:])


def _sample_seconds(family: Family, data: TrainingData, device: torch.device) -> float:
    if isinstance(family, Segmenter):
        return 0.0
    latents = family.latents(SAMPLED, torch_rng(seed=0, stream="sample")).to(device)
    batch = data.batch(torch.arange(SAMPLED) % data.count)
    family.generator.eval()
    taken = []
    for _ in range(2):
        began = time.perf_counter()
        with torch.inference_mode():
            made = family.sample(family.generator, latents, batch.labels, batch.planes)
        _wait([made.mean()])
        taken.append((time.perf_counter() - began) / SAMPLED)
    return min(taken)


def _alone(parameters: Iterable[nn.Parameter]) -> None:
    """One process has nothing to average with."""


def _wait(values: Iterable[torch.Tensor]) -> None:
    for value in values:
        value.item()


def _bytes(network: Any) -> int:
    return sum(t.numel() * t.element_size() for t in network.state_dict().values())
