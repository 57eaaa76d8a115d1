"""A trained model → N numbered images; image k depends on the seed and k alone."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fetalsynth.artifacts.contact_sheet import contact_sheet, drop_grey_axis
from fetalsynth.artifacts.files import write_bytes
from fetalsynth.artifacts.images import ImagesWriter, encode_png
from fetalsynth.artifacts.manifest import Manifest, read_manifest
from fetalsynth.artifacts.model import STATISTICS, WATCH, chosen_epoch
from fetalsynth.errors import UserError
from fetalsynth.generators.families import Family
from fetalsynth.generators.levels import to_levels
from fetalsynth.generators.settings import DCGANSettings, FlowSettings
from fetalsynth.progress import Progress
from fetalsynth.randomness import torch_rng
from fetalsynth.synthesis.weights import Weights, load_trained, settings_of

# Every image is computed in a chunk of this many, always full and always aligned, because
# convolutions round differently in batches of different size.
CHUNK = 16
PREVIEW = 36
TRAINING_STATISTICS = "training-stats.jsonl"
TRAINING_WATCH = "training-watch.jsonl"


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A generator ready to sample, on its device, and where it came from."""

    family: Family
    manifest: Manifest
    folder: Path
    epoch: int
    weights: Weights
    device: torch.device


def load_model(
    folder: Path,
    *,
    epoch: int | None = None,
    weights: Weights | None = None,
    device: torch.device | None = None,
) -> LoadedModel:
    """Load the generator of a ``model`` artifact.

    ``epoch`` None takes the snapshot that the training chose, or else the last; ``weights`` None
    the moving average where there is one.
    Raises UserError where the artifact, the epoch or the weights are missing or do not fit.
    """
    manifest = read_manifest(folder, kind="model")
    settings = settings_of(manifest, folder=folder)
    if not isinstance(settings, DCGANSettings | FlowSettings):
        raise UserError(f"{folder}: holds a {settings.family} model, which needs --labels")
    device = device or torch.device("cpu")
    epoch = chosen_epoch(manifest.facts) if epoch is None else epoch
    trained = load_trained(folder, settings=settings, epoch=epoch, weights=weights, device=device)
    return LoadedModel(
        family=trained.family,
        manifest=manifest,
        folder=folder,
        epoch=trained.epoch,
        weights=trained.weights,
        device=device,
    )


def sample(model: LoadedModel, *, first: int, count: int, seed: int) -> NDArray[np.uint8]:
    """Images ``first`` … ``first + count`` of the endless row that ``seed`` names, (N, H, W, C)."""
    start = first // CHUNK
    chunks = [
        _chunk(model, number=number, seed=seed)
        for number in range(start, -(-(first + count) // CHUNK))
    ]
    offset = first - start * CHUNK
    return np.concatenate(chunks)[offset : offset + count]


def _chunk(model: LoadedModel, *, number: int, seed: int) -> NDArray[np.uint8]:
    numbers = range(number * CHUNK, (number + 1) * CHUNK)
    latents = torch.cat(
        [model.family.latents(1, torch_rng(seed=seed, stream="sample", counter=k)) for k in numbers]
    )
    images = model.family.sample(model.family.generator, latents.to(model.device))
    levels: NDArray[np.uint8] = to_levels(images).permute(0, 2, 3, 1).cpu().numpy()
    return levels


def write_images(model: LoadedModel, *, count: int, seed: int, folder: Path) -> None:
    """Write ``count`` images, their table, a preview and the model's training statistics.

    Images that an interrupted call left in ``folder`` are kept.
    """
    writer = ImagesWriter(folder)
    preview: list[NDArray[np.uint8]] = []
    with Progress(label="generating", total=count) as progress:
        for number in range(-(-count // CHUNK)):
            first, end = number * CHUNK, min(count, (number + 1) * CHUNK)
            names = [f"synthetic-{k:06d}" for k in range(first, end)]
            pixels = None
            for k, name in enumerate(names, start=first):
                extra = {"seed": str(seed), "number": str(k)}
                if k >= PREVIEW and writer.adopt(name=name, subject=name, extra=extra):
                    continue
                pixels = _chunk(model, number=number, seed=seed) if pixels is None else pixels
                image = drop_grey_axis(pixels)[k - first]
                writer.add(image, name=name, subject=name, extra=extra)
                if k < PREVIEW:
                    preview.append(image)
            progress.advance(end - first)
    writer.close()
    sheet = contact_sheet(np.stack(preview), columns=min(9, len(preview)))
    write_bytes(folder / "preview.png", encode_png(sheet))
    for ours, theirs in ((STATISTICS, TRAINING_STATISTICS), (WATCH, TRAINING_WATCH)):
        if (model.folder / ours).is_file():
            shutil.copyfile(model.folder / ours, folder / theirs)
